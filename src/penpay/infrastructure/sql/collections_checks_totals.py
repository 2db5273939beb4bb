"""What must hold of sales at the till, and between each account of Collections and the sum of its own tables."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, or_, select

from penpay.application.collections.settling import OUTFLOW_ACCOUNTS
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.allocation import Target
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.collections.point_of_sale import SaleStatus, TenderKind
from penpay.domain.collections.refund import RefundState
from penpay.domain.payments.evidence import EvidenceState, Purpose
from penpay.domain.wallet.account import LedgerSide
from penpay.infrastructure.sql.collections_checks import (
    COUNTED,
    KEPT,
    ROW_CHECKS,
    VALID,
    CollectionsCheck,
    all_of,
    amounts_of,
    compared,
    sum_of,
    targeted,
    total,
)
from penpay.infrastructure.sql.collections_checks_cash import CASH_CHECKS
from penpay.infrastructure.sql.collections_outflow_checks import OUTFLOW_CHECKS, left_for
from penpay.infrastructure.sql.collections_tables import (
    collections_refunds,
    credit_notes,
    customers,
    invoices,
    payment_allocations,
    payments,
    pos_sales,
    pos_tenders,
)
from penpay.infrastructure.sql.payout_tables import mpesa_disbursements
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals

_a, _e, _j, _c, _i, _n = (
    ledger_accounts.c,
    ledger_entries.c,
    ledger_journals.c,
    customers.c,
    invoices.c,
    credit_notes.c,
)
_d = mpesa_disbursements.c
_l, _p, _r, _s, _t = payment_allocations.c, payments.c, collections_refunds.c, pos_sales.c, pos_tenders.c


# -- sale by sale


def _tendered(taken: TenderKind, returned: TenderKind, column: ColumnElement[int]) -> Select[Any]:
    return compared(
        _s.pos_number,
        pos_sales,
        _s.id,
        column,
        amounts_of(_t.sale_id, _t.amount_cents, _t.kind == taken.value),
        amounts_of(_t.sale_id, -_t.amount_cents, _t.kind == returned.value),
    )


def _sale_paid() -> Select[Any]:
    """A paid sale has its whole price, a waiting one less."""
    paid = _s.cash_cents + _s.mpesa_cents
    wrong = or_(
        and_(_s.status == SaleStatus.PAID.value, paid != _s.total_cents),
        and_(_s.status == SaleStatus.PENDING.value, paid >= _s.total_cents),
    )
    return select(_s.pos_number.label("subject"), (paid - _s.total_cents).label("difference_cents")).where(wrong)


# -- all together


_PAID_SALE: Final = _s.status == SaleStatus.PAID.value


def _of_valid(column: ColumnElement[int]) -> ColumnElement[Any]:
    """The sum over credit notes of invoices that are not void; voiding takes back what is left after them."""
    notes = credit_notes.join(invoices, _i.id == _n.invoice_id)
    return select(sum_of(column)).select_from(notes).where(VALID).scalar_subquery()


def _revenue() -> Select[Any]:
    return total(
        postings.SALES_REVENUE, all_of(_i.net_cents, VALID), -_of_valid(_n.net_cents), all_of(_s.net_cents, _PAID_SALE)
    )


def _vat() -> Select[Any]:
    return total(
        postings.VAT_PAYABLE, all_of(_i.vat_cents, VALID), -_of_valid(_n.vat_cents), all_of(_s.vat_cents, _PAID_SALE)
    )


def _charged() -> ColumnElement[Any]:
    """What the journals of charges took out of M-Pesa Cash."""
    charges = (
        select(sum_of(_e.amount_cents))
        .select_from(ledger_journals)
        .join(ledger_entries, _e.journal_id == _j.id)
        .join(ledger_accounts, _a.id == _e.account_id)
        .where(_j.kind == postings.CHARGE_BOOKED, _a.code == postings.MPESA_CASH, _e.side == LedgerSide.CREDIT.value)
    )
    return charges.scalar_subquery()


def _mpesa_cash() -> Select[Any]:
    refunded = all_of(_r.amount_cents, _r.state == RefundState.PAID.value)
    left = left_for(*OUTFLOW_ACCOUNTS)
    return total(postings.MPESA_CASH, all_of(_p.amount_cents, KEPT), -refunded, -_charged(), -left)


def _recoveries() -> Select[Any]:
    """What could not be taken back, and refunds of payments that M-Pesa took back afterwards."""
    refunded = (
        select(sum_of(COUNTED))
        .join_from(payment_allocations, payments, _p.id == _l.payment_id)
        .where(targeted(Target.REFUND), ~KEPT)
        .scalar_subquery()
    )
    return total(postings.RECOVERIES, all_of(COUNTED, targeted(Target.RECOVERY)), refunded)


def _payout_of_refund() -> Select[Any]:
    """A payout that may still arrive is of a refund that has not ended; one that arrived, of a refund that is paid."""
    ended = case(
        (_d.state == EvidenceState.CONFIRMED.value, RefundState.PAID.value),
        (_d.state == EvidenceState.FAILED.value, RefundState.FAILED.value),
        else_=RefundState.APPROVED.value,
    )
    differs = or_(_r.id.is_(None), _r.state != ended, _r.amount_cents != _d.amount_cents)
    return (
        select(_d.originator_conversation_id.label("subject"), _d.amount_cents.label("difference_cents"))
        .select_from(mpesa_disbursements.outerjoin(collections_refunds, _r.id == _d.subject_id))
        .where(_d.purpose == Purpose.COLLECTIONS_REFUND.value, differs)
    )


CHECKS: Final = (
    *ROW_CHECKS,
    CollectionsCheck(
        "sale_cash",
        postings.CASH,
        "The cash of the sale is not the sum of its tenders.",
        _tendered(TenderKind.CASH, TenderKind.CASH_RETURNED, _s.cash_cents),
    ),
    CollectionsCheck(
        "sale_mpesa",
        postings.MPESA_CASH,
        "The M-Pesa money of the sale is not the sum of its tenders.",
        _tendered(TenderKind.MPESA, TenderKind.MPESA_RETURNED, _s.mpesa_cents),
    ),
    CollectionsCheck("sale_paid", postings.SALES_REVENUE, "What was paid is not what its status says.", _sale_paid()),
    CollectionsCheck(
        "receivable_total",
        postings.RECEIVABLE,
        "The account is not the sum of open invoices.",
        total(postings.RECEIVABLE, all_of(_i.balance, VALID)),
    ),
    CollectionsCheck(
        "credit_total",
        postings.CUSTOMER_CREDIT,
        "The account is not the sum of customers' credit.",
        total(postings.CUSTOMER_CREDIT, all_of(_c.credit_cents)),
    ),
    CollectionsCheck(
        "balances_total",
        postings.RECEIVABLE,
        "Receivables less credit are not the sum of customers' balances.",
        total(postings.RECEIVABLE, all_of(_c.receivable_cents)),
    ),
    CollectionsCheck(
        "suspense_total",
        postings.SUSPENSE,
        "The account is not what payments have in suspense.",
        total(postings.SUSPENSE, all_of(_p.suspense_cents)),
    ),
    CollectionsCheck(
        "part_payments_total",
        postings.PART_PAYMENTS,
        "The account is not what waiting sales have been paid.",
        total(postings.PART_PAYMENTS, all_of(_s.cash_cents + _s.mpesa_cents, _s.status == SaleStatus.PENDING.value)),
    ),
    CollectionsCheck(
        "refunds_total",
        postings.REFUNDS_IN_FLIGHT,
        "The account is not the sum of refunds approved and not ended.",
        total(postings.REFUNDS_IN_FLIGHT, all_of(_r.amount_cents, _r.state == RefundState.APPROVED.value)),
    ),
    CollectionsCheck(
        "refund_payout",
        postings.REFUNDS_IN_FLIGHT,
        "The payout and its refund tell two different things.",
        _payout_of_refund(),
    ),
    CollectionsCheck(
        "mpesa_total",
        postings.MPESA_CASH,
        "The account is not payments kept less refunds paid, charges and outflows.",
        _mpesa_cash(),
    ),
    CollectionsCheck(
        "recoveries_total", postings.RECOVERIES, "The account is not what is to be recovered.", _recoveries()
    ),
    CollectionsCheck(
        "revenue_total", postings.SALES_REVENUE, "The account is not what was billed and sold.", _revenue()
    ),
    CollectionsCheck("vat_total", postings.VAT_PAYABLE, "The account is not the VAT billed and sold.", _vat()),
    CollectionsCheck(
        "cost_total",
        postings.COST_OF_GOODS,
        "The account is not the cost of what was sold.",
        total(postings.COST_OF_GOODS, all_of(_s.cost_cents, _PAID_SALE)),
    ),
    CollectionsCheck(
        "charges_total",
        postings.CHARGES,
        "The account is not the charges that left M-Pesa Cash.",
        total(postings.CHARGES, _charged(), left_for(OutflowUse.CHARGE)),
    ),
    CollectionsCheck(
        "unexplained_total",
        postings.OUTFLOWS,
        "The account is not what left and nobody has explained.",
        total(postings.OUTFLOWS, left_for(OutflowUse.UNEXPLAINED)),
    ),
    *CASH_CHECKS,
    *OUTFLOW_CHECKS,
)
"""Every rule `collections verify` applies beside those of `ledger verify`."""
