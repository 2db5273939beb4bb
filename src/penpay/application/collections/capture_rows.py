"""The rows and look-ups of capture, by name; `infrastructure.sql.capture` says how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NewType
from uuid import UUID

from penpay.application.shared.unit_of_work import Index, Kind
from penpay.domain.collections.allocation import SaleId
from penpay.domain.payments.till_push import TillPush
from penpay.domain.shared.ids import MpesaRequestId
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

TillPushId = NewType("TillPushId", UUID)

TILL_PUSHES: Final[Kind[UUID, TillPush]] = Kind("till_pushes")


@dataclass(frozen=True, slots=True, kw_only=True)
class TillFacts:
    """What never changes about a push from the till."""

    push_id: UUID
    sale_id: SaleId
    account_reference: str
    amount: Money
    phone: PhoneNumber


TILL_FACTS: Final[Index[UUID, TillFacts]] = Index("till_facts")
TILL_FACTS_BY_REFERENCE: Final[Index[str, TillFacts]] = Index("till_facts_by_reference")
"""By our account reference."""
TILL_PUSHES_BY_CHECKOUT: Final[Index[str, UUID]] = Index("till_pushes_by_checkout")
OPEN_TILL_PUSHES: Final[Index[UUID, UUID]] = Index("open_till_pushes")
"""By sale: the push that may still be paid."""
DEPOSIT_PUSHES: Final[Index[str, MpesaRequestId]] = Index("deposit_pushes")
"""By our account reference: pushes whose money is a deposit's, and none of Collections'."""
PAYOUT_RECEIPTS: Final[Index[str, str]] = Index("payout_receipts")
"""By receipt: payouts to users of PenPay, and so none of Collections'."""
