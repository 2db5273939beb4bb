"""A receipt that only a callback told is somebody's word: M-Pesa's own records say whose it is, and no money hides."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from penpay.application.collections.till_pushing import TILL_PURPOSE
from penpay.demo.world import PHONE, PIN
from penpay.infrastructure.sql.operator_tables import stk_pushes
from penpay.sandbox.faults import FaultRule, LostCallback
from tests.end_to_end.collections.shop import Shop, kes
from tests.end_to_end.collections.test_records import imported
from tests.end_to_end.collections.test_till import ended, opened_sale, pushed
from tests.end_to_end.deposits.callbacks import success_body

ROW = "{receipt},03-02-2026 12:00:05,Pay Bill from 2547****149 Acc. {reference},Completed,{paid},,1000,\n"
ANOTHERS = ROW.format(receipt="QGK12XYZ9", reference="CUST-7", paid="75.00")


async def test_a_receipt_made_up_for_a_paid_push_gives_way_to_the_true_one(each_shop: Shop) -> None:
    """The callback was forged and the true one lost; M-Pesa was asked, and its statement has the receipt: paid once."""
    shop = each_shop
    reference, receipt = await _forged(shop, "FORGED0001")
    row = ROW.format(receipt=receipt, reference=reference, paid="120.00")
    told = await imported(shop, row)
    again = await imported(shop, row)

    assert ((0, ()), (0, ())) == ((told.booked, told.contradicting), (again.booked, again.contradicting))
    assert [(receipt, "VERIFIED", "statement", 12_000)] == await shop.rows(
        "SELECT mpesa_receipt_number, verification, verified_by, amount_cents FROM payments"
    )
    assert 12_000 == await shop.account("1010")
    pushes = await shop.rows("SELECT receipt FROM till_pushes")
    assert [(receipt,)] == pushes


async def test_a_second_payment_under_the_pushs_reference_is_booked_as_well(shop: Shop) -> None:
    """Somebody types the reference again: two receipts stand in the statement, in whatever order, and two payments."""
    reference, receipt = await _forged(shop, "FORGED0001")
    rows = [ROW.format(receipt=one, reference=reference, paid="120.00") for one in ("QGK12XYZ9", receipt)]
    told = await imported(shop, *rows)
    again = await imported(shop, *reversed(rows))

    assert (1, 0) == (told.booked, again.booked)
    assert sorted(["QGK12XYZ9", receipt]) == sorted(
        found for (found,) in await shop.rows("SELECT mpesa_receipt_number FROM payments")
    )
    assert 24_000 == await shop.account("1010")


async def test_a_receipt_taken_from_somebody_else_is_given_back(each_shop: Shop) -> None:
    """The forger named a receipt that nobody had told us of: its true payment is booked, and the push keeps its own."""
    shop = each_shop
    reference, receipt = await _forged(shop, "QGK12XYZ9")
    told = await imported(shop, ANOTHERS)
    await imported(shop, ROW.format(receipt=receipt, reference=reference, paid="120.00"), ANOTHERS)

    assert (1, ()) == (told.booked, told.contradicting)
    assert sorted([("QGK12XYZ9", 7_500, "VERIFIED"), (receipt, 12_000, "VERIFIED")]) == sorted(
        await shop.rows("SELECT mpesa_receipt_number, amount_cents, verification FROM payments")
    )
    assert 19_500 == await shop.account("1010")
    assert [] == list(await shop.system.reports.collections.verify())


async def _forged(shop: Shop, receipt: str) -> tuple[str, str]:
    """A sale paid by a push whose callback was forged with this receipt; the push's reference and true receipt."""
    shop.stage.sandbox.daraja.faults.add(FaultRule(fault=LostCallback(), times=1))
    await opened_sale(shop, kes(120))
    await pushed(shop)
    await shop.stage.prompted()
    checkout = await shop.stage.checkout_request_id()
    ((push_id,),) = await shop.rows("SELECT subject_id FROM audit_logs WHERE action = 'till_push.asked'")
    token = shop.system._tokens.sign(TILL_PURPOSE, UUID(push_id))
    await shop.stage.call_back(token, success_body(checkout, cents=12_000, receipt=receipt))
    await shop.stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    await ended(shop, advancing=timedelta(seconds=1))
    query = select(stk_pushes.c.account_reference, stk_pushes.c.receipt).where(stk_pushes.c.state == "PAID")
    async with shop.stage.sandbox.engine.connect() as connection:
        (row,) = (await connection.execute(query)).all()
    return row.account_reference, row.receipt
