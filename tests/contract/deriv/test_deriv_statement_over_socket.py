"""What the Deriv adapter is told over a real WebSocket: balances, credits and the statement."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penpay.domain.deriv.gateway import IncomingCredit, StatementUnavailable
from penpay.sandbox.deriv.faults import (
    DropAfterCommit,
    DropBeforeCommit,
    DuplicatePush,
    LosePush,
    RateLimited,
    StatementLag,
)
from tests.contract.deriv.stage import (
    AGENT,
    AGENT_CENTS,
    CLIENT,
    OTHER_CLIENT,
    UNKNOWN,
    Stage,
    eventually,
    stage,
)


async def test_the_balance_follows_the_stream(deriv: Stage) -> None:
    """What the gateway calls the balance is what the book holds, after our own and after others' movements."""
    assert AGENT_CENTS == (await deriv.gateway.balance()).cents

    await deriv.transfer(100_00)
    await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_01)

    assert AGENT_CENTS - 100_00 + 25_01 == await deriv.book.balance_of(AGENT)
    await eventually(lambda: deriv.gateway._balance.current().cents == AGENT_CENTS - 100_00 + 25_01)


async def test_a_lost_balance_push_leaves_the_old_figure_until_the_next(deriv: Stage) -> None:
    """A stalled balance stream is believed until it speaks again: the figure is advice, not evidence."""
    deriv.fault(LosePush(), call="balance")
    await deriv.transfer(100_00, "PX-1")
    stalled = (await deriv.gateway.balance()).cents
    await deriv.transfer(50_00, "PX-2")
    await asyncio.sleep(0.05)

    assert (AGENT_CENTS, AGENT_CENTS - 150_00) == (stalled, (await deriv.gateway.balance()).cents)


async def test_a_credit_is_told_with_all_that_identifies_it(deriv: Stage) -> None:
    """A client who pays the agent is heard of at once, under the id of the agent's own row."""
    row = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00, note="PW-7")
    await eventually(lambda: len(deriv.credits) == 1)

    credit = deriv.credits[0]
    assert (str(row.transaction_id), 25_00) == (credit.provider_id, credit.amount.cents)
    assert AGENT_CENTS + 25_00 == (credit.balance.cents if credit.balance else None)
    assert f"Transfer from {CLIENT} to Payment Agent" in credit.remark
    assert credit.remark.endswith("Client note: PW-7")


async def test_a_credit_told_twice_is_taken_once(deriv: Stage) -> None:
    """A duplicate push does not reach the handler."""
    deriv.fault(DuplicatePush(), call="transaction")
    await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
    await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=26_00)
    await eventually(lambda: len(deriv.credits) >= 2)

    assert [25_00, 26_00] == [credit.amount.cents for credit in deriv.credits]


async def test_a_credit_is_offered_again_until_it_is_taken(tmp_path: Path) -> None:
    """A handler that fails twice gets the credit a third time, and a later one is not held up for ever."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        offered: list[str] = []

        async def fails_twice(credit: IncomingCredit) -> None:
            offered.append(credit.provider_id)
            if len(offered) <= 2:
                raise RuntimeError("the database is away")

        deriv.gateway._credits._handler = fails_twice
        await deriv.open()
        row = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
        await eventually(lambda: len(offered) == 3)

        assert [str(row.transaction_id)] * 3 == offered


async def test_a_dropped_answer_is_found_in_the_statement_after_reconnecting(deriv: Stage) -> None:
    """The socket dies after the commit: the transfer is unknown, then found, under the id of our own row."""
    deriv.fault(DropAfterCommit(), call="paymentagent_transfer", amount_cents=10_55)
    assert UNKNOWN == (await deriv.transfer(10_55, "PX-1")).outcome
    await eventually(lambda: deriv.gateway.is_ready and deriv.connects == 2)

    found = (await deriv.gateway.find_transfers(["PX-1"], since=deriv.started))["PX-1"][0]

    row = (await deriv.book.rows(AGENT))[-1]
    assert (str(row.transaction_id), CLIENT, 10_55) == (found.provider_id, found.login_id, found.amount.cents)
    assert row.happened_at_ms // 1_000 == int(found.happened_at.timestamp())


async def test_a_statement_that_lags_is_silent_first_and_right_later(deriv: Stage) -> None:
    """Absence in the statement is no proof: the same look-up finds the row a moment later."""
    await deriv.transfer(10_55, "PX-1")
    deriv.fault(StatementLag(60_000), call="statement")

    assert {} == await deriv.look_up("PX-1")
    assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1")


async def test_a_duplicate_under_one_reference_is_shown_as_two(deriv: Stage) -> None:
    """Whoever sent twice must see it: both rows come back, and a longer reference is not mistaken for it."""
    await deriv.transfer(10_55, "PX-1")
    await deriv.transfer(10_55, "PX-1")
    await deriv.transfer(20_00, "PX-11", to=OTHER_CLIENT)

    found = await deriv.look_up("PX-1", "PX-11")

    assert {"PX-1": [(CLIENT, 10_55), (CLIENT, 10_55)], "PX-11": [(OTHER_CLIENT, 20_00)]} == found


async def test_one_statement_serves_everybody_who_waits(deriv: Stage) -> None:
    """Twenty look-ups at once cost two statement calls: the one under way, and one for all the others."""
    for number in range(20):
        await deriv.transfer(10_00 + number, f"PX-{number}")
    before = len(deriv.calls("statement"))

    answers = await asyncio.gather(*(deriv.look_up(f"PX-{number}") for number in range(20)))

    assert [{f"PX-{number}": [(CLIENT, 10_00 + number)]} for number in range(20)] == answers
    assert len(deriv.calls("statement")) - before <= 2


async def test_a_refused_statement_is_said_to_be_unavailable(deriv: Stage) -> None:
    """No statement is not an empty statement."""
    deriv.fault(RateLimited(), call="statement")

    with pytest.raises(StatementUnavailable, match="RateLimit"):
        await deriv.look_up("PX-1")


async def test_a_credit_that_came_while_nobody_listened_is_delivered(deriv: Stage) -> None:
    """The gap is filled from the statement: after a disconnect, and after a push that was lost."""
    deriv.fault(LosePush(), call="transaction")
    lost = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=24_00)
    deriv.door.clear()
    deriv.fault(DropBeforeCommit())
    await deriv.transfer()
    missed = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
    assert ([], False) == (deriv.credits, deriv.gateway.is_ready)
    with pytest.raises(StatementUnavailable):
        await deriv.gateway.balance()

    deriv.door.set()
    await eventually(lambda: len(deriv.credits) == 2)

    told = [credit.provider_id for credit in deriv.credits]
    assert [str(lost.transaction_id), str(missed.transaction_id)] == told


async def test_a_credit_the_stream_missed_is_found_although_later_ones_were_told(deriv: Stage) -> None:
    """A push is lost, the next one arrives, the session lives on: the statement is read now and then and tells it."""
    deriv.fault(LosePush(), call="transaction")
    lost = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
    told = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=35_00)

    await eventually(lambda: len(deriv.credits) == 2)

    assert [str(told.transaction_id), str(lost.transaction_id)] == [credit.provider_id for credit in deriv.credits]
    assert 1 == deriv.connects
