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
from urllib.parse import urlsplit

from penpay.domain.mobile_money.errors import InvalidShortCode
from penpay.domain.mobile_money.merchant import parse_short_code
from penpay.domain.shared.errors import InvalidPhoneNumber
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_field, merchant_refusal
from penpay.sandbox.daraja.wire import MalformedJson, read_object

PAY_BILL = "CustomerPayBillOnline"
_BUY_GOODS = "CustomerBuyGoodsOnline"
_LONGEST_REFERENCE = 20
_LONGEST_ID = 64
_LONGEST_URL = 1024
_SHILLINGS = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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
        """Whether the product fits the receiver: a PayBill push pays the PayBill number that asked for it."""
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
    transaction_type = _text(fields, "TransactionType")
    if transaction_type not in (PAY_BILL, _BUY_GOODS):
        raise invalid_field("TransactionType")
    shillings = _text(fields, "Amount")
    if _SHILLINGS.fullmatch(shillings) is None:
        raise invalid_field("Amount")
    _phone(fields, "PartyA")
    party_b = _short_code(fields, "PartyB")
    phone = _phone(fields, "PhoneNumber")
    callback_url = _text(fields, "CallBackURL")
    if not _is_callback_url(callback_url, strict=strict_urls):
        raise invalid_field("CallBackURL")
    reference = _text(fields, "AccountReference")
    if not 1 <= len(reference) <= _LONGEST_REFERENCE:
        raise invalid_field("AccountReference")
    if not _text(fields, "TransactionDesc").strip():
        raise invalid_field("Remarks")
    return PushRequest(
        caller=caller,
        transaction_type=transaction_type,
        amount=Money(int(shillings) * 100, Currency.KES),
        party_b=party_b,
        phone=phone,
        callback_url=callback_url,
        account_reference=reference,
    )


def parse_query(fields: Mapping[str, object]) -> QueryRequest:
    """Raises DarajaRefusal naming the first field that is missing or wrong."""
    caller = _caller(fields)
    checkout = _text(fields, "CheckoutRequestID")
    if not 1 <= len(checkout) <= _LONGEST_ID:
        raise invalid_field("CheckoutRequestID")
    return QueryRequest(caller=caller, checkout_request_id=checkout)


def _caller(fields: Mapping[str, object]) -> Caller:
    short_code = _short_code(fields, "BusinessShortCode")
    password = _text(fields, "Password")
    if not password:
        raise invalid_field("Password")
    timestamp = _text(fields, "Timestamp")
    if not _is_timestamp(timestamp):
        raise invalid_field("Timestamp")
    return Caller(short_code=short_code, password=password, timestamp=timestamp)


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _short_code(fields: Mapping[str, object], key: str) -> str:
    try:
        return parse_short_code(_text(fields, key))
    except InvalidShortCode:
        raise invalid_field(key) from None


def _phone(fields: Mapping[str, object], key: str) -> PhoneNumber:
    try:
        return PhoneNumber("+" + _text(fields, key))
    except InvalidPhoneNumber:
        raise invalid_field(key) from None


def _is_timestamp(text: str) -> bool:
    if re.fullmatch(r"[0-9]{14}", text, re.ASCII) is None:
        return False
    try:
        datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _is_callback_url(url: str, *, strict: bool) -> bool:
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return False
    if host is None or parts.scheme not in ("http", "https"):
        return False
    return not strict or (parts.scheme == "https" and host not in _LOOPBACK)
