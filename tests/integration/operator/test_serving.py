"""The operator under load, and on a real socket."""

from __future__ import annotations

import httpx

from penpay.presentation.http.serving import serving
from penpay.presentation.operator.answers import refusal as refuse
from penpay.presentation.operator.process import bind
from tests.integration.operator.stage import Stage, email, person, read, refusal


async def test_a_full_queue_sends_new_requests_away_and_reads_on(stage: Stage) -> None:
    """503 says when to come again; nothing was done."""
    town = await stage.town()
    stage.process.executor._queue_limit = 0

    answer = await town.one.call(
        "POST", "/transaction/transfer", {"amount": 10, "accountNo": email("two"), "customerType": "subscriber"}
    )

    assert refusal(answer) == (503, "overloaded")
    assert answer.headers["Retry-After"] == "1"
    assert await town.one.balance() == 1_000_00


async def test_the_first_administrator_registers_over_a_real_connection(stage: Stage) -> None:
    """From loopback; and a body too large is refused in the operator's own words, guarded like any answer."""
    async with (
        serving(bind(stage.app, stage.process), "127.0.0.1", 0, refuse=refuse) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        large = await client.post("/api/user/administrator", content=b"x" * 70_000)
        made = await client.post("/api/user/administrator", data=person("boss"))
        pages = [await client.get(path) for path in ("/docs", "/openapi.json")]

    assert refusal(large) == (413, "request_too_large")
    assert large.headers["X-Content-Type-Options"] == "nosniff"
    assert read(made)["data"]["userType"] == "administrator"
    assert [page.status_code for page in pages] == [200, 200]
