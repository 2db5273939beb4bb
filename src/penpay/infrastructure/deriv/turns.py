"""Whose turn it is to move money: several at once, equal ones one after another, everybody in the order of asking."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from penpay.infrastructure.deriv.connection import within


class Turns:
    """At most so many have their turn together, and never two that are equal."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._together = at_most
        self._having: set[Hashable] = set()
        self._waiting: dict[asyncio.Future[None], Hashable] = {}

    async def take(self, of: Hashable, *, within_ms: int) -> None:
        """Wait for a turn, which `give_back` ends; raises TimeoutError when it does not come in time."""
        comes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[comes] = of
        self._admit()
        try:
            async with within(within_ms):
                await comes
        except BaseException:
            if self._waiting.pop(comes, None) is None:  # it came together with the end of the waiting
                self.give_back(of)
            raise

    def give_back(self, of: Hashable) -> None:
        """End a turn that was taken."""
        self._having.discard(of)
        self._admit()

    def narrow(self) -> None:
        """From now on one at a time: what comes after the first would only spend calls that the first needs."""
        self._together = 1

    def widen(self) -> None:
        """One more together, up to the most."""
        self._together = min(self._together + 1, self._at_most)

    def _admit(self) -> None:
        for comes, of in list(self._waiting.items()):
            if len(self._having) >= self._together:
                return
            if of not in self._having and not comes.done():
                del self._waiting[comes]
                self._having.add(of)
                comes.set_result(None)
