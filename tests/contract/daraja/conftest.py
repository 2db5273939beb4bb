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

from penpay.bootstrap.operator import kenyan_policy
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.log import RequestLog
from tests.contract.daraja.both import SUPPLIER, SUPPLIERS_TILL, UTILITY, WORKING, Both, Inbox
from tests.contract.sandbox.organisation import Organisation, Results
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, Receiver, opened, paid, serving

_TO_WORKING = "MerchantTransferFromMerchantToWorking"


class BothMaker(Protocol):
    """Opens sandbox and client on money that nobody has touched."""

    def __call__(
        self, switches: DarajaSwitches = ..., log: RequestLog | None = ...
    ) -> AbstractAsyncContextManager[Both]: ...


@pytest.fixture
async def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database every world begins on, made when it is first needed: see `START`."""
    file = tmp_path_factory.getbasetemp() / "daraja-beginning.sqlite3"
    if not file.exists():
        making = file.with_suffix(".making")
        await _fund(making)
        await asyncio.to_thread(making.rename, file)
    return file


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    made = Inbox()
    async with serving(made.app) as url:
        made.url = url
        yield made
        made.may_answer.set()  # or the server would wait for it


@pytest.fixture
def make_both(tmp_path: Path, beginning: Path, inbox: Inbox) -> BothMaker:
    made = 0

    @asynccontextmanager
    async def make(
        switches: DarajaSwitches = DarajaSwitches(confirm_every_ms=10),  # noqa: B008  (frozen)
        log: RequestLog | None = None,
    ) -> AsyncIterator[Both]:
        nonlocal made
        made += 1
        file = tmp_path / f"operator-{made}.sqlite3"
        await asyncio.to_thread(_copy, beginning, file)
        async with (
            opened(_url(file), Receiver(), switches, kenyan_policy(), log) as world,
            httpx.AsyncClient(timeout=10, trust_env=False) as http,
        ):
            certificate = (await world.client.get("/sandbox/certificate")).content
            yield Both(world=world, http=http, inbox=inbox, certificate=certificate)

    return make


@pytest.fixture
async def both(make_both: BothMaker) -> AsyncIterator[Both]:
    """Sandbox and client, with every switch at its default but that payments are looked for at once."""
    async with make_both() as made:
        yield made


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
