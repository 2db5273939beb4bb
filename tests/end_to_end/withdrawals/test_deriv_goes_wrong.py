"""Deriv refuses, breaks off or keeps silent while its client's dollars are asked for: they are taken once at most."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from penpay.demo.world import LOGIN_ID
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    CallFault,
    DropAfterCommit,
    DropBeforeCommit,
    LosePush,
    OutputValidationFailed,
    WrongResponse,
)
from tests.end_to_end.deposits.stage import read
from tests.end_to_end.withdrawals.stage import COMPLETED, UNTOUCHED, WithdrawalStage

ONE_SECOND = timedelta(seconds=1)


async def test_a_wrong_code_takes_nothing(each_stage: WithdrawalStage) -> None:
    """Deriv refuses it; the withdrawal has failed, and the code is kept nowhere."""
    stage = each_stage
    withdrawal = await stage.asked()
    await stage.code()
    await stage.give_code(withdrawal, "Wrong123")

    assert ("FAILED", "wrong_verification_code", None) == await stage.ended(withdrawal)
    assert UNTOUCHED == await stage.books()
    assert 0 == await stage.codes_kept()
    assert (409, "illegal_move") == _refusal(await stage.give_code(withdrawal, "Wrong123"))


async def test_what_is_no_code_is_refused_and_may_be_given_again(stage: WithdrawalStage) -> None:
    """A blank in it, or too short: nothing was kept, nothing has started."""
    withdrawal = await stage.asked()
    assert (422, "invalid_verification_code") == _refusal(await stage.give_code(withdrawal, "a b"))
    await stage.give_code(withdrawal)

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)


async def test_nobody_confirms_and_nothing_moves(stage: WithdrawalStage) -> None:
    """When the quote expires the withdrawal is over."""
    withdrawal = await stage.asked()
    await stage.code()

    assert ("FAILED", "not_confirmed", None) == await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    assert UNTOUCHED == await stage.books()


async def test_an_account_deriv_has_locked_gives_nothing(stage: WithdrawalStage) -> None:
    """The dry run tells it before the code is used."""
    withdrawal = await stage.asked()
    code = await stage.code()
    await stage.sandbox.deriv_book.set_statuses(LOGIN_ID, frozenset({"cashier_locked"}))
    await stage.give_code(withdrawal, code)

    assert ("FAILED", "deriv_refused", None) == await stage.ended(withdrawal)
    assert code == await stage.code()
    assert UNTOUCHED == await stage.books()


async def test_more_than_she_has_is_refused_by_deriv(stage: WithdrawalStage) -> None:
    """USD 300.00 of USD 200.00: nothing moved, and it has failed."""
    withdrawal = await stage.started(30_000)

    assert ("FAILED", "deriv_refused", None) == await stage.ended(withdrawal)
    assert UNTOUCHED == await stage.books()


@pytest.mark.parametrize(
    "fault",
    [DropAfterCommit(), WrongResponse(committed=True), OutputValidationFailed(), AnswerAfter(20_000)],
    ids=["dropped", "wrong", "spoilt", "late"],
)
async def test_the_credit_is_the_money_whatever_the_answer_was(stage: WithdrawalStage, fault: CallFault) -> None:
    """The answer is lost or useless; the dollars have come, once, and go on."""
    stage.fail_at_deriv(fault)
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    await stage.until_books(COMPLETED)
    assert 1 == await stage.received()


async def test_a_credit_the_stream_loses_is_found_in_the_statement(stage: WithdrawalStage) -> None:
    """Deriv says it was done and our stream says nothing: the statement is read, and it is booked once."""
    stage.fail_at_deriv(LosePush(), call="transaction")
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()
    assert 1 == await stage.received()


@pytest.mark.parametrize("fault", [DropBeforeCommit(), WrongResponse(committed=False)], ids=["dropped", "wrong"])
async def test_a_call_that_may_have_been_made_is_not_made_again(stage: WithdrawalStage, fault: CallFault) -> None:
    """No credit comes for ten minutes: people decide; nothing was taken, and nothing is taken."""
    stage.fail_at_deriv(fault)
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_debit(withdrawal, "UNKNOWN"))

    assert ("IN_REVIEW", None, None) == await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    assert [("DERIV_UNRESOLVED", 1_000, "USD")] == await stage.base.reviews()
    assert UNTOUCHED == await stage.books()
    assert 0 == await stage.received()


async def test_a_credit_after_people_were_asked_waits_for_them(stage: WithdrawalStage) -> None:
    """It is hers and stays in her wallet; nobody sends it on before people have decided."""
    stage.fail_at_deriv(DropBeforeCommit())
    withdrawal = await stage.started()
    await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    reference = await stage.reference(withdrawal)
    await stage.sandbox.deriv.exchange.pay_agent(
        client_id=LOGIN_ID, agent_id=stage.base.settings.deriv_login_id, cents=1_000, note=reference
    )
    await stage.base.until(lambda: stage.is_debit(withdrawal, "CONFIRMED"))

    assert "IN_REVIEW" == (await stage.base.transaction(withdrawal))["status"]
    reasons = [reason for reason, _, _ in await stage.base.reviews()]
    assert ["DERIV_UNRESOLVED", "CONFIRMED_LATE"] == reasons
    assert 1_000 == (await stage.books()).wallet_usd


def _refusal(response: httpx.Response) -> tuple[int, str]:
    found = read(response)
    return found["status"], found["code"]
