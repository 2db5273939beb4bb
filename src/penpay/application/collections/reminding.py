"""Reminders: what the business has decided, who is not to be reminded, and each message once.

A reminder is written in a commit of its own, under the key invoice, level and channel, and delivered afterwards as
messages to users are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from penpay.application.collections.naming import customer_ids, named_customer
from penpay.application.collections.rows import CUSTOMERS, INVOICES, REFERENTS
from penpay.application.collections.using import customer_of, invoice_of
from penpay.application.collections.views import View, moment
from penpay.application.shared.carrying import CarrierAnswer, OutgoingMessage, concluded
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Index, Kind, Work
from penpay.domain.collections.customer import Contact, CustomerId
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.reference import fold
from penpay.domain.collections.reminder import (
    OptOut,
    Reminder,
    ReminderKey,
    ReminderPolicy,
    reminder_text,
    reminder_title,
    wants_paying,
)
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.nairobi import nairobi_day

POLICY: Final = "business"
"""The key of the one policy there is."""
ACTOR: Final = "worker:reminder"

REMINDER_POLICIES: Final[Kind[str, ReminderPolicy]] = Kind("reminder_policies")
OPT_OUTS: Final[Kind[CustomerId, OptOut]] = Kind("reminder_opt_outs")
REMINDERS: Final[Kind[ReminderKey, Reminder]] = Kind("invoice_reminders")
REMINDED: Final[Index[CustomerId, Contact]] = Index("reminded")
"""Where a customer is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideReminders:
    """Whether customers are reminded, and on which levels."""

    is_on: bool
    levels: tuple[int, ...]
    by: str


class DecideRemindersHandler:
    async def footprint(self, commands: Sequence[DecideReminders], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(REMINDER_POLICIES, POLICY)

    def handle(self, command: DecideReminders, work: Work) -> Answer:
        """Keep it; the answer is `policy_view`. Raises InvalidRequest for levels that are none."""
        before, today = work.get(REMINDER_POLICIES, POLICY), nairobi_day(work.now)
        if before is None:
            after = ReminderPolicy(
                is_on=command.is_on, levels=command.levels, since=today, changed_by=command.by, changed_at=work.now
            )
        else:
            after = before.decided(is_on=command.is_on, levels=command.levels, by=command.by, at=work.now, today=today)
        work.put(REMINDER_POLICIES, POLICY, after)
        levels = ",".join(map(str, after.levels))
        work.audit(command.by, "reminders.decided", "reminder_policy", POLICY, is_on=after.is_on, levels=levels)
        return policy_view(after)


def policy_view(policy: ReminderPolicy) -> View:
    """What the business has decided."""
    return {
        "is_on": policy.is_on,
        "levels": list(policy.levels),
        "changed_by": policy.changed_by,
        "changed_at": moment(policy.changed_at),
    }


def reminder_view(one: Reminder) -> View:
    """A message about an invoice."""
    return {
        "level_days": one.key.level,
        "channel": one.key.channel.value,
        "text": one.text,
        "state": one.state.value,
        "code": one.code,
        "created_at": moment(one.created_at),
        "sent_at": moment(one.sent_at),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReminded:
    """Whether one customer may be reminded."""

    customer_number: str
    is_reminded: bool
    by: str


class SetRemindedHandler:
    async def footprint(self, commands: Sequence[SetReminded], find: Find) -> Footprint:
        found = customer_ids(await find(REFERENTS, {fold(command.customer_number) for command in commands}))
        return Footprint().add(CUSTOMERS, *found).add(OPT_OUTS, *found)

    def handle(self, command: SetReminded, work: Work) -> Answer:
        """Keep it; the same again changes nothing. Raises CustomerNotFound."""
        customer = customer_of(work, named_customer(work, command.customer_number))
        before = work.get(OPT_OUTS, customer.id)
        if (before is None) is not command.is_reminded:
            out = None if command.is_reminded else OptOut(customer_id=customer.id, by=command.by, at=work.now)
            work.put(OPT_OUTS, customer.id, out)
            action = "reminders.allowed" if command.is_reminded else "reminders.refused"
            work.audit(command.by, action, "customer", customer.id, customer_id=customer.number)
        return {"customer_id": customer.number, "is_reminded": command.is_reminded}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindOf:
    """Somebody has found that an invoice has come to a level."""

    invoice_id: InvoiceId
    customer_id: CustomerId
    level: int


class RemindOfHandler:
    def __init__(self, carried: Collection[Channel], *, business: str, short_code: str) -> None:
        """`carried`: the channels on which somebody delivers."""
        self._carried = frozenset(carried)
        self._business = business
        self._short_code = short_code

    async def footprint(self, commands: Sequence[RemindOf], find: Find) -> Footprint:
        owners = {command.customer_id for command in commands}
        await find(REMINDED, owners)
        footprint = Footprint().add(REMINDER_POLICIES, POLICY).add(CUSTOMERS, *owners).add(OPT_OUTS, *owners)
        footprint.add(INVOICES, *(command.invoice_id for command in commands))
        keys = [ReminderKey(one.invoice_id, one.level, channel) for one in commands for channel in Channel]
        return footprint.add(REMINDERS, *keys)

    def handle(self, command: RemindOf, work: Work) -> int:
        """Write a message for each channel she has an address on, once; how many there are.

        None where somebody turned reminders off, she has opted out, the invoice was paid or voided, her credit covers
        it, or another level has come. Raises InvoiceNotFound.
        """
        invoice, today = invoice_of(work, command.invoice_id), nairobi_day(work.now)
        customer, policy = customer_of(work, invoice.customer_id), work.get(REMINDER_POLICIES, POLICY)
        if policy is None or policy.level_of(invoice.due_on, today) != command.level:
            return 0
        keys = [ReminderKey(invoice.id, command.level, channel) for channel in Channel]
        if work.get(OPT_OUTS, customer.id) is not None or not wants_paying(invoice, customer):
            return 0
        if any(work.get(REMINDERS, key) is not None for key in keys):
            return 0
        contact = work.found(REMINDED, customer.id)
        written = [key for key in keys if _address(contact, key.channel) is not None]
        text = reminder_text(invoice, today=today, business=self._business, short_code=self._short_code)
        for key in written or keys[:1]:
            state = NotificationState.WAITING if key.channel in self._carried else NotificationState.KEPT
            reminder = Reminder(
                key=key,
                customer_id=customer.id,
                title=reminder_title(invoice),
                text=text,
                state=state if written else NotificationState.GIVEN_UP,
                due_at=work.now if written and state is NotificationState.WAITING else None,
                code=None if written else "no_contact",
                created_at=work.now,
            )
            work.put(REMINDERS, key, reminder)
            if not written:
                work.audit(ACTOR, "reminder.given_up", "reminder", reminder.message_id, code=reminder.code)
        return len(written)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimReminder:
    """Take the licence to deliver a reminder that is due."""

    key: ReminderKey
    customer_id: CustomerId


class ClaimReminderHandler:
    def __init__(self, lease: timedelta) -> None:
        self._lease = lease

    async def footprint(self, commands: Sequence[ClaimReminder], find: Find) -> Footprint:
        owners = {command.customer_id for command in commands}
        await find(REMINDED, owners)
        footprint = Footprint().add(REMINDERS, *(command.key for command in commands))
        footprint.add(CUSTOMERS, *owners).add(OPT_OUTS, *owners)
        return footprint.add(INVOICES, *(command.key.invoice_id for command in commands))

    def handle(self, command: ClaimReminder, work: Work) -> tuple[Reminder, OutgoingMessage | None]:
        """The claimed message, and what is to be sent; None where it is given up.

        That is so where she cannot be reached any more, was left out since, or owes nothing any more: a message may
        wait for hours. Raises LostLicence, and NotFound.
        """
        claimed = _known(work, command.key).claimed(work.now, self._lease)
        to = _address(work.found(REMINDED, claimed.customer_id), command.key.channel)
        why_not = "no_contact" if to is None else _no_cause(work, claimed)
        if why_not is not None:
            claimed = claimed.given_up(why_not)
            work.audit(ACTOR, "reminder.given_up", "reminder", claimed.message_id, code=claimed.code)
        work.put(REMINDERS, command.key, claimed)
        if to is None or why_not is not None:
            return claimed, None
        message = OutgoingMessage(message_id=claimed.message_id, to=to, title=claimed.title, text=claimed.text)
        return claimed, message


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReminder:
    """What became of a reminder that was handed over under this fence."""

    key: ReminderKey
    fence: int
    answer: CarrierAnswer


class RecordReminderHandler:
    async def footprint(self, commands: Sequence[RecordReminder], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(REMINDERS, *(command.key for command in commands))

    def handle(self, command: RecordReminder, work: Work) -> Reminder:
        """Record it; what was not taken is tried again with pauses, and in the end given up. Raises LostLicence."""
        found = _known(work, command.key)
        found.check_fence(command.fence)
        after = concluded(found, command.answer, work.now)
        if after.state is NotificationState.GIVEN_UP:
            work.audit(ACTOR, "reminder.given_up", "reminder", after.message_id, code=after.code)
        work.put(REMINDERS, command.key, after)
        return after


def _no_cause(work: Work, reminder: Reminder) -> str | None:
    """Why there is nothing to remind of any more; None while there is."""
    customer = customer_of(work, reminder.customer_id)
    if work.get(OPT_OUTS, customer.id) is not None:
        return "left_out"
    return None if wants_paying(invoice_of(work, reminder.key.invoice_id), customer) else "nothing_owed"


def _known(work: Work, key: ReminderKey) -> Reminder:
    found = work.get(REMINDERS, key)
    if found is None:
        raise NotFound
    return found


def _address(contact: Contact | None, channel: Channel) -> str | None:
    if contact is None:
        return None
    if channel is Channel.SMS:
        return None if contact.phone is None else contact.phone.e164
    return None if contact.email is None else contact.email.address


class DueReminder(NamedTuple):
    """A reminder somebody must deliver now."""

    key: ReminderKey
    customer_id: CustomerId


class ReminderBooks(Protocol):
    """Reading reminders; nothing is locked."""

    async def policy(self) -> ReminderPolicy | None:
        """What the business has decided; None while it has decided nothing."""
        ...

    async def to_write(self, today: date, limit: int) -> Sequence[RemindOf]:
        """Invoices that have come to a level of which their customers are to be told."""
        ...

    async def due(self, at: datetime, limit: int, channels: Collection[Channel]) -> Sequence[DueReminder]:
        """Those to deliver at a moment on one of these channels, longest due first."""
        ...

    async def of_invoice(self, number: str) -> Sequence[Reminder]:
        """All reminders of one invoice, oldest first."""
        ...
