"""Tariffs and excise rates as JSON: read so that no two readers can differ over a figure, and written in one way only.

docs/tariffs.md shows the form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NoReturn, TypeVar

from penpay.domain.mobile_money.tariff import Band, CommissionBand, ExciseRates, Service, Tariff
from penpay.domain.shared.errors import InvalidAmount, InvalidRequest
from penpay.domain.shared.money import Currency, Money

_SERVICES: Final[Mapping[str, Service]] = {
    "sendMoney": Service.SEND_MONEY,
    "withdrawAtAgent": Service.WITHDRAW_AT_AGENT,
    "depositAtAgent": Service.DEPOSIT_AT_AGENT,
    "payBill": Service.PAY_BILL,
    "buyGoods": Service.BUY_GOODS,
    "payCustomer": Service.PAY_CUSTOMER,
}
_EARNING: Final = frozenset({"withdrawAtAgent", "depositAtAgent"})
"""What agents do for the operator."""
_NAME_CHARACTERS: Final = 80
_SOURCE_CHARACTERS: Final = 2_000
_Read = TypeVar("_Read")


def parse_tariff(raw: bytes) -> Tariff:
    """Read a tariff from JSON in UTF-8.

    Raises InvalidRequest, naming the place, for anything that is not exactly the form: a key twice or unknown, a
    fraction, a text where a number belongs, bands that overlap or leave a gap.
    """
    file = _fields(_document(raw), "tariff", "name", "validFrom", "source", "fees", "commissions")
    name = _text(file["name"], "name", _NAME_CHARACTERS)
    if not name.strip():
        raise InvalidRequest("name is empty.")
    fees = _object(file["fees"], "fees", allowed=_SERVICES.keys())
    commissions = _object(file["commissions"], "commissions", allowed=_EARNING)
    return _valid(
        "tariff",
        lambda: Tariff(
            name=name,
            valid_from=_day(file["validFrom"], "validFrom"),
            source=_text(file["source"], "source", _SOURCE_CHARACTERS),
            bands={_SERVICES[key]: _items(bands, f"fees.{key}", _band) for key, bands in fees.items()},
            commissions={
                _SERVICES[key]: _items(bands, f"commissions.{key}", _commission) for key, bands in commissions.items()
            },
        ),
    )


def parse_excise(raw: bytes) -> ExciseRates:
    """Read excise rates from JSON in UTF-8; raises InvalidRequest, naming the place, as `parse_tariff` does."""
    file = _fields(_document(raw), "excise", "source", "rates")
    return _valid(
        "rates",
        lambda: ExciseRates(
            source=_text(file["source"], "source", _SOURCE_CHARACTERS), rates=_items(file["rates"], "rates", _rate)
        ),
    )


def render_tariff(tariff: Tariff) -> str:
    """The one JSON text of a tariff, which `parse_tariff` reads back to an equal one; ASCII, without line breaks."""
    keys = {service: key for key, service in _SERVICES.items()}
    return json.dumps(
        {
            "name": tariff.name,
            "validFrom": tariff.valid_from.isoformat(),
            "source": tariff.source,
            "fees": {keys[service]: [_band_json(band) for band in bands] for service, bands in tariff.bands.items()},
            "commissions": {
                keys[service]: [_span_json(band) | _amount_json("commission", band.commission) for band in bands]
                for service, bands in tariff.commissions.items()
            },
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def _band_json(band: Band) -> dict[str, int]:
    payee = _amount_json("payeeFee", band.payee_fee) if band.payee_fee.cents else {}
    return _span_json(band) | _amount_json("payerFee", band.payer_fee) | payee


def _span_json(band: Band | CommissionBand) -> dict[str, int]:
    return {"fromShillings": band.smallest.whole_units(), "toShillings": band.largest.whole_units()}


def _amount_json(name: str, amount: Money) -> dict[str, int]:
    return {f"{name}Shillings": amount.whole_units()} if amount.is_whole() else {f"{name}Cents": amount.cents}


def _band(value: object, place: str) -> Band:
    units = ("payerFeeShillings", "payerFeeCents", "payeeFeeShillings", "payeeFeeCents")
    file = _fields(value, place, "fromShillings", "toShillings", optional=units)
    payer, payee = _amount(file, "payerFee", place), _amount(file, "payeeFee", place)
    if payer is None:
        raise InvalidRequest(f"{place} has no payerFeeShillings.")
    smallest, largest = _shillings(file, "fromShillings", place), _shillings(file, "toShillings", place)
    payee = Money.zero(Currency.KES) if payee is None else payee
    return _valid(place, lambda: Band(smallest=smallest, largest=largest, payer_fee=payer, payee_fee=payee))


def _commission(value: object, place: str) -> CommissionBand:
    units = ("commissionShillings", "commissionCents")
    file = _fields(value, place, "fromShillings", "toShillings", optional=units)
    earned = _amount(file, "commission", place)
    if earned is None:
        raise InvalidRequest(f"{place} has no commissionShillings.")
    smallest, largest = _shillings(file, "fromShillings", place), _shillings(file, "toShillings", place)
    return _valid(place, lambda: CommissionBand(smallest=smallest, largest=largest, commission=earned))


def _rate(value: object, place: str) -> tuple[date, int]:
    file = _fields(value, place, "validFrom", "basisPoints")
    return _day(file["validFrom"], f"{place}.validFrom"), _whole(file["basisPoints"], f"{place}.basisPoints")


def _amount(file: Mapping[str, object], name: str, place: str) -> Money | None:
    """The amount written as `nameShillings` or as `nameCents`; None if it is not there."""
    shillings, cents = f"{name}Shillings", f"{name}Cents"
    if shillings in file and cents in file:
        raise InvalidRequest(f"{place} has both {shillings} and {cents}.")
    if cents in file:
        number = _whole(file[cents], f"{place}.{cents}")
        return _valid(f"{place}.{cents}", lambda: Money(number, Currency.KES))
    return _shillings(file, shillings, place) if shillings in file else None


def _shillings(file: Mapping[str, object], name: str, place: str) -> Money:
    number = _whole(file[name], f"{place}.{name}")
    return _valid(f"{place}.{name}", lambda: Money(number * 100, Currency.KES))


def _valid(place: str, make: Callable[[], _Read]) -> _Read:
    """What `make` makes; its refusal of the figures is told with their place."""
    try:
        return make()
    except InvalidAmount as refusal:
        raise InvalidRequest(f"{place}: {refusal.message}") from None


def _document(raw: bytes) -> object:
    """Fractions are kept as Decimal, so that the reader of a field can refuse them by name."""
    try:
        return json.loads(
            raw.decode(), object_pairs_hook=_object_without_repeats, parse_float=Decimal, parse_constant=_no_constant
        )
    except (ValueError, ArithmeticError, RecursionError):
        # ArithmeticError: an exponent beyond what Decimal holds.
        raise InvalidRequest("The file is not JSON in UTF-8.") from None


def _object_without_repeats(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidRequest(f"The key {key!r} stands twice in one object.")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not JSON.")


def _object(value: object, place: str, *, allowed: Collection[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{place} is not an object.")
    for key in value:
        if key not in allowed:
            raise InvalidRequest(f"{place} has an unknown key {key!r}.")
    return value


def _fields(value: object, place: str, *required: str, optional: Sequence[str] = ()) -> Mapping[str, object]:
    file = _object(value, place, allowed=(*required, *optional))
    for key in required:
        if key not in file:
            raise InvalidRequest(f"{place} has no {key}.")
    return file


def _items(value: object, place: str, read: Callable[[object, str], _Read]) -> tuple[_Read, ...]:
    if not isinstance(value, list):
        raise InvalidRequest(f"{place} is not a list.")
    return tuple(read(item, f"{place}[{index}]") for index, item in enumerate(value))


def _whole(value: object, place: str) -> int:
    if type(value) is not int:
        raise InvalidRequest(f"{place} is not a whole number.")
    return value


def _text(value: object, place: str, longest: int) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > longest:
        raise InvalidRequest(f"{place} is not one line of at most {longest} characters.")
    return value


def _day(value: object, place: str) -> date:
    """Only YYYY-MM-DD: the standard library also reads other ISO 8601 forms, which people read otherwise."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise InvalidRequest(f"{place} is not a day written as YYYY-MM-DD.")
    return day
