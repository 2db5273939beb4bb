"""What must hold between the tables of Collections and the ledger, each as one set-based query that finds where not.

Every sum is made from the rows that are never changed (entries, allocations) or that are the smallest facts (lines,
credit notes, tenders), so that no figure vouches for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, literal, or_, select, union_all

from penpay.application.collections.reports import BookError
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Target
from penpay.domain.collections.invoice import InvoiceStatus
from penpay.domain.collections.payment import PaymentStatus
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import LedgerSide
from penpay.infrastructure.sql.collections_tables import (
    credit_notes,
    customers,
    invoices,
    payment_allocations,
    payments,
)
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals

_a, _j, _e = ledger_accounts.c, ledger_journals.c, ledger_entries.c
_c, _i, _n, _p, _l = customers.c, invoices.c, credit_notes.c, payments.c, payment_allocations.c

COUNTED: Final[ColumnElement[int]] = case((_l.reverses_id.is_(None), _l.amount_cents), else_=-_l.amount_cents)
"""What an allocation counts: a row that reverses takes back what the other added."""
_DEBITED: Final[ColumnElement[int]] = case((_e.side == LedgerSide.DEBIT.value, _e.amount_cents), else_=-_e.amount_cents)


@dataclass(frozen=True, slots=True)
class CollectionsCheck:
    """One rule. Its query gives subject, difference_cents and, where it is about one, journal, for every breach."""

    name: str
    account: str
    """The ledger account whose figure it is about."""
    detail: str
    statement: Select[Any]

    def error(self, row: Any) -> BookError:
        """A row of the query in words. PostgreSQL sums BIGINT to NUMERIC."""
        journal = getattr(row, "journal", None)
        return BookError(
            check=self.name,
            account=getattr(row, "account", None) or self.account,
            subject=str(row.subject or ""),
            journal="" if journal is None else str(journal),
            detail=self.detail,
            difference=Money(int(row.difference_cents or 0), Currency.KES),
        )


def sum_of(value: ColumnElement[Any]) -> ColumnElement[int]:
    return func.coalesce(func.sum(value), 0)


def compared(
    subject: ColumnElement[Any],
    table: FromClause,
    key: ColumnElement[Any],
    is_: ColumnElement[Any],
    *others: Select[Any],
) -> Select[Any]:
    """The rows of a table whose figure is not the sum of the amounts, (key, cents), that others give for them."""
    amounts = union_all(*others).subquery()
    should = select(amounts.c.key, func.sum(amounts.c.cents).label("cents")).group_by(amounts.c.key).subquery()
    difference = is_ - func.coalesce(should.c.cents, 0)
    return (
        select(subject.label("subject"), difference.label("difference_cents"))
        .select_from(table.outerjoin(should, should.c.key == key))
        .where(difference != 0)
    )


def amounts_of(key: ColumnElement[Any], cents: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """One source of amounts: their sums by key."""
    return select(key.label("key"), func.sum(cents).label("cents")).where(*conditions).group_by(key)


def total(code: str, *parts: ColumnElement[Any]) -> Select[Any]:
    """The balance of an account against the sum of these."""
    difference: ColumnElement[Any] = select(sum_of(_a.balance_cents)).where(_a.code == code).scalar_subquery()
    for part in parts:
        difference = difference - part
    return select(literal(code).label("subject"), difference.label("difference_cents")).where(difference != 0)


def all_of(cents: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    """The sum over a whole table, or over the rows of it that are meant."""
    return select(sum_of(cents)).where(*conditions).scalar_subquery()


def targeted(*targets: Target) -> ColumnElement[bool]:
    return _l.target.in_([target.value for target in targets])


_PAID_IN: Final = and_(_l.payment_id.is_not(None), targeted(Target.INVOICE, Target.CREDIT), _l.customer_id.is_not(None))
"""What payments have done for a customer."""
_OUT_OF_CREDIT: Final = and_(_l.payment_id.is_(None), targeted(Target.INVOICE, Target.REFUND))
_INTO_CREDIT: Final = or_(targeted(Target.CREDIT), and_(_l.payment_id.is_(None), targeted(Target.RECOVERY)))
VALID: Final = _i.status != InvoiceStatus.VOID.value


# -- customer by customer


def _receivable() -> Select[Any]:
    return compared(
        _c.customer_number, customers, _c.id, _c.receivable_cents, amounts_of(_i.customer_id, _i.balance, VALID)
    )


def _credit() -> Select[Any]:
    return compared(
        _c.customer_number,
        customers,
        _c.id,
        _c.credit_cents,
        amounts_of(_l.customer_id, COUNTED, _INTO_CREDIT, _l.customer_id.is_not(None)),
        amounts_of(_l.customer_id, -COUNTED, _OUT_OF_CREDIT),
    )


def _customer_balance() -> Select[Any]:
    """Invoices, less credit notes, less payments kept; a refund gives back, and what is recovered is owed elsewhere."""
    billed = amounts_of(_i.customer_id, _i.total_cents, VALID)
    taken_off = (
        select(_i.customer_id.label("key"), (-func.sum(_n.total_cents)).label("cents"))
        .join_from(credit_notes, invoices, _i.id == _n.invoice_id)
        .where(VALID)
        .group_by(_i.customer_id)
    )
    return compared(
        _c.customer_number,
        customers,
        _c.id,
        _c.receivable_cents - _c.credit_cents,
        billed,
        taken_off,
        amounts_of(_l.customer_id, -COUNTED, _PAID_IN),
        amounts_of(_l.customer_id, COUNTED, _l.payment_id.is_(None), targeted(Target.REFUND)),
        amounts_of(_l.customer_id, -COUNTED, _l.payment_id.is_(None), targeted(Target.RECOVERY)),
    )


# -- invoice by invoice


def _invoice_balance() -> Select[Any]:
    billed = case((VALID, _i.total_cents - _i.credited_cents), else_=0)
    return compared(
        _i.invoice_number,
        invoices,
        _i.id,
        billed - _i.balance,
        amounts_of(_l.invoice_id, COUNTED, targeted(Target.INVOICE)),
    )


def _invoice_credited() -> Select[Any]:
    return compared(_i.invoice_number, invoices, _i.id, _i.credited_cents, amounts_of(_n.invoice_id, _n.total_cents))


def _credit_note_owner() -> Select[Any]:
    """Whose a credit note is, is its invoice's."""
    return (
        select(_n.credit_note_number.label("subject"), _n.total_cents.label("difference_cents"))
        .join_from(credit_notes, invoices, _i.id == _n.invoice_id)
        .where(_n.customer_id != _i.customer_id)
    )


def _invoice_status() -> Select[Any]:
    """The status that the balance calls for."""
    should = case(
        (_i.status == InvoiceStatus.VOID.value, InvoiceStatus.VOID.value),
        (_i.balance == 0, InvoiceStatus.PAID.value),
        (_i.balance == _i.total_cents, InvoiceStatus.UNPAID.value),
        else_=InvoiceStatus.PARTIALLY_PAID.value,
    )
    wrong = or_(_i.status != should, and_(_i.status == InvoiceStatus.VOID.value, _i.balance != 0))
    return select(_i.invoice_number.label("subject"), _i.balance.label("difference_cents")).where(wrong)


# -- payment by payment

_RECEIPT: Final[ColumnElement[Any]] = func.coalesce(_p.mpesa_receipt_number, _p.push_reference)
KEPT: Final = _p.status != PaymentStatus.REVERSED.value


def _payment_allocated() -> Select[Any]:
    """What counts of a payment's allocations, and what is in suspense, is the payment.

    Of a reversed one nothing counts, but for what had left us already.
    """
    used = (
        select(_l.payment_id.label("key"), func.sum(COUNTED).label("cents"))
        .join_from(payment_allocations, payments, _p.id == _l.payment_id)
        .where(_l.target != Target.RECOVERY.value, or_(KEPT, _l.target != Target.REFUND.value))
        .group_by(_l.payment_id)
    )
    return compared(_RECEIPT, payments, _p.id, case((KEPT, _p.amount_cents), else_=0) - _p.suspense_cents, used)


def _payment_status() -> Select[Any]:
    """The status that what is in suspense calls for, and what was paid back out of it."""
    refunds = amounts_of(_l.payment_id, COUNTED, _l.payment_id.is_not(None), targeted(Target.REFUND)).subquery()
    should = case(
        (_p.suspense_cents == _p.amount_cents, PaymentStatus.SUSPENSE.value),
        (_p.suspense_cents > 0, PaymentStatus.PARTIALLY_ALLOCATED.value),
        (refunds.c.cents == _p.amount_cents, PaymentStatus.REFUNDED.value),
        else_=PaymentStatus.ALLOCATED.value,
    )
    return (
        select(_RECEIPT.label("subject"), _p.suspense_cents.label("difference_cents"))
        .select_from(payments.outerjoin(refunds, refunds.c.key == _p.id))
        .where(KEPT, _p.status != should)
    )


def _on_mpesa_cash(kind: str) -> Any:
    """What journals of a kind moved on M-Pesa Cash, by reference."""
    return (
        select(_j.reference, _j.id.label("journal"), func.sum(_DEBITED).label("cents"))
        .select_from(ledger_journals)
        .join(ledger_entries, _e.journal_id == _j.id)
        .join(ledger_accounts, _a.id == _e.account_id)
        .where(_j.kind == kind, _a.code == postings.MPESA_CASH)
        .group_by(_j.reference, _j.id)
        .subquery()
    )


def _booked(kind: str, sign: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Payments that are not on M-Pesa Cash with their whole amount, in the journal of their own."""
    by_receipt, by_push = _on_mpesa_cash(kind), _on_mpesa_cash(kind)
    found = func.coalesce(by_receipt.c.cents, by_push.c.cents, 0)
    difference = found - sign * _p.amount_cents
    return (
        select(
            _RECEIPT.label("subject"),
            difference.label("difference_cents"),
            by_receipt.c.journal,
        )
        .select_from(payments)
        .outerjoin(by_receipt, by_receipt.c.reference == _p.mpesa_receipt_number)
        .outerjoin(by_push, by_push.c.reference == _p.push_reference)
        .where(difference != 0, *conditions)
    )


def _no_payment(kind: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Journals of a kind that no payment is the reason of."""
    known = [
        select(one.label("reference")).where(one.is_not(None), *conditions)
        for one in (_p.mpesa_receipt_number, _p.push_reference)
    ]
    reasons = union_all(*known).subquery()
    journals = _on_mpesa_cash(kind)
    return (
        select(journals.c.reference.label("subject"), journals.c.cents.label("difference_cents"), journals.c.journal)
        .select_from(journals.outerjoin(reasons, reasons.c.reference == journals.c.reference))
        .where(reasons.c.reference.is_(None))
    )


# -- journal by journal

_ISSUING: Final = (postings.INVOICE_ISSUED, postings.INVOICE_VOIDED, postings.CREDIT_NOTE_ISSUED)
"""Kinds that move receivables without any payment."""


def _allocation_journal() -> Select[Any]:
    """What a journal says was paid and credited, less what the allocations made with it say."""

    def said(code: str, cents: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
        columns = (_l.journal_id.label("journal"), literal(code).label("account"), cents.label("cents"))
        return select(*columns).where(*conditions)

    codes = (postings.RECEIVABLE, postings.CUSTOMER_CREDIT)
    held = case((_a.code == postings.RECEIVABLE, _DEBITED), else_=-_DEBITED)  # on the account's normal side
    booked = (
        select(_e.journal_id.label("journal"), _a.code.label("account"), held.label("cents"))
        .select_from(ledger_entries)
        .join(ledger_accounts, _a.id == _e.account_id)
        .join(ledger_journals, _j.id == _e.journal_id)
        .where(_a.code.in_(codes), _j.kind.not_in(_ISSUING))
    )
    amounts = union_all(
        booked,
        said(postings.RECEIVABLE, COUNTED, targeted(Target.INVOICE)),
        said(postings.CUSTOMER_CREDIT, -COUNTED, _INTO_CREDIT, _l.customer_id.is_not(None)),
        said(postings.CUSTOMER_CREDIT, COUNTED, _OUT_OF_CREDIT),
    ).subquery()
    difference = func.sum(amounts.c.cents)
    return (
        select(literal("").label("subject"), difference.label("difference_cents"), amounts.c.journal, amounts.c.account)
        .group_by(amounts.c.journal, amounts.c.account)
        .having(difference != 0)
    )


ROW_CHECKS: Final = (
    CollectionsCheck(
        "customer_receivable", postings.RECEIVABLE, "What she owes is not the sum of her open invoices.", _receivable()
    ),
    CollectionsCheck(
        "customer_credit", postings.CUSTOMER_CREDIT, "Her credit is not what was put in less what was used.", _credit()
    ),
    CollectionsCheck(
        "customer_balance",
        postings.RECEIVABLE,
        "Her balance is not invoices less credit notes less payments kept.",
        _customer_balance(),
    ),
    CollectionsCheck(
        "invoice_balance",
        postings.RECEIVABLE,
        "What counts as paid on the invoice is not what was allocated to it.",
        _invoice_balance(),
    ),
    CollectionsCheck(
        "invoice_credited",
        postings.RECEIVABLE,
        "What was taken off is not the sum of credit notes.",
        _invoice_credited(),
    ),
    CollectionsCheck(
        "credit_note_owner",
        postings.RECEIVABLE,
        "It stands with another customer than its invoice.",
        _credit_note_owner(),
    ),
    CollectionsCheck(
        "invoice_status", postings.RECEIVABLE, "The status is not the one its balance calls for.", _invoice_status()
    ),
    CollectionsCheck(
        "payment_allocated",
        postings.MPESA_CASH,
        "The payment is not the sum of what it was used for.",
        _payment_allocated(),
    ),
    CollectionsCheck(
        "payment_status",
        postings.MPESA_CASH,
        "The status is not the one that its suspense and refunds call for.",
        _payment_status(),
    ),
    CollectionsCheck(
        "receipt_booked",
        postings.MPESA_CASH,
        "Its receipt is not in the ledger with its amount.",
        _booked(postings.RECEIPT_BOOKED, 1),
    ),
    CollectionsCheck(
        "receipt_reversed",
        postings.MPESA_CASH,
        "Its reversal is not in the ledger with its amount.",
        _booked(postings.RECEIPT_REVERSED, -1, ~KEPT),
    ),
    CollectionsCheck(
        "receipt_unknown",
        postings.MPESA_CASH,
        "The journal books a receipt that is no payment.",
        _no_payment(postings.RECEIPT_BOOKED),
    ),
    CollectionsCheck(
        "reversal_unknown",
        postings.MPESA_CASH,
        "The journal reverses a payment that is kept, or none.",
        _no_payment(postings.RECEIPT_REVERSED, ~KEPT),
    ),
    CollectionsCheck(
        "allocation_journal",
        "",
        "The journal says something else than the allocations made with it.",
        _allocation_journal(),
    ),
)
"""What holds customer by customer, invoice by invoice, payment by payment and journal by journal."""
