"""What the answers to one transfer may be called, when Deriv says odd things."""

from __future__ import annotations

from typing import Any

import pytest

from penpay.domain.deriv.gateway import TransferAnswer, TransferOutcome, TransferToClient
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.deriv.transfers import TransferExecutor
from tests.unit.deriv.script import WaitingClock, scripted

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
