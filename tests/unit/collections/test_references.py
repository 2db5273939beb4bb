"""What a payer's reference means, which numbers are given out, and what is suggested."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penpay.application.collections.suggestions import Hint, Possibility, ranked
from penpay.domain.collections.allocation import PaymentId
from penpay.domain.collections.errors import InvalidNumber, InvalidReceipt
from penpay.domain.collections.numbers import NumberSeries, SeriesName, check_number
from penpay.domain.collections.payment import (
    Payer,
    PayerForm,
    Payment,
    PaymentSource,
    PaymentStatus,
    Verification,
    check_receipt,
    hashed_number,
)
from penpay.domain.collections.reference import Candidate, Referent, SuspenseReason, choose, fold
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

NUMBERS = (
    (Referent.INVOICE, "INV-20260203-0001"),
    (Referent.INVOICE, "ACME/7"),
    (Referent.INVOICE, "12"),
    (Referent.CUSTOMER, "CUST-001"),
    (Referent.CUSTOMER, "CUST-002"),
    (Referent.CUSTOMER, "SAME"),
    (Referent.SALE, "POS-001"),
    (Referent.SALE, "POS-003"),
    (Referent.INVOICE, "SA-ME"),
)
KNOWN = [Candidate(referent, UUID(int=at), number, None) for at, (referent, number) in enumerate(NUMBERS)]

REFERENCES = """
  INV-20260203-0001      INV-20260203-0001
  inv-20260203-0001      INV-20260203-0001
  INV 20260203 0001      INV-20260203-0001
  INV202602030001        INV-20260203-0001
  INV–20260203–0001      INV-20260203-0001
  20260203-0001          INV-20260203-0001
  202602030001           INV-20260203-0001
  acme/7                 ACME/7
  ACME7                  UNKNOWN_REFERENCE
  CUST-002               CUST-002
  cust002                CUST-002
  002                    CUST-002
  003                    POS-003
  001                    AMBIGUOUS_REFERENCE
  12                     12
  pos-001                POS-001
  SAME                   SAME
  SA-ME                  SA-ME
  same                   AMBIGUOUS_REFERENCE
  INV-20260203-001       UNKNOWN_REFERENCE
  INV-20260203-OOO1      UNKNOWN_REFERENCE
  CUST-002.              UNKNOWN_REFERENCE
  0712345678             UNKNOWN_REFERENCE
  CUST-002\x00           UNKNOWN_REFERENCE
"""


@pytest.mark.parametrize("row", REFERENCES.strip().splitlines(), ids=str.strip)
def test_a_reference_means_one_thing_or_nothing(row: str) -> None:
    """As typed, then but for case, blanks and dashes, then without its prefix; never a guess."""
    reference, _, wanted = row.strip().rpartition("  ")

    chosen = choose(reference.strip().replace("\\x00", "\x00"), _found)

    assert wanted == (chosen.number if isinstance(chosen, Candidate) else chosen.value)


@pytest.mark.parametrize("reference", ["", "  ", "-", "– –"])
def test_no_reference_is_told_apart_from_an_unknown_one(reference: str) -> None:
    """Blanks and dashes alone are none."""
    assert SuspenseReason.NO_REFERENCE is choose(reference, _found)


@given(st.text(max_size=80))
def test_any_text_can_be_a_reference(reference: str) -> None:
    """Nothing that is typed breaks anything, and folding twice is folding once."""
    choose(reference, _found)
    assert fold(fold(reference)) == fold(reference)


def test_numbers_are_given_out_without_gaps_and_anew_each_day() -> None:
    """A clock that steps back stays on the newest day; customers and sales are counted for ever."""
    series, numbers = NumberSeries.begin(SeriesName.INVOICE), []
    for day in (date(2026, 2, 3), date(2026, 2, 3), date(2026, 2, 4), date(2026, 2, 3)):
        series, number = series.next(day)
        numbers.append(number)
    customers, last = NumberSeries.begin(SeriesName.CUSTOMER), ""
    for _ in range(1_000):
        customers, last = customers.next(date(2026, 2, 3))

    assert ["INV-20260203-0001", "INV-20260203-0002", "INV-20260204-0001", "INV-20260204-0002"] == numbers
    assert "CUST-1000" == last


CHOSEN = """
  CUST-005            CUST-006
  cust005             CUST-006
  CUST-5              CUST-001
  ACME                CUST-001
  INV-20260203-0007   CUST-001
"""


@pytest.mark.parametrize("row", CHOSEN.strip().splitlines(), ids=str.strip)
def test_a_chosen_number_is_not_given_out_again(row: str) -> None:
    """One of the series' own form counts; any other does not matter to it."""
    chosen, following = row.split()

    series = NumberSeries.begin(SeriesName.CUSTOMER).without(chosen, date(2026, 2, 3))

    assert following == series.next(date(2026, 2, 3))[1]


def test_a_chosen_number_of_another_day_neither_stops_nor_skips() -> None:
    """A day that is over does not matter; one to come is refused, since its series will begin at 1."""
    today = date(2026, 2, 3)
    series = NumberSeries.begin(SeriesName.INVOICE).without("INV-20260201-0009", today)
    assert "INV-20260203-0001" == series.next(today)[1]
    assert "INV-20260203-0010" == series.without("INV-20260203-0009", today).next(today)[1]
    with pytest.raises(InvalidNumber):
        series.without("INV-20260204-0001", today)


@pytest.mark.parametrize("number", ["", "-1", "A" * 21, "A B", "Ä-1", "A_1", "A\n"])
def test_a_number_that_nobody_could_type_is_refused(number: str) -> None:
    """One to twenty letters, digits, dots, slashes and hyphens."""
    with pytest.raises(InvalidNumber):
        check_number(number)


@pytest.mark.parametrize("receipt", ["", "A" * 21, "QGK-1", "QGK 1", "QGÄ1"])
def test_what_is_no_receipt_is_refused(receipt: str) -> None:
    """A receipt is opaque: one to twenty letters and digits."""
    with pytest.raises(InvalidReceipt):
        check_receipt(receipt)


def test_a_payer_is_recognised_by_a_hash_alone() -> None:
    """Plain and hashed give the same; a masked number gives nothing. No text of it shows in a log."""
    phone = PhoneNumber.parse("0712345678")
    hashed = hashed_number(phone)

    assert hashed == Payer.of(phone).hashed == Payer(form=PayerForm.HASHED, text=hashed.upper()).hashed
    assert Payer(form=PayerForm.MASKED, text="2547***678").hashed is None
    assert "712345678" not in repr(Payer.of(phone, "AMINA"))
    assert "AMINA" not in repr(Payer.of(phone, "AMINA"))


def test_the_strongest_hint_comes_first() -> None:
    """A slip in the number with the payer's phone, a slip, the amount with the name, the amount alone."""
    possibilities = [
        _possibility("INV-20260203-0009", 700),
        _possibility("INV-20260203-0002", 100, name="Amina Odhiambo"),
        _possibility("INV-20260203-0010", 100, is_payers=True),
        _possibility("INV-20260203-0011", 900),
        _possibility("B-1", 100),
    ]

    found = ranked(_payment("INV-20260203-0090"), "AMINA W", possibilities)

    assert [
        ("INV-20260203-0010", (Hint.REFERENCE, Hint.PAYER, Hint.AMOUNT)),
        ("INV-20260203-0009", (Hint.REFERENCE,)),
        ("INV-20260203-0002", (Hint.AMOUNT, Hint.NAME)),
        ("B-1", (Hint.AMOUNT,)),
    ] == [(one.number, one.hints) for one in found][:4]


SLIPS = """
  INV1   INV2   yes
  INV12  INV1   yes
  INV1   INV12  yes
  IVN1   INV1   yes
  IV1    INV1   yes
  INNV1  INV1   yes
  INV12  INV21  yes
  INV1   INV1   yes
  VNI1   INV1   no
  INV12  INV34  no
  I1     INV1   no
"""


@pytest.mark.parametrize("row", SLIPS.strip().splitlines(), ids=str.strip)
def test_one_slip_of_the_finger_is_a_hint(row: str) -> None:
    """One wrong, missing, doubled or exchanged character."""
    typed, number, wanted = row.split()

    found = ranked(_payment(typed), "", [_possibility(number, 1)])

    assert (wanted == "yes") is bool(found)


def _found(form: str) -> list[Candidate]:
    return [one for one in KNOWN if fold(one.number) == form]


def _possibility(number: str, cents: int, *, name: str = "", is_payers: bool = False) -> Possibility:
    return Possibility(
        referent=Referent.INVOICE,
        number=number,
        customer_number="CUST-001",
        open_cents=cents,
        customer_name=name,
        is_payers=is_payers,
    )


def _payment(reference: str) -> Payment:
    moment = datetime(2026, 2, 3, 9, tzinfo=UTC)
    return Payment(
        id=PaymentId(UUID(int=1)),
        receipt="R1",
        push_reference=None,
        source=PaymentSource.C2B,
        amount=Money(100, Currency.KES),
        short_code=None,
        bill_reference=reference,
        payer=None,
        org_balance=None,
        transacted_at=None,
        paid_at=moment,
        received_at=moment,
        verification=Verification.UNVERIFIED,
        verified_by=None,
        status=PaymentStatus.SUSPENSE,
        suspense=Money(100, Currency.KES),
        suspense_reason=SuspenseReason.UNKNOWN_REFERENCE,
        customer_id=None,
        webhook_id=None,
    )
