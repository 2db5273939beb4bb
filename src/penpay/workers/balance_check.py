"""The balance worker: once a day has ended in Nairobi, follows M-Pesa's balances through it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Protocol

from penpay.application.collections.checking import BalanceBooks, check_balance
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME

BALANCE_WORKER: Final = "balance_check"
_SETTLED_AFTER: Final = timedelta(hours=4)
"""Confirmations, and M-Pesa's own list, may be late by so much."""


class CheckBooks(Protocol):
    """Reading which days were checked."""

    async def is_checked(self, short_code: str, day: date) -> bool:
        """Whether the balances of a day were followed after it had ended."""
        ...


class BalanceChecker:
    """Checks yesterday, a while after it has ended; twice at once does no harm."""

    def __init__(
        self, *, executor: Executor, balances: BalanceBooks, checks: CheckBooks, clock: Clock, short_code: str
    ) -> None:
        self._executor = executor
        self._balances = balances
        self._checks = checks
        self._clock = clock
        self._short_code = short_code
        self._done: date | None = None

    async def look(self, limit: int) -> Sequence[date]:  # noqa: ARG002  (there is one day to check, or none)
        """Yesterday, unless it was checked."""
        day = (self._clock.now() - _SETTLED_AFTER).astimezone(EAST_AFRICA_TIME).date() - timedelta(days=1)
        if day == self._done:
            return []
        if await self._checks.is_checked(self._short_code, day):
            self._done = day
            return []
        return [day]

    async def handle(self, day: date) -> None:
        """Follow the balances of one day."""
        await check_balance(
            self._executor, self._balances, short_code=self._short_code, day=day, by="worker:balance_check"
        )
        self._done = day
