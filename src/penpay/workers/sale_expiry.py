"""The sale-expiry worker: ends sales at the till whose time is over."""

from __future__ import annotations

from typing import Final

from penpay.application.collections.selling import ExpireSale
from penpay.application.shared.executor import Executor
from penpay.domain.collections.allocation import SaleId

SALE_EXPIRY_WORKER: Final = "sale_expiry"


class SaleExpiryWorker:
    """Expires each sale once; one that was paid in the meantime stays as it is."""

    def __init__(self, *, executor: Executor) -> None:
        self._executor = executor

    async def handle(self, sale_id: SaleId) -> None:
        """Give back what was taken for it."""
        await self._executor.execute(ExpireSale(sale_id=sale_id))
