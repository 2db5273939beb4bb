"""Exchange rates: locked to be approved, and read to be used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.payments.fx import LAST_APPROVED
from penpay.application.payments.rows import CURRENT_RATES, FX_RATES, FxRate
from penpay.application.shared.ports import Clock
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.shared.ids import FxRateId
from penpay.domain.shared.money import Currency
from penpay.infrastructure.sql.tables import fx_rates
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

Pair = tuple[Currency, Currency]
"""(base, quote)."""


class FxRateRepository:
    """Rates by id, locked in id order."""

    kind = FX_RATES
    table = fx_rates
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("approved_by", "approved_at")

    async def lock(self, connection: AsyncConnection, keys: Collection[FxRateId]) -> Mapping[FxRateId, FxRate | None]:
        statement = select(fx_rates).where(fx_rates.c.id.in_(keys)).order_by(fx_rates.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(_rate, rows), lambda rate: rate.id, keys)

    def row(self, value: FxRate) -> Row:
        return (
            value.id,
            value.base.value,
            value.quote.value,
            value.mid_e8,
            value.source,
            value.valid_from,
            value.entered_by,
            value.approved_by,
            value.approved_at,
            value.created_at,
        )

    def identity(self, value: FxRate) -> Row:
        return (value.id,)


class CurrentRateFinder:
    """The approved rate of each pair that became valid last; of two at one moment, the one approved last."""

    index = CURRENT_RATES

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def find(self, connection: AsyncConnection, keys: Collection[Pair]) -> Mapping[Pair, FxRate]:
        # One query a pair, stopping at its first row: there are few pairs, and a history that only grows.
        found: dict[Pair, FxRate] = {}
        for base, quote in keys:
            statement = (
                _approved()
                .where(fx_rates.c.base == base.value, fx_rates.c.quote == quote.value)
                .where(fx_rates.c.valid_from <= self._clock.now())
                .order_by(fx_rates.c.valid_from.desc(), fx_rates.c.approved_at.desc(), fx_rates.c.id.desc())
                .limit(1)
            )
            for row in await fetch(connection, statement):
                found[base, quote] = _rate(row)
        return found


class LastApprovedRateFinder:
    """For each rate, the rate of its pair that was approved last, valid already or not; true until the batch ends."""

    index = LAST_APPROVED

    async def find(self, connection: AsyncConnection, keys: Collection[FxRateId]) -> Mapping[FxRateId, FxRate]:
        await _hold_pairs(connection, keys)
        asked = fx_rates.alias("asked")
        found: dict[FxRateId, FxRate] = {}
        for rate_id in keys:
            statement = (
                _approved()
                .join(asked, (asked.c.base == fx_rates.c.base) & (asked.c.quote == fx_rates.c.quote))
                .where(asked.c.id == rate_id, fx_rates.c.id != rate_id)
                .order_by(fx_rates.c.approved_at.desc(), fx_rates.c.id.desc())
                .limit(1)
            )
            for row in await fetch(connection, statement):
                found[rate_id] = _rate(row)
        return found


class SqlFxRates:
    """Reading rates without locks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def newest(self, limit: int) -> Sequence[FxRate]:
        """Rates as entered, approved or not, newest first."""
        statement = select(fx_rates).order_by(fx_rates.c.created_at.desc(), fx_rates.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [_rate(row) for row in await fetch(connection, statement)]


async def _hold_pairs(connection: AsyncConnection, keys: Collection[FxRateId]) -> None:
    """Let nobody else approve a rate of these rates' pairs until this transaction ends.

    Whoever approves locks every rate of the pair that waits for approval, her own among them. So of two at once the
    later one to look finds the earlier one's rate among those, and waits for it.
    """
    asked = fx_rates.alias("asked")
    pairs = select(asked.c.base, asked.c.quote).where(asked.c.id.in_(keys))
    waiting = (
        select(fx_rates.c.id)
        .where(fx_rates.c.approved_at.is_(None), tuple_(fx_rates.c.base, fx_rates.c.quote).in_(pairs))
        .order_by(fx_rates.c.id)
    )
    await fetch(connection, for_update(waiting, connection.dialect))


def _approved() -> Select[Any]:
    return select(fx_rates).where(fx_rates.c.approved_at.is_not(None))


def _rate(row: Any) -> FxRate:
    return FxRate(
        id=row.id,
        base=Currency(row.base),
        quote=Currency(row.quote),
        mid_e8=row.mid_e8,
        source=row.source,
        valid_from=row.valid_from,
        entered_by=row.entered_by,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        created_at=row.created_at,
    )
