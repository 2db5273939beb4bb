"""Our client asks our sandbox for tokens and pushes; both sides agree on what was paid."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.callback import StkCallback, phone_matches
from penpay.domain.mpesa.gateway import PaymentOutcome, PushOutcome
from penpay.domain.mpesa.verdicts import callback_verdict
from penpay.sandbox.daraja.switches import DarajaSwitches, PendingStyle
from tests.contract.daraja.both import START, SUPPLIERS_TILL, USER, Both
from tests.contract.daraja.conftest import BothMaker
from tests.contract.sandbox.shop import till_of_the_paybill
from tests.contract.sandbox.world import PAYER, kes

pytestmark = pytest.mark.asyncio(loop_scope="module")


def verdict(callback: StkCallback) -> PaymentOutcome:
    return callback_verdict(callback.result_code)


@pytest.mark.parametrize("style", PendingStyle)
async def test_a_push_is_pending_until_its_payer_gives_her_pin(make_both: BothMaker, style: PendingStyle) -> None:
    """In both styles of pending; then callback and query say paid, and the money is ours."""
    async with make_both(DarajaSwitches(pending_style=style)) as both:
        stk, push = both.client.stk, both.push(150)
        answer = await stk.stk_push(push)
        assert (PushOutcome.ACCEPTED, "0") == (answer.outcome, answer.code)
        assert answer.checkout_request_id is not None
        assert PaymentOutcome.PENDING == (await stk.stk_query(answer.checkout_request_id)).outcome
        assert START == await both.books()

        await both.world.phone(PAYER).give_pin("1234")

        callback = await both.told_stk(push)
        assert (PaymentOutcome.PAID, kes(150), True) == (verdict(callback), callback.amount, callback.amount_readable)
        assert (answer.checkout_request_id, answer.merchant_request_id) == (
            callback.checkout_request_id,
            callback.merchant_request_id,
        )
        assert phone_matches(callback.phone_text, USER)
        assert callback.paid_at is not None
        assert abs((both.world.clock.now() - callback.paid_at).total_seconds()) < 60
        assert PaymentOutcome.PAID == (await stk.stk_query(answer.checkout_request_id)).outcome
        assert callback.receipt is not None
        status = await both.status(receipt=callback.receipt)
        assert (PaymentOutcome.PAID, kes(150), callback.receipt) == (
            status.payment,
            status.amount.money,
            status.receipt,
        )
        assert replace(START, user=9_850, utility=20_150) == await both.books()


@pytest.mark.parametrize(
    ("doing", "shillings", "code"),
    [("wrong PIN", 100, "2001"), ("cancelled", 100, "1032"), ("too little money", 10_001, "1")],
)
async def test_a_payer_who_does_not_pay_is_not_charged(both: Both, doing: str, shillings: int, code: str) -> None:
    """Callback and query name the same listed code, and nothing has moved."""
    push = both.push(shillings)
    answer = await both.client.stk.stk_push(push)
    phone = both.world.phone(PAYER)
    if doing == "cancelled":
        await phone.cancel()
    else:
        await phone.give_pin("9999" if doing == "wrong PIN" else "1234")

    callback = await both.told_stk(push)

    query = await both.client.stk.stk_query(answer.checkout_request_id or "")
    assert (code, PaymentOutcome.FAILED, None) == (callback.result_code, verdict(callback), callback.receipt)
    assert (code, PaymentOutcome.FAILED) == (query.code, query.outcome)
    assert START == await both.books()


async def test_a_second_prompt_waits_for_the_first(both: Both) -> None:
    """It is not sent, may be tried in a minute, and the first one is paid once."""
    first = both.push()
    await both.client.stk.stk_push(first)

    second = await both.client.stk.stk_push(both.push())

    assert (PushOutcome.NOT_SENT, 60_000) == (second.outcome, second.retry_after_ms)
    await both.world.phone(PAYER).give_pin("1234")
    assert PaymentOutcome.PAID == verdict(await both.told_stk(first))
    assert replace(START, user=9_900, utility=20_100) == await both.books()


async def test_a_till_is_no_pay_bill(both: Both) -> None:
    """The client asks as a PayBill does; for a till's number that ends as not permitted, and nobody sees a prompt."""
    await till_of_the_paybill(both.world, "600100")
    push = both.push()

    answer = await both.make_client(short_code="600100").stk.stk_push(push)

    callback = await both.told_stk(push)
    assert (PushOutcome.ACCEPTED, "2028", PaymentOutcome.FAILED) == (
        answer.outcome,
        callback.result_code,
        verdict(callback),
    )
    assert both.world.phone(PAYER).prompt is None
    assert START == await both.books()


async def test_a_till_is_paid_as_a_till(fresh: Both) -> None:
    """Its name is on the prompt, its owner has the money, and query, status and confirmation tell of it."""
    await till_of_the_paybill(fresh.world, "600105")
    till = fresh.make_client(short_code="600105")
    assert "ACCEPTED" == (await till.receipts.register_addresses(fresh.addresses())).outcome
    fresh.world.what_runs_now_never_ends()
    push = replace(fresh.push(70), till="600105")
    answer = await fresh.client.stk.stk_push(push)
    prompt = fresh.world.phone(PAYER).prompt
    assert ("PENPAY SHOP", kes(70)) == (prompt and prompt.merchant, prompt and prompt.amount)
    await fresh.world.phone(PAYER).give_pin("1234")

    callback = await fresh.told_stk(push)

    assert (PaymentOutcome.PAID, kes(70)) == (verdict(callback), callback.amount)
    query = await fresh.client.stk.stk_query(answer.checkout_request_id or "")
    assert PaymentOutcome.PAID == query.outcome
    assert callback.receipt is not None
    assert PaymentOutcome.PAID == (await fresh.status(receipt=callback.receipt)).payment
    confirmed = parse_c2b_payment(await fresh.inbox.next("tell", "c2b"))
    assert (callback.receipt, "600105", kes(70)) == (confirmed.receipt, confirmed.short_code, confirmed.amount)
    assert replace(START, user=9_930, utility=20_070) == await fresh.books()


async def test_a_till_of_somebody_else_is_not_paid(both: Both) -> None:
    """Agent number and store number do not match: a listed code, told by callback."""
    push = replace(both.push(), till=SUPPLIERS_TILL)

    answer = await both.client.stk.stk_push(push)

    callback = await both.told_stk(push)
    assert (PushOutcome.ACCEPTED, "2002", PaymentOutcome.FAILED) == (
        answer.outcome,
        callback.result_code,
        verdict(callback),
    )
    assert START == await both.books()


async def test_nobody_knows_a_push_of_another_number(both: Both) -> None:
    """A query about an id that was never given is no answer about money."""
    query = await both.client.stk.stk_query("ws_CO_21112026120000000700000000")
    assert (PaymentOutcome.UNKNOWN, "400.002.02") == (query.outcome, query.code)


async def test_a_wrong_secret_asks_for_nothing(both: Both) -> None:
    """Told as a matter for people, before any push; with the right one the next push goes out."""
    wrong = await both.make_client(secret="wrong-secret").stk.stk_push(both.push())
    assert (PushOutcome.NOT_SENT, "daraja_credentials", 60_000) == (wrong.outcome, wrong.code, wrong.retry_after_ms)
    assert both.world.phone(PAYER).prompt is None

    assert PaymentOutcome.PAID == verdict((await both.paid())[1])


async def test_a_number_without_a_passkey_is_refused(both: Both) -> None:
    """The merchant is not known to this app: a listed answer, so final."""
    answer = await both.make_client(short_code="600999").stk.stk_push(both.push())
    assert (PushOutcome.FAILED, "500.001.1001") == (answer.outcome, answer.code)
