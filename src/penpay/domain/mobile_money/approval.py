"""Something that one person has asked for and another must agree to.

PENDING ──▶ APPROVED (and done, in the same commit) | REFUSED
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.mobile_money.errors import ApprovalDecided, OwnApproval
from penpay.domain.shared.events import Fact
from penpay.domain.shared.money import Money

ApprovalId = NewType("ApprovalId", UUID)


class ApprovalKind(StrEnum):
    FLOAT_ASSIGNMENT = "FLOAT_ASSIGNMENT"
    CHARGE = "CHARGE"
    TARIFF = "TARIFF"
    STATUS = "STATUS"
    REVERSAL = "REVERSAL"
    """Agreed to by whoever received the money, or by an administrator."""
    FLOAT_PURCHASE = "FLOAT_PURCHASE"
    """Agreed to by the super agent who sells it."""


class ApprovalState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    id: ApprovalId
    kind: ApprovalKind
    facts: Mapping[str, Fact]
    """What was asked for: ids and figures, as the command is made from them again."""
    amount: Money
    requested_by: str
    """`administrator:<id>` or `customer:<id>`."""
    requested_at: datetime
    customer_id: CustomerId | None
    """Who else than an administrator may decide."""
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str | None = None
    decided_at: datetime | None = None
    version: int = 0

    def decided(self, state: ApprovalState, by: str, at: datetime) -> Approval:
        """Raises ApprovalDecided, and OwnApproval when whoever asked approves; she may take it back."""
        if self.state is not ApprovalState.PENDING:
            raise ApprovalDecided(state=self.state.value)
        if by == self.requested_by and state is ApprovalState.APPROVED:
            raise OwnApproval
        return replace(self, state=state, decided_by=by, decided_at=at, version=self.version + 1)
