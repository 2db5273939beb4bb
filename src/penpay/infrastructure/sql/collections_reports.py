"""`application.collections.reports.CollectionsReports` over SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.reports import AgeingPage, BookError, CustomerAgeing, DailyCollection
from penpay.application.collections.statements import Ageing
from penpay.application.shared.ports import Clock
from penpay.application.wallet.queries import Finding
from penpay.domain.collections.payment import PaymentStatus
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import day_bounds, nairobi_day
from penpay.infrastructure.sql.collections_checks_totals import CHECKS
from penpay.infrastructure.sql.collections_statements import AGEING_COLUMNS, ageing, ageing_bounds
from penpay.infrastructure.sql.collections_tables import customers, invoices, payments
from penpay.infrastructure.sql.collections_unapplied import unapplied
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.ledger_checks import CHECKS as LEDGER_CHECKS
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.unit_of_work import among_ids, fetch

_MOST_DAYS: Final = 366
_c, _i, _p = customers.c, invoices.c, payments.c


class SqlCollectionsReports:
    """Reads on an engine of its own; nothing is locked."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def ageing(self, limit: int, after: str | None) -> AgeingPage:
        today = nairobi_day(self._clock.now())
        wanted = select(_c.id, _c.customer_number, _c.credit_cents).where(
            or_(_c.receivable_cents > 0, _c.credit_cents > 0)
        )
        if after is not None:
            wanted = wanted.where(_c.customer_number > after)
        bounds = ageing_bounds(today)
        async with translating(), snapshot(self._engine) as connection:
            found = await fetch(connection, wanted.order_by(_c.customer_number).limit(limit + 1))
            page = found[:limit]
            owed = (
                select(_i.customer_id, *AGEING_COLUMNS)
                .where(_i.is_open.is_(True), among_ids(_i.customer_id, [row.id for row in page], connection.dialect))
                .group_by(_i.customer_id)
            )
            ages = {row.customer_id: row for row in (await connection.execute(owed, bounds)).all()} if page else {}
            (whole,) = (await connection.execute(select(*AGEING_COLUMNS).where(_i.is_open.is_(True)), bounds)).all()
            (held,) = await fetch(connection, select(func.coalesce(func.sum(_c.credit_cents), 0).label("cents")))
        return AgeingPage(
            [_customer_ageing(row, ages.get(row.id), today) for row in page],
            page[-1].customer_number if len(found) > limit else None,
            ageing(whole, int(held.cents), today),
        )

    async def daily(self, first: date, last: date) -> Sequence[DailyCollection]:
        if not 0 <= (last - first).days < _MOST_DAYS:
            reason = f"must not lie before the first day, nor {_MOST_DAYS} days or more after it"
            raise InvalidRequest(f"The last day {reason}.", fields=["to"], reasons={"to": reason})
        begin, end = day_bounds(first)[0], day_bounds(last)[1]
        async with translating(), self._engine.connect() as connection:
            day = _nairobi_day(connection.dialect.name)
            rows = await fetch(connection, _collected(day, begin, end))
        by_day: dict[str, list[Any]] = {}
        for row in rows:
            by_day.setdefault(str(row.day), []).append(row)
        return [_daily(date.fromisoformat(found), by_day[found]) for found in sorted(by_day)]

    async def verify(self) -> Sequence[BookError]:
        errors: list[BookError] = []
        async with translating(), snapshot(self._engine) as connection:
            for rule in LEDGER_CHECKS:
                errors.extend(_of_ledger(rule.finding(row)) for row in await fetch(connection, rule.statement))
            for check in CHECKS:
                errors.extend(check.error(row) for row in await fetch(connection, check.statement))
            errors.extend(await unapplied(connection, self._clock.now()))
        return sorted(errors, key=lambda one: (one.check, one.subject, one.account, one.journal))


def _customer_ageing(row: Any, ages: Any | None, today: date) -> CustomerAgeing:
    credit = row.credit_cents
    nothing = Ageing(today, *(_kes(cents) for cents in (0, 0, 0, 0, 0, credit)))
    return CustomerAgeing(row.customer_number, nothing if ages is None else ageing(ages, credit, today))


def _nairobi_day(dialect: str) -> ColumnElement[str]:
    """The day in Nairobi of the moment somebody paid, as ISO text: three hours ahead of UTC."""
    if dialect == "postgresql":
        shifted: ColumnElement[Any] = func.timezone("Africa/Nairobi", _p.paid_at)
        return func.to_char(shifted, "YYYY-MM-DD")
    if dialect == "sqlite":
        return func.date(_p.paid_at, "+3 hours")
    return func.date_format(func.addtime(_p.paid_at, "03:00:00"), "%Y-%m-%d")


def _collected(day: ColumnElement[str], begin: datetime, end: datetime) -> Select[Any]:
    """Payments by day and source, the reversed ones apart."""
    is_reversed = case((_p.status == PaymentStatus.REVERSED.value, 1), else_=0)
    paid = (
        select(day.label("day"), _p.source, is_reversed.label("is_reversed"), _p.amount_cents, _p.suspense_cents)
        .where(_p.paid_at >= begin, _p.paid_at < end)
        .subquery()
    ).c
    return select(
        paid.day,
        paid.source,
        paid.is_reversed,
        func.count().label("count_"),
        func.sum(paid.amount_cents).label("cents"),
        func.sum(paid.suspense_cents).label("suspense"),
    ).group_by(paid.day, paid.source, paid.is_reversed)


def _daily(day: date, rows: Sequence[Any]) -> DailyCollection:
    kept, sent_back = [row for row in rows if not row.is_reversed], [row for row in rows if row.is_reversed]
    total, suspense = sum(int(row.cents) for row in kept), sum(int(row.suspense) for row in kept)
    return DailyCollection(
        day=day,
        count=sum(row.count_ for row in kept),
        total=_kes(total),
        by_source={row.source: _kes(int(row.cents)) for row in sorted(kept, key=lambda one: one.source)},
        allocated=_kes(total - suspense),
        suspense=_kes(suspense),
        reversed_count=sum(row.count_ for row in sent_back),
        reversed=_kes(sum(int(row.cents) for row in sent_back)),
    )


def _of_ledger(found: Finding) -> BookError:
    """A breach of the ledger's own rules."""
    is_journal = found.check.startswith("journal")
    return BookError(
        check=found.check,
        account="" if is_journal else found.subject,
        subject=found.subject,
        journal=found.subject if is_journal else "",
        detail=found.detail,
        difference=Money(found.difference_cents, Currency(found.currency or Currency.KES)),
    )


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)
