"""Single fields of Daraja's messages made exact: amounts in cents, East African moments, receipts, text for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.money import Currency, Money

EAST_AFRICA_TIME = timezone(timedelta(hours=3), "EAT")
"""Every time Daraja sends or expects (daraja.md §0.1 fact 16); a fixed offset, Kenya has no summer time."""

_RECEIPT = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_PLACEHOLDER_RECEIPT = re.compile(r"[A-Za-z0-9]{3}0000000", re.ASCII)
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"
_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
_MOMENTS: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)",
        rf"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{{4}}) {_CLOCK}",
        rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d) {_CLOCK}",
        rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)T{_CLOCK}(?:\.[0-9]{{1,6}})?Z?",
    )
)
_AMOUNT_RECORD = re.compile(
    r"\{Amount=\{CurrencyCode=(?P<currency>[A-Z]{3}), MinimumAmount=(?P<sign>-?)(?P<cents>[0-9]{1,15}),"
    r" BasicAmount=(?P<basic>-?[0-9.]{1,20})\}\}",
    re.ASCII,
)
_PERSON_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as it was sent, told apart from one that was not sent and from one nobody can read."""

    money: Money | None
    readable: bool
    """False if something was sent that is no exact amount, or two that differ; then `money` is None."""


ABSENT: Final = Amount(None, readable=True)
UNREADABLE: Final = Amount(None, readable=False)


def plain_text(value: object) -> str | None:
    """The text of a JSON number or string; None for anything else, truth values included."""
    if type(value) is str:
        return value
    return str(value) if type(value) is int or isinstance(value, Decimal) else None


def amount(value: object) -> Amount:
    """Shillings of a plain decimal, a minus sign allowed (Charges Paid is below zero), exact to the cent.

    No exponent, no third decimal, no separator: what is read is what was sent.
    """
    if value is None:
        return ABSENT
    text = plain_text(value)
    if text is None:
        return UNREADABLE
    record = _AMOUNT_RECORD.fullmatch(text) if text.startswith("{") else None
    return _signed(text, Currency.KES) if record is None else _recorded(record)


def fee_of(text: str) -> Money | None:
    """The amount of a charge such as "Fee For B2C Payment|KES|22.40" (daraja.md §5.1); None for what is none."""
    *_, currency, figure = ("", "", *text.split("|"))
    return signed_money(figure, Currency.KES) if currency == Currency.KES.value else None


def _recorded(record: re.Match[str]) -> Amount:
    """The text of B2B results (daraja.md §5.4): MinimumAmount counts cents and must agree with BasicAmount."""
    basic = _signed(record["basic"], Currency.KES)
    cents = int(record["sign"] + record["cents"])
    agree = record["currency"] == Currency.KES and basic.money is not None and basic.money.cents == cents
    return basic if agree else UNREADABLE


def signed_money(text: str, currency: Currency) -> Money | None:
    """A plain decimal of at most two places, below zero with a minus sign; None for what is none."""
    try:
        unsigned = Money.from_decimal_text(text.removeprefix("-"), currency)
    except InvalidAmount:
        return None
    return -unsigned if text.startswith("-") else unsigned


def _signed(text: str, currency: Currency) -> Amount:
    money = signed_money(text, currency)
    return UNREADABLE if money is None else Amount(money, readable=True)


def moment(value: object) -> datetime | None:
    """A moment in UTC from any of Daraja's five forms (daraja.md §6.9), all of them East Africa Time; else None.

    The Z of the pull API is no exception: it stands behind the time of Nairobi (daraja.md §5.9).
    """
    text = plain_text(value) or ""
    match = next((found for form in _MOMENTS if (found := form.fullmatch(text))), None)
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, match.group(*_PARTS))
        return datetime(year, month, day, hour, minute, second, tzinfo=EAST_AFRICA_TIME).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def receipt(value: object) -> str | None:
    """M-Pesa's receipt; None also for the placeholder "…0000000", which repeats and must never become a key (§6.7)."""
    if not isinstance(value, str) or not _RECEIPT.fullmatch(value) or _PLACEHOLDER_RECEIPT.fullmatch(value):
        return None
    return value


def person_text(value: object) -> str:
    """At most 100 printable characters somebody typed: a name, a bill reference. Personal data; "" if there is none."""
    text = plain_text(value)
    if not text:
        return ""
    if len(text) <= _PERSON_CHARACTERS and text.isprintable():
        return " ".join(text.split())
    printable = "".join(character if character.isprintable() else " " for character in text[: 4 * _PERSON_CHARACTERS])
    return " ".join(printable.split())[:_PERSON_CHARACTERS]
