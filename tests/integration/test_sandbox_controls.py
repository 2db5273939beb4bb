"""The sandbox's time and chance over its own routes, and what goes by them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from penpay.config import Settings
from penpay.demo.world import PHONE, PIN, seed_sandbox
from penpay.infrastructure.system import SystemClock, SystemRandom
from penpay.sandbox.controls import Chance, Controls, SandboxClock
from tests.integration.test_sandbox_seeding import started

NOON = "2026-11-20T09:00:00+00:00"
REFUSED: list[tuple[str, str, object, str]] = [
    ("PUT", "/sandbox/clock", {}, "invalid_request"),
    ("PUT", "/sandbox/clock", {"offset_ms": 1, "fixed_at": NOON}, "invalid_request"),
    ("PUT", "/sandbox/clock", {"fixed_at": "2026-11-20T09:00:00"}, "invalid_request"),
    ("PUT", "/sandbox/clock", {"offset_ms": "1"}, "invalid_request"),
    ("PUT", "/sandbox/clock", {"fixed_at": "2005-11-20T09:00:00Z"}, "moment_out_of_range"),
    ("POST", "/sandbox/clock/steps", {"milliseconds": 0}, "invalid_request"),
    ("POST", "/sandbox/clock/steps", {"milliseconds": 10**15}, "moment_out_of_range"),
    ("PUT", "/sandbox/seed", {"seed": -1}, "invalid_request"),
    ("PUT", "/sandbox/seed", {}, "invalid_request"),
]


@dataclass(frozen=True, slots=True)
class Client:
    """A merchant and a tester on one sandbox."""

    http: httpx.AsyncClient
    settings: Settings

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        answer = await self.http.request(method, path, json=body, headers=headers)
        return answer.status_code, answer.json(parse_float=Decimal) if answer.content else None

    async def token(self) -> str:
        key, secret = self.settings.mpesa_consumer_key, self.settings.mpesa_consumer_secret
        basic = base64.b64encode(f"{key.get_secret_value()}:{secret.get_secret_value()}".encode()).decode()
        path = "/oauth/v1/generate?grant_type=client_credentials"
        return str((await self.ask("GET", path, Authorization=f"Basic {basic}"))[1]["access_token"])

    async def push(self, token: str) -> tuple[int, Mapping[str, Any]]:
        code, moment = self.settings.mpesa_short_code, "20261120120000"
        passkey = self.settings.mpesa_passkey.get_secret_value()
        body = {
            "BusinessShortCode": code,
            "Password": base64.b64encode(f"{code}{passkey}{moment}".encode()).decode(),
            "Timestamp": moment,
            "TransactionType": "CustomerPayBillOnline",
            "Amount": 10,
            "PartyA": PHONE.msisdn,
            "PartyB": code,
            "PhoneNumber": PHONE.msisdn,
            "CallBackURL": "http://127.0.0.1:9/nowhere",
            "AccountReference": "ACC-1",
            "TransactionDesc": "order",
        }
        return await self.ask("POST", "/mpesa/stkpush/v1/processrequest", body, Authorization=f"Bearer {token}")

    async def queried(self, token: str, checkout: str) -> str:
        """What a query says of a push."""
        code, moment = self.settings.mpesa_short_code, "20261120120000"
        passkey = self.settings.mpesa_passkey.get_secret_value()
        body = {
            "BusinessShortCode": code,
            "Password": base64.b64encode(f"{code}{passkey}{moment}".encode()).decode(),
            "Timestamp": moment,
            "CheckoutRequestID": checkout,
        }
        path = "/mpesa/stkpushquery/v1/query"
        return str((await self.ask("POST", path, body, Authorization=f"Bearer {token}"))[1]["ResultCode"])


@asynccontextmanager
async def adjustable(folder: Path, *, seed: int | None = None, at: str | None = NOON) -> AsyncIterator[Client]:
    """A seeded sandbox on fresh books, standing still at noon in Nairobi."""
    clock = SandboxClock(SystemClock())
    if at is not None:
        clock.fix(datetime.fromisoformat(at))
    async with started(folder, controls=Controls(clock, Chance(SystemRandom(), seed))) as (sandbox, settings):
        await seed_sandbox(sandbox, settings)
        transport = httpx.ASGITransport(sandbox.create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            yield Client(http, settings)


async def told(folder: Path, seed: int | None) -> list[object]:
    """All that one merchant is answered in a short story with a fault of even chances."""
    async with adjustable(folder, seed=seed) as client:
        token = await client.token()
        rule = {"fault": {"kind": "spoilt_reply", "call": "TOKEN", "reply": "ERROR_500"}, "permille": 500, "times": 5}
        heard: list[object] = [token, await client.push(token), await client.push(token)]
        await client.ask("POST", f"/sandbox/phones/{PHONE.msisdn}/pin", {"pin": PIN})
        heard.append(await client.ask("GET", f"/sandbox/phones/{PHONE.msisdn}"))
        await client.ask("POST", "/sandbox/faults", rule)
        path = "/oauth/v1/generate?grant_type=client_credentials"
        heard += [(await client.ask("GET", path))[1]["errorCode"] for _ in range(8)]
        return heard


async def test_with_a_seed_the_same_calls_get_the_same_answers(tmp_path: Path) -> None:
    """Tokens, ids, receipts, messages and which calls a fault strikes; another seed, or none, gives others."""
    heard: list[list[object]] = []
    for seed in (7, 7, 8, None):
        folder = tmp_path / f"{len(heard)}"
        await asyncio.to_thread(folder.mkdir)
        heard.append(await told(folder, seed))

    assert heard[0] == heard[1]
    assert heard[0] != heard[2]
    assert heard[0][0] != heard[3][0]


async def test_a_seed_is_sown_while_it_runs(tmp_path: Path) -> None:
    """The same one again begins its draws anew."""
    async with adjustable(tmp_path) as client:
        assert (200, {"seed": None}) == await client.ask("GET", "/sandbox/seed")
        tokens = []
        for _ in range(2):
            assert (200, {"seed": 9}) == await client.ask("PUT", "/sandbox/seed", {"seed": 9})
            tokens.append(await client.token())
        assert tokens[0] == tokens[1]
        assert (200, {"seed": None}) == await client.ask("PUT", "/sandbox/seed", {"seed": None})
        assert tokens[0] != await client.token()


async def test_a_prompt_expires_when_the_clock_is_stepped(tmp_path: Path) -> None:
    """A minute in the sandbox, none here; ids tell the sandbox's time."""
    async with adjustable(tmp_path) as client:
        token = await client.token()
        status, answer = await client.push(token)
        assert 200 == status
        checkout = answer["CheckoutRequestID"]
        assert checkout.startswith("ws_CO_20112026120000")
        assert "4999" == await client.queried(token, checkout)

        stepped = await client.ask("POST", "/sandbox/clock/steps", {"milliseconds": 61_000})

        assert "2026-11-20T09:01:01+00:00" == stepped[1]["now"]
        async with asyncio.timeout(5):
            while "1037" != await client.queried(token, checkout):
                await asyncio.sleep(0.01)


async def test_a_token_expires_by_the_sandboxs_clock(tmp_path: Path) -> None:
    """After an hour there, and an earlier hour does not bring it back."""
    async with adjustable(tmp_path) as client:
        token = await client.token()
        assert 200 == (await client.push(token))[0]
        await client.ask("POST", "/sandbox/clock/steps", {"milliseconds": 3_600_000})
        assert "404.001.03" == (await client.push(token))[1]["errorCode"]
        await client.ask("PUT", "/sandbox/clock", {"fixed_at": NOON})
        assert "404.001.03" == (await client.push(token))[1]["errorCode"]


async def test_the_clock_runs_on_from_an_offset(tmp_path: Path) -> None:
    """As far ahead of the machine's as was asked, or as the machine's."""
    async with adjustable(tmp_path, at=None) as client:
        for offset in (86_400_000, -3_600_000, 0):
            status, shown = await client.ask("PUT", "/sandbox/clock", {"offset_ms": offset})
            ahead = datetime.fromisoformat(shown["now"]) - datetime.now(UTC)
            assert (200, False, offset) == (status, shown["is_fixed"], shown["offset_ms"])
            assert abs(ahead.total_seconds() * 1000 - offset) < 2_000


async def test_what_is_no_time_and_no_seed_changes_nothing(tmp_path: Path) -> None:
    """Refused by a code."""
    async with adjustable(tmp_path, seed=3) as client:
        for method, path, body, code in REFUSED:
            status, refusal = await client.ask(method, path, body)
            assert (422, code) == (status, refusal["code"]), body
        assert (NOON, 3) == (
            (await client.ask("GET", "/sandbox/clock"))[1]["now"],
            (await client.ask("GET", "/sandbox/seed"))[1]["seed"],
        )


async def test_a_sandbox_without_a_time_of_its_own_says_so(tmp_path: Path) -> None:
    """As in a simulation, which has one for everybody."""
    async with started(tmp_path) as (sandbox, settings):
        transport = httpx.ASGITransport(sandbox.create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            client = Client(http, settings)
            for path in ("/sandbox/clock", "/sandbox/seed"):
                status, refusal = await client.ask("GET", path)
                assert (409, "not_adjustable") == (status, refusal["code"])
