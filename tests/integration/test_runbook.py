"""The SQL of the runbook, run as it is printed there."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

from tests.integration.http.stage import DEPOSIT, opened, read

_RUNBOOK = Path(__file__).parents[2] / "docs/runbooks/deposits.md"


async def test_the_runbooks_sql_finds_the_deposit(sqlite_url: str) -> None:
    """Every statement runs on SQLite, and those about one deposit find it under the digits of its id."""
    async with opened(sqlite_url) as stage:
        async with stage.client() as client:
            deposit = read(await client.post("/api/v1/deposits", json=DEPOSIT))["id"]
        await stage.prompted(deposit)

    text = _RUNBOOK.read_text(encoding="utf-8").replace("TRANSACTION_ID", UUID(deposit).hex)
    statements = [
        one for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL) for one in block.split(";\n") if one
    ]
    with closing(sqlite3.connect(sqlite_url.partition(":///")[2])) as shell:
        found = {one: len(shell.execute(one).fetchall()) for one in statements}

    assert ["domain_events", "mpesa_requests", "transactions"] == sorted(
        table
        for table in ("transactions", "domain_events", "mpesa_requests")
        if any(rows for one, rows in found.items() if f"FROM {table} WHERE" in one)
    )
