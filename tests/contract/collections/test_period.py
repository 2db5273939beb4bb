"""Locking the books: two people close days, people book nothing there any more, and M-Pesa is never refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from penpay.application.collections.allocating import AllocatePayment, Reallocate, Unallocate
from penpay.application.collections.crediting import ApplyCredit
from penpay.application.collections.invoicing import CreateInvoice, IssueCreditNote, VoidInvoice
from penpay.application.collections.period import DecideLock, ProposeLock
from penpay.application.collections.receiving import ReceivePayment
from penpay.application.collections.refunding import DecideRefund, ProposeRefund, RefundFailed
from penpay.application.collections.reversing import ReversedBy, ReversePayment
from penpay.application.collections.selling import CancelSale, ExpireSale, OpenSale, TakeCash
from penpay.application.collections.shifts import CloseShift, MoveCash, OpenShift
from penpay.domain.collections.allocation import AllocationId, RefundId, SaleId
from penpay.domain.collections.errors import LockDecided, LockNotFound, OwnApproval, PeriodLocked
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.collections.period import LockState, PeriodLockId
from penpay.domain.collections.shift import CashDirection, CashPurpose
from penpay.domain.shared.errors import DomainError, InvalidRequest
from penpay.domain.shared.nairobi import nairobi_day
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.collections_period import SqlPeriods
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from tests.contract.collections.stage import OTHER, STAFF, Stage, bill, kes, opened, receipt_of

DAY = timedelta(days=1)
PHONE = PhoneNumber.parse("0712345678")


def today(stage: Stage) -> date:
    return nairobi_day(stage.clock.now())


async def propose(stage: Stage, through: date | None) -> PeriodLockId:
    answer = await stage.do(ProposeLock(through=through, reason="VAT is filed", by=STAFF))
    return PeriodLockId(UUID(str(answer["lock_id"])))


async def lock(stage: Stage, through: date | None) -> None:
    """One proposes it, another approves it."""
    await stage.do(DecideLock(lock_id=await propose(stage, through), approve=True, by=OTHER))


async def holds(stage: Stage) -> None:
    await stage.agrees()
    assert [] == list(await SqlCollectionsReports(stage.engine, clock=stage.clock).verify())


def dated(day: date | None) -> CreateInvoice:
    """An invoice that bears this day."""
    item = LineItem(description="Goods", unit_price=kes(100))
    return CreateInvoice(customer_number="CUST-001", items=(item,), issued_on=day, by=STAFF)


def banked(day: date | None) -> MoveCash:
    """Cash of the owner that came on this day."""
    return MoveCash(
        direction=CashDirection.IN, purpose=CashPurpose.OWNER, amount=kes(5), reason="Why", moved_on=day, by=STAFF
    )


async def test_the_books_are_locked_by_two_people(stage: Stage) -> None:
    """Whoever proposes it cannot approve it; until another one does, nothing is locked; nothing is decided twice."""
    await stage.customer()
    lock_id = await propose(stage, today(stage))
    with pytest.raises(OwnApproval):
        await stage.do(DecideLock(lock_id=lock_id, approve=True, by=STAFF))
    await stage.do(dated(None))

    await stage.do(DecideLock(lock_id=lock_id, approve=True, by=OTHER))

    with pytest.raises(PeriodLocked):
        await stage.do(dated(None))
    with pytest.raises(LockDecided):
        await stage.do(DecideLock(lock_id=lock_id, approve=False, by=STAFF))
    with pytest.raises(LockNotFound):
        await stage.do(DecideLock(lock_id=PeriodLockId(UUID(int=1)), approve=True, by=OTHER))
    assert today(stage) == await SqlPeriods(stage.engine).locked_through()


async def test_a_wish_that_was_taken_back_locks_nothing(stage: Stage) -> None:
    """Whoever proposed it may reject it."""
    await stage.customer()
    await stage.do(DecideLock(lock_id=await propose(stage, today(stage)), approve=False, by=STAFF))

    await stage.do(dated(None))

    assert await SqlPeriods(stage.engine).locked_through() is None


@pytest.mark.parametrize(("ahead", "reason"), [(1, "Why"), (0, " "), (0, "x" * 201)])
async def test_a_day_to_come_is_not_locked_nor_without_a_reason(stage: Stage, ahead: int, reason: str) -> None:
    """People must be able to work tomorrow."""
    with pytest.raises(InvalidRequest):
        await stage.do(ProposeLock(through=today(stage) + ahead * DAY, reason=reason, by=STAFF))


@pytest.mark.parametrize("make", [dated, banked])
async def test_nothing_bears_a_day_that_is_locked_or_to_come(
    stage: Stage, make: Callable[[date | None], object]
) -> None:
    """The day after the locked one is open, and so is any once the books are unlocked."""
    await stage.customer()
    locked = today(stage) - 3 * DAY
    await lock(stage, locked)
    before = await stage.trial_balance()

    for day in (locked, locked - 40 * DAY):
        with pytest.raises(PeriodLocked) as refused:
            await stage.do(make(day))
        assert {"locked_through": locked.isoformat(), "day": day.isoformat()} == refused.value.details
    with pytest.raises(InvalidRequest):
        await stage.do(make(today(stage) + DAY))
    assert before == await stage.trial_balance()

    await stage.do(make(locked + DAY))
    await lock(stage, None)
    await stage.do(make(locked))
    await holds(stage)


async def test_an_invoice_bears_the_day_it_is_given(stage: Stage) -> None:
    """It is due on that day, older than today's for whoever pays both, and in the ledger as having happened then."""
    await stage.customer()
    await stage.invoice("CUST-001", kes(100), "INV-TODAY")
    day = today(stage) - 2 * DAY
    earlier = (await stage.do(dated(day)))["invoice_id"]

    await stage.paid("R1", kes(100), "CUST-001")

    assert [("INV-TODAY", "UNPAID"), (earlier, "PAID")] == await stage.rows(
        "SELECT invoice_number, status FROM invoices ORDER BY invoice_number DESC"
        if earlier < "INV-TODAY"
        else "SELECT invoice_number, status FROM invoices ORDER BY invoice_number"
    )
    assert [(day.isoformat(),)] == await stage.rows(
        "SELECT due_on FROM invoices WHERE invoice_number = :number", number=earlier
    )
    assert 1 == await stage.one(
        "SELECT count(*) FROM ledger_journals WHERE kind = 'invoice_issued' AND happened_at < recorded_at"
    )
    await holds(stage)


async def test_an_invoice_of_a_locked_day_is_credited_and_not_voided(stage: Stage) -> None:
    """Voiding would make it as if it had never been; a credit note is of today."""
    await stage.customer()
    await stage.invoice("CUST-001", kes(100), "INV-1")
    await lock(stage, today(stage))
    stage.clock.moment += DAY

    with pytest.raises(PeriodLocked):
        await stage.do(VoidInvoice(invoice_number="INV-1", by=STAFF))
    await stage.do(IssueCreditNote(invoice_number="INV-1", reason="Never delivered", by=STAFF))

    assert {} == await stage.trial_balance()
    await holds(stage)


async def test_while_today_is_locked_people_book_nothing(stage: Stage) -> None:
    """Every command of the staff that posts is refused and changes nothing; the next day it is done."""
    commands = await waiting(stage)
    await lock(stage, today(stage))
    tables = ("ledger_journals", "domain_events", "audit_logs", "payment_allocations", "till_shifts")
    before = [await stage.one(f"SELECT count(*) FROM {name}") for name in tables]

    for command in commands:
        with pytest.raises(PeriodLocked):
            await stage.do(command)
    assert before == [await stage.one(f"SELECT count(*) FROM {name}") for name in tables]

    stage.clock.moment += DAY
    done = [await outcome(stage, command) for command in commands]
    assert [None] * len(commands) == done
    await holds(stage)


async def waiting(stage: Stage) -> list[object]:
    """A business in which each command of the staff that posts can be done, in this order."""
    await stage.customer()
    await stage.customer("CUST-002", auto=False)
    await stage.invoice("CUST-001", kes(100), "INV-1")
    await stage.invoice("CUST-001", kes(70), "INV-4")
    await stage.invoice("CUST-002", kes(10), "INV-2")
    await stage.paid("R1", kes(40), "INV-1")
    await stage.paid("R2", kes(30), "INV-2")
    await stage.paid("R3", kes(50), "nobody")
    await stage.verified()
    await stage.invoice("CUST-002", kes(5), "INV-3")
    item = LineItem(description="Flour", unit_price=kes(116))
    for _ in range(2):
        await stage.do(OpenSale(items=(item,), waits_for=7 * DAY, by=STAFF))
    shift = await stage.do(OpenShift(cashier=OTHER, opening_float=kes(10), by=OTHER))
    refund = await stage.do(ProposeRefund(receipt="R3", amount=kes(20), phone=PHONE, reason="Paid twice", by=STAFF))
    of_first = await stage.rows(
        "SELECT a.id FROM payment_allocations a JOIN payments p ON p.id = a.payment_id"
        " WHERE p.mpesa_receipt_number IN ('R1', 'R2') AND a.target = 'INVOICE' ORDER BY p.mpesa_receipt_number"
    )
    first, second = [AllocationId(stage.identifier(row[0])) for row in of_first]
    return [
        bill("CUST-001", kes(10)),
        IssueCreditNote(invoice_number="INV-4", amount=kes(1), reason="Late", by=STAFF),
        ApplyCredit(customer_number="CUST-002", invoice_number="INV-3", by=STAFF),
        AllocatePayment(receipt="R3", reference="INV-4", amount=kes(5), by=STAFF),
        Unallocate(allocation_id=first, to_suspense=True, by=STAFF),
        Reallocate(allocation_id=second, reference="INV-1", by=STAFF),
        TakeCash(pos_number="POS-001", by=STAFF),
        CancelSale(pos_number="POS-002", by=STAFF),
        DecideRefund(refund_id=RefundId(UUID(str(refund["refund_id"]))), approve=True, by=OTHER),
        OpenShift(cashier=STAFF, opening_float=kes(1), by=STAFF),
        MoveCash(
            shift_number=str(shift["shift_id"]),
            direction=CashDirection.IN,
            purpose=CashPurpose.OWNER,
            amount=kes(1),
            reason="Why",
            by=OTHER,
        ),
        CloseShift(shift_number=str(shift["shift_id"]), counted=kes(11), by=OTHER),
    ]


async def outcome(stage: Stage, command: object) -> str | None:
    """None when it was done, else what refused it."""
    try:
        await stage.do(command)
    except DomainError as refused:
        return f"{type(command).__name__}: {refused.code}"
    return None


async def test_m_pesa_and_time_are_never_refused(stage: Stage) -> None:
    """Receipts, reversals, ends of refunds and of sales are booked while today is locked."""
    await stage.customer()
    await stage.paid("R1", kes(40), "CUST-001")
    await stage.verified()
    item = LineItem(description="Flour", unit_price=kes(116))
    await stage.do(OpenSale(items=(item,), waits_for=timedelta(seconds=1), by=STAFF))
    await stage.do(TakeCash(pos_number="POS-001", amount=kes(16), by=STAFF))
    sale = SaleId(stage.identifier(await stage.one("SELECT id FROM pos_sales")))
    refund = await stage.do(
        ProposeRefund(customer_number="CUST-001", amount=kes(10), phone=PHONE, reason="Why", by=STAFF)
    )
    refund_id = RefundId(UUID(str(refund["refund_id"])))
    await stage.do(DecideRefund(refund_id=refund_id, approve=True, by=OTHER))
    await lock(stage, today(stage))
    stage.clock.moment += timedelta(seconds=2)

    await stage.paid("R2", kes(100), "CUST-001")
    await stage.do(ReversePayment(receipt="R2", reversed_by=ReversedBy.SAFARICOM, by="mpesa"))
    await stage.do(ExpireSale(sale_id=sale))
    await stage.do(RefundFailed(refund_id=refund_id, code="2001"))

    assert {"1010": 4_000, "2100": 4_000} == await stage.trial_balance()
    await holds(stage)


async def test_a_receipt_of_a_locked_day_that_is_told_late_is_booked_today(stage: Stage) -> None:
    """The balances of the locked day stay as they were; the payment says when it was paid."""
    await stage.customer()
    locked = today(stage)
    paid_at = stage.clock.now()
    await stage.paid("R1", kes(40), "CUST-001")
    stage.clock.moment += DAY
    await lock(stage, locked)
    reports = SqlLedgerReports(stage.engine)
    before = await reports.trial_balance(locked)
    stage.clock.moment += DAY
    command = receipt_of("R2", kes(100), "CUST-001")
    late = ReceivePayment(
        receipt=command.receipt, source=PaymentSource.STATEMENT, amount=command.amount, short_code="174379",
        bill_reference="CUST-001", transacted_at=paid_at,
    )  # fmt: skip

    await stage.do(late)

    assert before == await reports.trial_balance(locked)
    assert 14_000 == sum(row.balance.cents for row in await reports.trial_balance(today(stage)) if row.code == "1010")
    assert [(1,)] == await stage.rows(
        "SELECT count(*) FROM ledger_journals WHERE reference = 'R2' AND happened_at < recorded_at"
    )
    await holds(stage)


async def test_a_lock_and_a_bill_at_the_same_moment(url: str) -> None:
    """At two processes: either the invoice came first, or it is refused; none is dated after the lock was in force."""
    async with opened(url) as here, opened(url) as there:
        await here.customer()
        lock_id = await propose(here, today(here))
        bills = [there.do(bill("CUST-001", kes(1))) for _ in range(20)]
        answers = await asyncio.gather(
            here.do(DecideLock(lock_id=lock_id, approve=True, by=OTHER)), *bills, return_exceptions=True
        )

        assert isinstance(answers[0], dict)
        issued = sum(isinstance(one, dict) for one in answers[1:])
        assert 20 - issued == sum(isinstance(one, PeriodLocked) for one in answers)
        assert issued == await here.one("SELECT count(*) FROM invoices")


async def test_who_locked_what_is_listed_and_audited(stage: Stage) -> None:
    """The newest first, page by page; approving and unlocking leave their rows in the audit trail."""
    books = SqlPeriods(stage.engine)
    await lock(stage, today(stage) - DAY)
    stage.clock.moment += timedelta(minutes=1)
    await propose(stage, None)

    first = await books.locks(1)
    rest: Any = (await books.locks(10, after=UUID(str(first.next)))).items

    assert [(None, "PROPOSED")] == [(one["through"], one["state"]) for one in first.items]
    assert [("APPROVED", STAFF, OTHER)] == [(one["state"], one["proposed_by"], one["decided_by"]) for one in rest]
    assert 1 == len((await books.locks(10, state=LockState.APPROVED)).items)
    assert ["period_lock.approved", "period_lock.proposed", "period_lock.proposed"] == [
        row[0] for row in await stage.rows("SELECT action FROM audit_logs ORDER BY action")
    ]


@pytest.mark.parametrize(
    "change",
    ["UPDATE period_locks SET state = 'APPROVED'", "UPDATE period_locks SET decided_by = proposed_by"],
)
async def test_the_database_refuses_a_lock_by_one_person(stage: Stage, change: str) -> None:
    """Approved by nobody, or decided and still proposed."""
    await propose(stage, today(stage))

    with pytest.raises(DBAPIError):
        await stage.change(change)


def test_days_are_nairobi_s() -> None:
    """At nine in the evening of UTC it is tomorrow there."""
    assert date(2026, 2, 1) == nairobi_day(datetime(2026, 1, 31, 21, 0, tzinfo=UTC))
