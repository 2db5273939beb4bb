"""Searches for transfers that share one look at Deriv's statement."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from penpay.application.payments.transferring import ClaimDerivTransfer, RecordTransferSearch
from penpay.application.shared.executor import Executor
from penpay.domain.deriv.gateway import DerivDepositGateway, FoundTransfer
from penpay.domain.payments.evidence import DerivTransfer, EvidenceState, Purpose
from penpay.domain.shared.ids import DerivTransferId, TransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.workers.deriv_transfer import DerivTransferWorker, DueTransfers
from tests.support.ports import MORNING, HandClock

BOOKED = FoundTransfer(
    reference="PP-1", provider_id="7", login_id="CR1", amount=Money(500, Currency.USD), happened_at=MORNING
)


class Books:
    """Hands out transfers in doubt, and keeps what was recorded of each."""

    def __init__(self) -> None:
        self.recorded: dict[DerivTransferId, tuple[FoundTransfer, ...] | None] = {}

    async def execute(self, command: Any) -> Any:
        if isinstance(command, ClaimDerivTransfer):
            return _transfer(command.transfer_id)
        assert isinstance(command, RecordTransferSearch)
        self.recorded[command.transfer_id] = command.found
        return None


class Statement:
    """Deriv's statement at the end of a line that the test holds; it shows every transfer once."""

    holds_back = False

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.open = asyncio.Event()

    async def find_transfers(
        self, references: Sequence[str], *, since: datetime
    ) -> Mapping[str, Sequence[FoundTransfer]]:
        assert since < MORNING
        self.asked.append(references)
        await self.open.wait()
        return dict.fromkeys(references, (BOOKED,))


async def test_whoever_is_cut_off_in_the_look_leaves_the_others_theirs() -> None:
    """Two wait for the look that is under way; the one who looks for both is cut off, and the other looks again."""
    books, statement = Books(), Statement()
    worker = DerivTransferWorker(
        executor=cast("Executor", books),
        deriv=cast("DerivDepositGateway", statement),
        due=cast("DueTransfers", None),
        clock=HandClock(),
    )
    ids = [DerivTransferId(UUID(int=number)) for number in (1, 2, 3)]
    first, second, third = (asyncio.create_task(worker.handle(one)) for one in ids)
    await _until(statement, 1)
    statement.open.set()
    await asyncio.sleep(0)
    statement.open.clear()
    await _until(statement, 2)
    assert ["2", "3"] == list(statement.asked[1])

    second.cancel()
    statement.open.set()
    await asyncio.wait_for(asyncio.gather(first, third), 5)

    assert second.cancelled()
    assert {ids[0]: (BOOKED,), ids[2]: (BOOKED,)} == books.recorded


async def _until(statement: Statement, looks: int) -> None:
    async with asyncio.timeout(5):
        while len(statement.asked) < looks:
            await asyncio.sleep(0)


def _transfer(transfer_id: DerivTransferId) -> DerivTransfer:
    return DerivTransfer(
        id=transfer_id,
        purpose=Purpose.DEPOSIT,
        subject_id=TransactionId(transfer_id),
        state=EvidenceState.UNKNOWN,
        amount=Money(500, Currency.USD),
        due_at=MORNING,
        lease_until=None,
        fence=1,
        attempts=1,
        code=None,
        created_at=MORNING,
        sent_at=MORNING,
        decided_at=None,
        reference=str(transfer_id.int),
        deriv_login_id="CR1",
        provider_id=None,
    )
