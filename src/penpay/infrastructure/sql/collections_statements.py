"""`application.collections.statements.Statements` over SQL: what moved one customer's balance, by indexes of her alone.

A balance at some moment is the one kept with the customer less all that has moved it since, so a statement of recent
days reads what happened on them and since, however long the past before is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.collections.statements import (
    Ageing,
    CustomerBalance,
    LineKind,
    Statement,
    StatementLine,
)
from penpay.application.shared.ports import Clock
from penpay.application.wallet.collections_postings import RECEIPT_REVERSED
from penpay.domain.collections.allocation import Target
from penpay.domain.collections.errors import CustomerNotFound
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import day_bounds, nairobi_day
from penpay.infrastructure.sql.collections_tables import (
    collections_refunds,
    credit_notes,
    customers,
    invoices,
    payment_allocations,
    payments,
)
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.tables import ledger_journals
from penpay.infrastructure.sql.types import Identifier, Moment, Word
from penpay.infrastructure.sql.unit_of_work import fetch

_KES: Final = Currency.KES
_DAYS: Final = (0, 30, 60, 90)
"""The first column of an ageing is not late; each of the others begins a day after one of these."""
_POSITION: Final = re.compile(r"(?P<micros>[0-9]{1,17})\.(?P<rank>[1-9])\.(?P<subject>[0-9a-f]{32})", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAYMENT: Final = 3
_RANKS: Final[Mapping[int, LineKind]] = {
    1: LineKind.INVOICE,
    2: LineKind.CREDIT_NOTE,
    _PAYMENT: LineKind.PAYMENT,
    4: LineKind.INVOICE_VOIDED,
    5: LineKind.REFUND,
    6: LineKind.RECOVERY,
}
"""What of one commit comes first."""

_i, _n, _p, _l, _r = invoices.c, credit_notes.c, payments.c, payment_allocations.c, collections_refunds.c
_SIGNED: Final[ColumnElement[int]] = case((_l.reverses_id.is_(None), _l.amount_cents), else_=-_l.amount_cents)
"""What a row counts: a reversing one takes back what another added."""


class _Position(NamedTuple):
    """Where a line stands among the customer's: by commit, then by kind, then by whose line it is."""

    at: datetime
    rank: int
    subject: UUID

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.rank}.{self.subject.hex}"


class SqlStatements:
    """Reads on an engine of its own; nothing is locked."""

    def __init__(self, engine: AsyncEngine, *, name_of: Callable[[Any], str], clock: Clock) -> None:
        self._engine = engine
        self._name_of = name_of  # opens the name in a row of customers
        self._clock = clock

    async def balance(self, customer_number: str) -> CustomerBalance:
        async with translating(), self._engine.connect() as connection:
            row = await _customer(connection, customer_number)
        return CustomerBalance(row.customer_number, _kes(row.receivable_cents), _kes(row.credit_cents))

    async def statement(
        self, customer_number: str, first: date, last: date, *, limit: int, after: str | None = None
    ) -> Statement:
        if last < first:
            raise _invalid("to", "must not lie before the first day")
        begin, end = day_bounds(first)[0], day_bounds(last)[1]
        start = _position(after, begin, end)
        async with translating(), snapshot(self._engine) as connection:
            row = await _customer(connection, customer_number)
            place = {"customer": row.id, "begin": start.at, "rank": start.rank, "subject": start.subject, "end": end}
            found = (await connection.execute(_LINES, {**place, "lines": limit + 1})).all()
            (moved,) = (await connection.execute(_MOVED, place)).all()
            taken = await _reversals(connection, found)
            ageing = await _ageing(connection, row, nairobi_day(self._clock.now()))
        now = row.receivable_cents - row.credit_cents
        opening, closing = now - int(moved.since_begin), now - int(moved.since_end)  # PostgreSQL sums to NUMERIC
        lines, balance = [], opening
        for one in found[:limit]:
            balance += int(one.cents)
            lines.append(_line(one, balance, taken))
        last_line = found[limit - 1] if len(found) > limit else None
        return Statement(
            customer_number=row.customer_number,
            name=self._name_of(row),
            first=first,
            last=last,
            opening=_kes(opening),
            lines=lines,
            closing=_kes(closing),
            next=None if last_line is None else str(_Position(last_line.at, last_line.rank, last_line.subject)),
            ageing=ageing,
        )


def _invalid(field: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {reason}.", fields=[field], reasons={field: reason})


def _position(after: str | None, begin: datetime, end: datetime) -> _Position:
    """What a page begins behind. Raises InvalidRequest for what is no position within the days."""
    if after is None:
        return _Position(begin, 0, UUID(int=0))
    match = _POSITION.fullmatch(after)
    if match is not None:
        position = _Position(
            _EPOCH + timedelta(microseconds=int(match["micros"])), int(match["rank"]), UUID(match["subject"])
        )
        if begin <= position.at < end:
            return position
    raise _invalid("after", "must be `next` of the page before")


_BY_NUMBER: Final = select(customers).where(customers.c.customer_number == bindparam("number", type_=Word))


async def _customer(connection: AsyncConnection, number: str) -> Any:
    rows = (await connection.execute(_BY_NUMBER, {"number": number})).all()
    if not rows:
        raise CustomerNotFound
    return rows[0]


# -- what moves a balance


# Parameters, so that each statement is built and compiled once.
_CUSTOMER: Final[ColumnElement[UUID]] = bindparam("customer", type_=Identifier)
_BEGIN: Final[ColumnElement[datetime]] = bindparam("begin", type_=Moment)
_END: Final[ColumnElement[datetime]] = bindparam("end", type_=Moment)


def _movements(*, until_end: bool) -> Any:
    """Everything that moved the customer's balance from `begin` on, to `end` or to now, each with its position."""

    def within(at: ColumnElement[datetime]) -> ColumnElement[bool]:
        return and_(at >= _BEGIN, at < _END) if until_end else at >= _BEGIN

    recovered = and_(_l.payment_id.is_(None), _l.target == Target.RECOVERY.value)
    return union_all(
        _movement(1, _i.issued_at, _i.id, _i.total_cents, reference=_i.invoice_number).where(
            _i.customer_id == _CUSTOMER, within(_i.issued_at)
        ),
        _movement(2, _n.issued_at, _n.id, -_n.total_cents, reference=_n.credit_note_number, about=_i.invoice_number)
        .join_from(credit_notes, invoices, _i.id == _n.invoice_id)
        .where(_n.customer_id == _CUSTOMER, within(_n.issued_at)),
        _paid().where(within(_l.created_at)),
        _movement(4, _i.voided_at, _i.id, _i.credited_cents - _i.total_cents, reference=_i.invoice_number).where(
            _i.customer_id == _CUSTOMER, within(_i.voided_at)
        ),
        _refunded().where(within(_l.created_at)),
        _movement(6, _l.created_at, _l.id, -_SIGNED, reference=literal("")).where(
            _l.customer_id == _CUSTOMER, recovered, within(_l.created_at)
        ),
    ).subquery("movements")


def _movement(
    rank: int,
    at: ColumnElement[Any],
    subject: ColumnElement[Any],
    cents: ColumnElement[Any],
    *,
    reference: ColumnElement[Any],
    about: ColumnElement[Any] | None = None,
) -> Select[Any]:
    return select(
        type_coerce(at, Moment).label("at"),
        literal(rank).label("rank"),
        type_coerce(subject, Identifier).label("subject"),
        cents.label("cents"),
        type_coerce(reference, Word).label("reference"),
        type_coerce(literal("") if about is None else about, Word).label("about"),
    )


def _paid() -> Select[Any]:
    """What each payment paid at each moment, to invoices and to credit together; what only moved between is nothing."""
    cents = -func.sum(_SIGNED)
    one_invoice = case((func.count(_i.id.distinct()) == 1, func.min(_i.invoice_number)), else_="")
    reference = func.coalesce(_p.mpesa_receipt_number, _p.push_reference)
    return (
        _movement(_PAYMENT, _l.created_at, _p.id, cents, reference=reference, about=one_invoice)
        .select_from(payment_allocations)
        .join(payments, _p.id == _l.payment_id)
        .outerjoin(invoices, _i.id == _l.invoice_id)
        .where(_l.customer_id == _CUSTOMER, _l.target.in_([Target.INVOICE.value, Target.CREDIT.value]))
        .group_by(_l.created_at, _p.id, _p.mpesa_receipt_number, _p.push_reference)
        .having(cents != 0)
    )


def _refunded() -> Select[Any]:
    """What was paid out of credit, or came back to it because it could not be paid out."""
    cents = func.sum(_SIGNED)
    return (
        _movement(5, _l.created_at, _r.id, cents, reference=func.coalesce(_r.receipt, ""))
        .select_from(payment_allocations)
        .join(collections_refunds, _r.id == _l.refund_id)
        .where(_l.customer_id == _CUSTOMER, _l.payment_id.is_(None), _l.target == Target.REFUND.value)
        .group_by(_l.created_at, _r.id, _r.receipt)
        .having(cents != 0)
    )


def _beyond(movements: Any) -> ColumnElement[bool]:
    """Whether a movement stands behind the position that was given."""
    m, rank, subject = movements.c, bindparam("rank", type_=Integer), bindparam("subject", type_=Identifier)
    same = and_(m.at == _BEGIN, or_(m.rank > rank, and_(m.rank == rank, m.subject > subject)))
    return or_(m.at > _BEGIN, same)


def _lines() -> Select[Any]:
    movements = _movements(until_end=True)
    m = movements.c
    ordered = select(movements).where(_beyond(movements)).order_by(m.at, m.rank, m.subject)
    return ordered.limit(bindparam("lines", type_=Integer))


def _moved() -> Select[Any]:
    """By how much the balance has moved until now: from behind the position, and from the end of the days."""
    movements = _movements(until_end=False)
    m = movements.c
    return select(
        func.coalesce(func.sum(m.cents), 0).label("since_begin"),
        func.coalesce(func.sum(case((m.at >= _END, m.cents), else_=0)), 0).label("since_end"),
    ).where(_beyond(movements))


_LINES: Final = _lines()
_MOVED: Final = _moved()


async def _reversals(connection: AsyncConnection, found: Sequence[Any]) -> frozenset[tuple[datetime, UUID]]:
    """Which of the payments that were taken from the customer again were sent back, by when and whose."""
    taken = [one for one in found if one.rank == _PAYMENT and one.cents > 0]
    if not taken:
        return frozenset()
    statement = (
        select(_l.created_at, _l.payment_id)
        .join_from(payment_allocations, ledger_journals, ledger_journals.c.id == _l.journal_id)
        .where(
            _l.payment_id.in_({one.subject for one in taken}),
            _l.reverses_id.is_not(None),
            ledger_journals.c.kind == RECEIPT_REVERSED,
        )
    )
    return frozenset((row.created_at, row.payment_id) for row in await fetch(connection, statement))


def _line(row: Any, balance: int, sent_back: frozenset[tuple[datetime, UUID]]) -> StatementLine:
    kind = _RANKS[row.rank]
    if kind is LineKind.PAYMENT and row.cents > 0:
        kind = LineKind.PAYMENT_REVERSED if (row.at, row.subject) in sent_back else LineKind.PAYMENT_UNALLOCATED
    if kind is LineKind.REFUND and row.cents < 0:
        kind = LineKind.REFUND_FAILED
    return StatementLine(row.at, kind, row.reference, row.about or "", _kes(int(row.cents)), _kes(balance))


# -- how long it has been due


def _ageing_columns() -> Sequence[ColumnElement[Any]]:
    bounds = [bindparam(f"due{days}", type_=Word) for days in _DAYS]
    ages = [
        _i.due_on >= bounds[0],
        *(and_(_i.due_on < newer, _i.due_on >= older) for newer, older in pairwise(bounds)),
        _i.due_on < bounds[-1],
    ]
    return [
        func.coalesce(func.sum(case((age, _i.balance), else_=0)), 0).label(f"c{number}")
        for number, age in enumerate(ages)
    ]


AGEING_COLUMNS: Final = tuple(_ageing_columns())
"""The sums of an ageing over open invoices: c0 not late, c1 1 to 30 days late, … c4 over 90 days."""
_AGEING: Final = select(*AGEING_COLUMNS).where(_i.customer_id == _CUSTOMER, _i.is_open.is_(True))


def ageing_bounds(today: date) -> Mapping[str, str]:
    """The parameters of those columns."""
    return {f"due{days}": (today - timedelta(days=days)).isoformat() for days in _DAYS}


def ageing(row: Any, credit: int, today: date) -> Ageing:
    """An ageing of a row with the columns above."""
    return Ageing(today, *(_kes(int(cents)) for cents in (row.c0, row.c1, row.c2, row.c3, row.c4, credit)))


async def _ageing(connection: AsyncConnection, customer: Any, today: date) -> Ageing:
    (row,) = (await connection.execute(_AGEING, {"customer": customer.id, **ageing_bounds(today)})).all()
    return ageing(row, customer.credit_cents, today)


def _kes(cents: int) -> Money:
    return Money(cents, _KES)
