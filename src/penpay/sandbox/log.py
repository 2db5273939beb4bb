"""What came into the sandbox and what it sent out, with the answers: in memory for people, appended to a file.

Secrets are taken out before anything is kept: tokens, passwords, PINs, security credentials, consumer secrets, and the
long parts of callback URLs, which are how a receiver knows a caller. Looking (GET below /sandbox/) is not noted, and of
the operator's own interface no bodies are.
"""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penpay.application.shared.ports import Clock
from penpay.sandbox.daraja.answers import json_response
from penpay.sandbox.daraja.wire import write_json

LOG_PATH: Final = "/sandbox/log"
INBOX_PATH: Final = "/sandbox/inbox"
"""Takes any callback, for whoever has no application yet; it is told where it was sent, not twice."""
_OPERATORS_OWN: Final = "/api/"
_KEPT: Final = 5_000
_TOLD_AT_ONCE: Final = 500
_LONGEST_BODY: Final = 32_768
_LONGEST_TEXT: Final = 500
_LONGEST_PART: Final = 30
"""No part of a path of Daraja's is longer; what is, in a callback URL, is taken for a secret."""
_DEEPEST: Final = 12
_HIDDEN: Final = "***"
_SECRET: Final = frozenset(
    {
        "accesstoken",
        "apikey",
        "appkey",
        "authorization",
        "clientsecret",
        "consumersecret",
        "initiatorpassword",
        "passkey",
        "password",
        "pin",
        "secret",
        "securitycredential",
        "token",
    }
)
"""Keys whose values are never kept; in lower case, without what separates words."""


@dataclass(slots=True)
class _Body:
    """The bytes of one body as they pass, up to a limit."""

    size: int = 0
    parts: list[bytes] = field(default_factory=list)

    def take(self, chunk: bytes) -> None:
        if self.size <= _LONGEST_BODY:
            self.parts.append(chunk)
        self.size += len(chunk)

    def told(self, content_type: str, secrets: Sequence[str]) -> object:
        """What is kept of it: JSON and forms without their secrets, of anything else the size."""
        if not self.size:
            return None
        kind = content_type.partition(";")[0].strip().lower()
        if self.size <= _LONGEST_BODY:
            raw = b"".join(self.parts)
            try:
                if kind == "application/json":
                    return cleaned(json.loads(raw, parse_float=Decimal, parse_constant=str), secrets)
                if kind == "application/x-www-form-urlencoded":
                    return cleaned(parse_qs(raw.decode(), keep_blank_values=True), secrets)
            except (ValueError, RecursionError):
                kind = f"unreadable {kind}"
        return f"{self.size} bytes, {kind or 'of no type'}"


def cleaned(value: object, secrets: Sequence[str] = (), depth: int = 0) -> object:
    """A JSON value without secrets, and without what would make the log long; `secrets` are texts to hide wherever."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {
            _text(str(key), secrets): _HIDDEN if _is_secret(str(key)) else cleaned(item, secrets, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list) and depth < _DEEPEST:
        return [cleaned(item, secrets, depth + 1) for item in value]
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, Decimal) and not -_LONGEST_PART < value.adjusted() < _LONGEST_PART:
        return str(value)  # written out it could have a million digits
    return value if isinstance(value, int | Decimal | None) else "…"


def cleaned_url(url: str) -> str:
    """The URL without a password, without long parts of its path and without long or secret values in its query."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return _HIDDEN
    path = parts.path
    for part in _long_parts(path):
        path = path.replace(part, _HIDDEN)
    shown = [(name, _HIDDEN if _is_secret(name) or len(text) > _LONGEST_PART else text) for name, text in query]
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, path, urlencode(shown, safe="*"), ""))


def _long_parts(path: str) -> Sequence[str]:
    return [part for part in path.split("/") if len(part) > _LONGEST_PART]


def _is_secret(key: str) -> bool:
    return key.lower().replace("_", "").replace("-", "") in _SECRET


def _text(text: str, secrets: Sequence[str]) -> str:
    if text.startswith(("http://", "https://")):
        text = cleaned_url(text)
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    short = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"
    return short if short.isascii() else short.encode(errors="replace").decode()


class RequestLog:
    """The log of one sandbox. Give it its file by entering it; without one it is kept in memory alone."""

    def __init__(self, file: Path | None, clock: Clock) -> None:
        self._path = file
        self._clock = clock
        self._file: FileIO | None = None
        self._entries: deque[Mapping[str, object]] = deque(maxlen=_KEPT)
        self._count = 0
        self._log = logging.getLogger(__name__)

    def __enter__(self) -> Self:
        if self._path is not None:
            # Without a buffer a line that a full disk refuses leaves nothing behind.
            self._file = open(self._path, "ab", buffering=0, opener=_private)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def entries(self, after: int) -> Sequence[Mapping[str, object]]:
        """What was noted after this number, oldest first, so many at once; what is long ago is in the file alone."""
        first = self._count - len(self._entries)
        skipped = max(after - first, 0)
        return [self._entries[index] for index in range(skipped, min(skipped + _TOLD_AT_ONCE, len(self._entries)))]

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, with everything noted that comes in, and with the log itself at LOG_PATH."""

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not _is_told(scope["method"], scope["path"]):
                if scope["type"] == "http" and scope["path"] == LOG_PATH:
                    await self._tell(scope, receive, send)
                else:
                    await app(scope, receive, send)
                return
            await self._pass(app, scope, receive, send)

        return noted

    def watching(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        """A client that sends through this one, noting each request with its answer or with why there is none."""
        return httpx.AsyncClient(transport=_Noting(client, self, self._clock), timeout=client.timeout)

    def note(
        self,
        direction: str,
        method: str,
        target: str,
        *,
        at: datetime,
        ms: int,
        status: int | None,
        request: object,
        answer: object,
        failure: str | None = None,
    ) -> None:
        """Keep one exchange whose secrets have been taken out."""
        self._count += 1
        entry = {
            "number": self._count,
            "at": at.isoformat(timespec="milliseconds"),
            "direction": direction,
            "method": method,
            "target": target,
            "status": status,
            "ms": ms,
            "request": request,
            "answer": answer,
            "failure": failure,
        }
        self._entries.append(entry)
        if self._file is not None:
            try:
                self._file.write(_line(entry))
            except OSError as fault:  # a full disk is no reason to refuse a payment
                self._log.warning("the request log cannot be written: %s", fault.strerror)

    async def _pass(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        at, started = self._clock.now(), self._clock.monotonic_ms()
        heard, said = _Body(), _Body()
        status: int | None = None
        answered = Headers()

        # Read first: a call that is refused for its token or its path is never asked for its body.
        waiting = await _gathered(receive, heard)

        async def receiving() -> Message:
            return waiting.popleft() if waiting else await receive()

        async def sending(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], Headers(raw=list(message.get("headers", ())))
            else:
                said.take(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receiving, sending)
        finally:
            headers = Headers(raw=scope["headers"])
            hidden = [*headers.get("authorization", "").split()[1:], *_long_parts(scope["path"])]
            own = scope["path"].startswith(_OPERATORS_OWN)
            cut = scope["method"] != "HEAD" and said.size < int(answered.get("content-length", "0"))
            query = scope["query_string"].decode("ascii", "replace")
            self.note(
                "in",
                scope["method"],
                cleaned_url(scope["path"] + (f"?{query}" if query else "")),
                at=at,
                ms=self._clock.monotonic_ms() - started,
                status=status,
                request=None if own else heard.told(headers.get("content-type", ""), hidden),
                answer=None if own else said.told(answered.get("content-type", ""), hidden),
                failure="cut off before the body" if cut else None,
            )

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = parse_qs(scope["query_string"].decode("ascii", "replace")).get("after", ["0"])[-1]
        after = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < _LONGEST_PART else 0
        found = self.entries(after)
        await json_response(200, {"entries": found, "last": self._count})(scope, receive, send)


class _Noting(httpx.AsyncBaseTransport):
    """Hands requests to another client. Not its event hooks: those are not told of what fails."""

    def __init__(self, client: httpx.AsyncClient, log: RequestLog, clock: Clock) -> None:
        self._client = client
        self._log = log
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        heard = _Body()
        heard.take(await request.aread())
        hidden = _long_parts(request.url.path)
        sent = heard.told(request.headers.get("content-type", ""), hidden)
        at, started = self._clock.now(), self._clock.monotonic_ms()
        status: int | None = None
        answer: object = None
        failure: str | None = "given up"
        try:
            response = await self._client.send(request)
            said = _Body()
            said.take(response.content)
            status, answer = response.status_code, said.told(response.headers.get("content-type", ""), hidden)
            failure = None
        except httpx.HTTPError as error:
            failure = type(error).__name__
            raise
        finally:
            self._log.note(
                "out",
                request.method,
                cleaned_url(str(request.url)),
                at=at,
                ms=self._clock.monotonic_ms() - started,
                status=status,
                request=sent,
                answer=answer,
                failure=failure,
            )
        # The body is decoded already, so what said how it was encoded must go.
        coded = {"content-encoding", "content-length", "transfer-encoding"}
        headers = [(name, text) for name, text in response.headers.multi_items() if name.lower() not in coded]
        return httpx.Response(response.status_code, headers=headers, content=response.content)

    async def aclose(self) -> None:
        await self._client.aclose()


async def _gathered(receive: Receive, heard: _Body) -> deque[Message]:
    """The body's messages as they came; of one that is longer than is kept, the rest is left to whoever reads on."""
    messages: deque[Message] = deque()
    while heard.size <= _LONGEST_BODY:
        message = await receive()
        messages.append(message)
        heard.take(message.get("body", b""))
        if not message.get("more_body"):
            break
    return messages


def _is_told(method: str, path: str) -> bool:
    if path in (LOG_PATH, INBOX_PATH):
        return False
    return method not in ("GET", "HEAD") or not path.startswith("/sandbox/")


def _line(entry: Mapping[str, object]) -> bytes:
    """An entry as a line of the file; most hold no Decimal, and then the fast way will do."""
    try:
        return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return write_json(entry).encode() + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
