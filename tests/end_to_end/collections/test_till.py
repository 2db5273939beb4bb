"""Pushes from the till: the customer at the counter pays a sale on her handset, once, whoever tells of it first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.till_pushing import TILL_PURPOSE, PushFromTill
from penpay.demo.world import PHONE, PIN, SHORT_CODE
from penpay.domain.payments.evidence import short_reference
from penpay.domain.payments.till_push import PushPending
from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.collections_tables import pos_sales
from penpay.sandbox.faults import DarajaCall, FaultRule, LostCallback, Spoilt, SpoiltReply
from tests.end_to_end.collections.shop import STAFF, WORKED_EXAMPLE, Shop, kes
from tests.end_to_end.deposits.callbacks import success_body


async def opened_sale(shop: Shop, total: Money) -> str:
    """A sale of so much that waits for its money."""
    now = shop.system.clock.now()
    sale: dict[str, Any] = {
        "id": UUID(bytes=shop.system.random.token_bytes(16)),
        "pos_number": "POS-001",
        "pos_number_folded": "POS001",
        "status": "PENDING",
        "net_cents": total.cents,
        "vat_cents": 0,
        "total_cents": total.cents,
        "cash_cents": 0,
        "mpesa_cents": 0,
        "tenders": 0,
        "expires_at": now + timedelta(days=9),
        "due_at": now + timedelta(days=9),
        "created_at": now,
        "created_by": STAFF,
        "version": 1,
    }
    async with shop.system.engine.begin() as connection:
        await connection.execute(insert(pos_sales), sale)
    return "POS-001"


async def pushed(shop: Shop, amount: Money | None = None) -> None:
    await pushed_to(shop, PHONE, "pos 001", amount)


async def pushed_to(shop: Shop, phone: PhoneNumber, number: str, amount: Money | None = None) -> None:
    """Ask the owner of this handset to pay a sale."""
    push_id = TillPushId(shop.system.ids.new())
    await shop.do(PushFromTill(push_id=push_id, pos_number=number, phone=phone, amount=amount, by=STAFF))


async def ended(shop: Shop, status: str = "PAID", *, advancing: timedelta = timedelta(0)) -> None:
    async def done() -> bool:
        return bool(await shop.one("SELECT count(*) FROM pos_sales WHERE status = :status", status=status))

    await shop.stage.until(done, advancing=advancing)


async def answered(shop: Shop, pin: str = PIN) -> None:
    await shop.stage.give_pin(pin)


async def test_a_push_from_the_till_pays_its_sale_once(shop: Shop) -> None:
    """Its callback and the C2B confirmation of the same money: one payment, with its receipt and M-Pesa's balance."""
    await shop.registered()
    await opened_sale(shop, kes(120))
    await pushed(shop)
    await answered(shop)

    await ended(shop)
    await shop.settled(1)
    assert [("STK", 12_000, "ALLOCATED")] == await shop.rows("SELECT source, amount_cents, status FROM payments")
    assert (12_000, 12_000) == (await shop.account("1010"), await shop.account("4000"))
    assert [("CONFIRMED", None)] == await shop.rows("SELECT state, open_for FROM till_pushes")
    now = shop.system.clock.now()
    points = await shop.system.capture.balances.points(SHORT_CODE, now - timedelta(hours=1), now + timedelta(hours=1))
    assert [(kes(120), kes(120))] == [(point.amount, point.balance) for point in points]


async def test_a_lost_callback_is_made_good_by_our_own_question(shop: Shop) -> None:
    """The payment has no receipt until a confirmation or M-Pesa's list brings it, and is booked once."""
    shop.stage.sandbox.daraja.faults.add(FaultRule(fault=LostCallback(), times=1))
    await opened_sale(shop, kes(120))
    await pushed(shop)
    await answered(shop)

    await ended(shop, advancing=timedelta(seconds=1))
    assert [("VERIFIED", 12_000)] == await shop.rows("SELECT verification, amount_cents FROM payments")

    async def has_receipt() -> bool:
        return bool(await shop.one("SELECT count(*) FROM payments WHERE mpesa_receipt_number IS NOT NULL"))

    await shop.stage.until(has_receipt, advancing=timedelta(minutes=1))
    assert 12_000 == await shop.account("1010")


async def test_a_large_amount_releases_its_sale_only_after_our_own_question(shop: Shop) -> None:
    """KES 20,000 is above what a callback alone may release."""
    await opened_sale(shop, kes(20_000))
    await pushed(shop)
    await answered(shop)

    await ended(shop)
    assert [("VERIFIED", "stk_query")] == await shop.rows("SELECT verification, verified_by FROM payments")


async def test_a_forged_callback_under_the_receipt_of_another_hides_no_payment(shop: Shop) -> None:
    """The push is booked once M-Pesa says that it was paid, under no receipt yet; the other payment proves nothing."""
    shop.stage.sandbox.daraja.faults.add(FaultRule(fault=LostCallback(), times=1))
    await shop.told(WORKED_EXAMPLE)
    await shop.settled(1)
    await opened_sale(shop, kes(120))
    await pushed(shop)
    await shop.stage.prompted()
    checkout = await shop.stage.checkout_request_id()
    ((push_id,),) = await shop.rows("SELECT subject_id FROM audit_logs WHERE action = 'till_push.asked'")
    token = shop.system._tokens.sign(TILL_PURPOSE, UUID(push_id))
    forged = success_body(checkout, cents=12_000, receipt="QGK12XYZ9")
    await shop.stage.call_back(token, forged)
    await shop.stage.sandbox.daraja.phone(PHONE).give_pin(PIN)

    await ended(shop, advancing=timedelta(seconds=1))
    assert [("C2B", 500_000, "UNVERIFIED"), ("STK", 12_000, "VERIFIED")] == await shop.rows(
        "SELECT source, amount_cents, verification FROM payments ORDER BY source"
    )
    assert 512_000 == await shop.account("1010")


async def test_what_is_told_of_a_push_that_nobody_can_ask_about_ends_in_suspense(each_shop: Shop) -> None:
    """The answer to the push was lost, and with it the id to ask by: after two days people sort what it has paid."""
    shop = each_shop
    for fault in (SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.CUT, done=True), LostCallback()):
        shop.stage.sandbox.daraja.faults.add(FaultRule(fault=fault, times=1))
    await opened_sale(shop, kes(20_000))
    await pushed(shop)
    await shop.stage.prompted()
    ((push_id,),) = await shop.rows("SELECT subject_id FROM audit_logs WHERE action = 'till_push.asked'")
    reference = "TP" + short_reference(UUID(push_id).int, 10)
    await shop.told({**WORKED_EXAMPLE, "TransAmount": "20000.00", "BillRefNumber": reference})

    async def booked() -> bool:
        return bool(await shop.one("SELECT count(*) FROM payments"))

    await shop.stage.until(booked, advancing=timedelta(minutes=20))
    assert [("C2B", 2_000_000, "SUSPENSE", "UNVERIFIED")] == await shop.rows(
        "SELECT source, amount_cents, status, verification FROM payments"
    )
    assert ["APPLIED"] == await shop.outcomes()
    assert ["PENDING"] == [status for (status,) in await shop.rows("SELECT status FROM pos_sales")]


async def test_a_cancelled_prompt_leaves_the_sale_open_for_another(shop: Shop) -> None:
    """While one prompt is out no second is sent; once it has failed, the next may be."""
    await opened_sale(shop, kes(120))
    await pushed(shop)
    with pytest.raises(PushPending):
        await pushed(shop)
    await shop.stage.cancel()

    async def failed() -> bool:
        return bool(await shop.one("SELECT count(*) FROM till_pushes WHERE state = 'FAILED'"))

    await shop.stage.until(failed)
    await pushed(shop)
    await answered(shop)
    await ended(shop)
    assert 12_000 == await shop.account("1010")


@pytest.mark.parametrize("amount", [kes(121), kes(0, 50), kes(0)])
async def test_a_push_asks_for_whole_shillings_that_are_to_pay(shop: Shop, amount: Money) -> None:
    """Daraja moves whole shillings; more than is to pay would be credit nobody asked for."""
    await opened_sale(shop, kes(120))
    with pytest.raises(InvalidAmount):
        await pushed(shop, amount)
    assert 0 == await shop.one("SELECT count(*) FROM till_pushes")
