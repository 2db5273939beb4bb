"""What the answers to one transfer may be called, when Deriv says odd things."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penpay.domain.deriv.gateway import TransferAnswer, TransferOutcome, TransferToClient
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.deriv.transfers import TransferExecutor
from tests.unit.deriv.script import Script, WaitingClock, scripted

DONE = {"paymentagent_transfer": 1, "transaction_id": 4_674_805, "client_to_loginid": "CR123456"}


async def transfer(dry: dict[str, Any] | None, real: dict[str, Any] | None) -> tuple[TransferAnswer, int]:
    """The answer to one transfer and how many calls it took."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda request: dry if "dry_run" in request else real
        executor = TransferExecutor(ready=lambda: connection, clock=clock, answer_within_ms=30)
        answer = await executor.transfer(
            TransferToClient(reference="PX-1", login_id="CR123456", amount=Money(10_55, Currency.USD))
        )
    return answer, len(script.requests)


@pytest.mark.parametrize(
    ("real", "outcome"),
    [
        (DONE, TransferOutcome.CONFIRMED),
        (DONE | {"client_to_loginid": "CR999999"}, TransferOutcome.UNKNOWN),
        (DONE | {"paymentagent_transfer": 2}, TransferOutcome.UNKNOWN),
        (DONE | {"paymentagent_transfer": 0}, TransferOutcome.UNKNOWN),
        (DONE | {"transaction_id": "4674805"}, TransferOutcome.UNKNOWN),
        (DONE | {"transaction_id": None}, TransferOutcome.UNKNOWN),
        (DONE | {"error": {"code": "WrongResponse"}}, TransferOutcome.UNKNOWN),
        ({}, TransferOutcome.UNKNOWN),
        ({"error": None}, TransferOutcome.UNKNOWN),
        (None, TransferOutcome.UNKNOWN),
    ],
)
async def test_only_a_full_success_of_this_transfer_is_confirmed(
    real: dict[str, Any] | None, outcome: TransferOutcome
) -> None:
    """Half an answer, somebody else's answer or none leaves the transfer unknown."""
    answer, calls = await transfer({"paymentagent_transfer": 2}, real)

    assert (outcome, 2) == (answer.outcome, calls)
    assert ("4674805" if outcome is TransferOutcome.CONFIRMED else None) == answer.provider_id


@pytest.mark.parametrize("dry", [DONE, {}, {"paymentagent_transfer": None}])
async def test_a_dry_run_that_does_not_say_so_is_never_followed(dry: dict[str, Any]) -> None:
    """If a dry run was executed after all, a second call would pay twice."""
    answer, calls = await transfer(dry, DONE)

    assert (TransferOutcome.UNKNOWN, 1) == (answer.outcome, calls)


async def test_a_silent_dry_run_moved_nothing() -> None:
    """No answer to a dry run is no transfer."""
    answer, calls = await transfer(None, DONE)

    assert (TransferOutcome.NOT_SENT, 1) == (answer.outcome, calls)


def _to(client: int, cents: int = 10_55) -> TransferToClient:
    return TransferToClient(reference=f"PX-{client}-{cents}", login_id=f"CR{client}", amount=Money(cents, Currency.USD))


async def test_different_transfers_overlap_and_each_gets_its_own_answer() -> None:
    """Every dry run is out before the first is answered; answers come in another order."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: None
        executor = TransferExecutor(ready=lambda: connection, clock=clock, answer_within_ms=5_000)
        asked = [asyncio.create_task(executor.transfer(_to(client))) for client in (100_001, 100_002, 100_003)]
        await _heard(script, 3)
        for request in reversed(script.requests[:]):
            await script.push({"req_id": request["req_id"], "paymentagent_transfer": 2})
        await _heard(script, 6)
        for request in script.requests[3:]:
            number = int(request["transfer_to"][2:])
            done = {"paymentagent_transfer": 1, "transaction_id": number, "client_to_loginid": f"CR{number}"}
            await script.push({"req_id": request["req_id"], **done})
        answers = await asyncio.gather(*asked)

    assert ["100001", "100002", "100003"] == [answer.provider_id for answer in answers]


async def test_a_token_that_is_revoked_leaves_no_other_transfer_in_doubt() -> None:
    """One is told that the token is gone while another is being made: that one still gets its answer, a third none."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: None
        executor = TransferExecutor(ready=lambda: connection, clock=clock, answer_within_ms=5_000)
        made, told = (asyncio.create_task(executor.transfer(_to(client))) for client in (100_001, 100_002))
        await _heard(script, 2)
        await script.push({"req_id": script.requests[0]["req_id"], "paymentagent_transfer": 2})
        await _heard(script, 3)
        revoked = {"code": "InvalidToken", "message": "The token is invalid."}
        await script.push({"req_id": script.requests[1]["req_id"], "error": revoked})
        late = await executor.transfer(_to(100_003)) if await told else None
        open_before = connection.is_open
        done = DONE | {"client_to_loginid": "CR100001"}
        await script.push({"req_id": script.requests[2]["req_id"], **done})
        await asyncio.wait_for(connection.ended(), 5)
        answers = [await made, await told, late]

    assert [TransferOutcome.CONFIRMED, TransferOutcome.NOT_SENT, TransferOutcome.NOT_SENT] == [
        answer and answer.outcome for answer in answers
    ]
    assert (False, "Deriv wants a new authorize: InvalidToken") == (open_before, connection.end_reason)


async def test_equal_transfers_are_never_under_way_together() -> None:
    """The second begins when the first has its answer."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda request: {"paymentagent_transfer": 2} if "dry_run" in request else None
        executor = TransferExecutor(ready=lambda: connection, clock=clock, answer_within_ms=5_000)
        asked = [asyncio.create_task(executor.transfer(_to(100_001))) for _ in range(2)]
        await _heard(script, 2)
        for _ in range(20):
            await asyncio.sleep(0)
        before = len(script.requests)
        done = DONE | {"client_to_loginid": "CR100001"}
        script.answer = lambda request: {"paymentagent_transfer": 2} if "dry_run" in request else done
        await script.push({"req_id": script.requests[1]["req_id"], **done})
        answers = await asyncio.gather(*asked)

    assert (2, [TransferOutcome.CONFIRMED] * 2) == (before, [answer.outcome for answer in answers])


async def test_when_deriv_is_called_too_often_nothing_is_sent_for_longer_than_it_asks() -> None:
    """Who is held back is due again when the holding back ends, not after those who come later."""
    clock = WaitingClock()
    async with scripted(clock=clock) as (connection, script, _):
        script.answer = lambda _: {"error": {"code": "RateLimit", "message": "You have reached the rate limit."}}
        executor = TransferExecutor(ready=lambda: connection, clock=clock, answer_within_ms=5_000)
        first = await executor.transfer(_to(100_001))
        clock.milliseconds += 59_000
        held = await executor.transfer(_to(100_002))

        assert (TransferOutcome.NOT_SENT, 60_000) == (first.outcome, first.retry_after_ms)
        assert (TransferOutcome.NOT_SENT, 1_000) == (held.outcome, held.retry_after_ms)
        assert (True, 1) == (executor.holds_back, len(script.requests))
        clock.milliseconds += 2_000
        assert not executor.holds_back


async def _heard(script: Script, requests: int) -> None:
    async with asyncio.timeout(5):
        while len(script.requests) < requests:
            await asyncio.sleep(0)
