"""JSON as the simulator reads and writes it: numbers stay exact decimals in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

_LARGEST_EXPONENT = 15
_BEYOND_ANY_LIMIT = 10**18


def encode(value: object) -> str:
    """Write JSON; a Decimal goes out digit by digit as it is."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(encode(item) for item in value) + "]"
    return json.dumps(value)


def decode(text: str | bytes) -> object:
    """Read JSON; raises ValueError for anything else."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ArithmeticError, RecursionError) as broken:
        raise ValueError(str(broken)) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def amount(cents: int) -> Decimal:
    """Integer cents as the JSON number to write: 1055 becomes 10.55, 1000 becomes 10.00."""
    return Decimal(cents).scaleb(-2)


def cents(number: object) -> int | None:
    """A request's amount in integer cents, or None if it is no number or has a third decimal."""
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    exact = Decimal(number)
    if exact and exact.adjusted() > _LARGEST_EXPONENT:
        return _BEYOND_ANY_LIMIT if exact > 0 else -_BEYOND_ANY_LIMIT
    rounded = exact.quantize(Decimal("0.01"))
    return int(rounded.scaleb(2)) if rounded == exact else None
