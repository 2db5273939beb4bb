"""A wire to a server that breaks at COMMIT, when and where a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum

from sqlalchemy.engine import make_url

_COMMITS = (b"COMMIT;\x00", b"\x03COMMIT")
"""How PostgreSQL's and MySQL's drivers say it."""
_LATE_SECONDS = 0.5


class Break(Enum):
    """What becomes of the next COMMIT; our side of the wire is cut in every case."""

    QUESTION_LOST = "the server never sees it and finds the wire cut"
    ANSWER_LOST = "the server does it, and its answer is lost"
    QUESTION_LATE = "it reaches the server half a second after we have given up"


class Wire:
    """Passes bytes on between a driver and its server."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.next_commit: Break | None = None
        self.broken = 0
        self._open: set[asyncio.Task[None]] = set()

    async def connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """One connection, until either side or the plan ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        answers = asyncio.create_task(_pass_on(server, to_client))
        try:
            while data := await client.read(65_536):
                if self.next_commit is not None and data.endswith(_COMMITS):
                    await self._cut(
                        plan=self.next_commit,
                        commit=data,
                        server=server,
                        to_server=to_server,
                        to_client=to_client,
                        answers=answers,
                    )
                    break
                to_server.write(data)
        finally:
            answers.cancel()
            with suppress(asyncio.CancelledError):
                await answers
            for writer in (to_client, to_server):
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
            self._open.discard(task)

    async def _cut(
        self,
        *,
        plan: Break,
        commit: bytes,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        to_client: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> None:
        self.next_commit = None
        self.broken += 1
        answers.cancel()
        with suppress(asyncio.CancelledError):
            await answers
        if plan is Break.QUESTION_LOST:
            return
        if plan is Break.QUESTION_LATE:
            to_client.close()
            await asyncio.sleep(_LATE_SECONDS)
        to_server.write(commit)
        await server.read(65_536)

    async def ended(self) -> None:
        """Wait until no connection is left."""
        while self._open:
            await asyncio.wait(set(self._open))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
    target.close()


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to this database, and the address at its near end."""
    parsed = make_url(url)
    assert parsed.port is not None
    wire = Wire(parsed.port)
    listener = await asyncio.start_server(wire.connected, "127.0.0.1", 0)
    try:
        port = listener.sockets[0].getsockname()[1]
        yield wire, parsed.set(port=port).render_as_string(hide_password=False)
    finally:
        listener.close()
        await wire.ended()
        await listener.wait_closed()
