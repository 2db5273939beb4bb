"""What happens in the business, told as it happens: server-sent events, which a browser resumes by itself.

Every event has an id, its position among all events. A client that was cut off names the last one it was given
(Last-Event-ID) and misses nothing and gets nothing twice, from whichever process it then reaches.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from penpay.application.collections.live import live_view
from penpay.application.payments.views import moment
from penpay.application.shared.live import LiveFeed, Page
from penpay.application.shared.publishing import PositionedEvent
from penpay.domain.shared.errors import InvalidRequest, Unauthorized
from penpay.presentation.http.routes.shapes import PROBLEMS
from penpay.presentation.http.staff_auth import Staff, still_on_the_staff
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api", tags=["events"])

HEARTBEAT_SECONDS: Final = 10
"""Shorter than the patience of the proxies there are; so long may somebody who was dismissed go on watching."""
_RETRY_MS: Final = 1_000
_POSITION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@router.get(
    "/events",
    response_class=Response,
    responses={200: {"description": "The stream.", "content": {"text/event-stream": {}}}, **PROBLEMS},
)
async def events(
    request: Request,
    staff: Staff,  # noqa: ARG001  (whoever is on the staff may watch)
    after: Annotated[
        str | None, Query(description="Begin after this position, as with Last-Event-ID, which goes before it.")
    ] = None,
) -> Response:
    """Payments, invoices, sales and balances as they change. Without a position it begins now.

    The first message, `ready`, names the position from which it goes on: whoever reads the lists after that message
    misses nothing. `reset` says that the named position is not one of this database; the lists must be read again.
    """
    asked = _position(request.headers.get("last-event-id") or after)
    feed = system_of(request).live_feed
    head = await feed.join()
    try:
        stream = _Stream(request, feed, asked, head)
        return _LeavingResponse(stream.messages(), feed)
    except BaseException:
        feed.leave()
        raise


class _LeavingResponse(StreamingResponse):
    """A stream whose watcher is counted until it ends, however it ends, also before its first byte."""

    def __init__(self, messages: AsyncIterator[bytes], feed: LiveFeed) -> None:
        super().__init__(messages, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._feed = feed

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        try:
            await super().__call__(scope, receive, send)  # type: ignore[arg-type]  # passed on as they came
        finally:
            self._feed.leave()


class _Stream:
    """One watcher's messages. What it does not take yet is not read, so a slow one costs no memory."""

    def __init__(self, request: Request, feed: LiveFeed, asked: int | None, head: int) -> None:
        self._request = request
        self._feed = feed
        self._is_reset = asked is not None and asked > head
        self._at = head if asked is None or self._is_reset else asked

    async def messages(self) -> AsyncIterator[bytes]:
        clock = system_of(self._request).clock
        yield b"retry: %d\n\n" % _RETRY_MS
        yield _message("reset" if self._is_reset else "ready", self._at, {"position": self._at})
        checked_ms = clock.monotonic_ms()
        while True:
            page = await self._next()
            if clock.monotonic_ms() - checked_ms >= HEARTBEAT_SECONDS * 1000 or page is None:
                try:
                    await still_on_the_staff(self._request)
                except Unauthorized:
                    return
                checked_ms = clock.monotonic_ms()
            if page is None:
                yield b": alive\n\n"
                continue
            for one in page.events:
                yield _told(one)
            if not page.events or page.events[-1].position < page.until:
                # A bare id: what a browser resumes by, without a message. It need not read again what is not for it.
                yield b"id: %d\n\n" % page.until
            self._at = page.until

    async def _next(self) -> Page | None:
        """What follows, once something does; None when for the time of a heartbeat nothing has."""
        page = await self._feed.page(self._at)
        if page.until > self._at:
            return page
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._feed.wait_beyond(self._at)
        page = await self._feed.page(self._at)
        return page if page.until > self._at else None


def _told(one: PositionedEvent) -> bytes:
    event = one.stored
    return _message(event.event.name, one.position, {"at": moment(event.recorded_at), **live_view(one)})


def _message(name: str, position: int, data: dict[str, object]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, name.encode(), orjson.dumps(data))


def _position(text: str | None) -> int | None:
    if not text:
        return None
    if not _POSITION.fullmatch(text):
        reason = "must be the id of an event"
        raise InvalidRequest(f"after {reason}.", fields=["after"], reasons={"after": reason})
    return int(text)
