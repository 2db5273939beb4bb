"""The simulator's protocol, spoken by hand over a real WebSocket: what Deriv would refuse, it refuses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.faults import DuplicatePush
from penpay.sandbox.deriv.limits import RateLimits
from tests.contract.deriv.stage import AGENT, CLIENT, PLENTY, TOKEN, Stage, stage

TRANSFER = {"paymentagent_transfer": 1, "amount": 10.55, "currency": "USD", "transfer_to": CLIENT}


@pytest.fixture
async def deriv(tmp_path: Path) -> AsyncIterator[Stage]:
    """A simulator nobody is connected to."""
    async with stage(tmp_path / "deriv.sqlite3") as raised:
        yield raised


@asynccontextmanager
async def dial(deriv: Stage, *, token: str = TOKEN, app_id: str = "1089") -> AsyncIterator[ClientConnection]:
    """A socket, logged in unless the token is empty."""
    async with connect(f"{deriv.url}/websockets/v3?app_id={app_id}", ping_interval=None) as socket:
        if token:
            assert "error" not in await ask(socket, authorize=token)
        yield socket


async def ask(socket: ClientConnection, **request: Any) -> dict[str, Any]:
    """Send one request and return the next frame."""
    await socket.send(json.dumps(request))
    return await receive(socket)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


def code(frame: dict[str, Any]) -> str:
    """The error code of an answer, or ok."""
    return str(frame["error"]["code"]) if "error" in frame else "ok"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"description": "PX_1"}, "description"),
        ({"description": "PX/1"}, "description"),
        ({"description": "x" * 251}, "description"),
        ({"surprise": 1}, "surprise"),
        ({"transfer_to": "90000063"}, "transfer_to"),
        ({"transfer_to": f"{CLIENT}\n"}, "SanityCheckFailed"),
        ({"currency": "US$"}, "currency"),
        ({"amount": "ten"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": True}, "amount"),
        ({"dry_run": 2}, "dry_run"),
        ({"req_id": "x"}, "req_id"),
        ({"passthrough": 1}, "passthrough"),
    ],
)
async def test_a_request_out_of_schema_is_refused_by_field(deriv: Stage, change: dict[str, Any], field: str) -> None:
    """Underscores in a note, unknown keys and odd values are all refused, and nothing is executed."""
    async with dial(deriv) as socket:
        answer = await ask(socket, **(TRANSFER | change))

    if field == "SanityCheckFailed":
        assert ("error", field) == (answer["msg_type"], code(answer))
    else:
        assert ("InputValidationFailed", [field]) == (code(answer), list(answer["error"]["details"]))
    assert 50_000 == await deriv.book.balance_of(CLIENT)


async def test_every_missing_property_is_named(deriv: Stage) -> None:
    """One answer tells all that is missing."""
    async with dial(deriv) as socket:
        answer = await ask(socket, paymentagent_transfer=1)

    assert {"amount": "Missing property.", "currency": "Missing property.", "transfer_to": "Missing property."} == (
        answer["error"]["details"]
    )
    assert "Input validation failed: amount, currency, transfer_to" == answer["error"]["message"]


async def test_numeric_strings_are_taken_as_numbers(deriv: Stage) -> None:
    """Deriv coerces before it validates."""
    async with dial(deriv) as socket:
        answer = await ask(socket, **(TRANSFER | {"amount": "10.55", "dry_run": "0"}))

    assert ("ok", 1) == (code(answer), answer["paymentagent_transfer"])
    assert 50_000 + 10_55 == await deriv.book.balance_of(CLIENT)


async def test_a_third_decimal_is_refused(deriv: Stage) -> None:
    """No cent is split."""
    async with dial(deriv) as socket:
        answer = await ask(socket, **(TRANSFER | {"amount": 10.555}))

    assert "PaymentAgentTransferError" == code(answer)
    assert "decimal places" in answer["error"]["message"]


@pytest.mark.parametrize("amount", ["1e999999", "-1e999999", "1e17", "0", "-10.55"])
async def test_absurd_amounts_are_outside_the_limits(deriv: Stage, amount: str) -> None:
    """Exponents and signs cost nothing and move nothing."""
    async with dial(deriv) as socket:
        await socket.send(json.dumps(TRANSFER).replace("10.55", amount))
        answer = await receive(socket)

    assert "Invalid amount. Minimum is 0.01, maximum is 2000.00." == answer["error"]["message"]


async def test_checks_come_in_derivs_order(tmp_path: Path) -> None:
    """Rate limit before schema, schema before login, login before scope, scope before business."""
    tight = RateLimits(general_per_minute=2, general_per_hour=100, outcome_per_minute=1, outcome_per_hour=100)
    async with stage(tmp_path / "deriv.sqlite3", limits=tight) as deriv:
        await deriv.book.open_account(
            Account(login_id="CR90000090", first_name="A", last_name="B", email="e@example.test"),
            token="reader",
            scopes="read",
        )
        async with dial(deriv, token="") as stranger:
            bad = {"paymentagent_transfer": 1, "surprise": 1}
            told = [code(await ask(stranger, **bad)), code(await ask(stranger, **TRANSFER))]
            told.append(code(await ask(stranger, **bad)))
            told.append(code(await ask(stranger, ping=1)))
        async with dial(deriv, token="reader") as reader:
            told.append(code(await ask(reader, **TRANSFER)))

    assert ["InputValidationFailed", "AuthorizationRequired", "RateLimit", "ok", "PermissionDenied"] == told


async def test_a_rate_limit_outlives_the_connection(tmp_path: Path) -> None:
    """The statement's small budget belongs to the login, whatever socket it comes on."""
    tight = RateLimits(general_per_minute=100, general_per_hour=100, outcome_per_minute=1, outcome_per_hour=1)
    async with stage(tmp_path / "deriv.sqlite3", limits=tight) as deriv:
        told = []
        for _ in range(2):
            async with dial(deriv) as socket:
                told.append(code(await ask(socket, statement=1)))

    assert ["ok", "RateLimit"] == told


async def test_echoes_repeat_the_request_and_hide_the_token(deriv: Stage) -> None:
    """req_id and passthrough come back; the token does not."""
    async with dial(deriv, token="") as socket:
        answer = await ask(socket, authorize=TOKEN, req_id=7, passthrough={"a": 1.10})
        several = await ask(socket, authorize=TOKEN, tokens=["one", "two"])

    assert {"authorize": "<not shown>", "req_id": 7, "passthrough": {"a": 1.10}} == answer["echo_req"]
    assert (7, {"a": 1.10}, "authorize") == (answer["req_id"], answer["passthrough"], answer["msg_type"])
    assert ["<not shown>", "<not shown>"] == several["echo_req"]["tokens"]
    assert "InvalidToken" == code(several)


async def test_authorize_tells_whose_token_it_is(deriv: Stage) -> None:
    """The fields the adapter checks, and the blank before a name without a salutation."""
    async with dial(deriv, token="") as socket:
        account = (await ask(socket, authorize=TOKEN))["authorize"]
        wrong = await ask(socket, authorize="wrong")

    assert (AGENT, "USD", 0, 10_000) == (
        account["loginid"],
        account["currency"],
        account["is_virtual"],
        account["balance"],
    )
    assert (["payments", "read", "trading_information"], " User One Agent") == (account["scopes"], account["fullname"])
    assert [AGENT] == [listed["loginid"] for listed in account["account_list"]]
    assert ("InvalidToken", "The token is invalid.") == (code(wrong), wrong["error"]["message"])


@pytest.mark.parametrize("app_id", ["abc", "0", "-1", "01", "", "9" * 20])
async def test_a_wrong_app_id_is_told_so_and_sent_away(deriv: Stage, app_id: str) -> None:
    """The first frame is an error, and the socket closes after it."""
    async with dial(deriv, token="", app_id=app_id) as socket:
        answer = await receive(socket)
        with pytest.raises(ConnectionClosed):
            await receive(socket)

    assert ("error", "InvalidAppID", "Your app_id is invalid.") == (
        answer["msg_type"],
        code(answer),
        answer["error"]["message"],
    )


async def test_there_is_only_the_v3_path(deriv: Stage) -> None:
    """Any other path is refused in the handshake."""
    with pytest.raises(InvalidStatus, match="404"):
        await connect(f"{deriv.url}/websockets/v4?app_id=1089").__aenter__()


@pytest.mark.parametrize("frame", ["{", "", "{'a': 1}", '{"amount": NaN}', "[" * 100_000, b"\xff\xfe"])
async def test_broken_json_closes_the_socket(deriv: Stage, frame: str | bytes) -> None:
    """There is no error frame for what is not JSON: the socket closes with 1007."""
    async with dial(deriv) as socket:
        await socket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await receive(socket)

    assert 1007 == (closed.value.rcvd.code if closed.value.rcvd else None)


async def test_what_is_no_known_request_is_told_so(deriv: Stage) -> None:
    """A JSON value that is no object, a call that does not exist, and a key out of shape each have a code."""
    async with dial(deriv) as socket:
        await socket.send("[1]")
        told = [code(await receive(socket))]
        told.append(code(await ask(socket, buy="a-contract")))
        told.append(code(await ask(socket, **{"ping": 1, "bad key": 1})))
        told.append(code(await ask(socket, ping=1, passthrough={}, extra="x" * 301)))

    assert ["BadRequest", "UnrecognisedRequest", "SanityCheckFailed", "SanityCheckFailed"] == told


async def test_an_idle_socket_is_closed_and_a_ping_keeps_it(tmp_path: Path) -> None:
    """Silence ends the session; traffic keeps it (here after 300 ms instead of two minutes)."""
    async with stage(tmp_path / "deriv.sqlite3", limits=PLENTY, idle_close_ms=300) as deriv, dial(deriv) as socket:
        for _ in range(5):
            await asyncio.sleep(0.1)
            assert "pong" == (await ask(socket, ping=1))["ping"]
        with pytest.raises(ConnectionClosed):
            await receive(socket)


async def test_streams_open_once_repeat_their_request_and_can_be_forgotten(deriv: Stage) -> None:
    """A push carries its subscription and the subscribing req_id; after forget there is no push."""
    async with dial(deriv) as socket:
        opened = await ask(socket, transaction=1, subscribe=1, req_id=3)
        again = await ask(socket, transaction=1, subscribe=1, req_id=4)
        await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
        push = await receive(socket)
        stream_id = opened["subscription"]["id"]
        told = [(await ask(socket, forget=stream_id))["forget"], (await ask(socket, forget=stream_id))["forget"]]
        await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
        quiet = await ask(socket, ping=1)

    assert ({"id": stream_id}, "AlreadySubscribed") == (opened["transaction"], code(again))
    assert (3, stream_id, "deposit", 25.0) == (
        push["req_id"],
        push["subscription"]["id"],
        push["transaction"]["action"],
        push["transaction"]["amount"],
    )
    assert ([1, 0], "ping") == (told, quiet["msg_type"])


async def test_forget_all_and_logout_end_streams(deriv: Stage) -> None:
    """forget_all answers the ids it stopped; logout stops what needs a login and keeps the socket."""
    async with dial(deriv) as socket:
        balance = await ask(socket, balance=1, subscribe=1)
        transaction = await ask(socket, transaction=1, subscribe=1)
        stopped = await ask(socket, forget_all=["balance", "ticks"])
        unknown = await ask(socket, forget_all="weather")
        out = await ask(socket, logout=1)
        await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
        after = await ask(socket, balance=1)

    assert [balance["subscription"]["id"]] == stopped["forget_all"]
    assert balance["balance"]["id"] != transaction["subscription"]["id"]
    assert ("InputValidationFailed", 1, "AuthorizationRequired") == (code(unknown), out["logout"], code(after))


async def test_the_statement_filters_pages_and_describes(deriv: Stage) -> None:
    """Newest first; the remark only when asked for; the count is of this page."""
    for cents in (10_00, 20_00, 30_00):
        await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=cents)
    async with dial(deriv) as socket:
        await ask(socket, **TRANSFER, description="PX-1")
        page = (await ask(socket, statement=1, action_type="deposit", limit=2, offset=1))["statement"]
        debits = (await ask(socket, statement=1, action_type="withdrawal", description=1))["statement"]
        later = (await ask(socket, statement=1, date_from=9_999_999_998))["statement"]

    assert (2, [20.0, 10.0]) == (page["count"], [row["amount"] for row in page["transactions"]])
    assert "longcode" not in page["transactions"][0]
    assert [-10.55] == [row["amount"] for row in debits["transactions"]]
    assert re.fullmatch(
        r"Transfer from Payment Agent User One Agent \(CR90000062\) to CR90000063\. "
        r"Transaction reference: [0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\. "
        r"Timestamp: \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\dGMT\. Agent note: PX-1",
        debits["transactions"][0]["longcode"],
    )
    assert {"count": 0, "transactions": []} == later


async def test_both_parties_hear_of_a_transfer(deriv: Stage) -> None:
    """The client's open streams tell the credit under the client's own row id; a duplicate push is told twice."""
    deriv.fault(DuplicatePush(), call="balance", login_id=CLIENT)
    async with dial(deriv) as agent, dial(deriv, token=f"token-of-{CLIENT}") as client:
        await ask(client, transaction=1, subscribe=1)
        await ask(client, balance=1, subscribe=1)
        answer = await ask(agent, **TRANSFER)
        told = await receive(client)
        balances = [(await receive(client))["balance"]["balance"] for _ in range(2)]

    assert (10.55, "deposit") == (told["transaction"]["amount"], told["transaction"]["action"])
    assert answer["transaction_id"] + 1 == told["transaction"]["transaction_id"]
    assert [510.55, 510.55] == balances


async def test_settings_time_and_site_status(deriv: Stage) -> None:
    """The small calls answer in their documented shape, with the misspelling the real one has."""
    async with dial(deriv) as socket:
        settings = (await ask(socket, get_settings=1))["get_settings"]
        now = (await ask(socket, time=1))["time"]
        status = await ask(socket, website_status=1, subscribe=1)
        other = await ask(socket, balance=1, account="all")

    assert ("User One", "ke", 1) == (
        settings["first_name"],
        settings["country_code"],
        settings["is_authenticated_payment_agent"],
    )
    assert abs(now - int(deriv.clock.now().timestamp())) <= 2
    assert "up" == status["website_status"]["site_status"]
    assert 100_000 == status["website_status"]["api_call_limits"]["max_requestes_general"]["minutely"]
    assert ("PermissionDenied", 36) == (code(other), len(status["subscription"]["id"]))


async def test_a_disabled_account_cannot_log_in(deriv: Stage) -> None:
    """The token of a closed account is refused with a code of its own."""
    await deriv.book.set_statuses(CLIENT, frozenset({"disabled"}))
    async with dial(deriv, token="") as socket:
        answer = await ask(socket, authorize=f"token-of-{CLIENT}")

    assert "AccountDisabled" == code(answer)


async def test_only_agents_pay_and_are_paid(deriv: Stage) -> None:
    """A client's own token cannot transfer, and an agent without a day's allowance left is told so."""
    async with dial(deriv, token=f"token-of-{CLIENT}") as client:
        answer = await ask(client, **(TRANSFER | {"transfer_to": AGENT}))

    assert "not authorized for transfers via payment agents" in answer["error"]["message"]


async def test_rows_are_never_changed(tmp_path: Path) -> None:
    """The database itself refuses to rewrite the simulator's history."""
    async with stage(tmp_path / "deriv.sqlite3"):
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'deriv.sqlite3'}")
        for statement in ("UPDATE deriv_sim_rows SET amount_cents = 1", "DELETE FROM deriv_sim_rows"):
            async with engine.connect() as connection:
                with pytest.raises(IntegrityError, match="never changed"):
                    await connection.execute(text(statement))
        await engine.dispose()
