"""Worlds with sandbox and client; each begins on a copy of one database that holds people, merchants and money."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import pytest_asyncio

from penpay.bootstrap.operator import kenyan_policy
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.log import RequestLog
from tests.contract.daraja.both import SUPPLIER, SUPPLIERS_TILL, UTILITY, WORKING, Both, Inbox
from tests.contract.sandbox.organisation import Organisation, Results
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, Receiver, opened, paid, serving

USUAL = DarajaSwitches()
_TO_WORKING = "MerchantTransferFromMerchantToWorking"


class BothMaker(Protocol):
    """Opens sandbox and client on money that nobody has touched."""

    def __call__(
        self, switches: DarajaSwitches = ..., log: RequestLog | None = ...
    ) -> AbstractAsyncContextManager[Both]: ...


@pytest.fixture
def make_both(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> BothMaker:
    made = 0

    def make(switches: DarajaSwitches = USUAL, log: RequestLog | None = None) -> AbstractAsyncContextManager[Both]:
        nonlocal made
        made += 1
        return _opened(tmp_path / f"operator-{made}.sqlite3", tmp_path_factory.getbasetemp(), switches, log)

    return make


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(make_both: BothMaker) -> AsyncIterator[Both]:
    """Sandbox and client for one test, with every switch at its default."""
    async with make_both() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    file = tmp_path_factory.mktemp("shared") / "operator.sqlite3"
    async with _opened(file, tmp_path_factory.getbasetemp(), USUAL, None) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def both(shared: Both) -> AsyncIterator[Both]:
    """Sandbox and client as those before have left them, but nothing is under way, turned or going to fail.

    What has moved is counted from the beginning of the test; see `Both.books`.
    """
    await shared.begin()
    yield shared
    world = shared.world
    world.sandbox.faults.clear()
    world.sandbox.switches.now = USUAL
    phone = world.phone(PAYER)
    phone.standing_answer = None
    if phone.prompt is not None:
        await phone.cancel()
    world.sandbox._initiated.initiators.unlock()
    shared.inbox.may_answer.set()
    await world.settled()


@asynccontextmanager
async def _opened(file: Path, shared: Path, switches: DarajaSwitches, log: RequestLog | None) -> AsyncIterator[Both]:
    beginning = shared / "daraja-beginning.sqlite3"
    if not beginning.exists():
        making = beginning.with_suffix(".making")
        await _fund(making)
        await asyncio.to_thread(making.rename, beginning)
    await asyncio.to_thread(_copy, beginning, file)
    inbox = Inbox()
    async with (
        serving(inbox.app) as inbox.url,
        opened(_url(file), Receiver(), switches, kenyan_policy(), log) as world,
        httpx.AsyncClient(timeout=10, trust_env=False) as http,
    ):
        certificate = (await world.client.get("/sandbox/certificate")).content
        yield Both(world=world, http=http, inbox=inbox, certificate=certificate)
        inbox.may_answer.set()  # or its server would wait for it


async def _fund(file: Path) -> None:
    """Give the PayBill money in both its accounts, and make everybody known."""
    receiver, results = Receiver(), Results()
    async with (
        serving(receiver.app) as url,
        serving(results.app) as results.url,
        opened(_url(file), receiver, DarajaSwitches(), kenyan_policy()) as world,
    ):
        receiver.url = f"{url}/callback"
        organisation = Organisation(world, results)
        await world.subscriber(PAYER, shillings=10_000 + UTILITY + WORKING)
        await world.subscriber(OTHER_PAYER, shillings=5)
        supplier = await world.operator.register_merchant(SUPPLIER, "SUPPLIER")
        await world.operator.open_number(
            supplier.customer_id, SUPPLIERS_TILL, "SUPPLIER TILL", NumberKind.TILL, PayBillPlan.CUSTOMER_PAYS
        )
        await paid(world, PAYER, UTILITY + WORKING)
        await world.callback()
        await organisation.pay_merchant(_TO_WORKING, PAYBILL, WORKING)
        assert "0" == (await organisation.result())["ResultCode"]
        await world.settled()


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as reading, sqlite3.connect(target) as writing:
        reading.backup(writing)
    reading.close()
    writing.close()


def _url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"
