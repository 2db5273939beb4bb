"""What must hold of shifts and of cash: every drawer and every account is the sum of what went in and out."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_

from penpay.application.wallet import cash_postings as cash
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.collections.point_of_sale import TenderKind
from penpay.domain.collections.shift import CashDirection, CashPurpose
from penpay.infrastructure.sql.collections_checks import CollectionsCheck, all_of, amounts_of, compared, total
from penpay.infrastructure.sql.collections_outflow_checks import left_for
from penpay.infrastructure.sql.collections_tables import cash_movements, pos_tenders, till_shifts

_h, _m, _t = till_shifts.c, cash_movements.c, pos_tenders.c
_CLOSED: Final = _h.open_by.is_(None)
_EXPECTED: Final = _h.float_cents + _h.taken_cents - _h.returned_cents + _h.in_cents - _h.out_cents


def _of_shift(column: ColumnElement[int], kind: TenderKind) -> Select[Any]:
    """What a shift took for sales, or handed back, against its tenders."""
    rows = amounts_of(_t.shift_id, _t.amount_cents, _t.shift_id.is_not(None), _t.kind == kind.value)
    return compared(_h.shift_number, till_shifts, _h.id, column, rows)


def _moved(column: ColumnElement[int], direction: CashDirection) -> Select[Any]:
    """What came into a drawer without a sale, or went, against its movements."""
    rows = amounts_of(_m.shift_id, _m.amount_cents, _m.shift_id.is_not(None), _m.direction == direction.value)
    return compared(_h.shift_number, till_shifts, _h.id, column, rows)


def _tenders(kind: TenderKind) -> ColumnElement[Any]:
    """Cash that no drawer took or gave."""
    return all_of(_t.amount_cents, _t.kind == kind.value, _t.shift_id.is_(None))


def _movements(direction: CashDirection, *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    return all_of(_m.amount_cents, _m.direction == direction.value, *conditions)


def _purpose(purpose: CashPurpose) -> ColumnElement[bool]:
    return _m.purpose == purpose.value


_IN, _OUT = CashDirection.IN, CashDirection.OUT
_IN_NONE: Final = _m.shift_id.is_(None)
_WITH_SAFE: Final = and_(_m.shift_id.is_not(None), _purpose(CashPurpose.SAFE))


def _cash() -> Select[Any]:
    """Cash in no drawer: sales without a shift, floats given and drawers emptied, and what came and went."""
    return total(
        postings.CASH,
        _tenders(TenderKind.CASH),
        -_tenders(TenderKind.CASH_RETURNED),
        -all_of(_h.float_cents),
        all_of(_h.counted_cents, _CLOSED),
        _movements(_IN, _IN_NONE),
        -_movements(_OUT, _IN_NONE),
        _movements(_OUT, _WITH_SAFE),
        -_movements(_IN, _WITH_SAFE),
    )


def _bank() -> Select[Any]:
    bank = _purpose(CashPurpose.BANK)
    return total(postings.BANK, _movements(_OUT, bank), -_movements(_IN, bank), left_for(OutflowUse.BANK))


CASH_CHECKS: Final = (
    CollectionsCheck(
        "shift_taken",
        postings.DRAWERS,
        "What the shift took for sales is not the sum of its tenders.",
        _of_shift(_h.taken_cents, TenderKind.CASH),
    ),
    CollectionsCheck(
        "shift_returned",
        postings.DRAWERS,
        "What the shift handed back is not the sum of its tenders.",
        _of_shift(_h.returned_cents, TenderKind.CASH_RETURNED),
    ),
    CollectionsCheck(
        "shift_in",
        postings.DRAWERS,
        "What was put into the drawer is not the sum of its movements.",
        _moved(_h.in_cents, _IN),
    ),
    CollectionsCheck(
        "shift_out",
        postings.DRAWERS,
        "What was taken out of the drawer is not the sum of its movements.",
        _moved(_h.out_cents, _OUT),
    ),
    CollectionsCheck(
        "drawers_total",
        postings.DRAWERS,
        "The account is not what the drawers of open shifts should hold.",
        total(postings.DRAWERS, all_of(_EXPECTED, ~_CLOSED)),
    ),
    CollectionsCheck("cash_total", postings.CASH, "The account is not the cash that is in no drawer.", _cash()),
    CollectionsCheck(
        "over_and_short_total",
        cash.OVER_AND_SHORT,
        "The account is not what closed shifts were short, less what they were over.",
        total(cash.OVER_AND_SHORT, all_of(_EXPECTED - _h.counted_cents, _CLOSED)),
    ),
    CollectionsCheck("bank_total", postings.BANK, "The account is not what was banked less what was fetched.", _bank()),
    CollectionsCheck(
        "drawings_total",
        postings.DRAWINGS,
        "The account is not what the owner took.",
        total(postings.DRAWINGS, -_movements(_OUT, _purpose(CashPurpose.OWNER)), -left_for(OutflowUse.OWNER)),
    ),
    CollectionsCheck(
        "expenses_total",
        postings.OTHER_EXPENSES,
        "The account is not what was paid for other expenses.",
        total(
            postings.OTHER_EXPENSES,
            _movements(_OUT, _purpose(CashPurpose.EXPENSE)),
            left_for(OutflowUse.EXPENSE),
        ),
    ),
)
"""The rules of cash that `collections verify` applies."""
