"""Recurring invoices on every engine: each bill once, on its day, whoever issues it and however late."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from penpay.application.collections.recurring import (
    ChangeRecurring,
    CreateRecurring,
    IssueRecurring,
    RecurringStep,
)
from penpay.domain.collections.errors import RecurringNotFound, RecurringOver
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.recurring import Every, RecurringState, Schedule
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.nairobi import nairobi_day
from penpay.infrastructure.sql.collections_recurring import SqlRecurring
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.collections_tables import invoices
from penpay.workers.recurring_billing import RecurringBillingWorker
from tests.contract.collections.stage import STAFF, Stage, bill, kes, opened, receipt_of

NOON = datetime(2027, 1, 31, 9, tzinfo=UTC)
RENT = LineItem(description="Rent", unit_price=kes(1_000), vat_rate_bps=1_600)


async def recurring(stage: Stage, customer: str, **changes: Any) -> str:
    """Rent on the 31st of each month, due five days later."""
    schedule = {"every": Every.MONTH, "starts_on": nairobi_day(stage.clock.now()), **changes}
    command = CreateRecurring(
        customer_number=customer, items=(RENT,), schedule=Schedule(**schedule), due_days=5, memo="Shop 4", by=STAFF
    )
    return str((await stage.do(command))["recurring_id"])


async def work(stage: Stage) -> None:
    """What the worker does once: all that is due."""
    worker = RecurringBillingWorker(executor=stage.executor)
    for due in await SqlRecurring(stage.engine).due(stage.clock.now(), 10):
        await worker.handle(due)


async def change(stage: Stage, number: str, step: RecurringStep) -> Any:
    return await stage.do(ChangeRecurring(number=number, step=step, by=STAFF))


async def billed(stage: Stage) -> list[tuple[Any, ...]]:
    return await stage.rows("SELECT due_on, total_cents, status FROM invoices ORDER BY due_on")


async def issued_on(stage: Stage) -> list[str]:
    """The day of each invoice, from the oldest."""
    async with stage.engine.connect() as connection:
        found = (await connection.execute(select(invoices.c.issued_at).order_by(invoices.c.issued_at))).scalars()
        return [nairobi_day(at).isoformat() for at in found]


async def proven(stage: Stage) -> None:
    await stage.agrees()
    assert [] == list(await SqlCollectionsReports(stage.engine, clock=stage.clock).verify())


async def test_after_downtime_each_bill_that_was_missed_is_issued_on_its_own_day(stage: Stage) -> None:
    """January's on time; nobody runs until April: February's and March's, each once, dated on its last day."""
    stage.clock.moment = NOON
    await recurring(stage, await stage.customer("CUST-001"))
    await work(stage)
    stage.clock.moment = datetime(2027, 4, 10, 12, tzinfo=UTC)
    await work(stage)
    await work(stage)

    due = ("2027-02-05", "2027-03-05", "2027-04-05")
    assert [(day, 116_000, "UNPAID") for day in due] == await billed(stage)
    ((view,), _) = _items(await SqlRecurring(stage.engine).recurring(5))
    assert ("2027-04-30", "ACTIVE", 116_000) == (view["next_on"], view["state"], view["total_cents"])
    assert ["2027-01-31", "2027-02-28", "2027-03-31"] == await issued_on(stage)
    await proven(stage)


def _items(page: Any) -> tuple[Any, Any]:
    return page.items, page.next


async def test_two_processes_that_find_it_due_issue_one_bill(stage: Stage, url: str) -> None:
    """Eight tries at once in each of two, and a late one of yesterday's."""
    stage.clock.moment = NOON
    number = await recurring(stage, await stage.customer("CUST-001"), every=Every.DAY)
    async with opened(url) as other:
        other.clock.moment = NOON
        tries = [one.do(IssueRecurring(number=number, occurrence=0)) for one in (stage, other) for _ in range(8)]
        await asyncio.gather(*tries)
        stage.clock.moment += timedelta(days=1)
        await asyncio.gather(*(stage.do(IssueRecurring(number=number, occurrence=0)) for _ in range(3)))
        assert 1 == await stage.one("SELECT count(*) FROM invoices")
        await work(stage)

    assert [(0,), (1,)] == await stage.rows("SELECT occurrence FROM recurring_occurrences ORDER BY 1")
    await proven(stage)


async def test_credit_pays_it_as_any_other_and_it_stands_in_its_place_among_them(stage: Stage) -> None:
    """500 of credit; then 1,160 pay for the oldest first, which is the one that was dated back."""
    stage.clock.moment = NOON
    customer = await stage.customer("CUST-001")
    await recurring(stage, customer, times=1)
    await stage.paid("QGA1", kes(500), customer)
    stage.clock.moment += timedelta(hours=1)
    newer = await stage.do(bill(customer, kes(100)))
    assert "PAID" == newer["status"]
    newest = await stage.do(bill(customer, kes(900)))
    await work(stage)
    await stage.do(receipt_of("QGA2", kes(1_160), customer))

    assert [("2027-01-31", "PARTIALLY_PAID", 50_000), ("2027-02-05", "PAID", 0)] == await stage.rows(
        "SELECT due_on, status, balance FROM invoices WHERE invoice_number <> :first ORDER BY due_on",
        first=newer["invoice_id"],
    )
    assert "PARTIALLY_PAID" == newest["status"]
    await proven(stage)


async def test_what_fell_into_a_pause_is_not_billed(stage: Stage) -> None:
    """Paused after the first, resumed two days later on a day that has a bill, ended before the next."""
    stage.clock.moment = NOON
    number = await recurring(stage, await stage.customer("CUST-001"), every=Every.DAY)
    await work(stage)
    await change(stage, number, RecurringStep.PAUSE)
    stage.clock.moment += timedelta(days=3)
    await work(stage)
    assert 1 == len(await billed(stage))
    resumed = await change(stage, number, RecurringStep.RESUME)
    await work(stage)
    ended = await change(stage, number, RecurringStep.END)
    stage.clock.moment += timedelta(days=3)
    await work(stage)

    assert ("2027-02-03", None, "ENDED") == (resumed["next_on"], ended["next_on"], ended["state"])
    assert ["2027-02-05", "2027-02-08"] == [row[0] for row in await billed(stage)]
    for step in RecurringStep:
        with pytest.raises(RecurringOver):
            await change(stage, number, step)
    await proven(stage)


async def test_it_ends_by_itself_after_its_last_bill(stage: Stage) -> None:
    """Two bills: nothing is due after the second, also when it is resumed after its end."""
    stage.clock.moment = NOON
    customer = await stage.customer("CUST-001")
    number = await recurring(stage, customer, every=Every.WEEK, times=2)
    other = await recurring(stage, customer, every=Every.DAY, ends_on=date(2027, 2, 1))
    await change(stage, other, RecurringStep.PAUSE)
    stage.clock.moment += timedelta(days=30)
    await work(stage)

    assert 2 == len(await billed(stage))
    with pytest.raises(RecurringOver):
        await change(stage, number, RecurringStep.PAUSE)
    assert "ENDED" == (await change(stage, other, RecurringStep.RESUME))["state"]
    assert [] == list(await SqlRecurring(stage.engine).due(stage.clock.now(), 10))


async def test_nothing_is_issued_before_its_day_or_after_somebody_stopped_it(stage: Stage) -> None:
    """A day begins at midnight in Nairobi, 21:00 UTC; what was found due a moment before a pause is left alone."""
    stage.clock.moment = NOON
    number = await recurring(stage, await stage.customer("CUST-001"), starts_on=date(2027, 2, 1))
    stage.clock.moment = datetime(2027, 1, 31, 20, 59, 59, tzinfo=UTC)
    assert (None, []) == (await stage.do(IssueRecurring(number=number, occurrence=0)), await billed(stage))
    stage.clock.moment = datetime(2027, 1, 31, 21, tzinfo=UTC)
    await change(stage, number, RecurringStep.PAUSE)
    assert (None, []) == (await stage.do(IssueRecurring(number=number, occurrence=0)), await billed(stage))
    await change(stage, number, RecurringStep.RESUME)
    await work(stage)

    assert ["2027-02-06"] == [row[0] for row in await billed(stage)]


async def test_what_cannot_be_is_refused(stage: Stage) -> None:
    """A first day that is past, and a number that nothing has."""
    stage.clock.moment = NOON
    customer = await stage.customer("CUST-001")
    with pytest.raises(InvalidRequest):
        await recurring(stage, customer, starts_on=date(2027, 1, 30))
    with pytest.raises(RecurringNotFound):
        await change(stage, "REC-404", RecurringStep.END)
    with pytest.raises(RecurringNotFound):
        await stage.do(IssueRecurring(number="REC-404", occurrence=0))


async def test_they_are_listed_by_customer_and_state_page_by_page(stage: Stage) -> None:
    """The newest first."""
    stage.clock.moment = NOON
    numbers: list[str] = []
    for customer in ("CUST-001", "CUST-002", "CUST-001"):
        if len(numbers) < 2:
            await stage.customer(customer)
        stage.clock.moment += timedelta(minutes=1)
        numbers.append(await recurring(stage, customer))
    await change(stage, numbers[0], RecurringStep.PAUSE)
    books = SqlRecurring(stage.engine)

    async def listed(**asked: Any) -> list[object]:
        return [one["recurring_id"] for one in (await books.recurring(2, **asked)).items]

    first = await books.recurring(2)
    assert (numbers[:0:-1], numbers[1]) == ([one["recurring_id"] for one in first.items], first.next)
    assert numbers[:1] == await listed(after=first.next)
    assert [numbers[2], numbers[0]] == await listed(customer_number="cust001")
    assert numbers[:1] == await listed(state=RecurringState.PAUSED)
