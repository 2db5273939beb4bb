"""The scripted server, a clock that stands still, and the client between them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from penpay.domain.mpesa.gateway import MpesaGateway
from penpay.infrastructure.http import KeptConnections
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.receipts import DarajaReceipts
from penpay.infrastructure.mpesa.session import DarajaSession
from penpay.infrastructure.system import SystemClock
from tests.contract.mpesa.calls import safaricom
from tests.contract.mpesa.scripted_daraja import PUSH, ScriptedDaraja, said
from tests.contract.mpesa.steps import ACCEPTED, PASSKEY, SteppedClock


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def daraja() -> AsyncIterator[ScriptedDaraja]:
    async with ScriptedDaraja() as server:
        server.scripts[PUSH] = lambda _: said(200, ACCEPTED)
        yield server


@pytest.fixture
async def client(daraja: ScriptedDaraja, clock: SteppedClock) -> AsyncIterator[MpesaGateway]:
    async with httpx.AsyncClient(timeout=httpx.Timeout(0.3), transport=KeptConnections(SystemClock())) as session:
        yield DarajaClient(
            http=session,
            clock=clock,
            base_url=daraja.url + "/",
            consumer_key="consumer-key",
            consumer_secret="consumer-secret",
            short_code="174379",
            passkey=PASSKEY,
            callback_base_url="https://pay.example.com/callbacks/stk/",
            exchange_deadline_seconds=1,
        )


@pytest.fixture
async def session(daraja: ScriptedDaraja, clock: SteppedClock) -> AsyncIterator[DarajaSession]:
    async with httpx.AsyncClient(timeout=httpx.Timeout(0.3), transport=KeptConnections(SystemClock())) as http:
        yield DarajaSession(
            http=http,
            clock=clock,
            base_url=daraja.url + "/",
            consumer_key="consumer-key",
            consumer_secret="consumer-secret",
            exchange_deadline_seconds=1,
        )


@pytest.fixture
def disbursements(session: DarajaSession) -> DarajaDisbursements:
    return DarajaDisbursements(
        session=session,
        initiator=safaricom().initiator(),
        short_code="600997",
        result_base_url="https://pay.example.com/results/",
        timeout_base_url="https://pay.example.com/timeouts",
    )


@pytest.fixture
def receipts(session: DarajaSession) -> DarajaReceipts:
    return DarajaReceipts(session=session, short_code="600984")
