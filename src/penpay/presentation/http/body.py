"""Bodies: bounded before they are read, and JSON read strictly, so that no two readers can differ over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from email.message import Message as Headers
from functools import partial
from typing import Any, Final, NoReturn

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penpay.domain.shared.errors import InvalidRequest, RequestTooLarge, UnsupportedMediaType
from penpay.presentation.http.errors import Refuse, refusal

MAX_BODY_BYTES: Final = 64 * 1024
DRY_BYTES: Final = 16 * 1024 * 1024
DRY_SECONDS: Final = 5
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 18
"""What always fits 64 bits."""


class BodyLimit:
    """Refuses bodies above 64 KB, by their announced length or as soon as they have grown too large.

    Nothing of them is kept. What still comes is let run dry, within bounds, before the refusal goes out: a connection
    closed on a client in mid-sentence is reset, and the client never reads why.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse = refusal) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or len(announced) > MAX_DIGITS:
            unread = InvalidRequest("The Content-Length is not a number.")
            await self._refuse(Request(scope), unread)(scope, receive, send)
            return
        if int(announced) > MAX_BODY_BYTES:
            await _run_dry(receive)
            await self._refuse(Request(scope), RequestTooLarge())(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                if message.get("more_body", False):
                    await _run_dry(receive)
                raise RequestTooLarge
            return message

        await self._app(scope, bounded, send)


async def _run_dry(receive: Receive) -> None:
    """Read and forget the rest of a body, but no more than 16 MB of it and for no more than five seconds."""
    forgotten = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRY_SECONDS):
            while forgotten < DRY_BYTES:
                message = await receive()
                forgotten += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


class _JsonRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, request: Request, raw: bytes, value: object) -> None:
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._value = value

    async def body(self) -> bytes:
        return self._raw

    async def json(self) -> Any:
        return self._value


class JsonRoute(APIRoute):
    """A route whose body is JSON, read by `read_json` instead of the framework's lenient reader."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is not None:
                require_json(request.headers.get("content-type", ""))
                raw = await request.body()
                request = _JsonRequest(request, raw, read_json(raw))
            return await handle(request)

        return strict


def require_json(content_type: str) -> None:
    """Raises UnsupportedMediaType for anything but application/json, in UTF-8 where it names a charset."""
    headers = Headers()
    headers["content-type"] = content_type
    charset = headers.get_content_charset("utf-8")
    if headers.get_content_type() != "application/json" or charset != "utf-8":
        raise UnsupportedMediaType


def read_json(raw: bytes, *, other_number: Callable[[str], object] | None = None) -> object:
    """Parse UTF-8 JSON in which every key stands once and every number is an integer of at most 18 digits.

    Raises InvalidRequest for everything else: other encodings and a byte order mark, NaN and Infinity, nesting below 32
    levels, text that is not Unicode; and fractions, exponents and longer numbers, unless `other_number` takes them.
    """
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_object,
            parse_float=other_number or _no_fraction,
            parse_int=_integer if other_number is None else partial(_integer_or, other_number),
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    except ValueError:
        raise InvalidRequest("The body is not JSON.") from None
    _check(value, 0)
    return value


_TOO_DEEP: Final = f"The body is nested more than {MAX_DEPTH} levels deep."


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidRequest("A key stands twice in one object.")
    return found


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise InvalidRequest(f"A number has more than {MAX_DIGITS} digits.")
    return int(text)


def _integer_or(other_number: Callable[[str], object], text: str) -> object:
    return int(text) if len(text.removeprefix("-")) <= MAX_DIGITS else other_number(text)


def _no_fraction(_: str) -> NoReturn:
    raise InvalidRequest("A number has a fraction or an exponent; amounts are whole numbers of cents.")


def _no_constant(_: str) -> NoReturn:
    raise InvalidRequest("NaN and Infinity are not JSON.")


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidRequest(_TOO_DEEP)
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidRequest("A text holds half a surrogate pair, which is not Unicode.")
