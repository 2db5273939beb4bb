"""A socket without a network: two ends in one interpreter, for a simulation under virtual time."""

from __future__ import annotations

import asyncio


class MemorySocket:
    """One end of a pair; what one sends the other receives, in order, until either closes."""

    def __init__(
        self, inbox: asyncio.Queue[str | None], outbox: asyncio.Queue[str | None], closed: asyncio.Event
    ) -> None:
        """The queues and the flag are shared with the other end; None in a queue means closed."""
        self._inbox = inbox
        self._outbox = outbox
        self._closed = closed

    @classmethod
    def pair(cls) -> tuple[MemorySocket, MemorySocket]:
        """Two connected ends."""
        there: asyncio.Queue[str | None] = asyncio.Queue()
        back: asyncio.Queue[str | None] = asyncio.Queue()
        closed = asyncio.Event()
        return cls(back, there, closed), cls(there, back, closed)

    async def send(self, text: str) -> None:
        """Send a frame; raises ConnectionError once either end has closed."""
        if self._closed.is_set():
            raise ConnectionResetError("closed")
        self._outbox.put_nowait(text)

    async def recv(self) -> str:
        """The next frame; raises ConnectionError once either end has closed and nothing is left to read."""
        text = await self._inbox.get()
        if text is None:
            self._inbox.put_nowait(None)
            raise ConnectionResetError("closed")
        return text

    async def close(self, code: int = 1000) -> None:
        """Close both ends; a repeat does nothing. The code has nobody to read it here."""
        del code
        if not self._closed.is_set():
            self._closed.set()
            self._inbox.put_nowait(None)
            self._outbox.put_nowait(None)

    def drop(self) -> None:
        """Close both ends and lose what the other end has not read yet."""
        while not self._outbox.empty():
            self._outbox.get_nowait()
        self._closed.set()
        self._inbox.put_nowait(None)
        self._outbox.put_nowait(None)
