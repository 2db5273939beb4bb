"""Receiving payments: the one command that books a receipt, whatever road the news of it came by.

A payment is booked once, and never dropped: what cannot be matched, is too large or comes again with other facts is
booked, kept in suspense or flagged, and people find it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from penpay.application.collections.hearsay import correct, give_up
from penpay.application.collections.limits import limits_broken
from penpay.application.collections.rows import (
    KNOWN_PAYMENTS,
    KNOWN_SALES,
    PAYMENTS,
    PAYMENTS_BY_PUSH,
    REFERENTS,
)
from penpay.application.collections.using import (
    Plan,
    customer_facts,
    destinations_footprint,
    plan_for,
    record_uses,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import PaymentId, SaleId
from penpay.domain.collections.errors import PaymentNotFound, ReceiptTaken
from penpay.domain.collections.payment import (
    Payer,
    Payment,
    PaymentFlag,
    PaymentSource,
    PaymentStatus,
    Verification,
    check_receipt,
    status_of,
)
from penpay.domain.collections.point_of_sale import Sale
from penpay.domain.collections.reference import LONGEST, Candidate, Referent, SuspenseReason, choose, fold, forms
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.ids import WebhookId
from penpay.domain.shared.money import Money

_ACTOR: Final = "mpesa"
NOBODY: Final = Payer()
"""Who paid is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivePayment:
    """Money has reached our PayBill or till. What M-Pesa does not tell is None."""

    receipt: str | None
    """Of 1 to 20 letters and digits; None only with a `push_reference`."""
    source: PaymentSource
    amount: Money
    """KES, above zero."""
    short_code: str | None = None
    bill_reference: str | None = None
    """As it came."""
    payer: Payer = NOBODY
    org_balance: Money | None = None
    transacted_at: datetime | None = None
    webhook_id: WebhookId | None = None
    sale_id: SaleId | None = None
    """The sale that a push asked money for."""
    push_reference: str | None = None
    """Our AccountReference of that push: all news of one push is about one payment."""

    def __post_init__(self) -> None:
        """Raises InvalidReceipt, InvalidAmount, and InvalidRequest without a receipt and a push."""
        self.amount.require_positive()
        if self.receipt is not None:
            check_receipt(self.receipt)
        elif self.push_reference is None:
            raise InvalidRequest("A payment without a receipt is known only by the push that asked for it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of a payment that was told."""

    payment_id: PaymentId
    status: PaymentStatus
    repeated: bool
    """It was booked before; nothing moved now."""
    contradicts: tuple[str, ...] = ()
    """The facts in which this telling differs from the one that was booked."""
    is_to_be_told_again: bool = False
    """Its receipt was another's by a callback's word alone, and is free now."""


class ReceivePaymentHandler:
    """Books each payment once. It is cheap: the rows of one payment, and no statement of its own."""

    async def footprint(self, commands: Sequence[ReceivePayment], find: Find) -> Footprint:
        footprint = postings.receipts_footprint(Footprint())
        footprint.add(PAYMENTS, *(command.receipt for command in commands if command.receipt is not None))
        pushes = {command.push_reference for command in commands if command.push_reference is not None}
        footprint.add(PAYMENTS, *(await find(PAYMENTS_BY_PUSH, pushes)).values())
        sales = await find(KNOWN_SALES, {command.sale_id for command in commands if command.sale_id is not None})
        folded = {
            form
            for command in commands
            if command.sale_id is None and command.bill_reference
            for form in forms(command.bill_reference)
        }
        referents = await find(REFERENTS, folded)
        wanted: dict[Candidate, int] = {}
        for command in commands:
            sale = None if command.sale_id is None else sales.get(command.sale_id)
            chosen = _chosen(command, lambda form: referents.get(form, ()), sale)
            if isinstance(chosen, Candidate):
                wanted[chosen] = wanted.get(chosen, 0) + command.amount.cents
        return await destinations_footprint(footprint, wanted, find)

    def handle(self, command: ReceivePayment, work: Work) -> Received:
        """Book it, or recognise it. Raises Stale when what it is for has changed since it was looked up."""
        push = command.push_reference
        by_push = None if push is None else work.found(PAYMENTS_BY_PUSH, push)
        told = None if by_push is None else work.get(PAYMENTS, by_push)
        same = None if command.receipt is None else work.get(PAYMENTS, command.receipt)
        known = same or told
        if known is None:
            return self._book(command, work, push)
        if told is not None and told.id != known.id:
            return _contradict(work, known, ("push_reference",))
        is_hearsay = command.source.is_proof and known.push_reference is not None and not known.is_in_records
        if is_hearsay and known.push_reference not in {push, command.bill_reference}:
            give_up(work, known, _ACTOR)
            return Received(payment_id=known.id, status=known.status, repeated=True, is_to_be_told_again=True)
        if command.receipt is not None and known.receipt is not None and known.receipt != command.receipt:
            if is_hearsay and command.amount == known.amount:
                correct(work, _with_balance(work, known, command), command.receipt, command.source.value.lower())
                return Received(payment_id=known.id, status=known.status, repeated=True)
            # One push cannot bring two receipts, but money that M-Pesa tells of is never dropped.
            return self._book(command, work, None)
        return self._again(command, work, known)

    def _book(self, command: ReceivePayment, work: Work, push: str | None) -> Received:
        sale = None if command.sale_id is None else work.found(KNOWN_SALES, command.sale_id)
        chosen = _chosen(command, lambda form: work.found(REFERENTS, form) or (), sale)
        payment_id = PaymentId(work.ids.new())
        plan = plan_for(work, chosen, command.amount, payment_id, _ACTOR)
        paid_at = work.now if command.transacted_at is None else min(command.transacted_at, work.now)
        flags = limits_broken(work, command.amount, plan.customer_id, paid_at)
        payment = _booked(command, work, payment_id, plan, paid_at=paid_at, flags=flags, push=push)
        # The receipt that a callback told may turn out to be another's.
        reference = payment.push_reference or payment.receipt or str(payment.id)
        journal_id = postings.receipt_booked(
            work, reference=reference, amount=payment.amount, uses=plan.posted, happened_at=payment.paid_at
        )
        work.add(PAYMENTS, payment.key, payment)
        work.record(
            payment.event(
                "PaymentReceived",
                source=payment.source.value,
                reason=plan.reason and plan.reason.value,
                **customer_facts(work, plan.customer_id),
            )
        )
        record_uses(work, plan, payment, journal_id, _ACTOR)
        work.audit(_ACTOR, "payment.received", "payment", payment.id, status=payment.status.value)
        return Received(payment_id=payment.id, status=payment.status, repeated=False)

    @staticmethod
    def _again(command: ReceivePayment, work: Work, known: Payment) -> Received:
        """Told again: nothing moves. It may bring the receipt, be the proof, or differ."""
        differing = _differences(command, known)
        if differing:
            return _contradict(work, known, differing)
        if known.receipt is None and command.receipt is not None:
            known = attached(work, known, command.receipt, _ACTOR)
        if known.push_reference is None and command.push_reference is not None:
            known = replace(known, push_reference=command.push_reference, version=known.version + 1)
            _recognised(work, known)
        known = _with_balance(work, known, command)
        if command.source.is_proof and not known.is_in_records:
            known = verified(work, known, command.source.value.lower())
        return Received(payment_id=known.id, status=known.status, repeated=True)


def _chosen(
    command: ReceivePayment, found: Callable[[str], Sequence[Candidate]], sale: Sale | None
) -> Candidate | SuspenseReason:
    """What the payment is for."""
    if command.sale_id is not None:
        if sale is None:
            return SuspenseReason.UNKNOWN_REFERENCE
        return Candidate(Referent.SALE, sale.id, sale.number, sale.customer_id)
    return choose(command.bill_reference or "", found)


def _booked(  # each is a fact of its own
    command: ReceivePayment,
    work: Work,
    payment_id: PaymentId,
    plan: Plan,
    *,
    paid_at: datetime,
    flags: frozenset[PaymentFlag],
    push: str | None,
) -> Payment:
    is_proof = command.source.is_proof
    return Payment(
        id=payment_id,
        receipt=command.receipt,
        push_reference=push,
        source=command.source,
        amount=command.amount,
        short_code=command.short_code,
        bill_reference=None if command.bill_reference is None else kept(command.bill_reference),
        payer=command.payer,
        org_balance=command.org_balance,
        transacted_at=command.transacted_at,
        paid_at=paid_at,
        received_at=work.now,
        verification=Verification.VERIFIED if is_proof else Verification.UNVERIFIED,
        verified_by=command.source.value.lower() if is_proof else None,
        status=status_of(command.amount, plan.suspense),
        suspense=plan.suspense,
        suspense_reason=plan.reason,
        customer_id=plan.customer_id,
        flags=flags,
        webhook_id=command.webhook_id,
    )


def kept(reference: str) -> str:
    """What is kept of a reference: so many characters, of those that a database and a screen can hold."""
    return "".join(letter for letter in reference if letter.isprintable())[:LONGEST]


def _differences(command: ReceivePayment, known: Payment) -> tuple[str, ...]:
    """The facts that both tellings have and that differ. Roads differ in the moment they tell, so it counts on one."""
    found = []
    if command.amount != known.amount:
        found.append("amount_cents")
    if None not in {command.short_code, known.short_code} and command.short_code != known.short_code:
        found.append("short_code")
    references = command.bill_reference, known.bill_reference
    if references[0] and references[1] and fold(kept(references[0])) != fold(references[1]):
        found.append("bill_reference")
    moments = command.transacted_at, known.transacted_at
    if command.source is known.source and None not in moments and moments[0] != moments[1]:
        found.append("transacted_at")
    return tuple(found)


def _with_balance(work: Work, known: Payment, command: ReceivePayment) -> Payment:
    """The payment with the balance M-Pesa told after it, where another road had told of it first and without.

    Without it the receipt would be missing among those whose balances are followed.
    """
    if known.org_balance is not None or command.org_balance is None:
        return known
    after = replace(
        known,
        org_balance=command.org_balance,
        short_code=known.short_code or command.short_code,
        transacted_at=known.transacted_at or command.transacted_at,
        version=known.version + 1,
    )
    _recognised(work, after)
    return after


def _recognised(work: Work, payment: Payment) -> None:
    """Keep what another telling of the same payment has added to it."""
    store_payment(work, payment)
    work.record(payment.event("PaymentRecognised"))
    work.audit(_ACTOR, "payment.recognised", "payment", payment.id)


def _contradict(work: Work, known: Payment, differing: tuple[str, ...]) -> Received:
    """Keep the anomaly where people see it: on the payment, in the events and in the audit log."""
    flagged = known.flagged(PaymentFlag.RECEIPT_REUSED)
    store_payment(work, flagged)
    fields = ",".join(differing)
    work.record(flagged.event("PaymentContradicted", fields=fields))
    work.audit(_ACTOR, "payment.contradicted", "payment", known.id, fields=fields)
    return Received(payment_id=known.id, status=known.status, repeated=True, contradicts=differing)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachReceipt:
    """The receipt of a payment that was known without one has come."""

    payment_id: PaymentId
    receipt: str
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidReceipt."""
        check_receipt(self.receipt)


class AttachReceiptHandler:
    async def footprint(self, commands: Sequence[AttachReceipt], find: Find) -> Footprint:
        known = await find(KNOWN_PAYMENTS, {str(command.payment_id) for command in commands})
        keys = (payment.key for payment in known.values())
        return Footprint().add(PAYMENTS, *keys, *(command.receipt for command in commands))

    def handle(self, command: AttachReceipt, work: Work) -> PaymentId:
        """Attach it once; a repeat changes nothing.

        Raises PaymentNotFound, and ReceiptTaken when another payment has the receipt or this one another receipt.
        """
        payment = known_payment(work, command.payment_id)
        owner = work.get(PAYMENTS, command.receipt)
        if payment.receipt not in {None, command.receipt} or (owner is not None and owner.id != payment.id):
            raise ReceiptTaken(mpesa_receipt_number=command.receipt)
        if payment.receipt is None:
            attached(work, payment, command.receipt, command.by)
        return payment.id


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPayment:
    """M-Pesa itself, asked by us, has said that a payment was made."""

    receipt: str
    by: str
    """The question that was asked: `query`, `pull`, `statement`."""


class VerifyPaymentHandler:
    async def footprint(self, commands: Sequence[VerifyPayment], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(PAYMENTS, *(command.receipt for command in commands))

    def handle(self, command: VerifyPayment, work: Work) -> PaymentId:
        """Note it; one that is verified stays as it is. Raises PaymentNotFound."""
        payment = payment_of(work, command.receipt)
        if payment.verification is Verification.UNVERIFIED:
            verified(work, payment, command.by)
        return payment.id


def payment_of(work: Work, key: str | None) -> Payment:
    """The payment known by this key; raises PaymentNotFound."""
    found = None if key is None else work.get(PAYMENTS, key)
    if found is None:
        raise PaymentNotFound
    return found


def known_payment(work: Work, id_: PaymentId) -> Payment:
    """The payment with this id, which was looked up among `KNOWN_PAYMENTS`; raises PaymentNotFound."""
    known = work.found(KNOWN_PAYMENTS, str(id_))
    return payment_of(work, None if known is None else known.key)


def store_payment(work: Work, payment: Payment) -> None:
    """Keep a changed payment, under the key by which the batch knows it."""
    by_id = str(payment.id)
    work.put(PAYMENTS, payment.key if work.seen(PAYMENTS, by_id) is None else by_id, payment)


def attached(work: Work, payment: Payment, receipt: str, by: str) -> Payment:
    """The payment with its receipt, kept."""
    after = replace(payment, receipt=receipt, version=payment.version + 1)
    store_payment(work, after)
    work.record(after.event("ReceiptAttached"))
    work.audit(by, "payment.receipt_attached", "payment", payment.id)
    return after


def verified(work: Work, payment: Payment, by: str) -> Payment:
    """The payment after it was verified, kept."""
    after = payment.verified(by)
    store_payment(work, after)
    work.record(after.event("PaymentVerified", verified_by=by))
    work.audit(by, "payment.verified", "payment", payment.id)
    return after
