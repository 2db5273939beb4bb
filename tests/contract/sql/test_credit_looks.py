"""Looking for credits in Deriv's statement: those who wait share one reading, and every credit is booked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import pytest

from penpay.domain.deriv.gateway import IncomingCredit, TransferAnswer
from penpay.domain.deriv.withdrawals import CodeRequest, WithdrawalFromClient
from penpay.domain.payments.evidence import DerivWithdrawal, EvidenceState
from penpay.workers.withdrawal import DerivWithdrawalDriver
from tests.contract.sql.rows import Rows, opened
from tests.support.ports import MORNING


class Statement:
    """Deriv's statement at the end of a line that a test holds; the other calls are not made here."""

    def __init__(self) -> None:
        self.credits: list[IncomingCredit] = []
        self.read_since: list[datetime] = []
        self.breaks_at: int | None = None
        """The number of the reading that breaks off."""
        self.open = asyncio.Event()

    async def credits_since(self, since: datetime) -> Sequence[IncomingCredit]:
        self.read_since.append(since)
        await self.open.wait()
        if len(self.read_since) == self.breaks_at:
            raise RuntimeError("the line broke")
        return self.credits

    async def ask_for_code(self, request: CodeRequest) -> TransferAnswer:
        raise AssertionError(request)

    async def withdraw_from_client(self, withdrawal: WithdrawalFromClient) -> TransferAnswer:
        raise AssertionError(withdrawal)


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    """An empty database and nobody."""
    async with opened(url) as made:
        yield made


async def test_looks_that_meet_share_one_reading(rows: Rows) -> None:
    """While the first reads, four more wait: these read once together, and every credit is booked once."""
    statement, driver, debits = await _waiting(rows, 5)
    looks = [asyncio.create_task(driver.handle(debit.id)) for debit in debits]
    await _until_read(statement, 1)
    statement.open.set()
    await asyncio.gather(*looks)

    assert 2 == len(statement.read_since)
    assert 5 == len(await rows.table("ledger_journals"))
    assert [EvidenceState.CONFIRMED.value] * 5 == [row.state for row in await rows.table("deriv_withdrawals")]
    assert 5 == len({row.subject_id for row in await rows.table("audit_logs") if row.action == "credit.booked"})


async def test_a_reading_that_breaks_breaks_for_one(rows: Rows) -> None:
    """Of three who share it one has failed, and is found again when it is due; the others read for themselves."""
    statement, driver, debits = await _waiting(rows, 4)
    statement.breaks_at = 2
    looks = [asyncio.create_task(driver.handle(debit.id)) for debit in debits]
    await _until_read(statement, 1)
    statement.open.set()
    ended = await asyncio.gather(*looks, return_exceptions=True)

    assert 1 == sum(isinstance(one, RuntimeError) for one in ended)
    assert [None] * 3 == [one for one in ended if not isinstance(one, RuntimeError)]
    assert 3 == len(statement.read_since)
    assert 4 == len(await rows.table("ledger_journals"))


async def _waiting(rows: Rows, number: int) -> tuple[Statement, DerivWithdrawalDriver, list[DerivWithdrawal]]:
    """So many withdrawals that Deriv may have carried out, and whose credits its statement shows."""
    user = await rows.user()
    debits = [await rows.debit(EvidenceState.UNKNOWN, user=user, sent_at=MORNING) for _ in range(number)]
    statement = Statement()
    statement.credits = [
        IncomingCredit(
            provider_id=f"46748000{place:04}",
            amount=debit.amount,
            balance=None,
            remark=f"Transfer from {debit.deriv_login_id} to Payment Agent. Agent note: {debit.reference}",
            happened_at=MORNING,
        )
        for place, debit in enumerate(debits)
    ]
    return statement, DerivWithdrawalDriver(executor=rows.system.executor, deriv=statement), debits


async def _until_read(statement: Statement, times: int) -> None:
    async with asyncio.timeout(10):
        while len(statement.read_since) < times:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)  # whoever else looks has come to wait by now
