"""The program with an initiator: one System and the sandbox, as the settings put them together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from penpay.bootstrap import build, real_ports
from penpay.config import InvalidSettings
from penpay.demo.world import PHONE, SHORT_CODE, WALLET, World, demo_settings, demo_world
from penpay.domain.mpesa.gateway import B2cPayment, CallOutcome, PullWindow
from penpay.domain.shared.money import Currency, Money
from tests.servers.process import free_port

FLOAT = Money(100_000, Currency.KES)
PAID = Money(25_000, Currency.KES)


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with demo_world(tmp_path, api_port=free_port(), daraja_port=free_port(), deriv_port=free_port()) as made:
        yield made


async def _held(world: World) -> Money:
    return dict((await world.sandbox.operator.books.balances()).subscribers)[PHONE]


async def test_a_customer_is_paid_in_the_name_that_is_set(world: World) -> None:
    """The password arrives under the sandbox's own certificate, whatever else it would let pass, and money moves."""
    board = world.sandbox.daraja.switches
    board.now = replace(board.now, check_security_credentials=True)
    await world.sandbox.operator.issue_to_merchant(SHORT_CODE, FLOAT, "float-of-the-paybill")
    assert world.system.disbursements is not None

    answer = await world.system.disbursements.pay_customer(
        B2cPayment(
            originator_conversation_id=f"{SHORT_CODE}-first",
            callback_token="token",
            phone=PHONE,
            amount=PAID,
            remarks="Payout",
        )
    )

    assert CallOutcome.ACCEPTED is answer.outcome, answer
    async with asyncio.timeout(10):
        while await _held(world) != WALLET + PAID:
            await asyncio.sleep(0.02)


async def test_payments_can_be_listed_where_the_settings_say_so(world: World) -> None:
    """The demo's PayBill is registered for pulling; nobody has paid it yet."""
    now = world.system.clock.now()
    assert world.system.pulls is not None

    answer = await world.system.pulls.pull(PullWindow(since=now - timedelta(hours=1), until=now))

    assert (CallOutcome.ACCEPTED, ()) == (answer.outcome, answer.transactions)


async def test_without_an_initiator_nothing_is_paid_out(tmp_path: Path) -> None:
    """Who has no initiator yet takes deposits all the same."""
    settings = demo_settings(tmp_path, real_ports(), api_port=8000, daraja_port=free_port(), deriv_port=free_port())
    unset = {"mpesa_initiator_name": None, "mpesa_initiator_password": None, "mpesa_certificate": None}
    system = build(settings.model_copy(update={**unset, "mpesa_pull": "off"}))
    try:
        await system.start()
        assert (None, None) == (system.disbursements, system.pulls)
        assert system.receipts is not None
    finally:
        await system.stop()


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "cannot be read: No such file or directory"), (b"hunter2", "Neither a certificate nor a public key")],
)
async def test_a_certificate_that_is_none_is_told_at_the_start(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    """Not when somebody is to be paid."""
    settings = demo_settings(tmp_path, real_ports(), api_port=8000, daraja_port=free_port(), deriv_port=free_port())
    file = tmp_path / "other.pem"
    if content is not None:
        file.write_bytes(content)
    system = build(settings.model_copy(update={"mpesa_certificate": file}))
    try:
        with pytest.raises(InvalidSettings, match=f"MPESA_CERTIFICATE: {told}"):
            await system.start()
    finally:
        await system.stop()
