"""One session: whose answer is whose, what a lost socket means for each waiting call, and when the session ends."""

from __future__ import annotations

import asyncio

import pytest

from penpay.infrastructure.deriv.connection import NoAnswer, Transport
from tests.unit.deriv.script import WaitingClock, scripted


class _BrokenPipe:
    """A socket whose writes fail half-way; the rest is the socket below."""

    def __init__(self, below: Transport) -> None:
        self.recv = below.recv
        self.close = below.close

    async def send(self, text: str) -> None:
        raise ConnectionResetError(f"after {len(text) // 2} bytes")


async def test_answers_find_their_calls_in_any_order() -> None:
    """Three calls answered backwards each get their own answer."""
    async with scripted() as (connection, script, _):
        script.answer = lambda _: None
        calls = [asyncio.ensure_future(connection.call({"time": 1}, within_ms=500)) for _ in range(3)]
        while len(script.requests) < 3:
            await asyncio.sleep(0)
        for request in reversed(script.requests):
            await script.push({"req_id": request["req_id"], "time": request["req_id"] * 10})

        assert [10, 20, 30] == [(await call)["time"] for call in calls]


async def test_pushes_are_told_apart_from_answers_by_their_subscription() -> None:
    """A push repeats the subscribing req_id and still is no answer to anything."""
    async with scripted() as (connection, script, pushes):
        script.answer = lambda _: {"msg_type": "balance", "subscription": {"id": "s-1"}}
        first = await connection.call({"balance": 1, "subscribe": 1}, within_ms=500)
        await script.push({"req_id": first["req_id"], "msg_type": "balance", "n": 1, "subscription": {"id": "s-1"}})
        script.answer = lambda _: {"ping": "pong"}
        await connection.call({"ping": 1}, within_ms=500)

        assert [1] == [push["n"] for push in pushes]


async def test_a_lost_socket_fails_every_waiting_call_as_sent() -> None:
    """What had left may have been executed; what comes after the loss has not."""
    async with scripted() as (connection, script, _):
        script.answer = lambda _: None
        calls = [asyncio.ensure_future(connection.call({"time": 1}, within_ms=5_000)) for _ in range(2)]
        while len(script.requests) < 2:
            await asyncio.sleep(0)
        await script.socket.close()

        lost = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(NoAnswer) as late:
            await connection.call({"time": 1}, within_ms=500)

        assert [True, True] == [one.sent for one in lost if isinstance(one, NoAnswer)]
        assert (False, False) == (late.value.sent, connection.is_open)


async def test_a_write_that_breaks_counts_as_sent() -> None:
    """Some of its bytes may have left, so it is not called unsent, and the session is over."""
    async with scripted() as (connection, _, __):
        connection._transport = _BrokenPipe(connection._transport)
        with pytest.raises(NoAnswer, match="lost") as broken:
            await connection.call({"time": 1}, within_ms=500)

        assert (True, False) == (broken.value.sent, connection.is_open)


async def test_silence_is_no_answer_and_the_session_goes_on() -> None:
    """A call that times out counts as sent; its late answer goes to nobody."""
    async with scripted() as (connection, script, _):
        script.answer = lambda request: {"time": 1} if request["req_id"] > 1 else None
        with pytest.raises(NoAnswer, match="in time") as silent:
            await connection.call({"time": 1}, within_ms=20)
        await script.push({"req_id": 1, "time": 0})

        assert (True, 1) == (silent.value.sent, (await connection.call({"time": 1}, within_ms=500))["time"])


@pytest.mark.parametrize("frame", ["{", "[]", '{"a": NaN}'])
async def test_a_frame_that_is_none_ends_the_session(frame: str) -> None:
    """After broken JSON nothing on this socket can be believed."""
    async with scripted() as (connection, script, _):
        await script.socket.send(frame)
        await asyncio.wait_for(connection.ended(), 1)

        assert "broke the protocol" in connection.end_reason


async def test_a_frame_for_nobody_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """An error before any call was recognised is logged by its code and kills nothing."""
    async with scripted() as (connection, script, _):
        await script.push({"msg_type": "error", "error": {"code": "InvalidAppID", "message": "x"}})
        await script.push({"msg_type": "balance", "subscription": {"id": 5}, "req_id": "1"})
        script.answer = lambda _: {"time": 1}

        assert 1 == (await connection.call({"time": 1}, within_ms=500))["time"]
        assert "InvalidAppID" in caplog.text


async def test_pings_keep_coming_and_silence_ends_the_session() -> None:
    """Every interval a ping; the first one without a pong ends it."""
    clock = WaitingClock()
    async with scripted(clock=clock, ping_every_ms=30_000) as (connection, script, _):
        script.answer = lambda request: {"ping": "pong"} if request["req_id"] < 4 else None
        await asyncio.wait_for(connection.ended(), 2)

        assert [{"ping": 1, "req_id": number} for number in range(1, 5)] == script.requests
        assert (120_000, True) == (clock.milliseconds, "ping" in connection.end_reason)
