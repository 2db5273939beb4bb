"""What the server does with requests that no client library would send, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from penpay.presentation.http.protocol import Read, read
from penpay.presentation.http.serving import serving

GET = b"GET /one HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
KIB = 1024
MOST_SENT = 4_000 * KIB


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the path and the length of the body, after as many seconds as the path says."""
    request = Request(scope, receive)
    body = await request.body()
    if scope["path"][1:].isdigit():
        await asyncio.sleep(int(scope["path"][1:]))
    await PlainTextResponse(f"{scope['path']} {len(body)}")(scope, receive, send)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Future[bytes], asyncio.StreamWriter]]:
    """A connection to a server: all that it will say, and where to write."""
    async with serving(echo, "127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = asyncio.ensure_future(reader.read())
        try:
            yield said, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            with suppress(ConnectionError):
                await said


async def talk(*pieces: bytes) -> bytes:
    """Send, and read all that comes until the server hangs up."""
    async with connected() as (said, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await said


async def sent_before_it_hangs_up(start: bytes, piece: bytes) -> tuple[int, bytes]:
    """How many bytes the server takes of something without end, and what it says to it."""
    sent = 0
    async with connected() as (said, writer):
        writer.write(start)
        with suppress(ConnectionError):
            while not said.done() and sent <= MOST_SENT:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                await asyncio.sleep(0.001)  # the server runs in this loop too
            return sent, await said
    return sent, b""


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /", b"a" * KIB),
        (GET + b"X-One: ", b"a" * KIB),
        (GET, b"X-Many: " + b"a" * KIB + b"\r\n"),
        (CHUNKED + b"0\r\nX-Trailer: ", b"a" * KIB),
        (CHUNKED + b"0\r\n", b"X-Trailer: " + b"a" * KIB + b"\r\n"),
        (CHUNKED + b"1;", b"x" * KIB),
    ],
    ids=["path", "header", "headers", "trailer", "trailers", "chunk extension"],
)
async def test_what_has_no_end_is_not_kept(start: bytes, piece: bytes) -> None:
    """However a message is spun out, the server hangs up before it has kept more than a few hundred kilobytes."""
    sent, _ = await sent_before_it_hangs_up(start, piece)

    assert 8 * KIB <= sent < MOST_SENT


async def test_whoever_sends_too_long_a_head_is_told() -> None:
    """The client learns what was wrong."""
    sent, answer = await sent_before_it_hangs_up(GET + b"X-One: ", b"a" * KIB)

    assert sent < MOST_SENT

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"Invalid HTTP request received.")


async def test_a_long_head_a_long_body_and_many_small_pieces_pass() -> None:
    """What is within bounds is served, also slowly, also one request on the heels of another."""
    head = GET + b"X-One: " + b"a" * 32 * KIB + b"\r\n\r\n"
    body = b"POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"b" * 200_000
    last = b"GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = await talk(head, body[:100], body[100:], *(bytes([byte]) for byte in last))

    assert [b"/one 0", b"/two 200000", b"/three 0"] == [
        part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]
    ]


async def test_whoever_offers_another_protocol_is_served_in_this_one() -> None:
    """As Java's client does with every request: the body is read, and the connection goes on."""
    offer = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAE\r\n"

    answer = await talk(
        b"GET /one HTTP/1.1\r\n" + offer + b"\r\n",
        b"POST /two HTTP/1.1\r\n" + offer + b"Content-Length: 5\r\n\r\nhello",
        b"GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )

    assert [b"/one 0", b"/two 5", b"/three 0"] == [
        part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]
    ]


async def test_what_comes_before_the_answer_waits_for_it() -> None:
    """Requests sent one on the heels of another are answered in their order, also when one comes in two pieces."""
    slow = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    last = b"POST /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"

    async with connected() as (said, writer):
        for piece in (slow, slow, slow + last, b"abcd"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        answer = await said

    assert [b"/1 3", b"/1 3", b"/1 3", b"/last 4"] == [
        part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]
    ]


async def test_a_body_that_follows_its_head_is_waited_for() -> None:
    """As most clients send it, in two pieces or in many, again and again on one connection."""
    head = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    last = b"POST /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"

    async with connected() as (said, writer):
        for piece in (head, b"abc", head, b"a", b"b", b"c", last, b"ab", b"cd"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        answer = await said

    assert [b"/one 3", b"/one 3", b"/last 4"] == [
        part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]
    ]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (GET + b"\r\n", Read.WHOLE),
        (GET + b"Content-Length: 2\r\n\r\nab", Read.WHOLE),
        (GET + b"CONTENT-LENGTH:2\r\n\r\nab", Read.WHOLE),
        (GET, Read.OTHER),
        (GET + b"Content-Length: 2\r\n\r\na", Read.PART),
        (GET + b"Content-Length: 16384\r\n\r\na", Read.PART),
        (GET + b"Content-Length: 16385\r\n\r\na", Read.OTHER),
        (GET + b"X: y\nContent-Length: 2\r\n\r\na", Read.OTHER),
        (GET + b"Content-Length: 2\r\n\r\nabc", Read.OTHER),
        (GET + b"Content-Length: +2\r\n\r\nab", Read.OTHER),
        (GET + b"Content-Length: 02\r\n\r\nab", Read.OTHER),
        (GET + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", Read.OTHER),
        (GET + b"Content-Length: 2\r\n Content-Length: 2\r\n\r\nab", Read.OTHER),
        (GET + b"X: y\nContent-Length: 2\r\n\r\nab", Read.OTHER),
        (GET + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", Read.OTHER),
        (GET + b"Connection: Upgrade\r\nUPGRADE: h2c\r\n\r\n", Read.OTHER),
        (GET + b"Expect: 100-continue\r\n\r\n", Read.OTHER),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", Read.OTHER),
        (GET + b"X: " + b"a" * 20 * KIB + b"\r\n\r\n", Read.OTHER),
    ],
)
def test_only_a_whole_request_is_read_by_the_faster_reader(data: bytes, what: Read) -> None:
    """Whatever could be read in two ways, or has no known end, goes to the careful one."""
    assert what is read(data)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00",
    ],
    ids=["two lengths", "blank before the colon", "TLS"],
)
async def test_what_two_readers_could_take_differently_is_refused(head: bytes) -> None:
    """No proxy and server of ours can disagree about where a request ends."""
    assert (await talk(head)).startswith(b"HTTP/1.1 400 ")
