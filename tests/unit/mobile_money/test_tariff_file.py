"""A tariff file is read in exactly one way or refused with the place that is wrong."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from penpay.application.mobile_money.tariff_file import parse_excise, parse_tariff, render_tariff
from penpay.domain.mobile_money.tariff import Band, CommissionBand, Service, Tariff
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency, Money
from tests.architecture.source import ROOT

DATA = files("penpay") / "data"
FILE: dict[str, Any] = {
    "name": "Market day",
    "validFrom": "2026-01-01",
    "source": "Price list of the market",
    "fees": {
        "sendMoney": [
            {"fromShillings": 1, "toShillings": 100, "payerFeeShillings": 0},
            {"fromShillings": 101, "toShillings": 500, "payerFeeShillings": 7, "payeeFeeCents": 250},
        ]
    },
    "commissions": {"depositAtAgent": [{"fromShillings": 50, "toShillings": 100, "commissionCents": 450}]},
}
EXCISE: dict[str, Any] = {"source": "Gazette", "rates": [{"validFrom": "2023-07-01", "basisPoints": 1500}]}


def ksh(cents: int) -> Money:
    return Money(cents, Currency.KES)


def read(file: Any) -> Tariff:
    return parse_tariff(json.dumps(file).encode())


def changed(change: Callable[[Any], object]) -> dict[str, Any]:
    """The file above after one change."""
    file = copy.deepcopy(FILE)
    change(file)
    return file


def test_a_file_says_what_the_tariff_holds() -> None:
    """Shillings and cents become cents; a side without a fee pays none."""
    assert read(FILE) == Tariff(
        name="Market day",
        valid_from=date(2026, 1, 1),
        source="Price list of the market",
        bands={
            Service.SEND_MONEY: (
                Band(smallest=ksh(1_00), largest=ksh(100_00), payer_fee=ksh(0)),
                Band(smallest=ksh(101_00), largest=ksh(500_00), payer_fee=ksh(7_00), payee_fee=ksh(2_50)),
            )
        },
        commissions={
            Service.DEPOSIT_AT_AGENT: (CommissionBand(smallest=ksh(50_00), largest=ksh(100_00), commission=ksh(4_50)),)
        },
    )


def test_the_file_in_the_documentation_can_be_used() -> None:
    """Who copies it has a tariff."""
    (example,) = re.findall(
        r"^```json\n(.*?)^```$", (ROOT / "docs" / "tariffs.md").read_text(), re.DOTALL | re.MULTILINE
    )

    assert parse_tariff(example.encode()).bands.keys() == {Service.SEND_MONEY, Service.PAY_BILL}


@pytest.mark.parametrize(
    "raw",
    [json.dumps(FILE).encode(), (DATA / "mpesa-2023-07.json").read_bytes()],
    ids=["market", "public"],
)
def test_what_is_written_is_read_back(raw: bytes) -> None:
    """The text kept in the database is the tariff, and the same for equal tariffs however their file was laid out."""
    tariff = parse_tariff(raw)
    text = render_tariff(tariff)

    assert tariff == parse_tariff(text.encode())
    assert text == render_tariff(parse_tariff(json.dumps(json.loads(raw, parse_float=str), indent=4).encode()))


def test_the_canonical_text() -> None:
    """Keys in order, no blanks; whole amounts in shillings, others in cents, and no fee of nothing for the payee."""
    assert (
        '{"commissions":{"depositAtAgent":[{"commissionCents":450,"fromShillings":50,"toShillings":100}]},'
        '"fees":{"sendMoney":[{"fromShillings":1,"payerFeeShillings":0,"toShillings":100},'
        '{"fromShillings":101,"payeeFeeCents":250,"payerFeeShillings":7,"toShillings":500}]},'
        '"name":"Market day","source":"Price list of the market","validFrom":"2026-01-01"}'
    ) == render_tariff(read(FILE))


WRONG: list[tuple[Callable[[Any], object], str]] = [
    (lambda f: f.pop("source"), "tariff has no source"),
    (lambda f: f.update(currency="KES"), "tariff has an unknown key 'currency'"),
    (lambda f: f.update(name=1), "name is not one line"),
    (lambda f: f.update(name="two\nlines"), "name is not one line"),
    (lambda f: f.update(name="x" * 81), "name is not one line of at most 80"),
    (lambda f: f.update(name="  "), "name is empty"),
    (lambda f: f.update(source="\ud800"), "source is not one line"),
    (lambda f: f.update(validFrom=20260101), "validFrom is not a day"),
    (lambda f: f.update(validFrom="20260101"), "validFrom is not a day"),
    (lambda f: f.update(validFrom="2026-02-30"), "validFrom is not a day"),
    (lambda f: f.update(fees=[]), "fees is not an object"),
    (lambda f: f["fees"].update(sendmoney=[]), "fees has an unknown key 'sendmoney'"),
    (lambda f: f["fees"].update(payBill={}), r"fees\.payBill is not a list"),
    (lambda f: f["fees"].update(payBill=[7]), r"fees\.payBill\[0\] is not an object"),
    (lambda f: f["commissions"].update(sendMoney=[]), "commissions has an unknown key 'sendMoney'"),
    (lambda f: f["fees"]["sendMoney"][1].update(feeShillings=7), r"fees\.sendMoney\[1\] has an unknown key"),
    (lambda f: f["fees"]["sendMoney"][1].pop("toShillings"), r"fees\.sendMoney\[1\] has no toShillings"),
    (lambda f: f["fees"]["sendMoney"][1].pop("payerFeeShillings"), r"sendMoney\[1\] has no payerFeeShillings"),
    (lambda f: f["fees"]["sendMoney"][1].update(payerFeeCents=7), "has both payerFeeShillings and payerFeeCents"),
    (lambda f: f["fees"]["sendMoney"][1].update(toShillings="500"), r"\[1\]\.toShillings is not a whole number"),
    (lambda f: f["fees"]["sendMoney"][1].update(toShillings=500.0), r"\[1\]\.toShillings is not a whole number"),
    (lambda f: f["fees"]["sendMoney"][1].update(toShillings=5e2), r"\[1\]\.toShillings is not a whole number"),
    (lambda f: f["fees"]["sendMoney"][1].update(payerFeeShillings=True), r"payerFeeShillings is not a whole number"),
    (lambda f: f["fees"]["sendMoney"][1].update(payerFeeShillings=None), r"payerFeeShillings is not a whole number"),
    (lambda f: f["fees"]["sendMoney"][1].update(payerFeeShillings=-7), r"fees\.sendMoney\[1\]: A fee is not below"),
    (lambda f: f["fees"]["sendMoney"][1].update(fromShillings=102), "SEND_MONEY: the band from KES 102.00"),
    (lambda f: f["fees"]["sendMoney"][1].update(toShillings=10**16), r"toShillings: The amount is too large"),
    (lambda f: f["fees"]["sendMoney"][1].update(payeeFeeCents=10**16), r"payeeFeeCents: The amount is too large"),
    (lambda f: f["commissions"]["depositAtAgent"][0].pop("commissionCents"), r"\[0\] has no commissionShillings"),
    (lambda f: f["commissions"]["depositAtAgent"][0].update(toShillings=49), r"depositAtAgent\[0\]: A band begins"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_fault_is_named_with_its_place(change: Callable[[Any], object], told: str) -> None:
    """Whoever wrote the file can find the line."""
    with pytest.raises(InvalidRequest, match=told):
        read(changed(change))


NO_JSON = "The file is not JSON in UTF-8"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"source": "a", "rates": [], "source": "b"}', "The key 'source' stands twice"),
        (b'{"source": "a", "rates": NaN}', "NaN is not JSON"),
        (b"\xff", NO_JSON),
        (b"\xef\xbb\xbf{}", NO_JSON),
        (b"", NO_JSON),
        (b"[" * 100_000, NO_JSON),
        (b'{"source": 1e99999999999999999999}', NO_JSON),
        (b'{"source": ' + b"1" * 5_000 + b"}", NO_JSON),
        (b"[]", "is not an object"),
    ],
)
def test_what_is_no_json_of_ours_is_refused(raw: bytes, told: str) -> None:
    """Whatever the bytes, the reader gives a tariff or InvalidRequest."""
    for parse in (parse_tariff, parse_excise):
        with pytest.raises(InvalidRequest, match=told):
            parse(raw)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rates": {}}, "rates is not a list"),
        ({"rates": [{"validFrom": "2023-07-01", "basisPoints": 15.5}]}, r"rates\[0\]\.basisPoints is not a whole"),
        ({"rates": [{"validFrom": "July 2023", "basisPoints": 1500}]}, r"rates\[0\]\.validFrom is not a day"),
        ({"rates": EXCISE["rates"] * 2}, "rates: Excise rates stand in the order"),
        ({"rates": [{"validFrom": "2023-07-01", "percent": 15}]}, r"rates\[0\] has an unknown key"),
        ({"source": None}, "source is not one line"),
    ],
)
def test_faulty_excise_rates_are_named_with_their_place(change: dict[str, Any], told: str) -> None:
    """As in a tariff."""
    with pytest.raises(InvalidRequest, match=told):
        parse_excise(json.dumps(EXCISE | change).encode())


def test_excise_rates_are_read() -> None:
    """A rate is in basis points."""
    rates = parse_excise(json.dumps(EXCISE).encode())

    assert (((date(2023, 7, 1), 1_500),), "Gazette") == (rates.rates, rates.source)
