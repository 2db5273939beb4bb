"""Events as they get their positions, for those who watch: one reader of the database a process, any number of them.

A watcher remembers the position of the last event it was given, and nothing is remembered for it. What is new is
read once and shared; whoever is behind reads the database at the pace at which it takes what it is given.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol

from penpay.application.shared.publishing import PositionedEvent
from penpay.domain.shared.errors import Overloaded

LIVE: Final = "live"
PAGE: Final = 100
"""Events a watcher is given at once."""
_SHARED: Final = 1_000
"""Of the newest events, how many watchers share."""
_MOST_WATCHERS: Final = 1_000


class LiveLog(Protocol):
    """Published events by position; see `publishing.EventLog`."""

    async def head(self) -> int:
        """The newest position, 0 when there is none. Whatever stands below it can be read."""
        ...

    async def between(self, after: int, until: int, names: Collection[str], limit: int) -> Sequence[PositionedEvent]:
        """The events of these names that follow `after`, up to and with `until`, by position."""
        ...


class Page(NamedTuple):
    """What follows a position."""

    events: Sequence[PositionedEvent]
    until: int
    """Up to where nothing else follows: the position to go on from."""


class LiveFeed:
    """The newest events of some names. `look` and `handle` are for a worker, the rest is for watchers."""

    def __init__(self, log: LiveLog, names: Collection[str]) -> None:
        self._log = log
        self._names = frozenset(names)
        self._shared: deque[PositionedEvent] = deque()
        self._shared_after = 0
        """The position after which all events of these names up to the head are shared."""
        self._head = 0
        self._news = asyncio.Event()
        self._watchers = 0

    # -- for the worker

    async def look(self, limit: int) -> Sequence[int]:  # noqa: ARG002  (there is one thing to do, or none)
        """The newest position if it is news to somebody."""
        if not self._watchers:
            return []
        head = await self._log.head()
        return [head] if head > self._head else []

    async def handle(self, head: int) -> None:
        """Take in what is new up to a position, and tell those who wait."""
        before = self._head
        if head <= before:
            return
        events = await self._log.between(before, head, self._names, _SHARED + 1)
        if self._head != before:  # somebody has begun to watch after a pause
            return
        if len(events) > _SHARED:  # watchers read it for themselves, page by page
            self._shared.clear()
            self._shared_after = head
        else:
            self._shared.extend(events)
            while len(self._shared) > _SHARED:
                self._shared_after = self._shared.popleft().position
        self._head = head
        news, self._news = self._news, asyncio.Event()
        news.set()

    # -- for watchers

    async def join(self) -> int:
        """Begin to watch; the newest position. Raises Overloaded when too many do. `leave` must follow."""
        if self._watchers >= _MOST_WATCHERS:
            raise Overloaded
        self._watchers += 1
        try:
            head = await self._log.head()
            if self._watchers == 1 and head > self._head:
                # Nobody has looked for a while: what happened meanwhile is not shared.
                self._shared.clear()
                self._head = self._shared_after = head
        except BaseException:
            self._watchers -= 1
            raise
        return max(head, self._head)

    def leave(self) -> None:
        self._watchers -= 1

    async def page(self, after: int) -> Page:
        """What follows a position, as far as it is known here; empty when nothing does yet."""
        head = self._head
        if after >= head:
            return Page((), after)
        if after >= self._shared_after:
            found: Sequence[PositionedEvent] = [one for one in self._shared if one.position > after][:PAGE]
        else:
            found = await self._log.between(after, head, self._names, PAGE)
        return Page(found, found[-1].position if len(found) == PAGE else head)

    async def wait_beyond(self, position: int) -> None:
        """Return once something beyond this position is known here, whether or not it is of these names."""
        while self._head <= position:
            await self._news.wait()
