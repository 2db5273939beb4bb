"""Deriv refuses, breaks off, misleads or is away: a transfer is made once at most, and money in doubt stays visible."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select

from penpay.demo.world import AGENT_LOGIN_ID, LOGIN_ID
from penpay.domain.shared.money import Money
from penpay.infrastructure.sql.tables import deriv_transfers
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    CallFault,
    DropAfterCommit,
    DropBeforeCommit,
    DuplicatePush,
    FaultRule,
    OutputValidationFailed,
    RateLimited,
    StatementLag,
    WrongResponse,
)
from tests.end_to_end.deposits.books import COMPLETED, IN_FLIGHT, UNTOUCHED
from tests.end_to_end.deposits.stage import Stage

ONE_SECOND = timedelta(seconds=1)


@pytest.mark.path(saga="deposit", step="transfer", fault="refused", outcome="REVERSED")
async def test_a_payer_whose_account_deriv_does_not_pay_is_paid_back(each_stage: Stage) -> None:
    """Her cashier is locked: transfer and conversion are taken back, and her 1,321 shillings are on her phone again."""
    await each_stage.sandbox.deriv_book.set_statuses(LOGIN_ID, frozenset({"cashier_locked"}))
    deposit = await each_stage.paid_deposit()

    assert ("REVERSED", "deriv_refused", None) == await each_stage.ended(deposit)
    assert [] == await each_stage.reviews()
    assert replace(UNTOUCHED, collection=132_100) == await each_stage.books()
    assert "FAILED" == await each_stage.transfer_state(deposit)
    assert 0 == await each_stage.transfers_made()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            DropBeforeCommit(),
            marks=pytest.mark.path(
                saga="deposit", step="transfer", fault="socket dropped before executing", outcome="IN_REVIEW"
            ),
        ),
        pytest.param(
            WrongResponse(committed=False),
            marks=pytest.mark.path(
                saga="deposit", step="transfer", fault="an answer that says nothing, not executed", outcome="IN_REVIEW"
            ),
        ),
    ],
    ids=["dropped", "wrong"],
)
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
    [
        pytest.param(
            DropAfterCommit(),
            marks=pytest.mark.path(
                saga="deposit", step="transfer", fault="socket dropped after executing", outcome="COMPLETED"
            ),
        ),
        pytest.param(
            OutputValidationFailed(),
            marks=pytest.mark.path(
                saga="deposit", step="transfer", fault="an error answered after executing", outcome="COMPLETED"
            ),
        ),
        pytest.param(
            WrongResponse(committed=True),
            marks=pytest.mark.path(
                saga="deposit", step="transfer", fault="an answer that says nothing, executed", outcome="COMPLETED"
            ),
        ),
    ],
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


@pytest.mark.path(saga="deposit", step="transfer", fault="socket dropped after executing", outcome="COMPLETED")
async def test_a_transfer_found_in_the_statement_on_either_engine(each_stage: Stage) -> None:
    """The socket goes down between Deriv's commit and its answer."""
    each_stage.sandbox.deriv_faults.add(FaultRule(fault=DropAfterCommit()))
    deposit = await each_stage.paid_deposit()

    assert ("COMPLETED", None, "deriv_statement") == await each_stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await each_stage.books()


@pytest.mark.path(saga="deposit", step="transfer", fault="Deriv is down", outcome="COMPLETED")
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


@pytest.mark.path(saga="deposit", step="transfer", fault="rate limited", outcome="COMPLETED")
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


@pytest.mark.path(saga="deposit", step="transfer", fault="answered late", outcome="COMPLETED")
async def test_an_answer_that_takes_long_is_waited_for(stage: Stage) -> None:
    """Deriv has paid and says so twenty seconds later: the licence is not given twice, and it is paid once."""
    stage.sandbox.deriv_faults.add(FaultRule(fault=AnswerAfter(20_000)))
    deposit = await stage.paid_deposit()

    assert ("COMPLETED", None, None) == await stage.ended(deposit, advancing=ONE_SECOND)
    assert COMPLETED == await stage.books()
    assert 1 == await stage.transfers_made()


@pytest.mark.path(saga="deposit", step="transfer", fault="told twice by the stream", outcome="COMPLETED")
async def test_a_transfer_the_stream_tells_twice_is_booked_once(stage: Stage) -> None:
    """Deriv repeats the row on our account: it is no credit, and the answer has told of it."""
    stage.sandbox.deriv_faults.add(FaultRule(fault=DuplicatePush(), call="transaction"))
    deposit = await stage.paid_deposit()

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert COMPLETED == await stage.books()


@pytest.mark.path(saga="deposit", step="transfer", fault="executed twice", outcome="IN_REVIEW")
async def test_two_transfers_under_one_reference_are_for_people(stage: Stage) -> None:
    """The answer is lost, and the statement shows two rows with our reference: nothing is booked as paid."""
    stage.sandbox.deriv_faults.add(FaultRule(fault=DropAfterCommit()))
    stage.sandbox.deriv_faults.add(FaultRule(fault=StatementLag(600_000), call="statement", times=None))
    deposit = await stage.paid_deposit()
    await stage.until(lambda: _is(stage, deposit, "UNKNOWN"))
    stage.clock.advance(timedelta(minutes=2))
    await stage.sandbox.deriv.exchange.transfer_to_client(
        agent_id=AGENT_LOGIN_ID,
        client_id=LOGIN_ID,
        amount=Decimal("10.00"),
        currency="USD",
        note=await _reference(stage, deposit),
        app_id=1089,
        dry_run=False,
    )
    stage.sandbox.deriv_faults.clear()

    assert ("IN_REVIEW", None, None) == await stage.ended(deposit, advancing=ONE_SECOND)
    assert [("DERIV_DUPLICATE", 1_000, "USD")] == await stage.reviews()
    books = await stage.books()
    assert (1_000, 2_000) == (books.in_flight, books.at_deriv_client)


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


async def _reference(stage: Stage, deposit: str) -> str:
    """What the transfer's remark holds."""
    statement = select(deriv_transfers.c.reference).where(deriv_transfers.c.subject_id == UUID(deposit))
    async with stage.system.engine.connect() as connection:
        return str((await connection.execute(statement)).scalar_one())


async def _is_ready(stage: Stage) -> bool:
    return stage.system.deriv.is_ready
