"""The session of the Deriv adapter over a real WebSocket: opened, lost, refused, and opened again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from penpay.domain.deriv.gateway import StatementUnavailable
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    DropAfterCommit,
    RateLimited,
    Refuse,
    TokenRevoked,
)
from tests.contract.deriv.stage import (
    AGENT,
    CLIENT,
    CONFIRMED,
    NOT_SENT,
    SCOPES,
    TOKEN,
    UNKNOWN,
    Stage,
    eventually,
    stage,
)


async def test_nothing_is_sent_before_the_gap_is_filled(tmp_path: Path) -> None:
    """While the statement is refused the gateway is not ready; it asks again until the gap is filled."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        deriv.fault(Refuse("suspended, try again in a few minutes", code="StatementError"), call="statement", times=2)
        row = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)

        running = deriv.tasks.spawn(deriv.gateway.run(), "gateway")
        await eventually(lambda: len(deriv.calls("statement")) == 1)
        early = await deriv.transfer()
        await eventually(lambda: len(deriv.credits) == 1)

        assert (NOT_SENT, []) == (early.outcome, deriv.calls("paymentagent_transfer"))
        assert (3, str(row.transaction_id)) == (len(deriv.calls("statement")), deriv.credits[0].provider_id)
        assert not running.done()


async def test_while_disconnected_nothing_is_sent_and_nothing_is_known(tmp_path: Path) -> None:
    """Without a connection a transfer is NOT_SENT and the statement and the balance are unavailable."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        answer = await deriv.transfer()

        assert (NOT_SENT, "not_connected") == (answer.outcome, answer.code)
        with pytest.raises(StatementUnavailable):
            await deriv.look_up("PX-1")
        with pytest.raises(StatementUnavailable):
            await deriv.gateway.balance()


async def test_a_ping_that_is_not_answered_ends_the_session(deriv: Stage) -> None:
    """A peer that has gone silent is left and dialled again."""
    deriv.fault(AnswerAfter(60_000), call="ping")

    await eventually(lambda: deriv.connects == 2 and deriv.gateway.is_ready)

    assert CONFIRMED == (await deriv.transfer()).outcome


async def test_a_revoked_token_is_authorised_anew(deriv: Stage) -> None:
    """InvalidToken in mid-session moves nothing; the gateway logs in again by itself."""
    deriv.fault(TokenRevoked())
    assert NOT_SENT == (await deriv.transfer()).outcome

    await eventually(lambda: deriv.connects == 2 and deriv.gateway.is_ready)

    assert CONFIRMED == (await deriv.transfer()).outcome


async def test_after_a_rate_limit_deriv_is_left_alone(deriv: Stage) -> None:
    """The next transfer is put off without asking Deriv again."""
    deriv.fault(RateLimited(), on_dry_run=True)
    await deriv.transfer()
    asked = len(deriv.sent)

    answer = await deriv.transfer()

    assert (NOT_SENT, "RateLimit") == (answer.outcome, answer.code)
    assert 0 < (answer.retry_after_ms or 0) <= 60_000
    assert asked == len(deriv.sent)


@pytest.mark.parametrize(
    ("account", "token", "scopes"),
    [
        (Account(login_id=AGENT, first_name="A", last_name="B", email="e@example.test"), "wrong-token", SCOPES),
        (Account(login_id="CR90000080", first_name="A", last_name="B", email="e@example.test"), "other", SCOPES),
        (
            Account(login_id="VRTC900001", first_name="A", last_name="B", email="e@example.test", is_virtual=True),
            "demo",
            SCOPES,
        ),
        (
            Account(login_id="CR90000081", first_name="A", last_name="B", email="e@example.test", currency="EUR"),
            "euro",
            SCOPES,
        ),
        (Account(login_id="CR90000082", first_name="A", last_name="B", email="e@example.test"), "poor", "read trade"),
        (Account(login_id="CR90000083", first_name="A", last_name="B", email="e@example.test"), "blind", "payments"),
    ],
    ids=["revoked", "of another account", "virtual", "not USD", "without payments", "without read"],
)
async def test_a_token_that_is_not_what_we_think_never_carries_money(
    tmp_path: Path, account: Account, token: str, scopes: str
) -> None:
    """A session under a wrong token is closed again and tried later; transfers stay NOT_SENT."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        await deriv.book.open_account(account, token=token, scopes=scopes)
        expected = AGENT if token == "other" else account.login_id
        gateway = deriv.make_gateway(token=token, login_id=expected)
        deriv.gateway = gateway
        deriv.tasks.spawn(gateway.run(), "gateway")
        await eventually(lambda: deriv.connects >= 2)

        assert (False, NOT_SENT) == (gateway.is_ready, (await deriv.transfer()).outcome)


async def test_no_token_and_no_frame_reaches_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Even with every logger at DEBUG the token stays out, on both sides of the socket."""
    caplog.set_level(logging.DEBUG)
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        await deriv.open()
        deriv.fault(DropAfterCommit())
        await deriv.transfer()
        await eventually(lambda: deriv.connects == 2 and deriv.gateway.is_ready)

    assert "the Deriv session is ready" in caplog.text
    assert TOKEN not in caplog.text
    assert "paymentagent_transfer" not in caplog.text


async def test_the_gateway_works_over_a_socket_in_memory(deriv: Stage) -> None:
    """The simulation's transport carries the same protocol."""

    async def connect() -> object:
        return await deriv.simulator.connect_in_memory("1089")

    deriv.gateway._connect = connect  # type: ignore[assignment]  # the memory socket has the shape of a Transport
    deriv.fault(DropAfterCommit())
    assert UNKNOWN == (await deriv.transfer(10_55, "PX-1")).outcome
    await eventually(lambda: deriv.gateway.is_ready)

    assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1")
    assert (CONFIRMED, 1) == ((await deriv.transfer(20_00, "PX-2")).outcome, deriv.connects)


async def test_the_book_keeps_everything_when_the_simulator_is_gone(tmp_path: Path) -> None:
    """What was answered is on disk: a new book over the same file shows the same rows and opens nothing twice."""
    database = tmp_path / "deriv.sqlite3"
    async with stage(database) as deriv:
        await deriv.open()
        await deriv.transfer(10_55, "PX-1")
        before = await deriv.book.rows(AGENT)

    async with stage(database) as deriv:
        assert before == await deriv.book.rows(AGENT)
        await deriv.open()
        assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1")
