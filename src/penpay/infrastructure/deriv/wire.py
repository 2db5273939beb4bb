"""Deriv v3 frames as text: exact in both directions, so no amount ever passes through binary floating point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from penpay.domain.shared.money import Currency, Money

Request = Mapping[str, str | int | Money]
"""A request's keys; v3 requests of this adapter are flat. Money is written as a JSON number with two digits."""

Frame = Mapping[str, object]
"""One answer or push as received, numbers with a point as Decimal."""

_CENT = Decimal("0.01")
_LARGEST_EXPONENT = 12
"""Amounts of 10^13 and more, which Money does not hold, are refused before any arithmetic: 1e999999 costs nothing."""


class BadFrame(Exception):
    """The other side sent something that is not the protocol."""


def encode(request: Request) -> str:
    """Write a request as one JSON object; 10.55 and 10.00 go out as exactly that."""
    return "{" + ",".join(f"{json.dumps(key)}:{_scalar(value)}" for key, value in request.items()) + "}"


def _scalar(value: str | int | Money) -> str:
    return value.decimal_text() if isinstance(value, Money) else json.dumps(value)


def decode(text: str | bytes) -> Frame:
    """Read one frame; raises BadFrame for what is no JSON object, NaN and Infinity included."""
    try:
        frame = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError, InvalidOperation):
        raise BadFrame("not JSON") from None
    if not isinstance(frame, dict):
        raise BadFrame("not a JSON object")
    return frame


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def usd(value: object) -> Money:
    """Read a JSON number as dollars, exactly; raises BadFrame for anything else, a third decimal included."""
    if type(value) is int:
        number = Decimal(value)
    elif isinstance(value, Decimal):
        number = value
    else:
        raise BadFrame("an amount is not a number")
    if number and number.adjusted() > _LARGEST_EXPONENT:
        raise BadFrame("an amount is too large")
    rounded = number.quantize(_CENT)
    if rounded != number:
        raise BadFrame("an amount has more than two decimals")
    return Money(int(rounded.scaleb(2)), Currency.USD)


def moment(value: object) -> datetime:
    """Read seconds since 1970 as a UTC time; raises BadFrame."""
    if type(value) is not int:
        raise BadFrame("a time is not an integer")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadFrame("a time is out of range") from None


def part(frame: Frame, key: str) -> Frame:
    """The object under `key`; raises BadFrame if there is none."""
    value = frame.get(key)
    if not isinstance(value, dict):
        raise BadFrame(f"{key} is missing")
    return value


def error_of(frame: Frame) -> tuple[str, str] | None:
    """The code and message of an error answer, or None for a success (deriv.md §1.4)."""
    if "error" not in frame:
        return None
    error = frame["error"]
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("code", "")), str(error.get("message", ""))[:300]
