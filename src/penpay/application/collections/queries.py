"""Reading Collections: single things and lists, as people and screens ask for them. Nothing here changes anything.

Every answer is a `views` dictionary, ready for JSON. A list is a page: `next` names where the following one begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from penpay.application.collections.views import View
from penpay.domain.collections.allocation import RefundId, SaleId
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.collections.period import LockState
from penpay.domain.collections.refund import Refund, RefundState
from penpay.domain.collections.shift import ShiftState


class InvoiceFilter(StrEnum):
    """Which invoices are listed."""

    ALL = "all"
    OUTSTANDING = "outstanding"
    """Something is owed; the longest due first."""
    OVERDUE = "overdue"
    """Something is owed and the due day has passed."""
    PAID = "paid"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list."""

    items: Sequence[View]
    next: str | None
    """What to ask for the following page with (`after`); None on the last one."""


class CollectionsBooks(Protocol):
    """Questions about Collections. Numbers are found in any case and with or without dashes."""

    async def customer(self, number: str) -> View | None:
        """A customer by number; None when there is none."""
        ...

    async def customers(self, limit: int, after: str | None = None) -> Page:
        """Customers in the order in which they came; `after` is the number of one of them."""
        ...

    async def invoice(self, number: str, *, now: datetime) -> View | None:
        """An invoice with its lines, its allocations and its credit notes."""
        ...

    async def invoices(
        self,
        which: InvoiceFilter,
        limit: int,
        *,
        now: datetime,
        customer_number: str | None = None,
        after: str | None = None,
    ) -> Page:
        """Invoices without their lines, the newest first, or the longest due first where something is owed."""
        ...

    async def sale(self, number: str) -> View | None:
        """A sale with its lines and tenders."""
        ...

    async def sales(self, limit: int, *, status: str | None = None, after: str | None = None) -> Page:
        """Sales without their lines, the newest first."""
        ...

    async def payment(self, receipt: str) -> View | None:
        """A payment, by receipt or by id, with its allocations, reversed ones too."""
        ...

    async def payments(
        self,
        limit: int,
        *,
        customer_number: str | None = None,
        status: str | None = None,
        after: str | None = None,
    ) -> Page:
        """Payments, the newest first."""
        ...

    async def suspense(self, limit: int, *, customer_number: str | None = None, after: str | None = None) -> Page:
        """Payments of which something waits for people, longest waiting first, each with its `suggestions`.

        `after` is the id of one of them; it may have left the queue meanwhile.
        """
        ...

    async def refund(self, refund_id: RefundId) -> Refund | None:
        """A refund with the number it is paid to: for whoever pays it out."""
        ...

    async def refunds(self, limit: int, *, state: RefundState | None = None, after: str | None = None) -> Page:
        """Refunds, the newest first; `after` is the id of one, whatever has become of it since."""
        ...

    async def paid_today(
        self, *, now: datetime, payer_hash: str | None = None, customer_number: str | None = None
    ) -> int:
        """Cents that a payer, by the SHA-256 of the number, or a customer has paid on this day in Nairobi."""
        ...


class ShiftBooks(Protocol):
    """Questions about shifts and about cash that moved without a sale."""

    async def shift(self, number: str) -> View | None:
        """The report of a shift, with its `movements`; of an open one, what was sold until now."""
        ...

    async def shifts(
        self, limit: int, *, state: ShiftState | None = None, cashier: str | None = None, after: str | None = None
    ) -> Page:
        """Shifts without their movements, the newest first."""
        ...

    async def cash_movements(self, limit: int, after: str | None = None) -> Page:
        """Cash that came or went, in drawers and elsewhere, the newest first; `after` is the id of one."""
        ...


class PeriodBooks(Protocol):
    """Questions about the lock of the books."""

    async def locked_through(self) -> date | None:
        """The last day on which people book nothing any more; None while all is open."""
        ...

    async def locks(self, limit: int, *, state: LockState | None = None, after: UUID | None = None) -> Page:
        """Who wished to lock what, the newest first, and what became of it; `after` is the id of one."""
        ...


class DueSales(Protocol):
    """Finding sales whose time is over; nothing is locked."""

    async def due_sales(self, at: datetime, limit: int) -> Sequence[SaleId]:
        """Sales to expire, longest due first."""
        ...


class OutflowBooks(Protocol):
    """Reading what left the PayBill account."""

    async def outflows(self, limit: int, *, use: OutflowUse | None = None, after: str | None = None) -> Page:
        """Outflows, the newest first; `after` is the receipt of one, whatever has become of it since."""
        ...
