"""Every switch of our sandbox, turned away from its default, and what our client concludes then: one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from penpay.domain.mpesa.b2c_result import parse_b2c_result
from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.callback import phone_matches
from penpay.sandbox.daraja.switches import (
    AfterTimeout,
    BalanceItem,
    CallbackOrder,
    DarajaSwitches,
    ExpiryStyle,
    PendingStyle,
)
from penpay.sandbox.faults import QueuedTooLong
from tests.contract.daraja.both import START, USER, Both
from tests.contract.daraja.conftest import BothMaker
from tests.contract.daraja.test_both_stk import verdict
from tests.contract.sandbox.shop import quiet
from tests.contract.sandbox.world import PAYER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Story = Callable[[Both], Awaitable[str]]
PAID = replace(START, user=9_900, utility=20_100)
PAID_OUT = replace(START, receiver=105, utility=19_900)


async def pushed_and_paid(both: Both) -> str:
    answer, callback = await both.paid()
    await both.world.settled()
    query = await both.client.stk.stk_query(answer.checkout_request_id or "")
    bodies = sum(kind == "stk" for kind, _, _ in both.inbox.came)
    return f"{answer.outcome}, {bodies} callback: {verdict(callback)}, query: {query.outcome}"


async def pushed_unheard(both: Both) -> str:
    both.user_pays()
    answer = await both.client.stk.stk_push(both.push())
    await both.world.settled()
    query = await both.client.stk.stk_query(answer.checkout_request_id or "")
    return f"{answer.outcome}, {len(both.inbox.came)} callback, query: {query.outcome}"


async def pushed_unanswered(both: Both) -> str:
    push = both.push()
    await both.client.stk.stk_push(push)
    callback = await both.told_stk(push)
    return f"callback {callback.result_code}: {verdict(callback)}"


async def asked_while_pending(both: Both) -> str:
    answer = await both.client.stk.stk_push(both.push())
    return f"query: {(await both.client.stk.stk_query(answer.checkout_request_id or '')).outcome}"


async def asked_twice(both: Both) -> str:
    answer, _ = await both.paid()
    told = [await both.client.stk.stk_query(answer.checkout_request_id or "") for _ in range(2)]
    return ", ".join(f"query: {one.outcome} {one.retry_after_ms}" for one in told)


async def taken_at_second_try(both: Both) -> str:
    both.inbox.statuses = [500]
    return await pushed_and_paid(both)


async def two_clients(both: Both) -> str:
    other = both.make_client()
    outcomes = []
    for client in (both.client, other, both.client):
        both.user_pays()
        outcomes.append((await client.pay.account_balance(both.name())).outcome.value)
    return ", ".join(outcomes)


async def masked(both: Both) -> str:
    _, callback = await both.paid()
    return f"{verdict(callback)}, hers: {phone_matches(callback.phone_text, USER)}"


async def registered_twice(both: Both) -> str:
    answers = [await both.register() for _ in range(2)]
    return ", ".join(f"{one.outcome}{' existed' if one.existed else ''}" for one in answers)


async def refused_address(both: Both) -> str:
    push = (await both.client.stk.stk_push(both.push())).outcome
    return f"push {push}, register {(await both.register()).outcome}, B2C {await _outcome_of_payout(both)}"


async def led_home(both: Both) -> str:
    at = both.inbox.url.removeprefix("http://")
    now = both.world.sandbox.switches
    now.now = replace(now.now, callback_hosts=f"shop.example={at}")
    both.client = both.make_client(home="https://shop.example")
    return await pushed_and_paid(both)


async def queued(both: Both) -> str:
    both.goes_wrong(QueuedTooLong())
    payment = both.payout()
    await both.client.pay.pay_customer(payment)
    await both.inbox.next("timeout", payment.callback_token)
    await both.world.settled()
    status = await both.status(id_=payment.originator_conversation_id)
    return f"time-out, status: {status.payment} ({status.status})"


async def wrong_password(both: Both) -> str:
    payment = both.payout()
    await both.make_client(password="wrong").pay.pay_customer(payment)
    return str((await both.told(payment.callback_token, parse_b2c_result)).outcome)


async def too_much(both: Both) -> str:
    payment = both.payout(20_001)
    await both.client.pay.pay_customer(payment)
    return str((await both.told(payment.callback_token, parse_b2c_result)).outcome)


async def confirmed(both: Both) -> str:
    await both.register()
    await both.client.receipts.simulate_payment(both.simulated())
    told = parse_c2b_payment(await both.inbox.next("tell", "c2b"))
    asked = len(both.inbox.bodies("ask", "c2b"))
    return f"asked {asked}, told, number {told.phone.kind}"


async def unanswered(both: Both) -> str:
    both.inbox.may_answer.clear()
    return await confirmed(both)


async def push_not_confirmed(both: Both) -> str:
    await both.register()
    await both.paid()
    await quiet(both.world)
    return f"told {len(both.inbox.bodies('tell', 'c2b'))}"


async def _outcome_of_payout(both: Both) -> str:
    return str((await both.client.pay.pay_customer(both.payout())).outcome)


USUAL_PUSH = "ACCEPTED, 1 callback: PAID, query: PAID"
TABLE: tuple[tuple[dict[str, Any], Story, str, Any], ...] = (
    ({"prompt_timeout_ms": 50, "sweep_every_ms": 20}, pushed_unanswered, "callback 1037: FAILED", START),
    ({"pending_style": PendingStyle.ERROR_500}, asked_while_pending, "query: PENDING", START),
    ({"callback_delay_ms": 50}, pushed_and_paid, USUAL_PUSH, PAID),
    (
        {"callback_order": CallbackOrder.BEFORE, "callback_before_at_most_ms": 1_000},
        pushed_and_paid,
        USUAL_PUSH,
        PAID,
    ),
    ({"callback_order": CallbackOrder.AFTER}, pushed_and_paid, USUAL_PUSH, PAID),
    ({"callback_times": 3}, pushed_and_paid, "ACCEPTED, 3 callback: PAID, query: PAID", PAID),
    ({"callback_dropped_permille": 1000}, pushed_unheard, "ACCEPTED, 0 callback, query: PAID", PAID),
    (
        {"callback_tries": 2, "callback_retry_after_ms": 10},
        taken_at_second_try,
        "ACCEPTED, 2 callback: PAID, query: PAID",
        PAID,
    ),
    ({"callback_hosts": "", "strict_callback_urls": True}, led_home, USUAL_PUSH, PAID),
    ({"new_token_revokes_old": True}, two_clients, "ACCEPTED, ACCEPTED, ACCEPTED", START),
    ({"token_expiry": ExpiryStyle.NUMBER}, pushed_and_paid, USUAL_PUSH, PAID),
    ({"limit_queries": True}, asked_twice, "query: PAID None, query: UNKNOWN 12000", PAID),
    ({"strict_callback_urls": True}, refused_address, "push FAILED, register FAILED, B2C FAILED", START),
    ({"after_timeout": AfterTimeout.DROPPED}, queued, "time-out, status: FAILED (Expired)", START),
    ({"after_timeout": AfterTimeout.CARRIED_OUT}, queued, "time-out, status: PAID (Completed)", PAID_OUT),
    ({"check_security_credentials": True}, wrong_password, "MISCONFIGURED", START),
    ({"result_parameters_as_object": True}, too_much, "FAILED", START),
    ({"balance_item": BalanceItem.ABSENT}, pushed_and_paid, USUAL_PUSH, PAID),
    ({"masked_push_phone": True}, masked, "PAID, hers: None", PAID),
    ({"register_once": True}, registered_twice, "ACCEPTED, FAILED existed", START),
    ({"external_validation": True}, confirmed, "asked 1, told, number MASKED", PAID),
    (
        {"external_validation": True, "validation_timeout_ms": 50},
        unanswered,
        "asked 1, told, number MASKED",
        PAID,
    ),
    ({"push_confirmation": False}, push_not_confirmed, "told 0", PAID),
    ({"plain_c2b_phone": True, "confirm_every_ms": 10}, confirmed, "asked 0, told, number PLAIN", PAID),
)


async def test_every_switch_is_in_the_table() -> None:
    """One that is added to the sandbox must be told here."""
    assert {field.name for field in fields(DarajaSwitches)} == {name for turned, *_ in TABLE for name in turned}


@pytest.mark.parametrize(
    ("turned", "story", "concluded", "books"), TABLE, ids=[f"{'+'.join(row[0])}-{row[1].__name__}" for row in TABLE]
)
async def test_a_turned_switch_ends_as_the_table_says(
    make_both: BothMaker, turned: Mapping[str, Any], story: Story, concluded: str, books: Any
) -> None:
    """And the ledger says the same as the client concludes."""
    async with make_both(DarajaSwitches(**turned)) as both:
        assert concluded == await story(both)
        if both.world.phone(PAYER).prompt is None:
            both.inbox.may_answer.set()
        assert books == await both.books()
