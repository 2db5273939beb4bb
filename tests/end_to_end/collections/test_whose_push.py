"""Pushes from the till whose answers are lost: an id that only a callback named may be any other push's."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from penpay.application.collections.selling import OpenSale
from penpay.application.collections.till_pushing import TILL_PURPOSE
from penpay.demo.world import PHONE, PIN
from penpay.domain.collections.line import LineItem
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.faults import DarajaCall, LostCallback, Spoilt, SpoiltReply
from tests.end_to_end.collections.shop import STAFF, Shop, kes
from tests.end_to_end.collections.test_till import ended, pushed_to
from tests.end_to_end.deposits.callbacks import failure_body, success_body

LOST_ANSWER = SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.CUT, done=True)
ONE_SECOND = timedelta(seconds=1)
_UNLISTED = 7777
"""A result code that decides nothing, so that we ask."""


async def test_what_another_customer_paid_pays_no_sale(each_shop: Shop) -> None:
    """Both answers are lost, she pays, and a forger tells her id to his push: her sale is paid, and his is not."""
    shop = each_shop
    await shop.registered()
    her = (await shop.stage.person(1)).phone
    shop.stage.fail(LOST_ANSWER, times=2)
    hers = await _unanswered(shop, her)
    his = await _unanswered(shop, PHONE)
    shop.stage.fail(LostCallback())
    told = failure_body(await _paid(shop, her), _UNLISTED)
    await shop.stage.call_back(await _token(shop, his), told)

    await shop.stage.until(lambda: _is_code(shop, his, "identity_unproven"), advancing=ONE_SECOND)
    await ended(shop)  # by the confirmation
    assert [(hers, "PAID"), (his, "PENDING")] == await shop.rows(
        "SELECT pos_number, status FROM pos_sales ORDER BY pos_number"
    )
    assert [("STK", 12_000, "UNVERIFIED")] == await shop.rows("SELECT source, amount_cents, verification FROM payments")


async def test_what_a_depositor_paid_pays_no_sale(each_shop: Shop) -> None:
    """The id of a deposit's push, which is certain, is told to a push whose answer was lost."""
    shop = each_shop
    shop.stage.fail(LOST_ANSWER)
    his = await _unanswered(shop, (await shop.stage.person(1)).phone)
    deposit = await shop.stage.deposit()
    await shop.stage.until(lambda: shop.stage.is_push(deposit, "ACCEPTED"))
    await shop.stage.prompted()
    told = failure_body(await _paid(shop, PHONE), _UNLISTED)
    await shop.stage.call_back(await _token(shop, his), told)

    await shop.stage.until(lambda: _is_code(shop, his, "identity_unproven"), advancing=ONE_SECOND)
    assert [] == await shop.rows("SELECT * FROM payments")
    assert ("COMPLETED", None, None) == await shop.stage.ended(deposit, advancing=ONE_SECOND)


async def test_what_a_customer_paid_makes_no_deposit_paid(each_shop: Shop) -> None:
    """The other way round: the id of a push from the till is told to a deposit, and nothing is forwarded to Deriv."""
    shop = each_shop
    her = (await shop.stage.person(1)).phone
    shop.stage.fail(LOST_ANSWER)
    deposit = await shop.stage.deposit()
    await shop.stage.until(lambda: shop.stage.is_push(deposit, "UNKNOWN"))
    await _asked(shop, her)
    await _in_state(shop, "ACCEPTED")
    await shop.stage.prompted()
    await shop.stage.sandbox.daraja.phone(her).next_prompt()
    told = success_body(await _paid(shop, her))
    await shop.stage.call_back(await shop.stage.token(deposit), told)

    async def is_doubted() -> bool:
        return bool((await shop.stage.push(deposit)).code == "identity_unproven")

    await shop.stage.until(is_doubted, advancing=ONE_SECOND)
    assert "VERIFYING_MPESA_PAYMENT" == (await shop.stage.transaction(deposit))["status"]
    assert 0 == await shop.stage.transfers_made()


async def test_one_unanswered_push_alone_is_asked_about_by_the_id_of_its_callback(shop: Shop) -> None:
    """No other push can own the id, so M-Pesa's answer pays the sale, and from then on the id is certain."""
    shop.stage.fail(LOST_ANSWER)
    his = await _unanswered(shop, PHONE)
    shop.stage.fail(LostCallback())
    told = failure_body(await _paid(shop, PHONE), _UNLISTED)
    await shop.stage.call_back(await _token(shop, his), told)

    async def is_paid() -> bool:
        return bool(await shop.one("SELECT count(*) FROM pos_sales WHERE status = 'PAID'"))

    await shop.stage.until(is_paid, advancing=ONE_SECOND)
    assert [("VERIFIED", "stk_query")] == await shop.rows("SELECT verification, verified_by FROM payments")
    assert [("CONFIRMED", "")] == await shop.rows("SELECT state, merchant_request_id FROM till_pushes")


async def _asked(shop: Shop, phone: PhoneNumber) -> str:
    """The number of a sale of KES 120 that the owner of this handset is asked to pay."""
    sale = await shop.do(OpenSale(items=(LineItem(description="Tea", unit_price=kes(120)),), by=STAFF))
    await pushed_to(shop, phone, str(sale["pos_id"]))
    return str(sale["pos_id"])


async def _unanswered(shop: Shop, phone: PhoneNumber) -> str:
    """The same; her handset shows the prompt, and our call was not answered."""
    number = await _asked(shop, phone)
    await _in_state(shop, "UNKNOWN", number)
    await shop.stage.sandbox.daraja.phone(phone).next_prompt()
    return number


async def _in_state(shop: Shop, state: str, number: str | None = None) -> None:
    async def is_so() -> bool:
        found = await shop.rows(
            "SELECT s.pos_number FROM till_pushes u JOIN pos_sales s ON s.id = u.sale_id WHERE u.state = :state",
            state=state,
        )
        return bool(found) and (number is None or (number,) in found)

    await shop.stage.until(is_so)


async def _paid(shop: Shop, phone: PhoneNumber) -> str:
    """The CheckoutRequestID of what was paid on this handset."""
    handset = shop.stage.sandbox.daraja.phone(phone)
    assert handset.prompt is not None
    checkout = handset.prompt.checkout_request_id
    await handset.give_pin(PIN)
    return checkout


async def _token(shop: Shop, number: str) -> str:
    """The path token of the push for this sale, as M-Pesa was given it."""
    found = await shop.rows("SELECT subject_id, facts FROM audit_logs WHERE action = 'till_push.asked'")
    ((push_id),) = [subject for subject, facts in found if number in str(facts)]
    return shop.system._tokens.sign(TILL_PURPOSE, UUID(push_id))


async def _is_code(shop: Shop, number: str, code: str) -> bool:
    found = await shop.rows(
        "SELECT u.code FROM till_pushes u JOIN pos_sales s ON s.id = u.sale_id WHERE s.pos_number = :number",
        number=number,
    )
    return found == [(code,)]
