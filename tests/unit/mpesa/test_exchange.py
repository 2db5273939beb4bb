"""Which breakages of an HTTP exchange leave a request unsent, and which leave its fate open."""

from __future__ import annotations

import httpx
import pytest

from penpay.infrastructure.mpesa.exchange import Answer, AnswerLost, NothingSent, exchange


async def exchange_that_ends_in(error: Exception) -> Answer:
    def broken(_: httpx.Request) -> httpx.Response:
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(broken)) as http:
        return await exchange(http, "POST", "http://daraja/", headers={}, content=b"{}", deadline_seconds=5)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_without_a_connection_nothing_was_sent(error: type[Exception]) -> None:
    """Refused, unresolved, untrusted and never reached are all safe to repeat."""
    with pytest.raises(NothingSent, match=error.__name__):
        await exchange_that_ends_in(error("Basic c2VjcmV0"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ReadTimeout, "timed_out"),
        (httpx.WriteTimeout, "timed_out"),
        (httpx.ReadError, "connection_broken"),
        (httpx.WriteError, "connection_broken"),
        (httpx.CloseError, "connection_broken"),
        (httpx.RemoteProtocolError, "connection_broken"),
        (httpx.LocalProtocolError, "connection_broken"),
        (httpx.ProxyError, "connection_broken"),
    ],
)
async def test_once_bytes_may_have_left_the_answer_is_lost(error: type[Exception], reason: str) -> None:
    """The other side may have acted; and what the exception quotes goes no further."""
    with pytest.raises(AnswerLost) as lost:
        await exchange_that_ends_in(error("Bearer secret"))

    assert (reason, reason) == (lost.value.reason, str(lost.value))
    assert lost.value.__cause__ is None


async def test_a_fault_of_our_own_is_not_taken_for_the_wire() -> None:
    """A bug crashes instead of becoming a verdict about money."""
    with pytest.raises(KeyError):
        await exchange_that_ends_in(KeyError("ours"))
