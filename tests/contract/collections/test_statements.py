"""A customer's statement and the reports over all customers, on each engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pytest

from penpay.application.collections.crediting import ApplyCredit
from penpay.application.collections.invoicing import CreateInvoice, IssueCreditNote, VoidInvoice
from penpay.application.collections.statements import LineKind, Statement, StatementLine
from penpay.domain.collections.errors import CustomerNotFound
from penpay.domain.collections.line import LineItem
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.nairobi import nairobi_day
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.collections_statements import SqlStatements
from tests.contract.collections.stage import STAFF, Stage, kes, rows
from tests.support.ports import MORNING

DAY = timedelta(days=1)
FIRST = nairobi_day(MORNING)

Shown = tuple[str, str, str, int, int]


def statements(stage: Stage) -> SqlStatements:
    repository = rows().customers
    return SqlStatements(stage.engine, name_of=lambda row: repository.contact(row).name, clock=stage.clock)


def reports(stage: Stage) -> SqlCollectionsReports:
    return SqlCollectionsReports(stage.engine, clock=stage.clock)


async def of(stage: Stage, customer: str, first: date, last: date, *, page: int = 100) -> Statement:
    """The statement of these days, put together from pages of this size."""
    books, after = statements(stage), None
    whole: Statement | None = None
    lines: list[StatementLine] = []
    while True:
        one = await books.statement(customer, first, last, limit=page, after=after)
        before = one.opening if whole is None else lines[-1].balance
        assert before == one.opening, "a page begins where the one before ended"
        whole = whole or one
        lines += one.lines
        after = one.next
        if after is None:
            break
    assert (lines[-1].balance if lines else whole.opening) == whole.closing
    return Statement(
        customer_number=whole.customer_number,
        name=whole.name,
        first=first,
        last=last,
        opening=whole.opening,
        lines=lines,
        closing=whole.closing,
        next=None,
        ageing=whole.ageing,
    )


def shown(statement: Statement) -> Sequence[Shown]:
    """Kind, reference, what it is about, amount and balance in shillings."""
    return [
        (line.kind.value, line.reference, line.about, line.amount.cents // 100, line.balance.cents // 100)
        for line in statement.lines
    ]


async def billed(stage: Stage, customer: str, amount: Money, number: str, due_on: date) -> None:
    item = LineItem(description="Goods", unit_price=amount)
    await stage.do(CreateInvoice(customer_number=customer, items=(item,), number=number, due_on=due_on, by=STAFF))


async def a_history(stage: Stage) -> str:
    """Six days in a customer's life, an hour apart within a day."""
    customer = await stage.customer("CUST-001")
    other = await stage.customer("CUST-002")
    await stage.invoice(other, kes(777), "INV-OTHER")
    await stage.invoice(customer, kes(5_000), "INV-A")
    stage.clock.moment += DAY
    await stage.paid("QA1", kes(2_000), "INV-A")
    await stage.paid("QB1", kes(777), "CUST-002")
    stage.clock.moment += DAY
    await stage.invoice(customer, kes(1_000), "INV-B")
    await stage.do(IssueCreditNote(invoice_number="INV-A", amount=kes(500), reason="Damaged", by=STAFF))
    stage.clock.moment += DAY
    await stage.paid("QA2", kes(4_000), "CUST-001")
    stage.clock.moment += DAY
    await stage.do(VoidInvoice(invoice_number="INV-B", by=STAFF))
    stage.clock.moment += DAY
    await stage.invoice(customer, kes(700), "INV-C")
    return customer


HISTORY = [
    # what              which     about     amount  balance
    ("INVOICE", "INV-A", "", 5_000, 5_000),
    ("PAYMENT", "QA1", "INV-A", -2_000, 3_000),
    ("INVOICE", "INV-B", "", 1_000, 4_000),
    ("CREDIT_NOTE", None, "INV-A", -500, 3_500),
    ("PAYMENT", "QA2", "", -4_000, -500),
    ("INVOICE_VOIDED", "INV-B", "", -1_000, -1_500),
    ("INVOICE", "INV-C", "", 700, -800),
]
"""What the statement says of it, in shillings; the credit note has a number of its own."""


@pytest.mark.parametrize("page", [1, 2, 3, 100])
async def test_a_statement_tells_all_that_moved_the_balance(stage: Stage, page: int) -> None:
    """Invoices, payments, a credit note and a void, each with the balance it left; on pages of any size the same."""
    customer = await a_history(stage)

    statement = await of(stage, customer, FIRST, FIRST + 5 * DAY, page=page)

    assert [tuple(row) for row in HISTORY] == [
        (kind, None if kind == "CREDIT_NOTE" else reference, about, amount, balance)
        for kind, reference, about, amount, balance in shown(statement)
    ]
    assert ("Amina", 0, kes(-800)) == (statement.name, statement.opening.cents, statement.closing)
    assert statement.closing == (await statements(stage).balance(customer)).balance


async def test_every_range_of_days_opens_where_the_days_before_close(stage: Stage) -> None:
    """For each first and last day: opening, what moved on the days between, and closing fit; nothing is told twice."""
    customer = await a_history(stage)
    days = [FIRST + DAY * number for number in range(-1, 8)]
    whole = await of(stage, customer, days[0], days[-1])
    for number, first in enumerate(days):
        for last in days[number:]:
            part = await of(stage, customer, first, last, page=2)
            expected = [line for line in whole.lines if first <= nairobi_day(line.at) <= last]
            assert expected == part.lines, (first, last)
            before = [line for line in whole.lines if nairobi_day(line.at) < first]
            assert part.opening == (before[-1].balance if before else kes(0)), (first, last)


async def test_a_day_ends_at_midnight_in_nairobi(stage: Stage) -> None:
    """An invoice a microsecond before midnight in Nairobi is of that day, one at midnight of the next."""
    customer = await stage.customer()
    midnight = datetime.combine(FIRST, datetime.min.time(), MORNING.tzinfo) + timedelta(hours=21)
    stage.clock.moment = midnight - timedelta(microseconds=1)
    await stage.invoice(customer, kes(1), "INV-LATE")
    stage.clock.moment = midnight
    await stage.invoice(customer, kes(2), "INV-EARLY")

    late, early = await of(stage, customer, FIRST, FIRST), await of(stage, customer, FIRST + DAY, FIRST + DAY)

    assert ["INV-LATE"] == [line.reference for line in late.lines]
    assert ["INV-EARLY"] == [line.reference for line in early.lines]
    assert (kes(1), kes(1), kes(3)) == (late.closing, early.opening, early.closing)


async def test_credit_that_pays_an_invoice_moves_no_balance(stage: Stage) -> None:
    """Paid in advance, billed later: the payment and the invoice are on the statement, their meeting is not."""
    customer = await stage.customer(auto=False)
    await stage.paid("QC1", kes(900), customer)
    stage.clock.moment += DAY
    await stage.invoice(customer, kes(600), "INV-D")
    await stage.do(ApplyCredit(customer_number=customer, by=STAFF))

    statement = await of(stage, customer, FIRST, FIRST + DAY)

    assert [("PAYMENT", "QC1", "", -900, -900), ("INVOICE", "INV-D", "", 600, -300)] == shown(statement)
    assert kes(300) == statement.ageing.unapplied_credit


async def test_what_cannot_be_asked_is_refused(stage: Stage) -> None:
    """Nobody's statement, days that run backwards, and positions that no page gave."""
    customer = await stage.customer()
    books = statements(stage)
    with pytest.raises(CustomerNotFound):
        await books.statement("CUST-999", FIRST, FIRST, limit=10)
    with pytest.raises(CustomerNotFound):
        await books.balance("CUST-999")
    with pytest.raises(InvalidRequest):
        await books.statement(customer, FIRST, FIRST - DAY, limit=10)
    for after in ("", "x", "1.1", f"1.1.{'0' * 32}", f"{10**17}.1.{'0' * 32}"):
        with pytest.raises(InvalidRequest):
            await books.statement(customer, FIRST, FIRST, limit=10, after=after)


async def test_an_invoice_grows_old_from_the_day_after_it_was_due(stage: Stage) -> None:
    """Due today: not late. Then one to thirty days, to sixty, to ninety, and more; together all that is owed."""
    customer = await stage.customer("CUST-001")
    await stage.customer("CUST-002")
    third = await stage.customer("CUST-003")
    for number, days in enumerate([-5, 0, 1, 30, 31, 60, 61, 90, 91, 400]):
        await billed(stage, customer, kes(2**number), f"INV-{number}", FIRST - DAY * days)
    await stage.paid("QD1", kes(50), third)

    page = await reports(stage).ageing(1, None)
    rest = await reports(stage).ageing(10, page.next)

    (mine,) = page.customers
    assert [kes(1 + 2), kes(4 + 8), kes(16 + 32), kes(64 + 128), kes(256 + 512)] == [
        mine.ageing.current,
        mine.ageing.days_1_to_30,
        mine.ageing.days_31_to_60,
        mine.ageing.days_61_to_90,
        mine.ageing.over_90_days,
    ]
    assert mine.ageing == (await of(stage, customer, FIRST, FIRST)).ageing
    assert [("CUST-003", kes(0), kes(50), kes(-50))] == [
        (one.customer_number, one.ageing.receivable, one.ageing.unapplied_credit, one.ageing.balance)
        for one in rest.customers
    ]
    assert rest.next is None
    assert (kes(1_023), kes(50), kes(973)) == (
        page.total.receivable,
        page.total.unapplied_credit,
        page.total.balance,
    )


async def test_collections_are_told_by_day_in_nairobi_and_by_source(stage: Stage) -> None:
    """Two payments on one day, one of them for nobody known; nothing on the next; one on the day after."""
    customer = await stage.customer()
    await stage.paid("QE1", kes(100), customer)
    await stage.paid("QE2", kes(40), "nobody")
    stage.clock.moment += 2 * DAY
    await stage.paid("QE3", kes(7), customer)

    first, third = await reports(stage).daily(FIRST, FIRST + 2 * DAY)

    assert (FIRST, 2, kes(140), {"C2B": kes(140)}, kes(100), kes(40)) == (
        first.day,
        first.count,
        first.total,
        first.by_source,
        first.allocated,
        first.suspense,
    )
    assert (FIRST + 2 * DAY, 1, kes(7), kes(0)) == (third.day, third.count, third.total, third.suspense)
    assert [third] == await reports(stage).daily(FIRST + DAY, FIRST + 2 * DAY)
    for first_day, last_day in ((FIRST, FIRST - DAY), (FIRST, FIRST + 366 * DAY)):
        with pytest.raises(InvalidRequest):
            await reports(stage).daily(first_day, last_day)


def test_every_kind_of_line_has_its_word() -> None:
    """A kind that is added later cannot be printed without a word for it."""
    from penpay.presentation.documents.statements import WORDS  # noqa: PLC0415  (of another layer than the rest)

    assert set(LineKind) == set(WORDS)
