"""C2B confirmations: stored as they came, whatever can be read in them, and booked; then they are answered.

Daraja signs nothing. What proves a message is ours is the signed token in its path and the address it comes from; what
it claims is booked all the same, UNVERIFIED until M-Pesa's own list or statement says so too. A message whose account
reference is one of our own pushes' tells of that push: it goes to the deposit, or to the sale at the till.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from penpay.application.collections.capture_rows import DEPOSIT_PUSHES, TILL_FACTS_BY_REFERENCE, TillPushId
from penpay.application.collections.receiving import ReceivePayment, ReceivePaymentHandler
from penpay.application.collections.till_money import TillMoney, is_of, is_refused, known_push, outcome_of
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.shared.webhooks import WEBHOOK_RETRY_AFTER, WEBHOOKS, WebhookOutcome, keep_webhook
from penpay.domain.collections.payment import Payer, PayerForm, PaymentSource
from penpay.domain.mpesa.c2b import C2bPayment, parse_c2b_payment
from penpay.domain.mpesa.payer_phone import PayerPhone, PhoneKind
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.domain.shared.ids import MpesaRequestId, WebhookId
from penpay.domain.shared.phone import PhoneNumber

CONFIRMATION: Final = "c2b_confirmation"
VALIDATION: Final = "c2b_validation"
"""What webhook_logs calls the two messages."""
_OWN_REFERENCE: Final = re.compile(r"(?:PX|TP)[0-9A-HJKMNP-TV-Z]{10}", re.ASCII)
"""Account references that we make: of deposits, and of pushes from the till."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMessage:
    """Keep a message as it came. `outcome` is RECEIVED where it is to be applied, or what became of it."""

    webhook_id: WebhookId
    source: str
    remote_address: str
    body: bytes
    outcome: WebhookOutcome
    subject_id: UUID | None = None
    """The row of ours that a valid path token names."""


class RecordStrayMessage(RecordMessage):
    """The same for a message that is not let in: anybody can send such, so it waits like any request."""


class RecordMessageHandler:
    async def footprint(self, commands: Sequence[RecordMessage], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint()

    def handle(self, command: RecordMessage, work: Work) -> None:
        """Store it."""
        keep_webhook(
            work,
            command.webhook_id,
            source=command.source,
            subject_id=command.subject_id,
            remote_address=command.remote_address,
            body=command.body,
            outcome=command.outcome,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyConfirmation:
    """Let a confirmation that is stored already do what it says. Applying it again changes nothing."""

    webhook_id: WebhookId
    told: ReceivePayment | None
    """What it tells; None when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a confirmation; RECEIVED where a deposit's push is still to be told, or our question answered."""

    outcome: WebhookOutcome
    deposit: MpesaRequestId | None = None


class Booking:
    """What a confirmation does to the books, wherever its message is."""

    def __init__(self, receive: ReceivePaymentHandler, till: TillMoney) -> None:
        self._receive = receive
        self._till = till

    async def footprint(self, tellings: Sequence[ReceivePayment | None], find: Find) -> Footprint:
        """The rows that these confirmations touch."""
        references = {own for told in tellings if (own := own_reference(told)) is not None}
        footprint = Footprint()
        others = [told for told in tellings if told is not None]
        if references:
            deposits = await find(DEPOSIT_PUSHES, references)
            tills = await find(TILL_FACTS_BY_REFERENCE, references)
            others = [told for told in others if own_reference(told) not in deposits]
            of_tills = [
                (tills[own], told) for told in others if (own := own_reference(told)) is not None and own in tills
            ]
            footprint.merge(await self._till.footprint(of_tills, find))
        return footprint.merge(await self._receive.footprint(others, find))

    def book(self, told: ReceivePayment | None, work: Work) -> Applied:
        """Book what is told, None what cannot be read, and say what became of it."""
        own = own_reference(told)
        deposit = None if own is None else work.found(DEPOSIT_PUSHES, own)
        if deposit is not None:
            return Applied(WebhookOutcome.RECEIVED, deposit)
        if told is None:
            return Applied(WebhookOutcome.UNREADABLE)
        till = None if own is None else work.found(TILL_FACTS_BY_REFERENCE, own)
        if till is not None and is_of(till, told) and not is_refused(known_push(work, TillPushId(till.push_id))[0]):
            # None while M-Pesa has not told us, asked by us, whether the push was paid.
            return Applied(self._till.told(work, till, told, fits=True) or WebhookOutcome.RECEIVED)
        return Applied(outcome_of(self._receive.handle(told, work)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeConfirmation:
    """Keep a confirmation as it came and let it do what it says, or neither."""

    webhook_id: WebhookId
    remote_address: str
    body: bytes
    told: ReceivePayment | None
    """What it tells; None when it cannot be read."""


class TakeConfirmationHandler:
    """The cheapest way: one command, and the message is written once with what became of it."""

    def __init__(self, booking: Booking) -> None:
        self._booking = booking

    async def footprint(self, commands: Sequence[TakeConfirmation], find: Find) -> Footprint:
        return await self._booking.footprint([command.told for command in commands], find)

    def handle(self, command: TakeConfirmation, work: Work) -> Applied:
        """Book and store it, and say what became of it."""
        applied = self._booking.book(command.told, work)
        keep_webhook(
            work,
            command.webhook_id,
            source=CONFIRMATION,
            remote_address=command.remote_address,
            body=command.body,
            outcome=applied.outcome,
        )
        return applied


class ApplyConfirmationHandler:
    def __init__(self, booking: Booking) -> None:
        self._booking = booking

    async def footprint(self, commands: Sequence[ApplyConfirmation], find: Find) -> Footprint:
        footprint = await self._booking.footprint([command.told for command in commands], find)
        return footprint.add(WEBHOOKS, *(command.webhook_id for command in commands))

    def handle(self, command: ApplyConfirmation, work: Work) -> Applied:
        """Apply it once and say what became of it."""
        webhook = work.get(WEBHOOKS, command.webhook_id)
        if webhook is None or webhook.outcome is not WebhookOutcome.RECEIVED:
            return Applied(webhook.outcome if webhook else WebhookOutcome.UNKNOWN_SUBJECT)
        applied = self._booking.book(command.told, work)
        if applied.outcome is not WebhookOutcome.RECEIVED:
            after = replace(webhook, outcome=applied.outcome, due_at=None, version=webhook.version + 1)
            work.put(WEBHOOKS, webhook.id, after)
        return applied


@dataclass(frozen=True, slots=True, kw_only=True)
class PostponeConfirmation:
    """A stored confirmation could not be applied; leave it for a while."""

    webhook_id: WebhookId


class PostponeConfirmationHandler:
    async def footprint(self, commands: Sequence[PostponeConfirmation], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(WEBHOOKS, *(command.webhook_id for command in commands))

    def handle(self, command: PostponeConfirmation, work: Work) -> None:
        """Twice as long as it has waited so far, at most a day; one that was applied meanwhile stays as it is."""
        webhook = work.get(WEBHOOKS, command.webhook_id)
        if webhook is None or webhook.outcome is not WebhookOutcome.RECEIVED:
            return
        pause = min(max(work.now - webhook.created_at, WEBHOOK_RETRY_AFTER), timedelta(days=1))
        work.put(WEBHOOKS, webhook.id, replace(webhook, due_at=work.now + pause, version=webhook.version + 1))
        work.audit("worker:c2b", "webhook.postponed", "webhook", webhook.id)


def read(body: bytes) -> C2bPayment | None:
    """The payment in a stored body, None when it is not one."""
    try:
        return parse_c2b_payment(body)
    except UnreadableMessage:
        return None


def receipt_told(
    paid: C2bPayment, source: PaymentSource, webhook_id: WebhookId | None, *, short_code: str | None
) -> ReceivePayment:
    """The command that books it; `short_code` is what the message's way to us proves where it names none."""
    return ReceivePayment(
        receipt=paid.receipt,
        source=source,
        amount=paid.amount,
        short_code=paid.short_code or short_code,
        bill_reference=paid.bill_reference or None,
        payer=payer_of(paid.phone, " ".join(filter(None, (paid.first_name, paid.middle_name, paid.last_name)))),
        org_balance=paid.account_balance,
        transacted_at=paid.paid_at,
        webhook_id=webhook_id,
    )


def payer_of(phone: PayerPhone, name: str) -> Payer:
    """Who paid, as far as M-Pesa lets us know."""
    if phone.kind is PhoneKind.PLAIN:
        return Payer.of(PhoneNumber.parse(phone.text), name)
    form = _FORMS.get(phone.kind, PayerForm.NONE)
    return Payer(form=form, text=phone.text if form is not PayerForm.NONE else "", name=name[:_LONGEST_NAME])


_FORMS: Final[Mapping[PhoneKind, PayerForm]] = {
    PhoneKind.MASKED: PayerForm.MASKED,
    PhoneKind.HASHED: PayerForm.HASHED,
}
_LONGEST_NAME: Final = 120


def own_reference(told: ReceivePayment | None) -> str | None:
    """The account reference of a message if it looks like one that we make."""
    reference = None if told is None else told.bill_reference
    return reference if reference is not None and _OWN_REFERENCE.fullmatch(reference) else None
