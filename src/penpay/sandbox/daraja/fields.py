"""The fields that many calls share, each refused by the name of its key when it is missing or wrong (daraja.md §1.3).

Numbers and numeric strings are both taken, as the real service does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from penpay.domain.mobile_money.errors import InvalidShortCode
from penpay.domain.mobile_money.merchant import parse_short_code
from penpay.domain.shared.errors import InvalidPhoneNumber
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.answers import invalid_field

_LONGEST_URL: Final = 1024
_SHILLINGS: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def text_of(fields: Mapping[str, object], key: str) -> str:
    """The field as text; empty for one that is missing or is neither text nor a whole number."""
    value = fields.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def short_code_of(fields: Mapping[str, object], key: str) -> str:
    """A merchant's number. Raises DarajaRefusal."""
    try:
        return parse_short_code(text_of(fields, key))
    except InvalidShortCode:
        raise invalid_field(key) from None


def phone_of(fields: Mapping[str, object], key: str) -> PhoneNumber:
    """A number of twelve digits, without a plus. Raises DarajaRefusal."""
    try:
        return PhoneNumber("+" + text_of(fields, key))
    except InvalidPhoneNumber:
        raise invalid_field(key) from None


def shillings_of(fields: Mapping[str, object], key: str) -> Money:
    """A whole number of shillings, at least one. Raises DarajaRefusal."""
    shillings = text_of(fields, key)
    if _SHILLINGS.fullmatch(shillings) is None:
        raise invalid_field(key)
    return Money(int(shillings) * 100, Currency.KES)


def url_of(fields: Mapping[str, object], key: str, *, strict: bool) -> str:
    """Where something is to be sent; `strict` refuses http and loopback. Raises DarajaRefusal."""
    url = text_of(fields, key)
    if not _is_callback_url(url, strict=strict):
        raise invalid_field(key)
    return url


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
