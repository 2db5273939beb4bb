"""Transfers by the Deriv adapter over a real WebSocket: what happened, and what may be said of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penpay.domain.deriv.gateway import TransferOutcome
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    CallFault,
    DropAfterCommit,
    DropBeforeCommit,
    OutputValidationFailed,
    RateLimited,
    Refuse,
    TokenRevoked,
    WrongResponse,
)
from tests.contract.deriv.stage import (
    AGENT,
    AGENT_CENTS,
    CLIENT,
    CONFIRMED,
    FAILED,
    NOT_SENT,
    UNKNOWN,
    Stage,
    eventually,
    stage,
)


async def test_a_transfer_reaches_the_client_once_and_exactly(deriv: Stage) -> None:
    """Ten dollars and fifty-five cents leave the agent, arrive at the client, and carry our reference."""
    answer = await deriv.transfer(10_55, "PX-1")

    sent = (await deriv.book.rows(AGENT))[-1]
    got = (await deriv.book.rows(CLIENT))[-1]
    assert (CONFIRMED, str(sent.transaction_id)) == (answer.outcome, answer.provider_id)
    assert (-10_55, 10_55) == (sent.amount_cents, got.amount_cents)
    assert sent.transaction_id != got.transaction_id
    assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1", "PX-2")


@pytest.mark.parametrize(("cents", "written"), [(10_55, "10.55"), (10, "0.10"), (7_00, "7.00"), (1_999_99, "1999.99")])
async def test_amounts_are_written_digit_by_digit(deriv: Stage, cents: int, written: str) -> None:
    """The amount on the wire is a JSON number with two digits, and the same amount arrives."""
    assert CONFIRMED == (await deriv.transfer(cents)).outcome

    real = deriv.sent[-1]
    assert f'"amount":{written},' in real
    assert 50_000 + cents == await deriv.book.balance_of(CLIENT)


async def test_a_dry_run_goes_before_every_real_call(deriv: Stage) -> None:
    """Two calls per transfer: the first only asks, and only the second moves money."""
    await deriv.transfer()

    assert [1, None] == [call.get("dry_run") for call in deriv.calls("paymentagent_transfer")]


@pytest.mark.parametrize(
    ("fault", "outcome", "executed"),
    [
        (DropBeforeCommit(), UNKNOWN, False),
        (DropAfterCommit(), UNKNOWN, True),
        (AnswerAfter(60_000), UNKNOWN, True),
        (AnswerAfter(2_000), CONFIRMED, True),
        (WrongResponse(committed=False), UNKNOWN, False),
        (WrongResponse(committed=True), UNKNOWN, True),
        (OutputValidationFailed(), UNKNOWN, True),
        (RateLimited(), NOT_SENT, False),
        (TokenRevoked(), NOT_SENT, False),
        (Refuse("Request too frequent. Please try again later."), UNKNOWN, False),
        (Refuse("Sorry, an error occurred whilst processing your request"), UNKNOWN, False),
        (Refuse("A sentence nobody has listed."), UNKNOWN, False),
        (Refuse("This client's country is not within your portfolio."), FAILED, False),
        (Refuse("You cannot transfer to account CR90000063, as their cashier is locked."), FAILED, False),
        (Refuse("Your cashier is locked."), NOT_SENT, False),
        (Refuse("Payments are temporarily disabled due to system maintenance."), NOT_SENT, False),
        (Refuse("Please log in.", code="AuthorizationRequired"), NOT_SENT, False),
        (Refuse("A new thing happened.", code="BrandNewCode"), UNKNOWN, False),
    ],
    ids=repr,
)
async def test_what_each_fault_of_the_real_call_may_be_called(
    deriv: Stage, fault: CallFault, outcome: TransferOutcome, *, executed: bool
) -> None:
    """Only what is known to have moved nothing is called so; and afterwards the statement knows the truth."""
    deriv.fault(fault)

    answer = await deriv.transfer(10_55, "PX-1")

    assert (outcome, outcome is NOT_SENT) == (answer.outcome, answer.retry_after_ms is not None)
    assert (10_55 if executed else 0) == await deriv.book.balance_of(CLIENT) - 50_000
    await eventually(lambda: deriv.gateway.is_ready)
    assert ({"PX-1": [(CLIENT, 10_55)]} if executed else {}) == await deriv.look_up("PX-1")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (DropBeforeCommit(), NOT_SENT),
        (DropAfterCommit(), NOT_SENT),
        (AnswerAfter(60_000), NOT_SENT),
        (WrongResponse(committed=True), NOT_SENT),
        (RateLimited(), NOT_SENT),
        (Refuse("A sentence nobody has listed."), NOT_SENT),
        (Refuse("Login ID (CR90000063) does not exist."), FAILED),
    ],
    ids=repr,
)
async def test_whatever_befalls_a_dry_run_moves_nothing(
    deriv: Stage, fault: CallFault, outcome: TransferOutcome
) -> None:
    """A dry run that goes wrong in any way is never followed by the real call."""
    deriv.fault(fault, on_dry_run=True)

    answer = await deriv.transfer()

    assert (outcome, 50_000) == (answer.outcome, await deriv.book.balance_of(CLIENT))
    assert [1] == [call.get("dry_run") for call in deriv.calls("paymentagent_transfer")]


async def test_an_empty_agent_account_waits_for_its_top_up(deriv: Stage) -> None:
    """Not enough money is no refusal of the client: after a top-up the same transfer goes through."""
    await deriv.transfer(1_990_00, "PX-0")
    for number in range(1, 6):
        await deriv.transfer(1_600_00, f"PX-{number}")
    short = await deriv.transfer(1_600_00, "PX-6")
    await deriv.simulator.exchange.top_up(AGENT, 5_000_00)
    after = await deriv.transfer(1_600_00, "PX-6")

    assert (NOT_SENT, CONFIRMED) == (short.outcome, after.outcome)
    assert "insufficient" in short.message


@pytest.mark.parametrize(
    ("to", "cents", "outcome"),
    [
        ("CR99999999", 10_00, FAILED),
        (AGENT, 10_00, FAILED),
        (CLIENT, 2_000_01, FAILED),
        ("CR90000070", 10_00, FAILED),
        ("CR90000071", 10_00, FAILED),
        ("CR90000072", 10_00, FAILED),
        ("CR90000073", 10_00, FAILED),
    ],
)
async def test_the_simulators_own_refusals_are_final(
    deriv: Stage, to: str, cents: int, outcome: TransferOutcome
) -> None:
    """Unknown, own, foreign, locked, other-currency and full accounts, and an amount beyond the agent's limit."""
    odd = {"first_name": "Achieng", "last_name": "Odd", "email": "odd@example.test"}
    await deriv.book.open_account(Account(login_id="CR90000070", country="fr", **odd))  # type: ignore[arg-type]  # names
    await deriv.book.open_account(Account(login_id="CR90000071", statuses=frozenset({"disabled"}), **odd))  # type: ignore[arg-type]  # names
    await deriv.book.open_account(Account(login_id="CR90000072", currency="EUR", **odd))  # type: ignore[arg-type]  # names
    await deriv.book.open_account(Account(login_id="CR90000073", balance_limit_cents=5_00, **odd))  # type: ignore[arg-type]  # names

    answer = await deriv.transfer(cents, to=to)

    assert (outcome, AGENT_CENTS) == (answer.outcome, await deriv.book.balance_of(AGENT))


async def test_what_cannot_be_sent_is_refused_before_the_wire(deriv: Stage) -> None:
    """A demo account, a nonsense account and a reference Deriv would refuse never leave this process."""
    before = len(deriv.sent)

    refusals = [
        await deriv.transfer(to="VRTC1234567"),
        await deriv.transfer(to="90000063"),
        await deriv.transfer(reference="PX_1"),
        await deriv.transfer(cents=0),
    ]

    assert ["virtual_account", "invalid_deriv_login_id", "invalid_reference", "invalid_amount"] == [
        refusal.code for refusal in refusals
    ]
    assert ({FAILED}, before) == ({refusal.outcome for refusal in refusals}, len(deriv.sent))


async def test_two_hundred_transfers_at_once_are_all_exact(tmp_path: Path) -> None:
    """Each is confirmed once, under an id of its own, and the cents add up on both sides."""
    async with stage(tmp_path / "deriv.sqlite3", answer_within_ms=30_000) as deriv:
        await deriv.open()
        answers = await asyncio.gather(*(deriv.transfer(100 + number, f"PX-{number}") for number in range(200)))

        total = sum(100 + number for number in range(200))
        assert {CONFIRMED} == {answer.outcome for answer in answers}
        assert 200 == len({answer.provider_id for answer in answers})
        assert (AGENT_CENTS - total, 50_000 + total) == (
            await deriv.book.balance_of(AGENT),
            await deriv.book.balance_of(CLIENT),
        )
        found = await deriv.look_up(*(f"PX-{number}" for number in range(200)))
        assert {f"PX-{number}": [(CLIENT, 100 + number)] for number in range(200)} == found


async def test_whoever_waits_too_long_for_a_turn_is_not_sent(tmp_path: Path) -> None:
    """A transfer stuck behind an equal one gives up its place rather than go out after its caller gave up on it."""
    async with stage(tmp_path / "deriv.sqlite3", answer_within_ms=200) as deriv:
        await deriv.open()
        deriv.fault(AnswerAfter(7_500), on_dry_run=True)
        deriv.fault(AnswerAfter(7_500))
        first, second = await asyncio.gather(deriv.transfer(10_00, "PX-1"), deriv.transfer(10_00, "PX-2"))

        assert (CONFIRMED, NOT_SENT, "busy") == (first.outcome, second.outcome, second.code)
        assert ["PX-1", "PX-1"] == [call["description"] for call in deriv.calls("paymentagent_transfer")]


async def test_the_repeat_guard_leaves_the_second_twin_unknown(tmp_path: Path) -> None:
    """An equal transfer a moment later is refused as too frequent, which says nothing about the first."""
    async with stage(tmp_path / "deriv.sqlite3", repeat_guard_ms=60_000) as deriv:
        await deriv.open()
        twins = [await deriv.transfer(10_55, "PX-1"), await deriv.transfer(10_55, "PX-2")]

        assert [CONFIRMED, UNKNOWN] == [answer.outcome for answer in twins]
        assert 50_000 + 10_55 == await deriv.book.balance_of(CLIENT)
