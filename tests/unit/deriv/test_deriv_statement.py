"""The statement: paged while full, never too often, and read row by row without trust."""

from __future__ import annotations

from typing import Any

import pytest

from penpay.domain.deriv.gateway import StatementUnavailable
from penpay.infrastructure.deriv.statement import Statement
from tests.unit.deriv.script import START, WaitingClock, scripted

EPOCH = int(START.timestamp())


def row(number: int, remark: str = "", amount: str | int = -1, **change: Any) -> dict[str, Any]:
    basic = {
        "transaction_id": number,
        "transaction_time": EPOCH,
        "amount": amount,
        "balance_after": 5,
        "longcode": remark,
    }
    return basic | change


def statement(clock: WaitingClock) -> Statement:
    return Statement(clock=clock, gap_ms=5_000, answer_within_ms=500)


async def test_a_full_page_is_followed_by_the_next_after_the_gap() -> None:
    """2,100 rows take three calls at least five seconds apart, and a row met twice counts once."""
    clock = WaitingClock()
    called_at: list[int] = []
    rows = [row(number) for number in range(2_100, 0, -1)]
    rows[998] = row(2_099, "agent note: PX-1")  # as if a new row had pushed this one to the next page too

    async with scripted(clock=clock) as (connection, script, _):

        def page(request: dict[str, Any]) -> dict[str, Any]:
            called_at.append(clock.milliseconds)
            return {"statement": {"transactions": rows[request["offset"] :][: request["limit"]]}}

        script.answer = page
        found = await statement(clock).find_transfers(connection, ["PX-1", "PX-2"], since=START)

    assert [0, 5_000, 10_000] == called_at
    assert [0, 999, 1_998] == [request["offset"] for request in script.requests]
    assert EPOCH - 120 == script.requests[0]["date_from"]
    assert ("withdrawal", 1) == (script.requests[0]["action_type"], script.requests[0]["description"])
    assert {} == found


async def test_a_statement_without_end_is_left() -> None:
    """A server that repeats the same full page for ever is asked twice, not for ever."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"statement": {"transactions": [row(number) for number in range(999)]}}

        await statement(clock).find_transfers(connection, ["PX-1"], since=START)

        assert 2 == len(script.requests)


async def test_a_reference_is_a_whole_word_and_the_recipient_is_named() -> None:
    """PX1 is not found in PX12; a remark in another form is found without a recipient."""
    clock = WaitingClock()
    known = "Transfer from Payment Agent Njoki to CR5 (CR1) to CR7. Transaction reference: X. Agent note: PX1"
    rows = [row(1, known, amount=-7), row(2, "note PX12"), row(3, "payment PX1, thanks"), row(4, "PX1-")]
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"statement": {"transactions": rows}}

        found = await statement(clock).find_transfers(connection, ["PX1"], since=START)

    assert [("1", "CR7", 700), ("3", "", 100)] == [
        (one.provider_id, one.login_id, one.amount.cents) for one in found["PX1"]
    ]


async def test_a_row_that_cannot_be_read_hides_no_other() -> None:
    """Strange rows are skipped, and the good one among them is found."""
    clock = WaitingClock()
    strange = [None, {}, row(1, "PX1", amount="x"), row(2, "PX1", transaction_time=None), row(3, "PX1", longcode=7)]
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"statement": {"transactions": [*strange, row(4, "PX1")]}}

        found = await statement(clock).find_transfers(connection, ["PX1"], since=START)

    assert ["4"] == [one.provider_id for one in found["PX1"]]


@pytest.mark.parametrize(
    "answer",
    [None, {"error": {"code": "RateLimit"}}, {"statement": 1}, {"statement": {"transactions": None}}, {"error": 1}],
)
async def test_without_a_statement_nothing_is_said(answer: dict[str, Any] | None) -> None:
    """Silence, refusals and nonsense are all "unavailable", never "not there"."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: answer
        lookup = Statement(clock=clock, gap_ms=5_000, answer_within_ms=30)

        with pytest.raises(StatementUnavailable):
            await lookup.find_transfers(connection, ["PX1"], since=START)


@pytest.mark.parametrize(
    ("code", "is_open"), [("AuthorizationRequired", False), ("InvalidToken", False), ("RateLimit", True)]
)
async def test_a_statement_refused_for_want_of_an_authorize_ends_the_session(code: str, *, is_open: bool) -> None:
    """Or else a session whose token was revoked would be asked for statements for ever, and hear of no credit."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"error": {"code": code, "message": "Please log in."}}
        with pytest.raises(StatementUnavailable):
            await statement(clock).credits(connection, since=START)

        assert is_open is connection.is_open


async def test_credits_come_oldest_first_and_without_debits() -> None:
    """A gap-fill tells what happened in the order it happened."""
    clock = WaitingClock()
    rows = [row(9, "late", amount=2), row(8, "debit", amount=-2), row(7, "early", amount=1)]
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"statement": {"transactions": rows}}

        credits_read = await statement(clock).credits(connection, since=START)

    assert credits_read.is_whole
    assert [("7", 100), ("9", 200)] == [(one.provider_id, one.amount.cents) for one in credits_read.found]
    assert ("deposit", EPOCH) == (script.requests[0]["action_type"], script.requests[0]["date_from"])


async def test_a_transfer_is_not_missing_while_a_row_cannot_be_read() -> None:
    """The row that could not be read may be the one: whoever is found is told, of the others nothing is said."""
    clock = WaitingClock()
    rows = [["not an object"], row(7, "Transfer from agent (CR1) to CR2 PX1", amount=-1)]
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"statement": {"transactions": rows}}
        lookup = statement(clock)

        assert {"PX1"} == (await lookup.find_transfers(connection, ["PX1"], since=START)).keys()
        with pytest.raises(StatementUnavailable):
            await lookup.find_transfers(connection, ["PX1", "PX2"], since=START)


async def test_credits_are_not_all_there_while_a_row_cannot_be_read() -> None:
    """What could be read is taken; the reading does not count as whole, so the same time is read again."""
    clock = WaitingClock()
    rows = [["not an object"], row(7, "early", amount=1)]
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"statement": {"transactions": rows}}

        credits_read = await statement(clock).credits(connection, since=START)

    assert (False, ["7"]) == (credits_read.is_whole, [one.provider_id for one in credits_read.found])
