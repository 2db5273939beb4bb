"""Seeding `penpay sandbox`: at every start, on whatever an earlier start has left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from penpay.bootstrap import Sandbox, real_ports
from penpay.config import Settings, load_settings
from penpay.demo.world import (
    AGENT_FUNDS,
    LOGIN_ID,
    PHONE,
    PIN,
    WALLET,
    seed_sandbox,
)
from penpay.sandbox.controls import Controls
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits
from tests.integration.cli.conftest import SETTINGS


@asynccontextmanager
async def started(
    folder: Path, changes: Mapping[str, str] | None = None, controls: Controls | None = None
) -> AsyncIterator[tuple[Sandbox, Settings]]:
    """One start of the sandbox on the databases of this folder, not seeded."""
    settings = load_settings(
        {
            **SETTINGS,
            "OPERATOR_DATABASE_URL": f"sqlite:///{folder}/operator.db",
            "PENPAY_DERIV_SANDBOX_DATABASE_URL": f"sqlite:///{folder}/deriv.db",
            **(changes or {}),
        }
    )
    sandbox = Sandbox(
        settings,
        real_ports(),
        switches=DarajaSwitches(),
        deriv_url=settings.deriv_sandbox_database_url,
        deriv_limits=RateLimits(),
        pin_log2_cost=4,
        controls=controls,
    )
    try:
        await sandbox.start()
        yield sandbox, settings
    finally:
        await sandbox.stop()


async def test_an_interrupted_seeding_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """Killed after the subscriber was registered, the sandbox still gets her money and both Deriv accounts, once."""
    async with started(tmp_path) as (sandbox, _):
        await sandbox.operator.register_subscriber(PHONE, PIN)

    for _ in range(2):
        async with started(tmp_path) as (sandbox, settings):
            await seed_sandbox(sandbox, settings)
            balances = await sandbox.operator.books.balances()
            assert [(PHONE, WALLET)] == list(balances.subscribers)
            assert AGENT_FUNDS.cents == await sandbox.deriv_book.balance_of(settings.deriv_login_id)
            assert 0 == await sandbox.deriv_book.balance_of(LOGIN_ID)


async def test_another_token_or_agent_holds_from_the_next_start_on(tmp_path: Path) -> None:
    """DERIV_TOKEN, then DERIV_LOGIN_ID are changed; only the new token opens the agent account."""
    holders = []
    for changes in ({}, {"DERIV_TOKEN": "another"}, {"DERIV_TOKEN": "another", "DERIV_LOGIN_ID": "CR900001"}):
        async with started(tmp_path, changes) as (sandbox, settings):
            await seed_sandbox(sandbox, settings)
            found = [await sandbox.deriv_book.holder_of(token) for token in ("token", "another")]
            holders.append([holder and (holder.login_id, sorted(holder.scopes)) for holder in found])

    may = ["payments", "read"]
    assert [[("CR900000", may), None], [None, ("CR900000", may)], [None, ("CR900001", may)]] == holders
