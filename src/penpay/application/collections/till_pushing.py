"""Pushes from the till: asking the customer at the counter, and what each word about it does to push and sale.

A push is paid once, whoever tells of it first: its callback, our own question, or the C2B confirmation that carries
its account reference. All of them become one payment, known by that reference (`receiving.ReceivePayment`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from penpay.application.collections.capture_rows import (
    OPEN_TILL_PUSHES,
    TILL_FACTS,
    TILL_PUSHES,
    TILL_PUSHES_BY_CHECKOUT,
    TillFacts,
    TillPushId,
)
from penpay.application.collections.naming import require
from penpay.application.collections.receiving import ReceivePayment
from penpay.application.collections.rows import REFERENTS, SALES
from penpay.application.collections.till_money import (
    TillMoney,
    TillPolicy,
    asked_now,
    facts_of,
    known_push,
    learned,
)
from penpay.application.shared.push_ids import OTHER_OWNERS, UNPROVEN, may_be_anothers
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.shared.webhooks import WEBHOOKS, WebhookOutcome
from penpay.domain.collections.allocation import SaleId
from penpay.domain.collections.errors import SaleNotFound
from penpay.domain.collections.payment import Payer, PaymentSource
from penpay.domain.collections.reference import Referent, fold
from penpay.domain.mpesa.callback import StkCallback, phone_matches
from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome, PushAnswer, PushOutcome
from penpay.domain.mpesa.verdicts import callback_verdict
from penpay.domain.payments.evidence import EvidenceState, Purpose, short_reference
from penpay.domain.payments.till_push import PushPending, TillPush
from penpay.domain.shared.errors import InvalidAmount, LostLicence
from penpay.domain.shared.ids import MpesaRequestId, TransactionId, WebhookId
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

TILL_PURPOSE: Final = "till"
"""Bound into the path token, so that it opens nothing else."""
TILL_SOURCE: Final = "daraja_till"
"""What webhook_logs calls its callbacks."""
SALE_OVER: Final = "sale_over"
"""Why a push was never sent: its sale was paid, cancelled or had expired by then."""
_ACTOR: Final = "worker:till"
_SEND_SECONDS: Final = (1, 2, 5, 15, 30)
_ASK_SECONDS: Final = (5, 15, 30, 60, 120, 300, 900, 3_600)
_FAILURE_CONFIRMED_AFTER: Final = timedelta(minutes=2)
_UNRESOLVED_AFTER: Final = timedelta(hours=48)
"""After this M-Pesa's own records are out of reach (daraja.md §5.9); what came all the same is in its statement."""
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFromTill:
    """Ask a customer on her handset to pay a sale, or the part of it that she pays by M-Pesa."""

    push_id: TillPushId
    pos_number: str
    phone: PhoneNumber
    amount: Money | None
    """None: what is still to pay."""
    by: str


class PushFromTillHandler:
    async def footprint(self, commands: Sequence[PushFromTill], find: Find) -> Footprint:
        found = await find(REFERENTS, {fold(command.pos_number) for command in commands})
        sales = {SaleId(one.id) for many in found.values() for one in many if one.referent is Referent.SALE}
        await find(OPEN_TILL_PUSHES, sales)
        return Footprint().add(SALES, *sales)

    def handle(self, command: PushFromTill, work: Work) -> TillPush:
        """The push, not sent yet. Raises SaleNotFound, SaleNotPending, PushPending, InvalidAmount."""
        sale_id = SaleId(require(work, command.pos_number, Referent.SALE).id)
        sale = work.get(SALES, sale_id)
        if sale is None:
            raise SaleNotFound
        sale.require_pending()
        if work.found(OPEN_TILL_PUSHES, sale_id) is not None:
            raise PushPending(pos_id=sale.number)
        amount = (command.amount or sale.to_pay).require_positive()
        if amount > sale.to_pay or not amount.is_whole():
            raise InvalidAmount("A push asks for whole shillings, and for no more than is to pay.")
        push = TillPush(
            id=MpesaRequestId(command.push_id),
            purpose=Purpose.POS_SALE,
            subject_id=TransactionId(sale_id),
            state=EvidenceState.INTENDED,
            amount=amount,
            due_at=work.now,
            account_reference="TP" + short_reference(command.push_id.int, 10),
            phone=command.phone,
            created_at=work.now,
            created_by=command.by,
        )
        work.add(TILL_PUSHES, push.id, push)
        work.audit(command.by, "till_push.asked", "till_push", push.id, pos_id=sale.number, amount_cents=amount.cents)
        return push


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTillPush:
    """Take the licence to act on a push that is due: to send it, or to ask about it."""

    push_id: TillPushId


class ClaimTillPushHandler:
    def __init__(self, policy: TillPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[ClaimTillPush], find: Find) -> Footprint:
        footprint = Footprint().add(TILL_PUSHES, *(command.push_id for command in commands))
        known = await find(TILL_FACTS, {command.push_id for command in commands})
        return footprint.add(SALES, *(facts.sale_id for facts in known.values()))

    def handle(self, command: ClaimTillPush, work: Work) -> TillPush | None:
        """The claimed push, or None when its sale was over before a prompt was sent. Raises LostLicence."""
        push, facts = known_push(work, command.push_id)
        sale = work.get(SALES, facts.sale_id)
        if push.state is EvidenceState.INTENDED and push.is_due(work.now) and (sale is None or not sale.is_pending):
            failed = push.moved(EvidenceState.FAILED, work.now, due_at=None, code=SALE_OVER)
            work.put(TILL_PUSHES, push.id, failed)
            work.audit(_ACTOR, "till_push.given_up", "till_push", push.id, code=SALE_OVER)
            return None
        claimed = push.claimed(work.now, self._policy.lease)
        work.put(TILL_PUSHES, push.id, claimed)
        work.audit(_ACTOR, "till_push.claimed", "till_push", push.id, state=claimed.state.value)
        return claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTillPushAnswer:
    """What M-Pesa answered to the push sent under this fence."""

    push_id: TillPushId
    fence: int
    answer: PushAnswer


class RecordTillPushAnswerHandler:
    def __init__(self, policy: TillPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[RecordTillPushAnswer], find: Find) -> Footprint:
        await find(TILL_FACTS, {command.push_id for command in commands})
        told = {command.answer.checkout_request_id for command in commands}
        owners = await find(TILL_PUSHES_BY_CHECKOUT, {checkout for checkout in told if checkout is not None})
        return Footprint().add(TILL_PUSHES, *(command.push_id for command in commands), *owners.values())

    def handle(self, command: RecordTillPushAnswer, work: Work) -> bool:
        """Record it; one that comes after the callback, or from a lapsed licence, only adds the id to ask by.

        False when another push, which a callback gave our CheckoutRequestID, had to give it up first: record it again.
        """
        push, _ = known_push(work, command.push_id)
        answer = command.answer
        if _taken_back(work, push, answer.checkout_request_id):
            return False
        identified = push.identified(answer.checkout_request_id, answer.merchant_request_id)
        if command.fence != push.fence and (push.is_identified or answer.checkout_request_id is None):
            raise LostLicence
        if command.fence != push.fence:  # what the sender decides no longer counts, but the id is what we can ask by
            due_at = push.due_at and min(push.due_at, work.now + self._policy.first_query_after)
            after = replace(identified, due_at=due_at, version=push.version + 1)
        elif push.state is not EvidenceState.SENDING:
            after = replace(identified, version=push.version + 1)
        else:
            state, due_at = self._next(identified, answer, work.now)
            after = identified.moved(state, work.now, due_at=due_at, code=answer.code)
        work.put(TILL_PUSHES, push.id, after)
        outcome = answer.outcome.value
        work.audit(_ACTOR, "till_push.answered", "till_push", push.id, outcome=outcome, code=answer.code)
        return True

    def _next(self, push: TillPush, answer: PushAnswer, now: datetime) -> tuple[EvidenceState, datetime | None]:
        if answer.outcome is PushOutcome.ACCEPTED:
            return EvidenceState.ACCEPTED, now + self._policy.first_query_after
        if answer.outcome is PushOutcome.FAILED:
            return EvidenceState.FAILED, None
        if answer.outcome is PushOutcome.NOT_SENT:
            return EvidenceState.INTENDED, now + _pause(_SEND_SECONDS, push.fence, answer.retry_after_ms)
        wait = self._policy.first_query_after if push.checkout_request_id else _UNRESOLVED_AFTER
        return EvidenceState.UNKNOWN, now + wait


def _taken_back(work: Work, push: TillPush, checkout_request_id: str | None) -> bool:
    """Whether another push went by the id that our own call was answered for this one; it does no longer."""
    owner = None if checkout_request_id is None else work.found(TILL_PUSHES_BY_CHECKOUT, checkout_request_id)
    other = None if owner in {None, push.id} else work.get(TILL_PUSHES, owner)
    if other is None or other.checkout_request_id != checkout_request_id:
        return False
    # A commit of its own: in one statement the unique key may meet the new owner before the old one has let go.
    work.put(TILL_PUSHES, other.id, replace(other, checkout_request_id=None, version=other.version + 1))
    work.audit(_ACTOR, "till_push.id_taken_back", "till_push", other.id, owner=str(push.id))
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTillPaymentAnswer:
    """What M-Pesa answered to our question about a push."""

    push: TillPush
    """As it was claimed."""
    answer: PaymentAnswer

    @property
    def doubted_id(self) -> str | None:
        """The id asked by, where only a callback has named it: what the answer decides may be another push's."""
        return self.push.checkout_request_id if self.answer.decides and not self.push.is_identified else None


class RecordTillPaymentAnswerHandler:
    def __init__(self, money: TillMoney) -> None:
        self._money = money

    async def footprint(self, commands: Sequence[RecordTillPaymentAnswer], find: Find) -> Footprint:
        await find(TILL_FACTS, {command.push.id for command in commands})
        if doubtful := {(command.push.id, command.doubted_id) for command in commands if command.doubted_id}:
            await find(OTHER_OWNERS, doubtful)
        return await self._money.footprint([(facts_of(c.push), learned(c.push)) for c in commands], find)

    def handle(self, command: RecordTillPaymentAnswer, work: Work) -> None:
        """Pay the sale, or let it be, as M-Pesa says; ask again later where it does not say. Raises LostLicence.

        What it says of an id that may be another push's says nothing of this one: M-Pesa's list or a confirmation,
        which name our reference, do.
        """
        push, _ = known_push(work, TillPushId(command.push.id))
        push.check_fence(command.push.fence)
        answer = command.answer
        if command.doubted_id is not None:
            if may_be_anothers(work, push, command.doubted_id):
                answer = UNPROVEN
            else:
                push = push.identified(command.doubted_id, push.merchant_request_id)
        outcome = answer.outcome.value
        work.audit(_ACTOR, "till_push.told", "till_push", push.id, outcome=outcome, code=answer.code)
        if answer.outcome is PaymentOutcome.PAID:
            self._money.verified(work, push)
        elif answer.outcome is PaymentOutcome.FAILED:
            self._money.refuted(work, push, answer.code)
        else:
            work.put(TILL_PUSHES, push.id, _ask_later(push, answer, work.now))


def _ask_later(push: TillPush, answer: PaymentAnswer, now: datetime) -> TillPush:
    asked = push.checkout_request_id is None or push.attempts >= _TRIES
    if asked and now - push.created_at >= _UNRESOLVED_AFTER:
        return push.moved(push.state, now, due_at=None, code=answer.code)
    if push.checkout_request_id is None:  # nothing to ask by: a callback or M-Pesa's list may still tell
        return push.moved(push.state, now, due_at=push.created_at + _UNRESOLVED_AFTER, code=answer.code)
    pause = _pause(_ASK_SECONDS, push.attempts, answer.retry_after_ms)
    return push.moved(push.state, now, due_at=now + pause, code=answer.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyTillCallback:
    """Let a stored callback of a push do what it says. Applying it again changes nothing."""

    webhook_id: WebhookId
    push_id: TillPushId
    callback: StkCallback | None
    """As parsed; None when it cannot be read."""


class ApplyTillCallbackHandler:
    def __init__(self, money: TillMoney) -> None:
        self._money = money

    async def footprint(self, commands: Sequence[ApplyTillCallback], find: Find) -> Footprint:
        known = await find(TILL_FACTS, {command.push_id for command in commands})
        await find(TILL_PUSHES_BY_CHECKOUT, {c.callback.checkout_request_id for c in commands if c.callback})
        told = [(known[c.push_id], _called_back(c, known[c.push_id])) for c in commands if c.push_id in known]
        footprint = await self._money.footprint([(facts, one) for facts, one in told if one is not None], find)
        footprint.add(TILL_PUSHES, *known)
        return footprint.add(WEBHOOKS, *(command.webhook_id for command in commands))

    def handle(self, command: ApplyTillCallback, work: Work) -> WebhookOutcome:
        """Apply it once and say what became of it."""
        webhook = work.get(WEBHOOKS, command.webhook_id)
        if webhook is None or webhook.outcome is not WebhookOutcome.RECEIVED:
            return webhook.outcome if webhook else WebhookOutcome.UNKNOWN_SUBJECT
        outcome = self._outcome(command, work)
        work.put(WEBHOOKS, webhook.id, replace(webhook, outcome=outcome, due_at=None, version=webhook.version + 1))
        work.audit("mpesa", "webhook.applied", "webhook", webhook.id, outcome=outcome.value)
        return outcome

    def _outcome(self, command: ApplyTillCallback, work: Work) -> WebhookOutcome:
        facts, callback = work.found(TILL_FACTS, command.push_id), command.callback
        if facts is None:
            return WebhookOutcome.UNKNOWN_SUBJECT
        if callback is None:
            return WebhookOutcome.UNREADABLE
        push, _ = known_push(work, command.push_id)
        owner = work.found(TILL_PUSHES_BY_CHECKOUT, callback.checkout_request_id)
        if push.checkout_request_id not in {None, callback.checkout_request_id} or owner not in {None, push.id}:
            return WebhookOutcome.CONTRADICTS
        push = replace(push, checkout_request_id=callback.checkout_request_id, version=push.version + 1)
        told = _called_back(command, facts)
        verdict = callback_verdict(callback.result_code)
        if told is not None:
            work.put(TILL_PUSHES, push.id, push)
            fits = told.amount == facts.amount and phone_matches(callback.phone_text, facts.phone) is not False
            return self._money.told(work, facts, told, fits=fits) or WebhookOutcome.APPLIED
        if push.is_final:
            contradicts = verdict is PaymentOutcome.FAILED and push.state is EvidenceState.CONFIRMED
            return WebhookOutcome.CONTRADICTS if contradicts else WebhookOutcome.REPEATED
        if verdict is PaymentOutcome.FAILED and push.state is not EvidenceState.INTENDED and not push.is_disputed:
            due_at = work.now + _FAILURE_CONFIRMED_AFTER
            push = push.moved(EvidenceState.FAILED, work.now, due_at=due_at, code=callback.result_code)
            work.put(TILL_PUSHES, push.id, push)
        else:
            work.put(TILL_PUSHES, push.id, asked_now(push, work.now, callback.result_code))
        return WebhookOutcome.APPLIED


def _called_back(command: ApplyTillCallback, facts: TillFacts) -> ReceivePayment | None:
    callback = command.callback
    if callback is None or callback_verdict(callback.result_code) is not PaymentOutcome.PAID:
        return None
    return ReceivePayment(
        receipt=callback.receipt,
        source=PaymentSource.STK,
        amount=callback.amount or facts.amount,
        short_code=None,
        bill_reference=facts.account_reference,
        push_reference=facts.account_reference,
        payer=Payer.of(facts.phone),
        org_balance=None,
        transacted_at=callback.paid_at,
        webhook_id=command.webhook_id,
    )


def _pause(schedule: tuple[int, ...], attempts: int, at_least_ms: int | None) -> timedelta:
    seconds = schedule[min(max(attempts - 1, 0), len(schedule) - 1)]
    return max(timedelta(seconds=seconds), timedelta(milliseconds=at_least_ms or 0))
