"""Credits on the agent account, each handed on until it has been taken."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from datetime import datetime, timedelta

from penpay.application.shared.ports import Clock, Random
from penpay.domain.deriv.gateway import IncomingCredit, IncomingHandler
from penpay.infrastructure.deriv.backoff import Backoff

_log = logging.getLogger(__name__)

_OVERLAP = timedelta(hours=1)
"""How far before the last reading of the statement the next one begins: a statement may lag (deriv.md §3)."""

_REMEMBERED = 10_000
"""Ids kept to drop repeats: far more than an hour of credits. The handler's own unique key catches the rest."""

_TOGETHER = 100
"""Credits that are handed on at the same time."""


class IncomingCredits:
    """Takes credits from the stream and from gap-fills, drops repeats, and calls the handler outside the reader.

    A credit whose handling fails is tried again until it succeeds; it never holds up the answers to our calls.
    """

    def __init__(self, handler: IncomingHandler, *, clock: Clock, random: Random, since: datetime) -> None:
        """`since`: the books lack no credit from before; the first reading of the statement begins there."""
        self._handler = handler
        self._clock = clock
        self._random = random
        self._begins = since
        self._known: OrderedDict[str, None] = OrderedDict()
        self._queue: asyncio.Queue[IncomingCredit] = asyncio.Queue()

    @property
    def gap_begins(self) -> datetime:
        """From when on the statement must be read.

        A credit that was taken says nothing of those before it: the stream may have missed one. So only a reading of
        the statement moves this on.
        """
        return self._begins

    def filled(self, at: datetime) -> None:
        """The statement has been read as it stood at this moment, and all it holds was offered."""
        self._begins = max(self._begins, at - _OVERLAP)

    def offer(self, credit: IncomingCredit) -> None:
        """Queue a credit unless its id has been here before; never blocks."""
        if credit.provider_id in self._known:
            return
        self._known[credit.provider_id] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._queue.put_nowait(credit)

    async def run(self) -> None:
        """Hand credits on for ever, all that wait at once, so that they can be booked in one commit."""
        backoff = Backoff(self._random)
        while True:
            together = [await self._queue.get()]
            while len(together) < _TOGETHER and not self._queue.empty():
                together.append(self._queue.get_nowait())
            taken = await asyncio.gather(*map(self._is_taken, together))
            for credit, is_taken in zip(together, taken, strict=True):
                if not is_taken:
                    self._queue.put_nowait(credit)
            if all(taken):
                backoff.reset()
            else:
                await self._clock.sleep(backoff.next_ms())

    async def _is_taken(self, credit: IncomingCredit) -> bool:
        try:
            await self._handler(credit)
        except Exception:  # noqa: BLE001  (whatever broke on our side, the credit is real)
            _log.exception("the credit %s could not be taken and will be offered again", credit.provider_id)
            return False
        return True
