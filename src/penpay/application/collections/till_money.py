"""What words about a push from the till do to its sale: it is paid once, whoever tells of it first.

Its callback, our own question and the C2B confirmation that carries its account reference all become one payment,
known by that reference (`receiving.ReceivePayment`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penpay.application.collections.capture_rows import TILL_PUSHES, TillFacts, TillPushId
from penpay.application.collections.receiving import (
    Received,
    ReceivePayment,
    ReceivePaymentHandler,
    payment_of,
    verified,
)
from penpay.application.collections.rows import PAYMENTS, PAYMENTS_BY_PUSH
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.collections.allocation import SaleId
from penpay.domain.collections.payment import Payer, PaymentSource, Verification
from penpay.domain.mpesa.callback import phone_matches
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.till_push import TillPush
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.money import Money

_ACTOR = "worker:till"


@dataclass(frozen=True, slots=True, kw_only=True)
class TillPolicy:
    """What an installation decides."""

    verify_above: Money
    """A larger amount pays its sale only once M-Pesa has confirmed it to our own question."""
    first_query_after: timedelta
    lease: timedelta


class TillMoney:
    """What words about a push do to its sale."""

    def __init__(self, receive: ReceivePaymentHandler, policy: TillPolicy) -> None:
        self._receive = receive
        self._verify_above = policy.verify_above

    async def footprint(self, told: Collection[tuple[TillFacts, ReceivePayment]], find: Find) -> Footprint:
        """Every row that these words can touch."""
        footprint = Footprint().add(TILL_PUSHES, *(facts.push_id for facts, _ in told))
        commands = [of_push(facts, one) for facts, one in told]
        return footprint.merge(await self._receive.footprint(commands, find))

    def told(self, work: Work, facts: TillFacts, told: ReceivePayment, *, fits: bool) -> WebhookOutcome | None:
        """Somebody tells that the push was paid. None: it pays nothing before our own question, asked now, is answered.

        That is so where it is large, or odd.
        """
        push, _ = known_push(work, TillPushId(facts.push_id))
        fits = fits and not _is_of_another(work, facts, told.receipt)
        if push.is_paid:
            if not fits or push.receipt not in {None, told.receipt}:
                return WebhookOutcome.CONTRADICTS
            work.put(TILL_PUSHES, push.id, replace(push, receipt=told.receipt, version=push.version + 1))
            return outcome_of(self._receive.handle(of_push(facts, told), work))
        in_doubt = push.is_final or push.is_disputed or push.state is EvidenceState.INTENDED or not fits
        push = replace(push, receipt=told.receipt if fits else push.receipt)
        if in_doubt or push.amount > self._verify_above:
            disputed = told.amount.cents if in_doubt else None
            push = replace(push, disputed_cents=disputed)
            work.put(TILL_PUSHES, push.id, asked_now(push, work.now, "0"))
            return None
        work.put(TILL_PUSHES, push.id, push.moved(EvidenceState.CONFIRMED, work.now, due_at=None, code="0"))
        return outcome_of(self._receive.handle(of_push(facts, told), work))

    def verified(self, work: Work, push: TillPush) -> None:
        """M-Pesa says, asked by us, that the push was paid, so what it asked for was paid.

        It says so without a receipt. One that a callback told, and that is another payment's by now, is forgotten: the
        true one may still come.
        """
        state = push.state if push.is_final else EvidenceState.CONFIRMED
        receipt = None if _is_of_another(work, facts_of(push), push.receipt) else push.receipt
        after = replace(push, verified_at=work.now, receipt=receipt).moved(state, work.now, due_at=None)
        work.put(TILL_PUSHES, push.id, after)
        received = self._receive.handle(of_push(facts_of(push), learned(after)), work)
        booked = work.found(PAYMENTS_BY_PUSH, push.account_reference) or receipt or str(received.payment_id)
        payment = payment_of(work, booked)
        if payment.verification is Verification.UNVERIFIED:
            verified(work, payment, "stk_query")

    def listed(self, work: Work, facts: TillFacts, told: ReceivePayment) -> Received:
        """M-Pesa's own records hold the payment, so it needs no question of ours."""
        push, _ = known_push(work, TillPushId(facts.push_id))
        if not push.is_paid:
            state = push.state if push.is_final else EvidenceState.CONFIRMED
            if push.state is EvidenceState.INTENDED:
                state = EvidenceState.UNKNOWN
            push = replace(push, verified_at=work.now, receipt=told.receipt).moved(state, work.now, due_at=None)
            work.put(TILL_PUSHES, push.id, push)
        received = self._receive.handle(replace(of_push(facts, told), source=told.source), work)
        if received.repeated and not received.contradicts and push.receipt != told.receipt:
            work.put(TILL_PUSHES, push.id, replace(push, receipt=told.receipt, version=push.version + 1))
        return received

    def refuted(self, work: Work, push: TillPush, code: str | None) -> None:
        """M-Pesa says, asked by us, that nothing was paid."""
        if push.state is EvidenceState.CONFIRMED:
            refuted = replace(push, disputed_cents=push.amount.cents)
            work.put(TILL_PUSHES, push.id, refuted.moved(push.state, work.now, due_at=None, code=code))
            work.audit(_ACTOR, "till_push.refuted", "till_push", push.id, code=code)
            return
        work.put(TILL_PUSHES, push.id, push.moved(EvidenceState.FAILED, work.now, due_at=None, code=code))


def _is_of_another(work: Work, facts: TillFacts, receipt: str | None) -> bool:
    """Whether a payment of somebody else is booked under this receipt: whoever told it of the push has lied."""
    booked = None if receipt is None else work.get(PAYMENTS, receipt)
    return booked is not None and facts.account_reference not in {booked.push_reference, booked.bill_reference}


def outcome_of(received: Received) -> WebhookOutcome:
    """What became of the message that told of a payment."""
    if received.contradicts:
        return WebhookOutcome.CONTRADICTS
    return WebhookOutcome.REPEATED if received.repeated else WebhookOutcome.APPLIED


def is_of(facts: TillFacts, told: ReceivePayment) -> bool:
    """Whether amount and phone are what the push asked for, as far as they are told."""
    return told.amount == facts.amount and phone_matches(told.payer.text or None, facts.phone) is not False


def is_refused(push: TillPush) -> bool:
    """Whether M-Pesa is asked no more, and nobody but who tells so says that it was paid.

    It may have refuted that, or there was nothing to ask by for as long as it could have answered. What is told of the
    push then is a payment of its own, for people to sort.
    """
    is_given_up = push.due_at is None and not push.is_paid
    return is_given_up and (push.is_disputed or not push.is_final)


def of_push(facts: TillFacts, told: ReceivePayment) -> ReceivePayment:
    """What was told, as the payment of the push's sale by the phone that was asked."""
    return replace(
        told,
        source=PaymentSource.STK,
        bill_reference=facts.account_reference,
        push_reference=facts.account_reference,
        payer=Payer.of(facts.phone, told.payer.name),
        sale_id=facts.sale_id,
    )


def asked_now(push: TillPush, now: datetime, code: str) -> TillPush:
    """Nothing is decided; M-Pesa is asked now, by whoever holds the push or finds it."""
    if push.lease_until is not None:
        return replace(push, due_at=now, version=push.version + 1)
    state = EvidenceState.UNKNOWN if push.state is EvidenceState.INTENDED else push.state
    return push.moved(state, now, due_at=now, code=code)


def learned(push: TillPush) -> ReceivePayment:
    """What our own question tells: that the amount asked for was paid, and no receipt."""
    return ReceivePayment(
        receipt=push.receipt,
        source=PaymentSource.STK,
        amount=push.amount,
        short_code=None,
        bill_reference=push.account_reference,
        push_reference=push.account_reference,
        payer=Payer.of(push.phone),
        org_balance=None,
        transacted_at=None,
        webhook_id=None,
    )


def facts_of(push: TillPush) -> TillFacts:
    return TillFacts(
        push_id=push.id,
        sale_id=SaleId(push.subject_id),
        account_reference=push.account_reference,
        amount=push.amount,
        phone=push.phone,
    )


def known_push(work: Work, push_id: TillPushId) -> tuple[TillPush, TillFacts]:
    """The push and what never changes of it; raises NotFound."""
    push = work.get(TILL_PUSHES, push_id)
    if push is None:
        raise NotFound
    return push, facts_of(push)
