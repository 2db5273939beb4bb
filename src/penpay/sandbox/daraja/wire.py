"""Daraja's JSON: numbers read and written with their exact digits, and the shapes of its ids and times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NoReturn

from penpay.application.shared.ports import Random
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.domain.shared.phone import PhoneNumber

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TOKEN_LETTERS = 28


class MalformedJson(Exception):
    """The bytes are not a JSON object."""


def read_object(body: bytes) -> dict[str, object]:
    """Parse a JSON object; fractions become Decimal. Raises MalformedJson, also for NaN and bottomless nesting."""
    try:
        value = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise MalformedJson from None
    if not isinstance(value, dict):
        raise MalformedJson
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def write_json(value: object) -> str:
    """JSON text in which a Decimal keeps its digits (1.00 stays 1.00) and nothing is ever a float."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(key)}:{write_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(write_json(item) for item in value) + "]"
    if isinstance(value, str | int | None):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"{type(value).__name__} is not written as JSON here.")


def decimal_of(cents: int) -> Decimal:
    """Cents as shillings with two decimals: 500 is 5.00."""
    return Decimal(cents).scaleb(-2)


def digits_of_time(at: datetime) -> str:
    """YYYYMMDDHHmmss in East Africa Time (daraja.md §6.9)."""
    return at.astimezone(EAST_AFRICA).strftime("%Y%m%d%H%M%S")


def dashed_id(random: Random) -> str:
    """An id such as 1c5b-4ba8-815c-ac45c57a3db01495926, used as requestId and MerchantRequestID (daraja.md §1.3)."""
    text = random.token_bytes(12).hex()
    return f"{text[:4]}-4{text[5:8]}-{text[8:12]}-{text[12:]}{random.below(10**7)}"


def checkout_request_id(at: datetime, phone: PhoneNumber, random: Random) -> str:
    """ws_CO_, DDMMYYYYHHmmss in East Africa Time, up to three digits, the nine of the number (daraja.md §2.1)."""
    moment = at.astimezone(EAST_AFRICA).strftime("%d%m%Y%H%M%S")
    return f"ws_CO_{moment}{random.below(1000)}{phone.msisdn[3:]}"


def conversation_id(at: datetime, random: Random) -> str:
    """AG_, YYYYMMDD in East Africa Time, and twenty hex digits (daraja.md §4.1)."""
    return f"AG_{at.astimezone(EAST_AFRICA):%Y%m%d}_{random.token_bytes(10).hex()}"


def access_token(random: Random) -> str:
    """28 letters and digits that nobody can guess (daraja.md §1.2)."""
    number = int.from_bytes(random.token_bytes(32), "big")
    letters = []
    for _ in range(_TOKEN_LETTERS):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)
