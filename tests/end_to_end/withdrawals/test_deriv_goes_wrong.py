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
    DuplicatePush,
    LosePush,
    OutputValidationFailed,
    RateLimited,
    WrongResponse,
)
from tests.end_to_end.deposits.stage import read
from tests.end_to_end.withdrawals.stage import COMPLETED, UNTOUCHED, WithdrawalStage

ONE_SECOND = timedelta(seconds=1)


@pytest.mark.path(saga="withdrawal", step="code", fault="wrong", outcome="FAILED")
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


@pytest.mark.path(saga="withdrawal", step="code", fault="used before", outcome="FAILED")
async def test_a_code_is_good_for_one_withdrawal(stage: WithdrawalStage) -> None:
    """Given again for another one, it is refused by Deriv; what it was good for stands."""
    first = await stage.asked(key="first")
    code = await stage.code()
    await stage.give_code(first, code)
    assert ("COMPLETED", None, None) == await stage.ended(first)
    second = await stage.asked(key="second")
    await stage.code()
    await stage.give_code(second, code)

    assert ("FAILED", "wrong_verification_code", None) == await stage.ended(second)
    await stage.until_books(COMPLETED)
    assert 1 == await stage.received()


async def test_what_is_no_code_is_refused_and_may_be_given_again(stage: WithdrawalStage) -> None:
    """A blank in it, or too short: nothing was kept, nothing has started."""
    withdrawal = await stage.asked()
    assert (422, "invalid_verification_code") == _refusal(await stage.give_code(withdrawal, "a b"))
    await stage.give_code(withdrawal)

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)


@pytest.mark.path(saga="withdrawal", step="code", fault="never given", outcome="FAILED")
async def test_nobody_confirms_and_nothing_moves(stage: WithdrawalStage) -> None:
    """When the quote expires the withdrawal is over."""
    withdrawal = await stage.asked()
    await stage.code()

    assert ("FAILED", "not_confirmed", None) == await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="debit", fault="refused in the dry run", outcome="FAILED")
async def test_an_account_deriv_has_locked_gives_nothing(stage: WithdrawalStage) -> None:
    """The dry run tells it before the code is used."""
    withdrawal = await stage.asked()
    code = await stage.code()
    await stage.sandbox.deriv_book.set_statuses(LOGIN_ID, frozenset({"cashier_locked"}))
    await stage.give_code(withdrawal, code)

    assert ("FAILED", "deriv_refused", None) == await stage.ended(withdrawal)
    assert code == await stage.code()
    assert UNTOUCHED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="debit", fault="refused, too little money", outcome="FAILED")
async def test_more_than_she_has_is_refused_by_deriv(stage: WithdrawalStage) -> None:
    """USD 300.00 of USD 200.00: nothing moved, and it has failed."""
    withdrawal = await stage.started(30_000)

    assert ("FAILED", "deriv_refused", None) == await stage.ended(withdrawal)
    assert UNTOUCHED == await stage.books()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            DropAfterCommit(),
            marks=pytest.mark.path(
                saga="withdrawal", step="debit", fault="socket dropped after executing", outcome="COMPLETED"
            ),
        ),
        pytest.param(
            WrongResponse(committed=True),
            marks=pytest.mark.path(
                saga="withdrawal", step="debit", fault="an answer that says nothing, executed", outcome="COMPLETED"
            ),
        ),
        pytest.param(
            OutputValidationFailed(),
            marks=pytest.mark.path(
                saga="withdrawal", step="debit", fault="an error answered after executing", outcome="COMPLETED"
            ),
        ),
        pytest.param(
            AnswerAfter(20_000),
            marks=pytest.mark.path(saga="withdrawal", step="debit", fault="answered late", outcome="COMPLETED"),
        ),
    ],
    ids=["dropped", "wrong", "spoilt", "late"],
)
async def test_the_credit_is_the_money_whatever_the_answer_was(stage: WithdrawalStage, fault: CallFault) -> None:
    """The answer is lost or useless; the dollars have come, once, and go on."""
    stage.fail_at_deriv(fault)
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    await stage.until_books(COMPLETED)
    assert 1 == await stage.received()


@pytest.mark.path(saga="withdrawal", step="credit", fault="not streamed", outcome="COMPLETED")
async def test_a_credit_the_stream_loses_is_found_in_the_statement(stage: WithdrawalStage) -> None:
    """Deriv says it was done and our stream says nothing: the statement is read, and it is booked once."""
    stage.fail_at_deriv(LosePush(), call="transaction")
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()
    assert 1 == await stage.received()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            DropBeforeCommit(),
            marks=pytest.mark.path(
                saga="withdrawal", step="debit", fault="socket dropped before executing", outcome="IN_REVIEW"
            ),
        ),
        pytest.param(
            WrongResponse(committed=False),
            marks=pytest.mark.path(
                saga="withdrawal", step="debit", fault="an answer that says nothing, not executed", outcome="IN_REVIEW"
            ),
        ),
    ],
    ids=["dropped", "wrong"],
)
async def test_a_call_that_may_have_been_made_is_not_made_again(stage: WithdrawalStage, fault: CallFault) -> None:
    """No credit comes for ten minutes: people decide; nothing was taken, and nothing is taken."""
    stage.fail_at_deriv(fault)
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_debit(withdrawal, "UNKNOWN"))

    assert ("IN_REVIEW", None, None) == await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    assert [("DERIV_UNRESOLVED", 1_000, "USD")] == await stage.base.reviews()
    assert UNTOUCHED == await stage.books()
    assert 0 == await stage.received()


@pytest.mark.path(saga="withdrawal", step="credit", fault="after we gave up", outcome="IN_REVIEW")
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


@pytest.mark.path(saga="withdrawal", step="credit", fault="told twice by the stream", outcome="COMPLETED")
async def test_a_credit_the_stream_tells_twice_is_booked_once(stage: WithdrawalStage) -> None:
    """Deriv's id of the row makes it one credit."""
    stage.fail_at_deriv(DuplicatePush(), call="transaction")
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="withdrawal", step="debit", fault="Deriv is down", outcome="COMPLETED")
async def test_a_debit_waits_while_deriv_is_away_and_is_made_once(stage: WithdrawalStage) -> None:
    """Nobody listens when she gives the code; it is kept, and used when somebody does."""
    withdrawal = await stage.asked()
    code = await stage.code()
    await stage.base.deriv_down()
    await stage.give_code(withdrawal, code)
    await stage.base.until(lambda: stage.is_debit(withdrawal, "INTENDED"))
    assert UNTOUCHED == await stage.books()
    await stage.base.deriv_up()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    await stage.until_books(COMPLETED)
    assert 1 == await stage.received()


@pytest.mark.path(saga="withdrawal", step="debit", fault="rate limited", outcome="COMPLETED")
async def test_a_rate_limit_only_delays_a_debit(stage: WithdrawalStage) -> None:
    """Deriv refuses for the frequency; while the code is kept the same call is made again, once."""
    stage.fail_at_deriv(RateLimited())
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal, advancing=ONE_SECOND)
    await stage.until_books(COMPLETED)
    assert 1 == await stage.received()


def _refusal(response: httpx.Response) -> tuple[int, str]:
    found = read(response)
    return found["status"], found["code"]
