"""`penpay serve` is killed while it pays a refund of Collections back, and the phone is paid once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from penpay.application.collections.receiving import ReceivePayment
from penpay.application.collections.refunding import DecideRefund, ProposeRefund
from penpay.bootstrap import Sandbox, build, kept_certificate, real_ports
from penpay.config import Settings, load_settings
from penpay.demo.world import SHORT_CODE
from penpay.domain.collections.allocation import RefundId
from penpay.domain.collections.payment import Payer, PaymentSource
from penpay.domain.shared.money import Currency, Money
from penpay.sandbox.daraja.notifications import BillPayment
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits
from tests.end_to_end.kill.databases import Hold, SqliteDatabase
from tests.end_to_end.kill.stage import WALLET, Stage, clients, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PAID = Money(50_000, Currency.KES)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Suspense of KES 500.00 that two persons have agreed to give back; M-Pesa runs, and we do not yet."""
    made = Stage(tmp_path, SqliteDatabase(tmp_path / "penpay.db"), clients(1))
    made.environment |= {
        "MPESA_INITIATOR_NAME": "penpay",
        "MPESA_INITIATOR_PASSWORD": os.urandom(16).hex(),
        "MPESA_CERTIFICATE": str(kept_certificate(made.operator.url, datetime.now(UTC))),
        "PENPAY_PAYOUT_FIRST_STATUS_SECONDS": "1",
    }
    try:
        made.seed()
        asyncio.run(_approved(load_settings(made.environment), made))
        made.start_sandbox()
        yield made
    finally:
        made.close()


def test_a_refund_killed_before_the_call_and_after_it_is_paid_once(stage: Stage) -> None:
    """First with the intent alone on record, then with the call made and its answer lost; asked by our id, it ends."""
    (client,) = stage.people
    killed_at(stage, "SENDING", was="INTENDED")
    assert on_phone(stage) == WALLET.cents - PAID.cents
    killed_at(stage, "ACCEPTED", was="SENDING")
    until("her phone has it again", lambda: on_phone(stage) == WALLET.cents)
    stage.start_serve()
    until("the refund is paid", lambda: ("PAID",) in stage.database.query("SELECT state FROM collections_refunds"))

    assert (WALLET.cents, 0) == (stage.operator_balances()[client.phone.msisdn], stage.operator_balances()[SHORT_CODE])
    assert [("CONFIRMED",)] == stage.database.query("SELECT state FROM mpesa_disbursements")
    assert (0, "The books are sound.\n", "") == stage.command("ledger", "verify")
    assert 0 == stage.command("collections", "verify")[0]


def killed_at(stage: Stage, state: str, *, was: str) -> None:
    """Run until the payout would come to this state, and kill us there."""
    stage.database.hold(Hold("UPDATE", "mpesa_disbursements", "state", state))
    stage.start_serve()
    until(f"the payout is {was}", lambda: [(was,)] == stage.database.query("SELECT state FROM mpesa_disbursements"))
    if was == "SENDING":
        until("her phone has it again", lambda: on_phone(stage) == WALLET.cents)
    stage.kill_serve()
    stage.database.release()
    assert [(was,)] == stage.database.query("SELECT state FROM mpesa_disbursements")


def on_phone(stage: Stage) -> int:
    return stage.operator_balances()[stage.people[0].phone.msisdn]


async def _approved(settings: Settings, stage: Stage) -> None:
    (client,) = stage.people
    sandbox = Sandbox(
        settings,
        real_ports(),
        switches=DarajaSwitches(),
        deriv_url=settings.deriv_sandbox_database_url,
        deriv_limits=RateLimits(),
    )
    try:
        await sandbox.start()
        await sandbox.daraja._c2b.pay_bill(
            BillPayment(phone=client.phone, short_code=SHORT_CODE, account="X", amount=PAID)
        )
    finally:
        await sandbox.stop()
    system = build(settings)
    try:
        await system.start_executor()
        execute = system.executor.execute
        await execute(
            ReceivePayment(
                receipt="QAA1",
                source=PaymentSource.PULL,
                amount=PAID,
                bill_reference="X",
                payer=Payer.of(client.phone, "CLIENT"),
            )
        )
        proposal = ProposeRefund(receipt="QAA1", amount=PAID, phone=client.phone, reason="paid twice", by="staff:one")
        refund = RefundId(UUID((await execute(proposal))["refund_id"]))
        await execute(DecideRefund(refund_id=refund, approve=True, by="staff:two"))
    finally:
        await system.stop()
