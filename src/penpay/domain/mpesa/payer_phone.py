"""Who paid, as far as M-Pesa lets us know: a number, a masked number or a hash of one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from penpay.domain.mpesa.callback import phone_matches
from penpay.domain.mpesa.fields import plain_text
from penpay.domain.shared.errors import InvalidPhoneNumber
from penpay.domain.shared.phone import PhoneNumber

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)
_MASKED = re.compile(r"(?=.*[0-9])(?=.*[*Xx•#])[0-9*Xx•# +-]{4,40}", re.ASCII)


class PhoneKind(StrEnum):
    PLAIN = "PLAIN"
    MASKED = "MASKED"
    """Some digits; C2B version 2."""
    HASHED = "HASHED"
    """SHA-256 of the twelve digits; C2B version 1. Few enough numbers exist to try them all: personal data."""
    ABSENT = "ABSENT"
    OTHER = "OTHER"
    """Something was sent that is none of these."""


@dataclass(frozen=True, slots=True)
class PayerPhone:
    """Personal data in every form, so `repr` shows only the kind. Never a key (daraja.md §0.1 fact 9)."""

    kind: PhoneKind
    text: str = field(repr=False)
    """As sent; "" for ABSENT and OTHER."""

    def matches(self, phone: PhoneNumber) -> bool | None:
        """Whether it is this number: True, False, or None where it cannot be told. See `phone_matches`."""
        return phone_matches(self.text, phone)


def payer_phone(value: object) -> PayerPhone:
    """Read MSISDN, `msisdn` or PhoneNumber, which come as text or as a number (daraja.md §3.4, §5.9, §6.8)."""
    text = (plain_text(value) or "").strip()
    if not text:
        return PayerPhone(PhoneKind.ABSENT if value is None or value == "" else PhoneKind.OTHER, "")
    if _SHA256.fullmatch(text):
        return PayerPhone(PhoneKind.HASHED, text.lower())
    if _MASKED.fullmatch(text):
        return PayerPhone(PhoneKind.MASKED, text)
    try:
        PhoneNumber.parse(text)
    except InvalidPhoneNumber:
        return PayerPhone(PhoneKind.OTHER, "")
    return PayerPhone(PhoneKind.PLAIN, text)
