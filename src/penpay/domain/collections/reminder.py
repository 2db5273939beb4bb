"""Reminding customers of invoices: on which days, of what, and in which words.

Off until somebody turns it on. A level is a number of days after the due day, below zero before it; of the levels that
an invoice has come to, its customer is told of the latest alone, and once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from penpay.domain.collections.customer import Customer, CustomerId
from penpay.domain.collections.invoice import Invoice, InvoiceId
from penpay.domain.shared.delivery import Channel, Delivery
from penpay.domain.shared.errors import InvalidRequest

DEFAULT_LEVELS: Final = (-3, 0, 7, 30)
LATE_DAYS: Final = 6
"""A reminder that nobody wrote within so many days of its own, as after downtime, is not written any more."""
_MOST_LEVELS: Final = 10
_FURTHEST: Final = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderPolicy:
    """What the business has decided: one row."""

    is_on: bool = False
    levels: tuple[int, ...] = DEFAULT_LEVELS
    """In days after the due day, rising."""
    since: date
    """The day on which it was turned on: levels that came before it are passed over."""
    changed_by: str
    changed_at: datetime
    version: int = 1

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        in_order = list(self.levels) == sorted(set(self.levels))
        if not in_order or not 1 <= len(self.levels) <= _MOST_LEVELS:
            raise InvalidRequest(f"There are 1 to {_MOST_LEVELS} levels, each once and rising.", fields=["levels"])
        if any(not -_FURTHEST <= level <= _FURTHEST for level in self.levels):
            raise InvalidRequest(f"A level is within {_FURTHEST} days of the due day.", fields=["levels"])

    def decided(self, *, is_on: bool, levels: Sequence[int], by: str, at: datetime, today: date) -> ReminderPolicy:
        """The policy after somebody changed it; turned on, it begins today. Raises InvalidRequest."""
        return replace(
            self,
            is_on=is_on,
            levels=tuple(levels),
            since=today if is_on and not self.is_on else self.since,
            changed_by=by,
            changed_at=at,
            version=self.version + 1,
        )

    def level_of(self, due_on: date, today: date) -> int | None:
        """The level that an invoice due on a day has come to, if it may still be told today; None otherwise."""
        if not self.is_on:
            return None
        reached = [level for level in self.levels if due_on + timedelta(days=level) <= today]
        if not reached:
            return None
        day = due_on + timedelta(days=reached[-1])
        return reached[-1] if day >= max(self.since, today - timedelta(days=LATE_DAYS)) else None


class ReminderKey(NamedTuple):
    """What makes a reminder this one."""

    invoice_id: InvoiceId
    level: int
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder(Delivery):
    """One message about an invoice. It holds no address: that is looked up when it is sent."""

    key: ReminderKey
    customer_id: CustomerId
    title: str
    text: str

    @property
    def message_id(self) -> str:
        """The same for every attempt, and no other message's."""
        level = str(self.key.level).replace("-", "b")
        return f"{self.key.invoice_id}.{level}.{self.key.channel.value.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """A customer who is not to be reminded."""

    customer_id: CustomerId
    by: str
    at: datetime
    version: int = 1


def wants_paying(invoice: Invoice, customer: Customer) -> bool:
    """Whether there is anything to remind of: something is owed that her credit does not cover."""
    return invoice.is_open and customer.credit < invoice.balance


def reminder_title(invoice: Invoice) -> str:
    return f"Invoice {invoice.number}"


def reminder_text(invoice: Invoice, *, today: date, business: str, short_code: str) -> str:
    """What a customer is told: the number, what is due and when, and how it is paid. Names nobody but the business."""
    day = f"{invoice.due_on.day} {invoice.due_on:%b %Y}"
    when = f"is due on {day}" if invoice.due_on > today else f"was due on {day}"
    if invoice.due_on == today:
        when = "is due today"
    return (
        f"{business}: invoice {invoice.number}, {invoice.balance} to pay, {when}. "
        f"Pay by M-Pesa: PayBill {short_code}, account {invoice.number}."
    )
