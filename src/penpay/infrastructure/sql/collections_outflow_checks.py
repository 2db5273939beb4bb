"""What must hold of money that left the PayBill account: each is booked once, under one name."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_, select

from penpay.application.collections.settling import OUTFLOW_ACCOUNTS
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.collections.refund import RefundState
from penpay.domain.payments.evidence import EvidenceState
from penpay.infrastructure.sql.collections_checks import KEPT, CollectionsCheck, sum_of
from penpay.infrastructure.sql.collections_outflow_tables import collections_outflows
from penpay.infrastructure.sql.collections_tables import collections_refunds, payments
from penpay.infrastructure.sql.payout_tables import mpesa_disbursements

_o, _p, _r, _d = collections_outflows.c, payments.c, collections_refunds.c, mpesa_disbursements.c
_BOOKED: Final = _o.outflow_use.in_([use.value for use in OUTFLOW_ACCOUNTS])


def left_for(*uses: OutflowUse) -> ColumnElement[Any]:
    """The sum of what left for these."""
    named = _o.outflow_use.in_([use.value for use in uses])
    return select(sum_of(_o.amount_cents)).where(named).scalar_subquery()


def _found(*joined: Any) -> Select[Any]:
    statement = select(_o.mpesa_receipt_number.label("subject"), _o.amount_cents.label("difference_cents"))
    source: Any = collections_outflows
    for table, condition in joined:
        source = source.outerjoin(table, condition)
    return statement.select_from(source)


def _booked_twice() -> Select[Any]:
    """Booked here, and known by another name."""
    taken_back = and_(_p.mpesa_receipt_number == _o.linked_receipt, ~KEPT)
    other = collections_outflows.alias("other")
    under_another = (
        select(other.c.id).where(other.c.reversal_of == _o.linked_receipt).correlate(collections_outflows).exists()
    )
    return _found(
        (collections_refunds, and_(_r.receipt == _o.mpesa_receipt_number, _r.state == RefundState.PAID.value)),
        (
            mpesa_disbursements,
            and_(_d.receipt == _o.mpesa_receipt_number, _d.state == EvidenceState.CONFIRMED.value),
        ),
        (payments, and_(taken_back, ~under_another)),
    ).where(_BOOKED, or_(_r.id.is_not(None), _d.id.is_not(None), _p.id.is_not(None)))


def _reversal() -> Select[Any]:
    """A reversal, and its payment is none that was reversed."""
    undone = and_(_p.mpesa_receipt_number == _o.reversal_of, ~KEPT)
    return _found((payments, undone)).where(_o.outflow_use == OutflowUse.REVERSAL.value, _p.id.is_(None))


def _refund() -> Select[Any]:
    """A refund, and none was paid under its receipt."""
    paid = and_(
        _r.receipt == _o.mpesa_receipt_number,
        _r.amount_cents == _o.amount_cents,
        _r.state == RefundState.PAID.value,
    )
    return _found((collections_refunds, paid)).where(_o.outflow_use == OutflowUse.REFUND.value, _r.id.is_(None))


OUTFLOW_CHECKS: Final = (
    CollectionsCheck(
        "outflow_booked_twice",
        postings.MPESA_CASH,
        "What left is booked as an outflow and as a refund, payout or reversal: import the statement again.",
        _booked_twice(),
    ),
    CollectionsCheck("outflow_reversal", postings.MPESA_CASH, "No reversed payment is what it took back.", _reversal()),
    CollectionsCheck("outflow_refund", postings.MPESA_CASH, "No refund was paid under its receipt.", _refund()),
)
