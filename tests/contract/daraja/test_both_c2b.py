"""Our client registers, simulates and pulls in our sandbox, and reads what it is asked and told of payments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.gateway import CallOutcome, PaymentOutcome, PullWindow, UnansweredValidation
from penpay.domain.mpesa.payer_phone import PhoneKind
from penpay.infrastructure.mpesa.receipts import C2bVersion
from penpay.sandbox.daraja.switches import DarajaSwitches
from tests.contract.daraja.both import RECEIVER, START, USER, Both
from tests.contract.daraja.conftest import BothMaker
from tests.contract.sandbox.shop import TILL, quiet, till_of_the_paybill, wish
from tests.contract.sandbox.world import PAYBILL, PAYER, kes

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKING = DarajaSwitches(confirm_every_ms=10, external_validation=True, validation_timeout_ms=10_000)


@pytest_asyncio.fixture(loop_scope="module")
async def asking(make_both: BothMaker) -> AsyncIterator[Both]:
    """We are asked before a payment moves."""
    async with make_both(ASKING) as made:
        yield made


@pytest.mark.parametrize(
    ("version", "plain", "kind", "is_hers", "is_his"),
    [
        (C2bVersion.V1, False, PhoneKind.HASHED, True, False),
        (C2bVersion.V2, False, PhoneKind.MASKED, None, False),
        (C2bVersion.V1, True, PhoneKind.PLAIN, True, False),
        (C2bVersion.V2, True, PhoneKind.PLAIN, True, False),
    ],
)
async def test_a_payment_is_told_with_as_much_of_the_number_as_there_is(
    make_both: BothMaker, version: C2bVersion, kind: PhoneKind, *, plain: bool, is_hers: bool | None, is_his: bool
) -> None:
    """A hash and a plain number tell whose it is, a mask only whose it is not."""
    async with make_both(DarajaSwitches(confirm_every_ms=10, plain_c2b_phone=plain)) as both:
        receipts = both.make_client(version=version).receipts
        assert CallOutcome.ACCEPTED is (await receipts.register_addresses(both.addresses())).outcome
        both.world.what_runs_now_never_ends()

        assert CallOutcome.ACCEPTED is (await receipts.simulate_payment(both.simulated(250, "Bill 7"))).outcome

        told = parse_c2b_payment(await both.inbox.next("tell", "c2b"))
        assert (kes(250), PAYBILL, "Bill 7", "Pay Bill", kes(20_250)) == (
            told.amount,
            told.short_code,
            told.bill_reference,
            told.transaction_type,
            told.account_balance,
        )
        assert (kind, is_hers, is_his) == (told.phone.kind, told.phone.matches(USER), told.phone.matches(RECEIVER))
        assert told.paid_at is not None
        assert abs((both.world.clock.now() - told.paid_at).total_seconds()) < 60
        status = await both.status(receipt=told.receipt)
        assert (PaymentOutcome.PAID, kes(250)) == (status.payment, status.amount.money)
        assert replace(START, user=9_750, utility=20_250) == await both.books()


async def test_a_till_is_paid_without_a_reference(fresh: Both) -> None:
    """Goods are bought; the money comes to its owner."""
    await till_of_the_paybill(fresh.world)
    till = fresh.make_client(short_code=TILL).receipts
    await till.register_addresses(fresh.addresses())
    fresh.world.what_runs_now_never_ends()

    await till.simulate_payment(fresh.simulated(60, None))

    told = parse_c2b_payment(await fresh.inbox.next("tell", "c2b"))
    assert (kes(60), TILL, "", "Buy Goods") == (
        told.amount,
        told.short_code,
        told.bill_reference,
        told.transaction_type,
    )
    assert replace(START, user=9_940, utility=20_060) == await fresh.books()


async def test_a_push_is_told_twice_under_one_receipt(fresh: Both) -> None:
    """By callback and by confirmation: one payment."""
    await fresh.register()
    receipt = await fresh.earned()
    told = parse_c2b_payment(await fresh.inbox.next("tell", "c2b"))
    assert (receipt, "ACC-1", kes(100)) == (told.receipt, told.bill_reference, told.amount)
    assert replace(START, user=9_900, utility=20_100) == await fresh.books()


async def test_we_are_asked_before_money_moves(asking: Both) -> None:
    """What we answer to the validation comes back with the confirmation, under one receipt."""
    await asking.register()
    asking.inbox.says = b'{"ResultCode":"0","ResultDesc":"Accepted","ThirdPartyTransID":"ORDER-7"}'
    asking.inbox.may_answer.clear()
    await asking.client.receipts.simulate_payment(asking.simulated())
    asked = parse_c2b_payment(await asking.inbox.next("ask", "c2b"))
    assert (kes(100), None) == (asked.amount, asked.account_balance)
    assert START == await asking.books_now()

    asking.inbox.may_answer.set()

    told = parse_c2b_payment(await asking.inbox.next("tell", "c2b"))
    assert (asked.receipt, "ORDER-7", kes(20_100)) == (
        told.receipt,
        told.third_party_transaction_id,
        told.account_balance,
    )
    assert replace(START, user=9_900, utility=20_100) == await asking.books()


async def test_what_we_reject_does_not_move(asking: Both) -> None:
    """No confirmation comes, and the list of payments knows nothing of it."""
    await asking.register()
    asking.inbox.says = b'{"ResultCode":"C2B00012","ResultDesc":"Rejected"}'
    assert CallOutcome.ACCEPTED is (await asking.client.receipts.simulate_payment(asking.simulated())).outcome
    asked = parse_c2b_payment(await asking.inbox.next("ask", "c2b"))
    await quiet(asking.world)
    assert [] == asking.inbox.bodies("tell", "c2b")
    assert asked.receipt not in {one.receipt for one in (await asking.pulled()).transactions}
    assert START == await asking.books()


@pytest.mark.parametrize("unanswered", UnansweredValidation)
async def test_what_we_do_not_answer_goes_by_our_default(
    make_both: BothMaker, unanswered: UnansweredValidation
) -> None:
    """As we registered: the payment is made and told, or it is cancelled and told nobody."""
    async with make_both(replace(ASKING, validation_timeout_ms=150)) as both:
        await both.register(unanswered)
        both.inbox.may_answer.clear()
        await both.client.receipts.simulate_payment(both.simulated())
        asked = parse_c2b_payment(await both.inbox.next("ask", "c2b"))
        if unanswered is UnansweredValidation.COMPLETE:
            assert asked.receipt == parse_c2b_payment(await both.inbox.next("tell", "c2b")).receipt
            assert replace(START, user=9_900, utility=20_100) == await both.books()
        else:
            await quiet(both.world)
            assert [] == both.inbox.bodies("tell", "c2b")
            assert START == await both.books()


async def test_the_list_of_payments_is_read_page_by_page(fresh: Both) -> None:
    """A hundred and three payments in two pages, each once; registering for it twice is told."""
    receipts, clock = fresh.client.receipts, fresh.world.clock
    # In the second that is over all of it is in the list, and what the beginning holds is not in the window.
    await clock.sleep(1_100)
    since = clock.now() - timedelta(milliseconds=50)
    url = f"{fresh.inbox.url}/pull/c2b"
    registrations = [await receipts.register_pull(nominated_phone=USER, callback_url=url) for _ in range(2)]
    assert [(CallOutcome.ACCEPTED, False), (CallOutcome.ACCEPTED, True)] == [
        (one.outcome, one.existed) for one in registrations
    ]
    nothing = await receipts.pull(PullWindow(since=since - timedelta(hours=47), until=since - timedelta(hours=46)))
    assert (CallOutcome.ACCEPTED, (), None) == (nothing.outcome, nothing.transactions, nothing.next_offset)
    order = await wish(fresh.world, PAYER, 2, "BILL-1")
    await asyncio.gather(*(fresh.world.operator.do(order) for _ in range(103)))

    window = PullWindow(since=since, until=clock.now() + timedelta(seconds=1))
    first = await receipts.pull(window)
    rest = await receipts.pull(replace(window, offset=first.next_offset or 0))

    assert (CallOutcome.ACCEPTED, CallOutcome.ACCEPTED) == (first.outcome, rest.outcome)
    assert (100, 100, None, ()) == (
        len(first.transactions),
        first.next_offset,
        rest.next_offset,
        first.unreadable + rest.unreadable,
    )
    ours = [one for one in (*first.transactions, *rest.transactions) if one.bill_reference == "BILL-1"]
    assert (103, 103, {kes(2)}) == (len(ours), len({one.receipt for one in ours}), {one.amount for one in ours})
    assert {True} == {one.phone.matches(USER) for one in ours}
    assert replace(START, user=9_794, utility=20_206) == await fresh.books()
