"""Recurring invoices: making them, pausing, resuming and ending them, and issuing each bill once.

The next bill is due in the database. Whoever finds it due says which one it is, so two who find it issue one; after
downtime each bill that was missed is issued, dated on its own day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from penpay.application.collections.invoicing import LONGEST_TEXT, issue
from penpay.application.collections.naming import customer_ids, named_customer, numbers_footprint, take_number
from penpay.application.collections.queries import Page
from penpay.application.collections.rows import (
    CUSTOMERS,
    OCCURRENCES,
    RECURRING,
    RECURRING_CUSTOMERS,
    REFERENTS,
)
from penpay.application.collections.using import customer_of
from penpay.application.collections.views import recurring_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.errors import RecurringNotFound
from penpay.domain.collections.invoice import Invoice, InvoiceId, InvoiceStatus
from penpay.domain.collections.line import LineItem, totals
from penpay.domain.collections.numbers import SeriesName
from penpay.domain.collections.recurring import (
    Occurrence,
    RecurringId,
    RecurringInvoice,
    RecurringState,
    Schedule,
)
from penpay.domain.collections.reference import fold
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.nairobi import nairobi_day

BY: Final = "worker:recurring"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRecurring:
    """What a customer is to be billed again and again."""

    customer_number: str
    items: tuple[LineItem, ...]
    schedule: Schedule
    vat_included: bool = False
    due_days: int = 0
    memo: str | None = None
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if self.memo is not None and len(self.memo) > LONGEST_TEXT:
            raise InvalidRequest(f"A memo has at most {LONGEST_TEXT} characters.", fields=["memo"])


class CreateRecurringHandler:
    async def footprint(self, commands: Sequence[CreateRecurring], find: Find) -> Footprint:
        found = await find(REFERENTS, {fold(command.customer_number) for command in commands})
        return numbers_footprint(Footprint(), SeriesName.RECURRING).add(CUSTOMERS, *customer_ids(found))

    def handle(self, command: CreateRecurring, work: Work) -> Answer:
        """Keep it; its first bill is issued when its day begins. The answer is `recurring_view`.

        Raises CustomerNotFound, InvalidLine, InvalidAmount, and InvalidRequest for a first day that is past.
        """
        customer = customer_of(work, named_customer(work, command.customer_number))
        if command.schedule.starts_on < nairobi_day(work.now):
            raise InvalidRequest("The first day is not before today.", fields=["starts_on"])
        one = RecurringInvoice(
            id=RecurringId(work.ids.new()),
            number=take_number(work, SeriesName.RECURRING),
            customer_id=customer.id,
            items=command.items,
            vat_included=command.vat_included,
            due_days=command.due_days,
            memo=command.memo,
            schedule=command.schedule,
            created_by=command.by,
            created_at=work.now,
        )
        one.lines()
        work.add(RECURRING, one.number, one)
        work.record(one.event("RecurringCreated"))
        work.audit(command.by, "recurring.created", "recurring_invoice", one.id, recurring_id=one.number)
        return recurring_view(one, customer.number)


class RecurringStep(StrEnum):
    """What people can do to one."""

    PAUSE = "PAUSE"
    RESUME = "RESUME"
    END = "END"


_DONE: Final[Mapping[RecurringStep, str]] = MappingProxyType(
    {
        RecurringStep.PAUSE: "RecurringPaused",
        RecurringStep.RESUME: "RecurringResumed",
        RecurringStep.END: "RecurringEnded",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecurring:
    """Pause it, go on with it, or end it."""

    number: str
    step: RecurringStep
    by: str


class ChangeRecurringHandler:
    async def footprint(self, commands: Sequence[ChangeRecurring], find: Find) -> Footprint:
        numbers = {command.number for command in commands}
        owners = await find(RECURRING_CUSTOMERS, numbers)
        return Footprint().add(RECURRING, *numbers).add(CUSTOMERS, *owners.values())

    def handle(self, command: ChangeRecurring, work: Work) -> Answer:
        """Do it; the answer is `recurring_view`. Raises RecurringNotFound and RecurringOver."""
        one = recurring_of(work, command.number)
        if command.step is RecurringStep.PAUSE:
            after = one.paused()
        elif command.step is RecurringStep.RESUME:
            after = one.resumed(nairobi_day(work.now))
        else:
            after = one.ended()
        work.put(RECURRING, after.number, after)
        work.record(after.event(_DONE[command.step]))
        action = f"recurring.{command.step.value.lower()}"
        work.audit(command.by, action, "recurring_invoice", after.id, recurring_id=after.number)
        return recurring_view(after, customer_of(work, after.customer_id).number)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRecurring:
    """Somebody has found a bill of a recurring invoice due."""

    number: str
    occurrence: int


class IssueRecurringHandler:
    async def footprint(self, commands: Sequence[IssueRecurring], find: Find) -> Footprint:
        numbers = {command.number for command in commands}
        owners = await find(RECURRING_CUSTOMERS, numbers)
        footprint = numbers_footprint(postings.books_footprint(Footprint()), SeriesName.INVOICE)
        return footprint.add(RECURRING, *numbers).add(CUSTOMERS, *owners.values())

    def handle(self, command: IssueRecurring, work: Work) -> int | None:
        """Issue it once, dated on its day; the bill that is due after it already, None where none is.

        A bill that was issued meanwhile, and one of a recurring invoice that was paused or ended, is left alone.
        Raises RecurringNotFound.
        """
        one = recurring_of(work, command.number)
        if one.due_at is None or not one.is_due(command.occurrence, work.now):
            return None
        lines = one.lines()
        sums = totals(lines)
        day = one.schedule.day(command.occurrence)
        invoice = Invoice(
            id=InvoiceId(work.ids.new()),
            number=take_number(work, SeriesName.INVOICE),
            customer_id=one.customer_id,
            status=InvoiceStatus.UNPAID,
            net=sums.net,
            vat=sums.vat,
            balance=sums.total,
            memo=one.memo,
            issued_at=one.due_at,
            due_on=day + timedelta(days=one.due_days),
        )
        issue(work, invoice, lines, BY)
        told = Occurrence(recurring_id=one.id, occurrence=command.occurrence, invoice_id=invoice.id)
        work.append(OCCURRENCES, told)
        after = one.issued()
        work.put(RECURRING, after.number, after)
        work.record(after.event("RecurringIssued"))
        return after.next if after.is_due(after.next, work.now) else None


def recurring_of(work: Work, number: str) -> RecurringInvoice:
    """The recurring invoice; raises RecurringNotFound."""
    found = work.get(RECURRING, number)
    if found is None:
        raise RecurringNotFound(recurring_id=number)
    return found


class DueRecurring(NamedTuple):
    """A bill whose day has begun."""

    number: str
    occurrence: int


class RecurringBooks(Protocol):
    """Reading recurring invoices; nothing is locked."""

    async def due(self, at: datetime, limit: int) -> Sequence[DueRecurring]:
        """Bills to issue, longest due first, of each recurring invoice the next."""
        ...

    async def recurring(
        self,
        limit: int,
        *,
        customer_number: str | None = None,
        state: RecurringState | None = None,
        after: str | None = None,
    ) -> Page:
        """Recurring invoices, the newest first; `after` is the number of one."""
        ...
