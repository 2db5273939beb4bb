"""Amounts, moments, receipts and phones of Daraja's messages, in every form they come in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from penpay.domain.mpesa.fields import ABSENT, UNREADABLE, Amount, amount, moment, person_text, receipt
from penpay.domain.mpesa.payer_phone import PhoneKind, payer_phone
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

PHONE = PhoneNumber("+254705912645")
HASH = "94c392c311d522da950619227b3361752a42042db7e1e699b26e628305c68a88"


@pytest.mark.parametrize(
    "sent",
    [
        "20240706224852",
        20240706224852,
        "06.07.2024 22:48:52",
        "2024-07-06 22:48:52",
        "2024-07-06T22:48:52Z",
        "2024-07-06T22:48:52.000Z",
        "2024-07-06T22:48:52",
    ],
)
def test_every_form_of_one_moment(sent: object) -> None:
    """All five say a quarter to eleven in Nairobi, the one with a Z as well."""
    assert datetime(2024, 7, 6, 19, 48, 52, tzinfo=UTC) == moment(sent)


def test_a_moment_with_an_hour_of_one_digit() -> None:
    """As in the pull API's own sample."""
    assert datetime(2020, 8, 4, 5, 36, tzinfo=UTC) == moment("2020-08-04 8:36:00")


@pytest.mark.parametrize(
    "sent",
    [
        *(None, "", "yesterday", True, [], Decimal("20240706224852.5"), "2024070622485", "202407062248520"),
        *("20241306224852", "31.06.2024 22:48:52", "2024-07-06 24:00:00", "2024-07-06T22:48:52+03:00"),
        *("00010101000000", "2024-07-06", "\uff120240706224852", "20240706224852\n"),
    ],
)
def test_what_is_no_moment_is_none(sent: object) -> None:
    """Nobody guesses at a time, or at a zone other than the documented one."""
    assert moment(sent) is None


NO_AMOUNTS: list[object] = ["", "--5", "1,000.00", "1.005", "1e3", " 5", "KES 5", "\u0665", True, [], {}]


def kes(cents: int) -> Amount:
    return Amount(Money(cents, Currency.KES), readable=True)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("5.00", kes(500)),
        ("10", kes(1_000)),
        (10, kes(1_000)),
        (Decimal("8959269.60"), kes(895_926_960)),
        (Decimal("-1980.00"), kes(-198_000)),
        ("-1540.00", kes(-154_000)),
        ("0.00", kes(0)),
        ("{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}", kes(618_683)),
        ("{Amount={CurrencyCode=KES, MinimumAmount=-5, BasicAmount=-0.05}}", kes(-5)),
        ("{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.84}}", UNREADABLE),
        ("{Amount={CurrencyCode=USD, MinimumAmount=618683, BasicAmount=6186.83}}", UNREADABLE),
        (None, ABSENT),
        *((bad, UNREADABLE) for bad in NO_AMOUNTS),
        (Decimal("1E+2"), UNREADABLE),
        (10**400, UNREADABLE),
    ],
)
def test_amounts_are_exact_or_named_unreadable(sent: object, read: Amount) -> None:
    """To the cent, with a sign where an account is below zero."""
    assert read == amount(sent)


@pytest.mark.parametrize("sent", ["MBN0000000", "OA90000000", "XYZ0000000", "", None, 7, "A B", "A" * 21])
def test_a_dummy_is_no_receipt(sent: object) -> None:
    """It repeats, so it can be no key."""
    assert receipt(sent) is None
    assert "SG632NMUAB" == receipt("SG632NMUAB")


def test_text_people_typed_is_short_and_printable() -> None:
    """Whatever a customer puts into a name or a reference."""
    assert "A B C" == person_text(" A\x00B\n\u202eC ")
    assert 100 == len(person_text("x" * 1_000))
    assert ("", "", "37207636392") == (person_text(None), person_text([1]), person_text(37207636392))


@pytest.mark.parametrize(
    ("sent", "kind", "ours"),
    [
        ("254705912645", PhoneKind.PLAIN, True),
        (254705912645, PhoneKind.PLAIN, True),
        ("0705912645", PhoneKind.PLAIN, True),
        (705912645, PhoneKind.PLAIN, True),
        ("254705912646", PhoneKind.PLAIN, False),
        (HASH, PhoneKind.HASHED, True),
        (HASH.upper(), PhoneKind.HASHED, True),
        (hashlib.sha256(b"254705912646").hexdigest(), PhoneKind.HASHED, False),
        ("2547 ***** 645", PhoneKind.MASKED, None),
        ("25470****645", PhoneKind.MASKED, None),
        ("0705912***", PhoneKind.MASKED, None),
        ("2547 ***** 126", PhoneKind.MASKED, False),
        (None, PhoneKind.ABSENT, None),
        ("", PhoneKind.ABSENT, None),
        ("MPESA", PhoneKind.OTHER, None),
        ("*****", PhoneKind.OTHER, None),
        (True, PhoneKind.OTHER, None),
        ("1" * 81, PhoneKind.OTHER, None),
    ],
)
def test_a_payers_phone_has_a_kind(sent: object, kind: PhoneKind, *, ours: bool | None) -> None:
    """A mask can only contradict, a hash and a number decide; and none of them is shown."""
    read = payer_phone(sent)

    assert (kind, ours) == (read.kind, read.matches(PHONE))
    assert "645" not in repr(read)
