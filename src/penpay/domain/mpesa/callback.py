"""The STK callback as Safaricom posts it: read tolerantly, exactly, and without believing it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from penpay.domain.mpesa.fields import moment, plain_text, receipt
from penpay.domain.mpesa.wire import UnreadableJson, code_text, opaque_id, read_object, shown_text
from penpay.domain.shared.errors import InvalidAmount, InvalidPhoneNumber
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_MASKED = re.compile(r"[0-9*Xx•#]{1,64}", re.ASCII)
_MASK_RUN = re.compile(r"[*Xx•#]+", re.ASCII)
_MSISDN_DIGITS = 12
_PHONE_TEXT_CHARACTERS = 80


class UnreadableCallback(Exception):
    """The bytes are not an STK callback. Keep them as they came and ask M-Pesa instead; nobody can correct them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StkCallback:
    """What a callback claims. Daraja signs nothing: a claim, not a fact (daraja.md §0.1 fact 1)."""

    merchant_request_id: str
    checkout_request_id: str
    result_code: str
    """Read it with `verdicts.callback_verdict`."""
    result_desc: str
    """For people; at most 200 characters, phone numbers cut out."""
    amount: Money | None
    """KES, exact. None if absent, as in every failure, or unreadable."""
    amount_readable: bool
    """False if an amount was sent that is not a plain decimal of at most two places; then `amount` is None."""
    receipt: str | None
    """None also for the placeholder "…0000000", which repeats and must never become a key (daraja.md §6.7)."""
    phone_text: str | None
    """As sent, plain, masked or hashed: personal data. Compare with `phone_matches`."""
    paid_at: datetime | None
    """UTC; None if absent or no time at all."""


def parse_stk_callback(raw: bytes) -> StkCallback:
    """Read the body Safaricom posts to our CallBackURL (daraja.md §2.2). Raises UnreadableCallback and nothing else.

    Metadata is looked up by name, may lack values and may be one object instead of an array. A name that stands twice
    is refused like a repeated key: two readers could take two different amounts.
    """
    try:
        payload = read_object(raw)
    except UnreadableJson as error:
        raise UnreadableCallback(str(error)) from None
    callback = _object_in(_object_in(payload, "Body"), "stkCallback")
    merchant_request_id = opaque_id(callback.get("MerchantRequestID"))
    checkout_request_id = opaque_id(callback.get("CheckoutRequestID"))
    result_code = code_text(callback.get("ResultCode"))
    if merchant_request_id is None or checkout_request_id is None or result_code is None:
        raise UnreadableCallback("A request id or the ResultCode is missing or not one.")
    values = _metadata(callback)
    amount, amount_readable = _amount(values.get("Amount"))
    return StkCallback(
        merchant_request_id=merchant_request_id,
        checkout_request_id=checkout_request_id,
        result_code=result_code,
        result_desc=shown_text(callback.get("ResultDesc")),
        amount=amount,
        amount_readable=amount_readable,
        receipt=receipt(values.get("MpesaReceiptNumber")),
        phone_text=_phone_text(values.get("PhoneNumber")),
        paid_at=moment(values.get("TransactionDate")),
    )


def phone_matches(phone_text: str | None, phone: PhoneNumber) -> bool | None:
    """Whether a callback's phone is `phone`: True, False, or None where the text cannot tell.

    Plain digits and the SHA-256 of the twelve digits (daraja.md §3.4) tell; a masked form can only contradict, by the
    digits it shows; absent or other text tells nothing.
    """
    shown = re.sub(r"[ +-]", "", phone_text or "")
    if _SHA256.fullmatch(shown):
        return shown.lower() == hashlib.sha256(phone.msisdn.encode("ascii")).hexdigest()
    if not _MASKED.fullmatch(shown):
        return None
    if not _MASK_RUN.search(shown):
        return _is_number(shown, phone)
    return None if _mask_admits(shown, phone) else False


def _is_number(digits: str, phone: PhoneNumber) -> bool:
    try:
        return PhoneNumber.parse(digits) == phone
    except InvalidPhoneNumber:
        return False


def _mask_admits(shown: str, phone: PhoneNumber) -> bool:
    visible = _MASK_RUN.split(shown)
    if sum(map(len, visible)) > _MSISDN_DIGITS:
        return False
    pattern = re.compile("[0-9]*".join(visible), re.ASCII)
    national = phone.msisdn.removeprefix("254")
    return any(pattern.fullmatch(form) for form in (phone.msisdn, "0" + national, national))


def _object_in(parent: Mapping[str, object], key: str) -> dict[str, object]:
    child = parent.get(key)
    if not isinstance(child, dict):
        raise UnreadableCallback(f"There is no object {key}.")
    return child


def _metadata(callback: Mapping[str, object]) -> dict[str, object]:
    """The values by name; an item without Value, or with null, is absent."""
    metadata = callback.get("CallbackMetadata")
    if metadata is None:
        return {}
    items = metadata.get("Item", []) if isinstance(metadata, dict) else metadata
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        raise UnreadableCallback("CallbackMetadata holds no items.")
    values: dict[str, object] = {}
    for item in items:
        name = item.get("Name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise UnreadableCallback("An item of CallbackMetadata has no name.")
        if name in values:
            raise UnreadableCallback("A name stands twice in CallbackMetadata.")
        values[name] = item.get("Value")
    return values


def _amount(value: object) -> tuple[Money | None, bool]:
    if value is None:
        return None, True
    text = plain_text(value)
    try:
        # from_decimal_text takes no sign, exponent or third decimal, so what it reads is exactly what was sent.
        return (None, False) if text is None else (Money.from_decimal_text(text, Currency.KES), True)
    except InvalidAmount:
        return None, False


def _phone_text(value: object) -> str | None:
    text = plain_text(value)
    return text if text is not None and len(text) <= _PHONE_TEXT_CHARACTERS and text.isprintable() else None
