"""A payment a customer made of her own accord, as M-Pesa asks about it (validation) and tells of it (confirmation)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from penpay.domain.mpesa.fields import amount, moment, person_text, plain_text, receipt
from penpay.domain.mpesa.payer_phone import PayerPhone, payer_phone
from penpay.domain.mpesa.wire import UnreadableJson, UnreadableMessage, read_object
from penpay.domain.shared.money import Money

_SHORT_CODE: Final = re.compile(r"[0-9]{5,7}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class C2bPayment:
    """What the body claims; Daraja signs nothing. Both messages have the same fields (daraja.md §3.4)."""

    receipt: str
    """TransID: the same payment told twice has the same one, and an STK payment has the callback's (fact 8)."""
    amount: Money
    """KES, exact, above zero."""
    short_code: str | None
    """None if absent or no five to seven digits."""
    paid_at: datetime | None
    """UTC; None if absent or no time at all."""
    transaction_type: str
    bill_reference: str
    """As the customer typed it, in any case and with blanks; "" for a till."""
    invoice_number: str
    third_party_transaction_id: str
    """What we answered to the validation, if we did."""
    account_balance: Money | None
    """What the account holds after the payment; None in a validation."""
    phone: PayerPhone
    first_name: str = field(repr=False)
    """Personal data, like the two below; each may be ""."""
    middle_name: str = field(repr=False)
    last_name: str = field(repr=False)


def parse_c2b_payment(raw: bytes) -> C2bPayment:
    """Read the body of a validation or confirmation (daraja.md §3.4). Raises UnreadableMessage and nothing else.

    Without a receipt and an amount it is no payment that could be booked; anything else may be missing.
    """
    try:
        payload = read_object(raw)
    except UnreadableJson as error:
        raise UnreadableMessage(str(error), raw) from None
    transaction_id = receipt(payload.get("TransID"))
    if transaction_id is None:
        raise UnreadableMessage("TransID is missing or no receipt.", raw)
    paid = amount(payload.get("TransAmount")).money
    if paid is None or paid.cents <= 0:
        raise UnreadableMessage("TransAmount is missing or no amount above zero.", raw)
    short_code = plain_text(payload.get("BusinessShortCode")) or ""
    return C2bPayment(
        receipt=transaction_id,
        amount=paid,
        short_code=short_code if _SHORT_CODE.fullmatch(short_code) else None,
        paid_at=moment(payload.get("TransTime")),
        transaction_type=person_text(payload.get("TransactionType")),
        bill_reference=person_text(payload.get("BillRefNumber")),
        invoice_number=person_text(payload.get("InvoiceNumber")),
        third_party_transaction_id=person_text(payload.get("ThirdPartyTransID")),
        account_balance=amount(payload.get("OrgAccountBalance")).money,
        phone=payer_phone(payload.get("MSISDN")),
        first_name=person_text(payload.get("FirstName")),
        middle_name=person_text(payload.get("MiddleName")),
        last_name=person_text(payload.get("LastName")),
    )
