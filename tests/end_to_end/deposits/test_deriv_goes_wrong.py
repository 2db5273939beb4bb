"""Deriv refuses, breaks off, misleads or is away: a transfer is made once at most, and money in doubt stays visible."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from penpay.demo.world import AGENT_LOGIN_ID, LOGIN_ID
from penpay.domain.shared.money import Money
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.faults import (
    CallFault,
    DropAfterCommit,
    DropBeforeCommit,
    DuplicatePush,
    FaultRule,
    OutputValidationFailed,
    RateLimited,
    WrongResponse,
)
from tests.end_to_end.deposits.books import COMPLETED, IN_FLIGHT, UNTOUCHED
from tests.end_to_end.deposits.stage import Stage

ONE_SECOND = timedelta(seconds=1)


async def test_a_payer_whose_account_deriv_does_not_pay_is_paid_back(each_stage: Stage) -> None:
    """Her cashier is locked: transfer and conversion are taken back, and her 1,321 shillings are on her phone again."""
    await each_stage.sandbox.deriv_book.set_statuses(LOGIN_ID, frozenset({"cashier_locked"}))
    deposit = await each_stage.paid_deposit()

    assert ("REVERSED", "deriv_refused", None) == await each_stage.ended(deposit)
    assert [] == await each_stage.reviews()
    assert replace(UNTOUCHED, collection=132_100) == await each_stage.books()
    assert "FAILED" == await each_stage.transfer_state(deposit)
    assert 0 == await each_stage.transfers_made()


@pytest.mark.parametrize("fault", [DropBeforeCommit(), WrongResponse(committed=False)], ids=["dropped", "wrong"])
async def test_a_transfer_that_is_nowhere_to_be_found_stays_in_flight_for_people(
    stage: Stage, fault: CallFault
) -> None:
    """It may have been sent; the statement shows nothing for ten minutes; it is not sent again."""
    stage.sandbox.deriv_faults.add(FaultRule(fault=fault))
    deposit = await stage.paid_deposit()
    await stage.until(lambda: _is(stage, deposit, "UNKNOWN"))
    assert IN_FLIGHT == await stage.books()
    await stage.until(lambda: _is_ready(stage), advancing=ONE_SECOND)
    assert "AWAITING_DERIV_CONFIRMATION" == (await stage.transaction(deposit))["status"]

    assert ("IN_REVIEW", None, None) == await stage.ended(deposit, advancing=timedelta(minutes=1))
    assert [("DERIV_UNRESOLVED", 1_000, "USD")] == await stage.reviews()
    assert IN_FLIGHT == await stage.books()
    assert 0 == await stage.transfers_made()


@pytest.mark.parametrize(
    "fault",
    [DropAfterCommit(), OutputValidationFailed(), WrongResponse(committed=True)],
    ids=["dropped", "bad output", "wrong"],
)
async def test_a_transfer_whose_answer_is_lost_is_found_in_the_statement(stage: Stage, fault: CallFault) -> None:
    """Deriv has paid and did not say so: our reference in its statement does."""
    stage.sandbox.deriv_faults.add(FaultRule(fault=fault))
    deposit = await stage.paid_deposit()

    assert ("COMPLETED", None, "deriv_statement") == await stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()
    assert [] == await stage.reviews()
    assert 1 == await stage.transfers_made()


async def test_a_transfer_found_in_the_statement_on_either_engine(each_stage: Stage) -> None:
    """The socket goes down between Deriv's commit and its answer."""
    each_stage.sandbox.deriv_faults.add(FaultRule(fault=DropAfterCommit()))
    deposit = await each_stage.paid_deposit()

    assert ("COMPLETED", None, "deriv_statement") == await each_stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await each_stage.books()


async def test_a_transfer_waits_while_deriv_is_away_and_is_sent_once(stage: Stage) -> None:
    """Nobody listens at Deriv when the money comes; the dollars wait in flight and leave when somebody does."""
    await stage.deriv_down()
    deposit = await stage.paid_deposit()
    await stage.until(lambda: _is(stage, deposit, "INTENDED"))
    assert IN_FLIGHT == await stage.books()
    await stage.deriv_up()

    assert ("COMPLETED", None, None) == await stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()
    assert 1 == await stage.transfers_made()


async def test_a_rate_limit_only_delays_a_transfer(stage: Stage) -> None:
    """Deriv refuses for the frequency; a minute later the same transfer is made, once."""
    stage.sandbox.deriv_faults.add(FaultRule(fault=RateLimited()))
    deposit = await stage.paid_deposit()
    await stage.until(lambda: _is(stage, deposit, "INTENDED"))
    stage.clock.advance(timedelta(seconds=50))
    await asyncio.sleep(0.1)
    assert 0 == await stage.transfers_made()
    stage.clock.advance(timedelta(seconds=15))

    assert ("COMPLETED", None, None) == await stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()
    assert 1 == await stage.transfers_made()


async def test_a_credit_nobody_asked_for_is_booked_once(each_stage: Stage) -> None:
    """It is told twice, and again by the statement after a restart: USD 25.00 are in suspense once."""
    stage = each_stage
    await stage.sandbox.deriv_book.open_account(
        Account(login_id="CR700001", first_name="Other", last_name="Client", email="other@penpay.example"),
        balance_cents=10_000,
    )
    stage.sandbox.deriv_faults.add(FaultRule(fault=DuplicatePush(), call="transaction"))
    await _pay_agent(stage, 2_500)
    await stage.until(lambda: _suspense_is(stage, 2_500))
    await stage.restart()
    await _pay_agent(stage, 700)
    await stage.until(lambda: _suspense_is(stage, 3_200))

    expected = replace(UNTOUCHED, suspense_usd=3_200, agent=1_003_200, at_deriv_agent=1_003_200)
    assert expected == await stage.books()
    assert 2 == await stage.audited("credit.booked_to_suspense")


async def test_a_credit_that_came_while_we_were_away_is_booked_from_the_statement(stage: Stage) -> None:
    """The process is down when a client pays the agent; the gap is filled when it is back."""
    await stage.sandbox.deriv_book.open_account(
        Account(login_id="CR700001", first_name="Other", last_name="Client", email="other@penpay.example"),
        balance_cents=10_000,
    )
    await stage.stop()
    await _pay_agent(stage, 2_500)
    await stage.restart()
    await stage.until(lambda: _suspense_is(stage, 2_500))

    assert replace(UNTOUCHED, suspense_usd=2_500, agent=1_002_500, at_deriv_agent=1_002_500) == await stage.books()


async def _pay_agent(stage: Stage, cents: int) -> None:
    await stage.sandbox.deriv.exchange.pay_agent(client_id="CR700001", agent_id=AGENT_LOGIN_ID, cents=cents)


async def _suspense_is(stage: Stage, cents: int) -> bool:
    account = await stage.system.ledger_books.balance("suspense:USD")
    return account is not None and Money(cents, account.balance.currency) == account.balance


async def _is(stage: Stage, deposit: str, state: str) -> bool:
    return await stage.transfer_state(deposit) == state


async def _is_ready(stage: Stage) -> bool:
    return stage.system.deriv.is_ready
