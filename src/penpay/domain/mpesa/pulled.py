"""A payment in the list M-Pesa keeps for 48 hours: one row of the pull API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from penpay.domain.mpesa.fields import amount, moment, person_text, receipt
from penpay.domain.mpesa.payer_phone import PayerPhone, payer_phone
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledTransaction:
    receipt: str
    amount: Money
    """KES, exact, above zero."""
    paid_at: datetime | None
    """UTC."""
    phone: PayerPhone
    sender: str = field(repr=False)
    """Personal data."""
    transaction_type: str
    bill_reference: str
    organisation: str


def read_pulled(row: object) -> PulledTransaction | None:
    """Read one row (daraja.md §5.9); None without a receipt or an amount above zero."""
    if not isinstance(row, Mapping):
        return None
    transaction_id, paid = receipt(row.get("transactionId")), amount(row.get("amount")).money
    if transaction_id is None or paid is None or paid.cents <= 0:
        return None
    return PulledTransaction(
        receipt=transaction_id,
        amount=paid,
        paid_at=moment(row.get("trxDate")),
        phone=payer_phone(row.get("msisdn")),
        sender=person_text(row.get("sender")),
        transaction_type=person_text(row.get("transactiontype")),
        bill_reference=person_text(row.get("billreference")),
        organisation=person_text(row.get("organizationname")),
    )
