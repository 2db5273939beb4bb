"""Bugs in Collections: receipts counted twice or not at all, money left out of the books, rules of people not kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from penpay.application.collections import capturing, invoicing, missed, outflows, refunding, reversing, selling, using
from penpay.application.collections.capturing import read, receipt_told
from penpay.application.collections.doors import C2bDoor
from penpay.application.collections.missed import BookListedHandler
from penpay.application.collections.receiving import Received, ReceivePaymentHandler
from penpay.application.collections.reversing import ReversePaymentHandler
from penpay.application.collections.rows import CUSTOMERS, REFERENTS
from penpay.application.collections.settling import OUTFLOW_ACCOUNTS
from penpay.application.collections.using import Plan, customer_of
from penpay.application.wallet import cash_postings
from penpay.application.wallet import collections_postings as postings
from penpay.application.wallet.collections_postings import CASH, Uses
from penpay.domain.collections.allocation import PaymentId, Target
from penpay.domain.collections.invoice import Invoice
from penpay.domain.collections.payment import PaymentSource, PaymentStatus
from penpay.domain.collections.period import BooksLock, PeriodLock
from penpay.domain.collections.recurring import RecurringInvoice
from penpay.domain.collections.reference import SuspenseReason, choose
from penpay.domain.collections.refund import Refund, RefundState
from penpay.domain.collections.shift import Shift
from penpay.simulation.mutants.planting import Function, Hunt, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME
_mutant: Final = Hunt(hazards={Hazard.COLLECTIONS: Level.EXTREME}, within=20).mutant


def _under_another_receipt(told: Any, work: Any) -> Any:
    return replace(told, receipt=f"{told.receipt[:12]}{work.ids.new().hex[-6:].upper()}")


def _counted_again(right: Function) -> Function:
    def again(command: Any, work: Any, known: Any) -> Any:
        if command.source is not PaymentSource.C2B or command.receipt is None:
            return right(command, work, known)
        return ReceivePaymentHandler()._book(_under_another_receipt(command, work), work, None)  # noqa: SLF001  (the bug)

    return again


def _listed_again(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        booked = right(self, command, work)
        if booked.received is not None and booked.received.repeated:
            self._receive._book(_under_another_receipt(command.told, work), work, None)  # noqa: SLF001  (the bug)
        return booked

    return handle


def _posting_before(right: Function) -> Function:
    async def validate(self: Any, message: Any) -> Any:
        verdict = await right(self, message)
        asked = read(message.body)
        if asked is not None:
            told = receipt_told(asked, PaymentSource.C2B, None, short_code=self._short_code)
            await self._executor.execute(told)
        return verdict

    return validate


def _excess_dropped(right: Function) -> Function:
    def settle(work: Any, customer_id: Any, invoices: Any, amount: Any) -> Plan:
        plan: Plan = right(work, customer_id, invoices, amount)
        lost = plan.posted.credit.cents
        work.put(CUSTOMERS, customer_id, customer_of(work, customer_id).moved(credit=-lost))
        return replace(plan, uses=tuple(use for use in plan.uses if use.target is not Target.CREDIT))

    return settle


def _credit_kept(right: Function) -> Function:
    def apply_credit(work: Any, invoice: Any, amount: Any, by: str) -> Any:
        after = right(work, invoice, amount, by)
        customer = customer_of(work, invoice.customer_id)
        work.put(CUSTOMERS, customer.id, customer.moved(credit=amount.cents))
        return after

    return apply_credit


def _always(_: Function) -> Function:
    def answer(*about: Any) -> bool:  # noqa: ARG001  (it looks at nothing)
        return True

    return answer


def _newest_first(right: Function) -> Function:
    def parts(amount: Any, invoices: Any) -> Any:
        return right(amount, list(invoices)[::-1])

    return parts


def _nothing(_: Function) -> Function:
    def did(*about: Any, **named: Any) -> None:  # noqa: ARG001  (it does nothing)
        return

    return did


def _balance_kept(right: Function) -> Function:
    def voided(self: Any, at: Any) -> Any:
        return replace(right(self, at), balance=self.balance)

    return voided


def _as_credit(_: Function) -> Function:
    def in_suspense(amount: Any, reason: Any) -> Plan:
        return Plan(uses=(), posted=Uses(credit=amount), customer_id=None, reason=reason)

    return in_suspense


def _unmatched_dropped(right: Function) -> Function:
    def book(self: Any, command: Any, work: Any, push: Any) -> Any:
        chosen = choose(command.bill_reference or "", lambda form: work.found(REFERENTS, form) or ())
        if command.sale_id is None and isinstance(chosen, SuspenseReason):
            return Received(payment_id=PaymentId(work.ids.new()), status=PaymentStatus.SUSPENSE, repeated=False)
        return right(self, command, work, push)

    return book


def _no_deposit(_: Function) -> Function:
    def own_reference(told: Any) -> None:  # noqa: ARG001  (it knows none)
        return

    return own_reference


def _by_anybody(right: Function) -> Function:
    def decided(self: Any, by: str, at: Any, *, approve: bool) -> Any:
        return replace(right(replace(self, proposed_by=""), by, at, approve=approve), proposed_by=self.proposed_by)

    return decided


def _decided_again(right: Function) -> Function:
    def decided(self: Any, by: str, at: Any, *, approve: bool) -> Any:
        return right(replace(self, state=RefundState.PROPOSED), by, at, approve=approve)

    return decided


def _left_in_the_drawer(right: Function) -> Function:
    def shift_closed(work: Any, *, shift: Any, counted: Any, expected: Any) -> Any:  # noqa: ARG001  (it believes the count)
        return right(work, shift=shift, counted=counted, expected=counted)

    return shift_closed


def _into_no_drawer(right: Function) -> Function:
    def take_in(work: Any, shift: Any, amount: Any) -> Any:
        right(work, shift, amount)
        return CASH

    return take_in


def _not_counted(_: Function) -> Function:
    def gave_back(self: Any, amount: Any) -> Any:  # noqa: ARG001  (it hands back and forgets)
        return replace(self, version=self.version + 1)

    return gave_back


def _one_left_out(right: Function) -> Function:
    def issued(self: Any) -> Any:
        return replace(right(self), next=self.next + 2)

    return issued


def _left_again(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        booked = right(self, command, work)
        if not booked.is_new and booked.use in OUTFLOW_ACCOUNTS:
            to = OUTFLOW_ACCOUNTS[booked.use]
            reference = work.ids.new().hex[:20]
            postings.outflow_booked(work, receipt=reference, amount=command.amount, to=to, happened_at=work.now)
        return booked

    return handle


COLLECTING: Final[tuple[Mutant, ...]] = (
    _mutant(
        "receipt_counted_again",
        "A confirmation that comes again is booked again.",
        ("K2",),
        Replacement(ReceivePaymentHandler, "_again", _counted_again),
        hazards={Hazard.CALLBACK_REPEATED: _MUCH},
    ),
    _mutant(
        "pulled_receipt_booked_again",
        "A payment that M-Pesa's list names and the books have is booked again.",
        ("K2",),
        Replacement(BookListedHandler, "handle", _listed_again),
    ),
    _mutant(
        "validation_posts",
        "A payment is booked when M-Pesa asks about it, before any money has moved.",
        ("K2",),
        Replacement(C2bDoor, "validate", _posting_before),
    ),
    _mutant(
        "excess_dropped",
        "What is paid above an invoice is nobody's credit.",
        ("K3", "K4"),
        Replacement(using, "_settle", _excess_dropped),
    ),
    _mutant(
        "credit_applied_twice",
        "Credit that has paid an invoice is still there.",
        ("K3",),
        Replacement(invoicing, "apply_credit", _credit_kept),
    ),
    _mutant(
        "stale_look_up_accepted",
        "What is left of a payment becomes credit although an invoice was issued since the oldest ones were looked up.",
        ("K4",),
        Replacement(using, "_is_complete", _always),
        within=60,
    ),
    _mutant(
        "newest_invoice_first",
        "A customer's payment pays her newest invoice first.",
        ("K4",),
        Replacement(using, "first_in_first_out", _newest_first),
    ),
    _mutant(
        "reversal_leaves_invoice_paid",
        "A payment that M-Pesa has taken back still pays its invoice.",
        ("K3",),
        Replacement(reversing, "reopen", _nothing),
    ),
    _mutant(
        "void_keeps_balance",
        "A void invoice still has something open.",
        ("K3", "I7"),
        Replacement(Invoice, "voided", _balance_kept),
    ),
    _mutant(
        "suspense_as_credit",
        "Money that nothing was found for is posted as customers' credit.",
        ("K3", "K4"),
        Replacement(using, "in_suspense", _as_credit),
    ),
    _mutant(
        "unmatched_dropped",
        "A payment whose reference names nothing is not booked.",
        ("K1",),
        Replacement(ReceivePaymentHandler, "_book", _unmatched_dropped),
    ),
    _mutant(
        "listed_deposit_booked",
        "A deposit's payment in M-Pesa's list is booked as one to the business, too.",
        ("K2",),
        Replacement(missed, "own_reference", _no_deposit),
    ),
    _mutant(
        "forged_counts_as_proved",
        "A confirmation counts as M-Pesa's own word, whoever posted it.",
        ("K2",),
        Replacement(PaymentSource, "is_proof", _always),
        hazards={Hazard.FORGER: _MUCH},
    ),
    _mutant(
        "confirmation_not_kept",
        "A message about a payment is answered and not stored.",
        ("K7",),
        Replacement(capturing, "keep_webhook", _nothing),
    ),
    _mutant(
        "refund_approved_by_proposer",
        "Whoever proposes a refund can approve it.",
        ("K6",),
        Replacement(Refund, "decided", _by_anybody),
    ),
    _mutant(
        "refund_decided_again",
        "A refund that was decided can be decided once more.",
        ("K5", "K6", "K3"),
        Replacement(Refund, "decided", _decided_again),
    ),
    _mutant(
        "failed_refund_lost",
        "A refund that M-Pesa could not pay out stays in flight.",
        ("K6", "K3"),
        Replacement(refunding, "_release", _nothing),
    ),
    _mutant(
        "difference_not_booked",
        "What a drawer is short or over is not booked when its shift is closed.",
        ("K3",),
        Replacement(cash_postings, "shift_closed", _left_in_the_drawer),
    ),
    _mutant(
        "drawer_not_posted",
        "Cash that a shift takes is posted as cash in no drawer.",
        ("K3",),
        Replacement(selling, "take_in", _into_no_drawer),
    ),
    _mutant(
        "handed_back_not_counted",
        "Cash that is handed back stays in what a drawer is expected to hold.",
        ("K3", "I7"),
        Replacement(Shift, "gave_back", _not_counted),
        within=60,
    ),
    _mutant(
        "lock_not_asked",
        "Nobody asks whether the books are locked.",
        ("K9",),
        Replacement(BooksLock, "require_open", _nothing),
    ),
    _mutant(
        "locked_by_one",
        "Whoever proposes to lock the books can approve it.",
        ("I15", "K9"),
        Replacement(PeriodLock, "decided", _by_anybody),
    ),
    _mutant(
        "bill_left_out",
        "After each bill of a recurring invoice one is left out.",
        ("K11",),
        Replacement(RecurringInvoice, "issued", _one_left_out),
    ),
    _mutant(
        "outflow_booked_again",
        "A row of a statement that is imported again moves the same money again.",
        ("K3",),
        Replacement(outflows.BookOutflowHandler, "handle", _left_again),
    ),
    _mutant(
        "reversal_not_undone",
        "A reversal that a statement tells of is kept, and its payment is not undone.",
        ("K1", "K10"),
        Replacement(ReversePaymentHandler, "handle", _nothing),
        within=40,
    ),
)
