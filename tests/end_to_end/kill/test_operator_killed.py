"""The operator is killed in the middle of many transfers: what was answered is booked, once, and nothing by half."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.kill.program import Program, run_to_end
from tests.servers.process import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PASSWORD = "secret-enough"
DEATHS = 4
ISSUED = 50_000


class Operator:
    """`penpay operator serve` on an embedded database, with keys that it draws itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"APP_ENV": "development", "PENPAY_OPERATOR_HTTP_PORT": str(self.port)}
        self.program: Program | None = None

    def start(self) -> None:
        self.program = Program("operator", "serve", environment=self.environment, folder=self.folder, name="operator")
        until = time.monotonic() + 30
        while "serves" not in self.program.output:
            assert not self.program.has_ended, self.program.complaints
            assert time.monotonic() < until, self.program.complaints
            time.sleep(0.05)

    def kill(self) -> None:
        if self.program is not None:
            self.program.kill()

    def post(self, path: str, token: str = "", method: str = "POST", **fields: object) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.request(method, self.url + path, data=fields, headers=headers, timeout=30)
        assert 200 == answer.status_code, answer.text
        found: dict[str, str] = json.loads(answer.text, parse_float=str)
        return found

    def register(self, kind: str, name: str) -> None:
        email = f"{name}@example.org"
        self.post(f"/api/user/{kind}", firstName=name, lastName="One", email=email, password=PASSWORD)

    def token(self, kind: str, name: str) -> str:
        return self.post(f"/api/login/{kind}", email=f"{name}@example.org", password=PASSWORD)["token"]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    made = Operator(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.kill()


def test_killed_under_load_it_has_booked_what_it_answered_and_nothing_by_half(operator: Operator) -> None:
    """Every transfer that was answered is there once, and found again by its key; the trust equation holds."""
    operator.register("administrator", "admin")
    for name, kind in (("chief", "agent"), ("agent", "agent"), ("first", "subscriber"), ("second", "subscriber")):
        operator.register(kind, name)
    admin = operator.token("administrator", "admin")
    operator.post("/api/admin/super-agent-status", admin, method="PUT", email="chief@example.org")
    operator.post("/api/admin/assign-float", admin, accountNo="chief@example.org", amount=ISSUED)
    chief, agent, first = (
        operator.token(*who) for who in (("agent", "chief"), ("agent", "agent"), ("subscriber", "first"))
    )
    operator.post("/api/transaction/deposit", chief, amount=ISSUED, accountNo="agent@example.org", customerType="agent")
    operator.post(
        "/api/transaction/deposit", agent, amount=20_000, accountNo="first@example.org", customerType="subscriber"
    )

    receipts = [receipt for death in range(DEATHS) for receipt in _killed_once(operator, first, death)]

    assert len(receipts) == len(set(receipts))
    operator.kill()
    with sqlite3.connect(operator.folder / "var" / "operator.db") as books:
        booked = {
            row[0] for row in books.execute("SELECT receipt FROM operator_transactions WHERE operation = 'TRANSFER'")
        }
    assert set(receipts) == booked
    told = run_to_end(
        "operator", "reconcile", "--json", environment=operator.environment, folder=operator.folder, name="reconcile"
    )
    figures = json.loads(told.output)
    assert (True, 0, 0) == (figures["good"], figures["difference_cents"], figures["findings"])
    assert ISSUED * 100 == figures["float_issued_cents"] == figures["wallets_cents"] + figures["floats_cents"]


def _killed_once(operator: Operator, token: str, death: int) -> list[str]:
    """Forty transfers at once, a kill in the middle, a restart, and every one again under its key."""
    return asyncio.run(_transfers(operator, token, death))


async def _transfers(operator: Operator, token: str, death: int) -> list[str]:
    async def transfer(client: httpx.AsyncClient, number: int) -> str | None:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"death-{death}-{number}"}
        fields = {"amount": 10, "accountNo": "second@example.org", "customerType": "subscriber"}
        try:
            answer = await client.post("/api/transaction/transfer", data=fields, headers=headers)
        except httpx.TransportError:
            return None
        assert 200 == answer.status_code, answer.text
        receipt: str = json.loads(answer.text, parse_float=str)["data"]["receipt"]
        return receipt

    async with httpx.AsyncClient(base_url=operator.url, timeout=30) as client:
        asked = [asyncio.create_task(transfer(client, number)) for number in range(40)]
        await asyncio.sleep(0.01 + death * 0.012)
        operator.kill()
        before = await asyncio.gather(*asked)
    operator.start()
    async with httpx.AsyncClient(base_url=operator.url, timeout=30) as client:
        after = await asyncio.gather(*(transfer(client, number) for number in range(40)))
    for told, again in zip(before, after, strict=True):
        assert told in {None, again}
    return [receipt for receipt in after if receipt is not None]
