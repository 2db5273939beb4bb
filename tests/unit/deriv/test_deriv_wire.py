"""Frames in and out, digit by digit, on the adapter's and on the simulator's side."""

from __future__ import annotations

from decimal import Decimal

import pytest

from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.deriv.wire import BadFrame, decode, encode, error_of, moment, part, usd
from penpay.sandbox.deriv import wire as simulated


@pytest.mark.parametrize(("cents", "written"), [(10_55, "10.55"), (10, "0.10"), (1, "0.01"), (7_00, "7.00")])
def test_money_is_written_with_two_digits(cents: int, written: str) -> None:
    """No float is made on the way."""
    assert f'{{"amount":{written},"note":"a\\"b","n":1}}' == encode(
        {"amount": Money(cents, Currency.USD), "note": 'a"b', "n": 1}
    )


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        *(("10.55", 10_55), ("10", 10_00), ("10.5", 10_50), ("-0.1", -10), ("1.055e1", 10_55), ("10.550", 10_55)),
        *(("0", 0), ("0e5", 0), ("9999999999999.99", 999_999_999_999_999)),
    ],
)
def test_amounts_are_read_exactly(text: str, cents: int) -> None:
    """Every way JSON may write a number of cents gives the same cents."""
    assert Money(cents, Currency.USD) == usd(decode(f'{{"a":{text}}}')["a"])


@pytest.mark.parametrize(
    "text", ["10.555", "1e999999", "1e13", "-1e13", "1e-999999", '"10.55"', "true", "null", "[1]", "9" * 4_000]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """A third decimal, an absurd exponent, a string: none becomes money."""
    with pytest.raises(BadFrame):
        usd(decode(f'{{"a":{text}}}')["a"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '{"a":NaN}', '{"a":Infinity}', b"\xff", '{"a":' * 50_000, "9" * 5_000]
)
def test_what_is_no_frame_is_refused(text: str | bytes) -> None:
    """Only one JSON object is a frame."""
    with pytest.raises(BadFrame):
        decode(text)


def test_a_frame_is_taken_apart_or_refused() -> None:
    """Missing parts and impossible times are the protocol's fault, told as such."""
    assert 1_760_000_123 == int(moment(1_760_000_123).timestamp())
    assert {"a": 1} == part({"x": {"a": 1}}, "x")
    for broken in (lambda: part({}, "x"), lambda: moment("1"), lambda: moment(10**18)):
        with pytest.raises(BadFrame):
            broken()


def test_errors_are_found_in_whatever_shape() -> None:
    """An error key means an error, even if it holds nothing useful."""
    assert error_of({"balance": {}}) is None
    assert ("RateLimit", "slow") == error_of({"error": {"code": "RateLimit", "message": "slow"}})
    assert ("", "") == error_of({"error": "broken"})
    assert ("", "") == error_of({"error": None})
    assert 300 == len((error_of({"error": {"message": "x" * 9_999}}) or ("", ""))[1])


def test_the_simulator_writes_cents_as_numbers() -> None:
    """Nested answers keep their digits too."""
    frame = {"balance": {"balance": simulated.amount(10_00), "rows": [simulated.amount(-5)]}, "ok": True, "x": None}

    assert '{"balance": {"balance": 10.00, "rows": [-0.05]}, "ok": true, "x": null}' == simulated.encode(frame)
    assert {"a": Decimal("1.10")} == simulated.decode('{"a": 1.10}')
    assert (None, None, None) == (simulated.cents(Decimal("1.001")), simulated.cents("1"), simulated.cents(True))
