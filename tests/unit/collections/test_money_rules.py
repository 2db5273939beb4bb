"""The money rules of Collections as tables that an accountant can read; amounts are in cents unless they say KES."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from penpay.domain.collections.allocation import (
    Allocation,
    AllocationId,
    OpenInvoice,
    PaymentId,
    Target,
    first_in_first_out,
    newest_first,
)
from penpay.domain.collections.customer import Customer, CustomerId
from penpay.domain.collections.errors import (
    CreditNoteTooLarge,
    CreditTooSmall,
    InvalidLine,
    InvoicePaid,
    InvoiceVoid,
    SuspenseTooSmall,
)
from penpay.domain.collections.invoice import Invoice, InvoiceId, InvoiceStatus
from penpay.domain.collections.line import LineItem, priced, totals
from penpay.domain.collections.payment import Payment, PaymentSource, PaymentStatus, Verification
from penpay.domain.collections.reference import SuspenseReason
from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.money import Currency, Money

NOON = datetime(2026, 2, 3, 9, tzinfo=UTC)


def kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


# -- lines: quantity in thousandths, unit price, discount, VAT rate; whether prices contain VAT -> net and VAT

LINES = """
   quantity   price  discount   rate  included     net    vat
       1000   10000         0      0  no         10000      0
       1000   10000         0   1600  no         10000   1600
       1000   11600         0   1600  yes        10000   1600
       1500   10000         0   1600  no         15000   2400
       1000   10000      1000   1600  no          9000   1440
       1000   10000      1000   1600  yes         7759   1241
        333     100         0      0  no            33      0
        335     100         0      0  no            34      0
        345     100         0      0  no            34      0
        355     100         0      0  no            36      0
       1000       3         0   1600  no             3      0
       1000     100         0   1600  yes           86     14
       1000   10000     10000   1600  no             0      0
"""


@pytest.mark.parametrize("row", LINES.strip().splitlines()[1:], ids=str.strip)
def test_a_line_is_rounded_by_itself_half_to_even(row: str) -> None:
    """A third of a shilling, a tie, a discount, and VAT on top or inside."""
    quantity, price, discount, rate, included, net, vat = row.split()
    item = LineItem(
        description="Goods",
        quantity_milli=int(quantity),
        unit_price=kes(int(price)),
        discount=kes(int(discount)),
        vat_rate_bps=int(rate),
    )

    line = item.priced(1, vat_included=included == "yes")

    assert (int(net), int(vat)) == (line.net.cents, line.vat.cents)


def test_totals_are_sums_of_rounded_lines() -> None:
    """Three lines of a third of a cent too much each: 3 × 34 and not 101."""
    items = [LineItem(description="Third", quantity_milli=335, unit_price=kes(100), unit_cost=kes(30))] * 3

    sums = totals(priced(items, vat_included=False))

    assert (102, 0, 30) == (sums.net.cents, sums.vat.cents, sums.cost.cents if sums.cost else None)


@pytest.mark.parametrize(
    "item",
    [
        LineItem(description=" ", unit_price=kes(1)),
        LineItem(description="x", unit_price=kes(-1)),
        LineItem(description="x", unit_price=kes(1), quantity_milli=0),
        LineItem(description="x", unit_price=kes(1), discount=kes(2)),
        LineItem(description="x", unit_price=kes(1), vat_rate_bps=10_001),
        LineItem(description="x", unit_price=Money(1, Currency.USD)),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(item: LineItem) -> None:
    """No description, nothing of it, less than nothing, dollars."""
    with pytest.raises(InvalidLine):
        item.priced(1, vat_included=False)


def test_a_bill_of_nothing_is_refused() -> None:
    """No line, and lines that come to zero."""
    with pytest.raises(InvalidLine):
        priced([], vat_included=False)
    with pytest.raises(InvalidAmount):
        priced([LineItem(description="x", unit_price=kes(0))], vat_included=False)


# -- first in, first out: what is paid, the open balances in order -> what each gets, and what is left over

FIFO = """
   amount  balances          parts             rest
      100  100               100                  0
      250  100,100,100       100,100,50           0
      350  100,100,100       100,100,100         50
       50  100,100           50                   0
      150  0,100,0,100       100,50               0
      100  -                 -                  100
        1  100               1                    0
"""


@pytest.mark.parametrize("row", FIFO.strip().splitlines()[1:], ids=str.strip)
def test_the_oldest_is_paid_first(row: str) -> None:
    """Each as far as it goes; parts and rest add up to the amount."""
    amount, balances, parts, rest = row.split()
    opened = [OpenInvoice(_invoice_id(at), int(cents)) for at, cents in enumerate(_numbers(balances))]

    paid, left = first_in_first_out(kes(int(amount)), opened)

    assert (_numbers(parts), int(rest)) == ([part.amount.cents for part in paid], left.cents)


# -- taking back: what is wanted, the rows oldest first -> what is taken of each, newest first, and what none covers

TAKING = """
   amount  rows              taken             short
      100  100               100                   0
      120  50,60,70          70,50                 0
      200  50,60,70          70,60,50             20
        5  50,60             5                     0
"""


@pytest.mark.parametrize("row", TAKING.strip().splitlines()[1:], ids=str.strip)
def test_the_newest_is_taken_back_first(row: str) -> None:
    """As little as is needed."""
    amount, rows, taken, short = row.split()
    held = [_allocation(at, cents) for at, cents in enumerate(_numbers(rows))]

    parts, left = newest_first(kes(int(amount)), held)

    assert (_numbers(taken), int(short)) == ([part.cents for _, part in parts], left.cents)


# -- an invoice of 116.00 with 16.00 of VAT: what happens -> status, balance, or the refusal

INVOICE = """
  what happens                        status            balance
  -                                   UNPAID              11600
  pay 11600                           PAID                    0
  pay 1                               PARTIALLY_PAID      11599
  pay 11599                           PARTIALLY_PAID          1
  pay 11600, reopen 11600             UNPAID              11600
  pay 11600, reopen 1                 PARTIALLY_PAID          1
  pay 11601                           InvoicePaid             -
  note 600                            PARTIALLY_PAID      11000
  note 600, pay 11000                 PAID                    0
  note 11600                          PAID                    0
  note 11601                          CreditNoteTooLarge      -
  note 600, note 11001                CreditNoteTooLarge      -
  void                                VOID                    0
  void, pay 1                         InvoiceVoid             -
  void, reopen 1                      InvoiceVoid             -
  void, note 1                        InvoiceVoid             -
  void, void                          InvoiceVoid             -
"""
REFUSALS = {kind.__name__: kind for kind in (InvoicePaid, CreditNoteTooLarge, InvoiceVoid)}


@pytest.mark.parametrize("row", INVOICE.strip().splitlines()[1:], ids=str.strip)
def test_an_invoice_is_paid_to_the_cent(row: str) -> None:
    """One cent open is not PAID; what was refused changed nothing."""
    *_, status, balance = row.split()
    steps = row[: row.rindex(status)].strip()

    if status in REFUSALS:
        with pytest.raises(REFUSALS[status]):
            _after(_invoice(), steps)
        return
    after = _after(_invoice(), steps)

    assert (InvoiceStatus(status), int(balance)) == (after.status, after.balance.cents)
    assert after.is_open is (after.balance.cents > 0)


@pytest.mark.parametrize("parts", [[11_600], [1] * 5 + [11_595], [3_333, 3_333, 4_934], [5_800, 5_800]])
def test_the_vat_of_credit_notes_adds_up_to_the_vat_of_the_invoice(parts: list[int]) -> None:
    """However it is cut into notes."""
    invoice, vat = _invoice(), 0
    for cents in parts:
        vat += invoice.vat_of(kes(cents)).cents
        invoice = invoice.taken_off(kes(cents))

    assert 1_600 == vat


def test_an_invoice_is_overdue_after_its_day() -> None:
    """Not on it, and not when it is paid."""
    invoice = _invoice()

    assert [False, True] == [invoice.is_overdue(date(2026, 2, day)) for day in (3, 4)]
    assert not invoice.settled(invoice.balance).is_overdue(date(2026, 2, 4))


# -- a payment of 100: what is in suspense then -> its status

SUSPENSE = """
  suspense  refund  status
       100  no      SUSPENSE
        60  no      PARTIALLY_ALLOCATED
         0  no      ALLOCATED
         0  yes     REFUNDED
        60  yes     PARTIALLY_ALLOCATED
"""


@pytest.mark.parametrize("row", SUSPENSE.strip().splitlines()[1:], ids=str.strip)
def test_a_payment_says_what_waits_of_it(row: str) -> None:
    """And why, as long as something waits."""
    suspense, refund, status = row.split()

    after = _payment().in_suspense(kes(int(suspense)), SuspenseReason.UNALLOCATED, is_refund=refund == "yes")

    assert PaymentStatus(status) is after.status
    assert (after.suspense_reason is None) is (suspense == "0")


def test_suspense_and_credit_never_fall_below_zero() -> None:
    """Whatever would use more than there is is refused."""
    with pytest.raises(SuspenseTooSmall):
        _payment().in_suspense(kes(-1), None)
    customer = Customer(
        id=CustomerId(UUID(int=1)), number="CUST-001", contact=None, auto_apply_credit=True, created_at=NOON
    )
    with pytest.raises(CreditTooSmall):
        customer.moved(credit=-1)
    assert -5 == customer.moved(credit=5).balance.cents


# -- what a customer paid: moments in UTC and cents -> the newest day in Nairobi, and what she paid on it

DAYS = """
  2026-02-03T20:59 100 -> 2026-02-03 100
  2026-02-03T20:59 100, 2026-02-03T21:00 50 -> 2026-02-04 50
  2026-02-03T06:00 100, 2026-02-03T07:00 50 -> 2026-02-03 150
  2026-02-04T06:00 100, 2026-02-03T06:00 50 -> 2026-02-04 100
"""


@pytest.mark.parametrize("row", DAYS.strip().splitlines(), ids=str.strip)
def test_a_day_is_a_day_in_nairobi(row: str) -> None:
    """It begins at nine in the evening, UTC."""
    told, _, wanted = row.strip().partition(" -> ")
    customer = Customer(
        id=CustomerId(UUID(int=1)), number="CUST-001", contact=None, auto_apply_credit=True, created_at=NOON
    )
    for payment in told.split(", "):
        moment, cents = payment.split()
        customer = customer.paid(kes(int(cents)), datetime.fromisoformat(moment).replace(tzinfo=UTC))

    assert wanted == f"{customer.paid_on} {customer.paid_on_cents}"


def _numbers(text: str) -> list[int]:
    return [] if text == "-" else [int(word) for word in text.split(",")]


def _invoice_id(number: int) -> InvoiceId:
    return InvoiceId(UUID(int=number + 1))


def _invoice() -> Invoice:
    return Invoice(
        id=_invoice_id(0),
        number="A-1",
        customer_id=CustomerId(UUID(int=1)),
        status=InvoiceStatus.UNPAID,
        net=kes(10_000),
        vat=kes(1_600),
        balance=kes(11_600),
        memo=None,
        issued_at=NOON,
        due_on=date(2026, 2, 3),
    )


def _after(invoice: Invoice, steps: str) -> Invoice:
    for step in steps.split(", "):
        verb, _, cents = step.partition(" ")
        if verb == "pay":
            invoice = invoice.settled(kes(int(cents)))
        elif verb == "reopen":
            invoice = invoice.reopened(kes(int(cents)))
        elif verb == "note":
            invoice = invoice.taken_off(kes(int(cents)))
        elif verb == "void":
            invoice = invoice.voided(NOON)
    return invoice


def _allocation(number: int, cents: int) -> Allocation:
    return Allocation(
        id=AllocationId(UUID(int=number + 1)),
        payment_id=None,
        customer_id=CustomerId(UUID(int=1)),
        target=Target.CREDIT,
        amount=kes(cents),
        journal_id=UUID(int=1),
        created_at=NOON,
        created_by="test",
    )


def _payment() -> Payment:
    return Payment(
        id=PaymentId(UUID(int=1)),
        receipt="R1",
        push_reference=None,
        source=PaymentSource.C2B,
        amount=kes(100),
        short_code=None,
        bill_reference=None,
        payer=None,
        org_balance=None,
        transacted_at=None,
        paid_at=NOON,
        received_at=NOON,
        verification=Verification.UNVERIFIED,
        verified_by=None,
        status=PaymentStatus.SUSPENSE,
        suspense=kes(100),
        suspense_reason=SuspenseReason.NO_REFERENCE,
        customer_id=None,
        webhook_id=None,
    )
