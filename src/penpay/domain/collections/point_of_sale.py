"""A sale at the till: waits for its money, and is settled by the tender that completes it.

PENDING ─→ PAID | EXPIRED | CANCELLED; each of the three is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from penpay.domain.collections.allocation import PaymentId, SaleId
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import SaleNotPending, TenderTooLarge
from penpay.domain.collections.line import ZERO, Line
from penpay.domain.collections.shift import ShiftId
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Money


class SaleStatus(StrEnum):
    PENDING = "PENDING"
    PAID = "PAID"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class TenderKind(StrEnum):
    """What was taken for a sale, or given back."""

    CASH = "CASH"
    MPESA = "MPESA"
    CASH_RETURNED = "CASH_RETURNED"
    MPESA_RETURNED = "MPESA_RETURNED"
    """A part payment that is no longer for this sale: it is credit, or in suspense, or reversed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """One amount taken for a sale or given back; `seq` counts those of a sale from 1."""

    sale_id: SaleId
    seq: int
    kind: TenderKind
    amount: Money
    payment_id: PaymentId | None
    taken_at: datetime
    taken_by: str
    shift_id: ShiftId | None = None
    """In whose drawer the cash is, or out of whose it came; None where it is in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleLine:
    """A line of a sale, as it is kept."""

    sale_id: SaleId
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One sale in KES. Prices contain VAT unless it was opened otherwise."""

    id: SaleId
    number: str
    customer_id: CustomerId | None
    status: SaleStatus
    net: Money
    vat: Money
    cost: Money | None
    """What was sold cost the business so much; None where that is not known."""
    cash: Money = ZERO
    mpesa: Money = ZERO
    tenders: int = 0
    expires_at: datetime
    paid_at: datetime | None = None
    created_at: datetime
    created_by: str
    shift_id: ShiftId | None = None
    """The shift in which it was opened."""
    version: int = 1

    @property
    def total(self) -> Money:
        return self.net + self.vat

    @property
    def taken(self) -> Money:
        """What was taken so far."""
        return self.cash + self.mpesa

    @property
    def to_pay(self) -> Money:
        """What is still to pay."""
        return self.total - self.taken

    @property
    def is_pending(self) -> bool:
        return self.status is SaleStatus.PENDING

    @property
    def due_at(self) -> datetime | None:
        """When it must be expired; None once it is over."""
        return self.expires_at if self.is_pending else None

    def tendered(
        self, kind: TenderKind, amount: Money, at: datetime, by: str, payment_id: PaymentId | None = None
    ) -> tuple[Sale, Tender]:
        """The sale after money was taken, PAID when that completes it. Raises SaleNotPending, TenderTooLarge."""
        self.require_pending()
        if amount > self.to_pay:
            raise TenderTooLarge(pos_id=self.number, to_pay_cents=self.to_pay.cents)
        is_cash = kind is TenderKind.CASH
        is_paid = amount == self.to_pay
        after = replace(
            self,
            cash=self.cash + amount if is_cash else self.cash,
            mpesa=self.mpesa if is_cash else self.mpesa + amount,
            tenders=self.tenders + 1,
            status=SaleStatus.PAID if is_paid else self.status,
            paid_at=at if is_paid else None,
            version=self.version + 1,
        )
        return after, self._tender(1, kind, amount, payment_id, at=at, by=by)

    def returned(
        self, tenders: Sequence[Tender], at: datetime, by: str, status: SaleStatus = SaleStatus.PENDING
    ) -> tuple[Sale, tuple[Tender, ...]]:
        """The sale after these tenders were given back, and the rows that say so. Raises SaleNotPending."""
        self.require_pending()
        cash, mpesa, rows = self.cash, self.mpesa, []
        for number, tender in enumerate(tenders, 1):
            if tender.kind is TenderKind.CASH:
                cash, kind = cash - tender.amount, TenderKind.CASH_RETURNED
            else:
                mpesa, kind = mpesa - tender.amount, TenderKind.MPESA_RETURNED
            rows.append(self._tender(number, kind, tender.amount, tender.payment_id, at=at, by=by))
        after = replace(
            self,
            cash=cash,
            mpesa=mpesa,
            tenders=self.tenders + len(rows),
            status=status,
            version=self.version + 1,
        )
        return after, tuple(rows)

    def require_pending(self) -> None:
        """Raises SaleNotPending once the sale is over."""
        if not self.is_pending:
            raise SaleNotPending(pos_id=self.number, status=self.status.value)

    def event(self, name: str, **facts: Fact) -> DomainEvent:
        """An event about the sale as it is now; its version is the sequence."""
        payload: dict[str, Fact] = {
            "pos_id": self.number,
            "status": self.status.value,
            "total_cents": self.total.cents,
            "to_pay_cents": self.to_pay.cents,
            **facts,
        }
        return DomainEvent(name, "Sale", self.id, self.version, payload)

    def _tender(  # each is a fact of its own
        self, ahead: int, kind: TenderKind, amount: Money, payment_id: PaymentId | None, *, at: datetime, by: str
    ) -> Tender:
        return Tender(
            sale_id=self.id,
            seq=self.tenders + ahead,
            kind=kind,
            amount=amount,
            payment_id=payment_id,
            taken_at=at,
            taken_by=by,
        )


def standing(tenders: Sequence[Tender]) -> tuple[Tender, ...]:
    """The tenders that were not given back, oldest first; a return cancels the oldest tender it equals."""
    kept: list[Tender] = []
    for tender in sorted(tenders, key=lambda one: one.seq):
        if tender.kind in {TenderKind.CASH, TenderKind.MPESA}:
            kept.append(tender)
            continue
        taken = TenderKind.CASH if tender.kind is TenderKind.CASH_RETURNED else TenderKind.MPESA
        same = (
            one for one in kept if (one.kind, one.amount, one.payment_id) == (taken, tender.amount, tender.payment_id)
        )
        kept.remove(next(same))
    return tuple(kept)
