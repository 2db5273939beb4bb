"""A client of server-sent events over a real socket, which reads as a browser does and can be cut off anywhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True)
class Message:
    """One dispatched event."""

    id: str
    name: str
    data: Mapping[str, Any]


@dataclass
class Watcher:
    """What a browser's EventSource remembers over all its connections."""

    base_url: str
    headers: Mapping[str, str]
    last_id: str | None = None
    """What it would send as Last-Event-ID."""
    comments: int = 0
    seen: list[Message] = field(default_factory=list)

    @asynccontextmanager
    async def connected(self, path: str = "/api/events") -> AsyncIterator[AsyncIterator[Message]]:
        """The messages of one connection, which is cut off at the end of the block."""
        headers = dict(self.headers) | ({} if self.last_id is None else {"Last-Event-ID": self.last_id})
        async with (
            httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=20) as client,
            client.stream("GET", path) as response,
        ):
            assert (200, "text/event-stream") == (
                response.status_code,
                response.headers["content-type"].partition(";")[0],
            )
            yield self._messages(response)

    async def _messages(self, response: httpx.Response) -> AsyncIterator[Message]:
        fields: dict[str, str] = {}
        async for line in response.aiter_lines():
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    data = json.loads(fields["data"], parse_float=str)
                    message = Message(self.last_id or "", fields.get("event", "message"), data)
                    self.seen.append(message)
                    yield message
                fields = {}

    @property
    def told(self) -> list[Message]:
        """What was told of the business."""
        return [one for one in self.seen if one.name not in {"ready", "reset"}]
