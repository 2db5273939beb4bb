"""Giving money back: one person proposes it, another approves it, and then M-Pesa pays it out or does not.

PROPOSED ─→ APPROVED | REJECTED; APPROVED ─→ PAID | FAILED. From approval on the money can be used for nothing else.
PAID ─→ FAILED where people find that M-Pesa never paid what its Result alone told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from penpay.domain.collections.allocation import PaymentId, RefundId
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import OwnApproval, RefundDecided
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class RefundState(StrEnum):
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    PAID = "PAID"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money that goes back out of a payment's suspense or out of a customer's credit: exactly one of the two."""

    id: RefundId
    payment_id: PaymentId | None
    customer_id: CustomerId | None
    amount: Money
    state: RefundState
    reason: str
    phone: PhoneNumber
    """Who is paid."""
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    receipt: str | None = None
    failure_code: str | None = None
    ended_at: datetime | None = None
    version: int = 1

    def decided(self, by: str, at: datetime, *, approve: bool) -> Refund:
        """The refund after a second person's word. Raises RefundDecided, and OwnApproval for an approval by the first.

        Whoever proposed it may take it back, which is a rejection.
        """
        self._require(RefundState.PROPOSED)
        if approve and by == self.proposed_by:
            raise OwnApproval
        state = RefundState.APPROVED if approve else RefundState.REJECTED
        return replace(self, state=state, decided_by=by, decided_at=at, version=self.version + 1)

    def paid(self, receipt: str | None, at: datetime) -> Refund:
        """The refund after M-Pesa has paid it out. Raises RefundDecided."""
        self._require(RefundState.APPROVED)
        return replace(self, state=RefundState.PAID, receipt=receipt, ended_at=at, version=self.version + 1)

    def failed(self, code: str, at: datetime) -> Refund:
        """The refund after M-Pesa has said that nothing was paid out. Raises RefundDecided."""
        self._require(RefundState.APPROVED)
        return replace(self, state=RefundState.FAILED, failure_code=code, ended_at=at, version=self.version + 1)

    def refuted(self, code: str, at: datetime) -> Refund:
        """The refund after people have seen that it was not paid out, under any receipt. Raises RefundDecided."""
        self._require(RefundState.PAID)
        return replace(
            self,
            state=RefundState.FAILED,
            receipt=None,
            failure_code=code,
            ended_at=at,
            version=self.version + 1,
        )

    def event(self, name: str, **facts: Fact) -> DomainEvent:
        """An event about the refund as it is now; its version is the sequence."""
        payload: dict[str, Fact] = {
            "refund_id": str(self.id),
            "state": self.state.value,
            "amount_cents": self.amount.cents,
            "currency": self.amount.currency.value,
            **facts,
        }
        return DomainEvent(name, "CollectionsRefund", self.id, self.version, payload)

    def _require(self, state: RefundState) -> None:
        if self.state is not state:
            raise RefundDecided(state=self.state.value)
