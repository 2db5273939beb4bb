"""Each engine, with books to read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus
from penpay.infrastructure.sql.engine import open_engine
from tests.contract.queries.books import DONE, OPEN, Ledger, unguarded
from tests.support.engines import EVERY


@pytest.fixture(params=EVERY)
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database of each engine."""
    return str(request.getfixturevalue(f"fresh_{request.param}_url"))


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Our tables without guards."""
    opened = open_engine(database_url)
    async with opened.begin() as connection:
        await connection.run_sync(unguarded().create_all)
    yield opened
    await opened.dispose()


@pytest.fixture
async def ledger(engine: AsyncEngine) -> Ledger:
    """Sound books: one deposit of 100 USD that has arrived, and one on its way to Deriv."""
    written = Ledger(engine, {}, {})
    await written.deposit(DONE, TransactionStatus.COMPLETED, EvidenceState.CONFIRMED)
    await written.deposit(OPEN, TransactionStatus.AWAITING_DERIV_CONFIRMATION, EvidenceState.SENDING)
    return written
