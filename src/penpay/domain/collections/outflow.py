"""Money that left the PayBill account, as M-Pesa tells it: known by its receipt, accounted for once.

UNEXPLAINED ─→ BANK, CHARGE, EXPENSE or OWNER, and from each of these to any other of them, by people. All of them and
UNEXPLAINED ─→ REFUND, PAYOUT or REVERSAL, which are final: the books know that money by another name already. Only a
refund that people refute gives its receipt back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from penpay.domain.collections.errors import OutflowDiffers, OutflowSettled
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Money

OutflowId = NewType("OutflowId", UUID)


class OutflowUse(StrEnum):
    """What the money left for."""

    UNEXPLAINED = "UNEXPLAINED"
    """Nobody knows yet: people decide."""
    BANK = "BANK"
    """To the bank account of the business."""
    CHARGE = "CHARGE"
    """M-Pesa kept it for what it did."""
    EXPENSE = "EXPENSE"
    """The business paid somebody."""
    OWNER = "OWNER"
    """The owner took it out."""
    REFUND = "REFUND"
    """A refund of Collections."""
    PAYOUT = "PAYOUT"
    """A payout to a user of PenPay; the money of another product."""
    REVERSAL = "REVERSAL"
    """M-Pesa took a payment back."""


SETTLED: Final = frozenset({OutflowUse.REFUND, OutflowUse.PAYOUT, OutflowUse.REVERSAL})
"""Booked under another name, so that the outflow books nothing."""
BY_PEOPLE: Final = frozenset({OutflowUse.BANK, OutflowUse.CHARGE, OutflowUse.EXPENSE, OutflowUse.OWNER})
"""What people can say that it was."""


class OutflowReason(StrEnum):
    """Why people must decide."""

    UNKNOWN_RECEIPT = "UNKNOWN_RECEIPT"
    """No refund and no payout of ours has this receipt."""
    REVERSAL_OF_UNKNOWN = "REVERSAL_OF_UNKNOWN"
    """A payment was taken back that is not in the books, or is not named."""
    REVERSAL_OF_PART = "REVERSAL_OF_PART"
    """Another amount was taken back than was paid."""
    REVERSED_TWICE = "REVERSED_TWICE"
    """The payment was taken back under another receipt before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outflow:
    """One row of money that left. In KES, above zero."""

    id: OutflowId
    receipt: str
    amount: Money
    at: datetime
    """When it left, as M-Pesa tells it; else when we were told."""
    use: OutflowUse
    reason: OutflowReason | None = None
    linked_receipt: str | None = None
    """Of a reversal: the payment that was taken back, where it is told."""
    told: str = field(default="", repr=False)
    """What the statement says of it, for whoever decides; may name a person."""
    recorded_by: str
    recorded_at: datetime
    explained_by: str | None = None
    explained_at: datetime | None = None
    version: int = 1

    @property
    def is_settled(self) -> bool:
        return self.use in SETTLED

    @property
    def reversal_of(self) -> str | None:
        """The payment that this has taken back: there is one such outflow for each."""
        return self.linked_receipt if self.use is OutflowUse.REVERSAL else None

    def same(self, amount: Money) -> Outflow:
        """The outflow, told again. Raises OutflowDiffers for another amount."""
        if amount != self.amount:
            raise OutflowDiffers(mpesa_receipt_number=self.receipt, amount_cents=self.amount.cents)
        return self

    def told_at(self, at: datetime) -> Outflow:
        """A settled outflow, of which nothing else is to come, once M-Pesa has told when it left."""
        return self if at == self.at or not self.is_settled else replace(self, at=at, version=self.version + 1)

    def explained(self, use: OutflowUse, by: str, at: datetime) -> Outflow:
        """The outflow after somebody said what it was. Raises OutflowSettled when the books know that already."""
        self._require_open()
        return replace(self, use=use, reason=None, explained_by=by, explained_at=at, version=self.version + 1)

    def settled(self, use: OutflowUse, linked_receipt: str | None = None) -> Outflow:
        """The outflow once the books know it by another name. Raises OutflowSettled on a repeat."""
        self._require_open()
        linked = linked_receipt or self.linked_receipt
        return replace(self, use=use, reason=None, linked_receipt=linked, version=self.version + 1)

    def reopened(self) -> Outflow:
        """Unexplained again, since the refund or payout it was taken for has not been made under this receipt."""
        return replace(self, use=OutflowUse.UNEXPLAINED, reason=OutflowReason.UNKNOWN_RECEIPT, version=self.version + 1)

    def event(self, name: str, **facts: Fact) -> DomainEvent:
        """An event about the outflow as it is now; its version is the sequence."""
        payload: dict[str, Fact] = {
            "mpesa_receipt_number": self.receipt,
            "amount_cents": self.amount.cents,
            "use": self.use.value,
            **facts,
        }
        return DomainEvent(name, "Outflow", self.id, self.version, payload)

    def _require_open(self) -> None:
        if self.is_settled:
            raise OutflowSettled(mpesa_receipt_number=self.receipt, use=self.use.value)
