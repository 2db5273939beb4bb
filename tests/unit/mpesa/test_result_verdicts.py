"""What the codes of a Result mean, product by product, written down a second time."""

from __future__ import annotations

import pytest

from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.verdicts_results import (
    ResultOutcome,
    b2b_verdict,
    b2c_verdict,
    question_verdict,
    reversal_verdict,
    status_verdict,
)

DONE, FAILED, LATER, PEOPLE, UNKNOWN = (
    ResultOutcome.SUCCEEDED,
    ResultOutcome.FAILED,
    ResultOutcome.RETRY_LATER,
    ResultOutcome.MISCONFIGURED,
    ResultOutcome.UNKNOWN,
)

# code, of a B2C payment, of a B2B payment, of a reversal, of a status or balance query
CODES = [
    ("0", DONE, DONE, DONE, DONE),
    ("1", FAILED, UNKNOWN, FAILED, UNKNOWN),
    ("2", FAILED, UNKNOWN, UNKNOWN, UNKNOWN),
    ("3", FAILED, UNKNOWN, UNKNOWN, UNKNOWN),
    ("4", FAILED, UNKNOWN, UNKNOWN, UNKNOWN),
    ("8", FAILED, UNKNOWN, UNKNOWN, UNKNOWN),
    ("11", PEOPLE, UNKNOWN, PEOPLE, PEOPLE),
    ("15", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ("17", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ("18", PEOPLE, UNKNOWN, UNKNOWN, PEOPLE),
    ("19", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ("20", PEOPLE, UNKNOWN, UNKNOWN, PEOPLE),
    ("21", PEOPLE, UNKNOWN, PEOPLE, PEOPLE),
    ("22", PEOPLE, UNKNOWN, UNKNOWN, PEOPLE),
    ("24", FAILED, UNKNOWN, UNKNOWN, FAILED),
    ("25", FAILED, UNKNOWN, UNKNOWN, FAILED),
    ("26", LATER, UNKNOWN, UNKNOWN, LATER),
    ("29", FAILED, UNKNOWN, UNKNOWN, FAILED),
    ("2001", PEOPLE, UNKNOWN, PEOPLE, PEOPLE),
    ("2006", FAILED, UNKNOWN, FAILED, UNKNOWN),
    ("2028", PEOPLE, UNKNOWN, PEOPLE, PEOPLE),
    ("2032", UNKNOWN, UNKNOWN, UNKNOWN, FAILED),
    ("2040", FAILED, UNKNOWN, UNKNOWN, UNKNOWN),
    ("8006", PEOPLE, UNKNOWN, PEOPLE, PEOPLE),
    ("SFC_IC0003", FAILED, FAILED, UNKNOWN, UNKNOWN),
    ("TP40153", PEOPLE, UNKNOWN, UNKNOWN, PEOPLE),
    ("R000001", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ("R000002", UNKNOWN, UNKNOWN, FAILED, UNKNOWN),
    ("100000000", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("100000001", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("100000002", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("100000004", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("100000005", UNKNOWN, UNKNOWN, UNKNOWN, FAILED),
    ("100000007", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("100000009", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("100000010", UNKNOWN, UNKNOWN, UNKNOWN, PEOPLE),
    ("100000011", UNKNOWN, UNKNOWN, UNKNOWN, LATER),
    ("4999", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ("00", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ("", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(("code", "b2c", "b2b", "reversal", "question"), CODES)
def test_a_code_means_what_its_product_says(
    code: str, b2c: ResultOutcome, b2b: ResultOutcome, reversal: ResultOutcome, question: ResultOutcome
) -> None:
    """One code is success; only what the reference lists is an end without money."""
    read = (b2c_verdict(code), b2b_verdict(code), reversal_verdict(code), question_verdict(code))

    assert (b2c, b2b, reversal, question) == read


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("Completed", PaymentOutcome.PAID),
        ("completed ", PaymentOutcome.PAID),
        ("Cancelled", PaymentOutcome.FAILED),
        ("Declined", PaymentOutcome.FAILED),
        ("Expired", PaymentOutcome.FAILED),
        ("Initiated", PaymentOutcome.PENDING),
        ("Authorized", PaymentOutcome.PENDING),
        ("Pending Authorized", PaymentOutcome.PENDING),
        ("Reversed", PaymentOutcome.UNKNOWN),
        ("Complete", PaymentOutcome.UNKNOWN),
        ("", PaymentOutcome.UNKNOWN),
        (None, PaymentOutcome.UNKNOWN),
    ],
)
def test_words_for_the_state_of_a_payment(word: str | None, outcome: PaymentOutcome) -> None:
    """Three words end without money, one with it; three wait; any other tells nothing."""
    assert outcome is status_verdict(word)
