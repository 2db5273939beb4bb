"""One HTTP exchange with Daraja that ends in one of three ways: an answer, nothing sent, or an answer lost."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import httpx

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Daraja's answers are below one kilobyte; a firewall's HTML page fits too."""

_NO_BYTE_LEFT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Raised before the request is written: no connection was made (daraja.md §1.5, first row)."""

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class NothingSent(Exception):
    """No byte of the request left this process, so sending it again is safe."""


class AnswerLost(Exception):
    """Bytes may have left and no whole answer came back. `reason` is one of our words, never text from the wire."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def exchange(
    http: httpx.AsyncClient,
    method: Literal["GET", "POST"],
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None = None,
    deadline_seconds: int,
) -> Answer:
    """Send one request, once, and read its answer whole. Raises NothingSent or AnswerLost, whatever the wire does.

    The deadline covers the whole exchange: a peer that trickles bytes would outlive any timeout between two reads.
    Redirects are not followed, and what an exception says is not passed on, because it may quote the request.
    """
    # Made by hand, so that no cookie of an earlier answer goes out: one that is not ASCII would break every call.
    request = httpx.Request(
        method,
        url,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
        content=content,
    )
    try:
        async with asyncio.timeout(deadline_seconds):
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                return Answer(response.status_code, await _read_capped(response))
            finally:
                await response.aclose()
    except _NO_BYTE_LEFT as error:
        raise NothingSent(type(error).__name__) from None
    except TimeoutError:
        raise AnswerLost("deadline_passed") from None
    except httpx.TimeoutException:
        raise AnswerLost("timed_out") from None
    except (httpx.RequestError, httpx.InvalidURL, UnicodeError):
        # The last two: httpx prepares the redirect it is told not to follow, and its target may be no address at all.
        raise AnswerLost("connection_broken") from None


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerLost("answer_too_large")
    if response.headers.get("Content-Encoding", "identity").lower() in {"gzip", "x-gzip", "deflate"}:
        return _inflate_capped(bytes(body))
    return bytes(body)


def _inflate_capped(packed: bytes) -> bytes:
    """Unpack a body that was packed although we asked for none: httpx would unpack without a limit."""
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = inflater.decompress(packed, MAX_ANSWER_BYTES + 1)
    except zlib.error:
        raise AnswerLost("answer_unreadable") from None
    if len(body) > MAX_ANSWER_BYTES:
        raise AnswerLost("answer_too_large")
    return body
