"""The scripted server, a clock that stands still, and the client between them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from penpay.domain.mpesa.gateway import MpesaGateway
from penpay.infrastructure.mpesa.client import DarajaClient
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
    async with httpx.AsyncClient(timeout=httpx.Timeout(0.3), trust_env=False) as session:
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
