"""What a push and a query must look like; the first field that does not is named (daraja.md §2.1, §2.4).

Numbers and numeric strings are both taken and unknown fields are ignored, as the real service does.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_field, merchant_refusal
from penpay.sandbox.daraja.fields import phone_of, shillings_of, short_code_of, text_of, url_of
from penpay.sandbox.daraja.wire import MalformedJson, read_object

PAY_BILL = "CustomerPayBillOnline"
BUY_GOODS = "CustomerBuyGoodsOnline"
_LONGEST_REFERENCE = 20
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What proves that the caller is the merchant: the password is built from the other two and the passkey."""

    short_code: str
    password: str
    timestamp: str

    def check_password(self, passkey: str) -> None:
        """Raises DarajaRefusal unless it is base64(short code + passkey + timestamp)."""
        expected = base64.b64encode(f"{self.short_code}{passkey}{self.timestamp}".encode())
        if not hmac.compare_digest(self.password.encode(), expected):
            raise merchant_refusal("Wrong credentials")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """A push whose fields are all well formed. The owner of `phone` sees the prompt and pays."""

    caller: Caller
    transaction_type: str
    amount: Money
    party_b: str
    phone: PhoneNumber
    callback_url: str
    account_reference: str

    @property
    def is_permitted(self) -> bool:
        """Whether it is a PayBill push that pays the number that asked for it; of a till its owner decides."""
        return self.transaction_type == PAY_BILL and self.party_b == self.caller.short_code


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    caller: Caller
    checkout_request_id: str


def read_body(content_type: str, body: bytes) -> Mapping[str, object]:
    """The fields of a request. Another content type hides them all, so the first one will be missed (§1.1)."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return {}
    try:
        return read_object(body)
    except MalformedJson:
        raise DarajaRefusal(400, "400.002.05", "Invalid Request Payload") from None


def parse_push(fields: Mapping[str, object], *, strict_urls: bool) -> PushRequest:
    """Raises DarajaRefusal naming the first field that is missing or wrong, in the documented order."""
    caller = _caller(fields)
    transaction_type = text_of(fields, "TransactionType")
    if transaction_type not in (PAY_BILL, BUY_GOODS):
        raise invalid_field("TransactionType")
    amount = shillings_of(fields, "Amount")
    phone_of(fields, "PartyA")
    party_b = short_code_of(fields, "PartyB")
    phone = phone_of(fields, "PhoneNumber")
    callback_url = url_of(fields, "CallBackURL", strict=strict_urls)
    reference = text_of(fields, "AccountReference")
    if not 1 <= len(reference) <= _LONGEST_REFERENCE:
        raise invalid_field("AccountReference")
    if not text_of(fields, "TransactionDesc").strip():
        raise invalid_field("Remarks")
    return PushRequest(
        caller=caller,
        transaction_type=transaction_type,
        amount=amount,
        party_b=party_b,
        phone=phone,
        callback_url=callback_url,
        account_reference=reference,
    )


def parse_query(fields: Mapping[str, object]) -> QueryRequest:
    """Raises DarajaRefusal naming the first field that is missing or wrong."""
    caller = _caller(fields)
    checkout = text_of(fields, "CheckoutRequestID")
    if not 1 <= len(checkout) <= _LONGEST_ID:
        raise invalid_field("CheckoutRequestID")
    return QueryRequest(caller=caller, checkout_request_id=checkout)


def _caller(fields: Mapping[str, object]) -> Caller:
    short_code = short_code_of(fields, "BusinessShortCode")
    password = text_of(fields, "Password")
    if not password:
        raise invalid_field("Password")
    timestamp = text_of(fields, "Timestamp")
    if not _is_timestamp(timestamp):
        raise invalid_field("Timestamp")
    return Caller(short_code=short_code, password=password, timestamp=timestamp)


def _is_timestamp(text: str) -> bool:
    if re.fullmatch(r"[0-9]{14}", text, re.ASCII) is None:
        return False
    try:
        datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
