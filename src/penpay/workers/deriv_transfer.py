"""The Deriv transfer worker: sends the transfers that are due, and looks for those whose outcome is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from penpay.application.payments.transferring import ClaimDerivTransfer, RecordTransferAnswer, RecordTransferSearch
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock
from penpay.domain.deriv.gateway import DerivDepositGateway, FoundTransfer, StatementUnavailable, TransferToClient
from penpay.domain.payments.evidence import DerivTransfer, EvidenceState
from penpay.domain.shared.ids import DerivTransferId

_LOOK_BACK: Final = timedelta(minutes=2)
"""Further back than our clock and Deriv's can differ."""


class DueTransfers(Protocol):
    """Finding what is due; nothing is locked."""

    async def due_deriv_transfers(self, at: datetime, limit: int, *, unsent: bool) -> Sequence[DerivTransferId]:
        """Transfers somebody must send (only if `unsent`) or look for, the oldest first."""
        ...


class DerivTransferWorker:
    """Drives transfers from the licence to the record. Searches that meet share one look at the statement."""

    def __init__(self, *, executor: Executor, deriv: DerivDepositGateway, due: DueTransfers, clock: Clock) -> None:
        self._executor = executor
        self._deriv = deriv
        self._due = due
        self._clock = clock
        self._searching: list[tuple[DerivTransfer, asyncio.Future[tuple[FoundTransfer, ...] | None]]] = []
        self._look = asyncio.Lock()

    async def look(self, limit: int) -> Sequence[DerivTransferId]:
        """What is due, the oldest first; while Deriv takes no more calls, only what is to be looked for.

        What was not sent for a while would otherwise be overtaken by what came later.
        """
        return await self._due.due_deriv_transfers(self._clock.now(), limit, unsent=not self._deriv.holds_back)

    async def handle(self, transfer_id: DerivTransferId) -> None:
        """Take the licence, make the one call it is for, and record what it told."""
        claimed: DerivTransfer = await self._executor.execute(ClaimDerivTransfer(transfer_id=transfer_id))
        if claimed.state is EvidenceState.SENDING:
            answer = await self._deriv.transfer_to_client(
                TransferToClient(reference=claimed.reference, login_id=claimed.deriv_login_id, amount=claimed.amount)
            )
            await self._executor.execute(
                RecordTransferAnswer(transfer_id=claimed.id, fence=claimed.fence, answer=answer)
            )
            return
        found = await self._search(claimed)
        await self._executor.execute(RecordTransferSearch(transfer_id=claimed.id, fence=claimed.fence, found=found))

    async def _search(self, transfer: DerivTransfer) -> tuple[FoundTransfer, ...] | None:
        """What the statement shows under our reference, None when it cannot be read now."""
        answer: asyncio.Future[tuple[FoundTransfer, ...] | None] = asyncio.get_running_loop().create_future()
        self._searching.append((transfer, answer))
        async with self._look:
            if not answer.done():
                await self._look_up()
        return await answer

    async def _look_up(self) -> None:
        """One look for all who search; when it is cut off, each of the others looks for itself."""
        together, self._searching = self._searching, []
        since = min(transfer.sent_at or transfer.created_at for transfer, _ in together) - _LOOK_BACK
        try:
            found = await self._deriv.find_transfers([transfer.reference for transfer, _ in together], since=since)
        except StatementUnavailable:
            found = None
        except BaseException:
            self._searching += [one for one in together if not one[1].done()]
            raise
        for transfer, answer in together:
            if not answer.done():
                answer.set_result(None if found is None else tuple(found.get(transfer.reference, ())))
