"""Many callers, many deposits, two programs on one database, and a message nobody can handle."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, select

from penpay.application.payments.deposit import DEPOSIT_WORKER
from penpay.application.shared.outbox import MAX_ATTEMPTS
from penpay.bootstrap import build
from penpay.demo.world import PHONE, PIN
from penpay.infrastructure.sql.tables import deliveries, deriv_transfers, domain_events
from penpay.infrastructure.system import SystemRandom, UuidV7
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.phone import Habit, StandingAnswer
from tests.end_to_end.deposits.books import BOOKED, COMPLETED
from tests.end_to_end.deposits.stage import Person, Stage, read


async def test_two_hundred_equal_requests_make_one_deposit(each_stage: Stage) -> None:
    """One does the work, 199 get its answer to the byte, and one prompt appears.

    Who is told after five seconds that the first is still at work asks again; a busy machine may need so long.
    """
    request = each_stage.request(1_000, "USD", "same")

    async def answer() -> httpx.Response:
        while (found := await each_stage.api.post("/api/v1/deposits", json=request)).status_code == 409:
            assert read(found)["code"] == "in_progress"
        return found

    answers = await asyncio.gather(*(answer() for _ in range(200)))

    assert {202} == {answer.status_code for answer in answers}
    assert 1 == len({answer.content for answer in answers})
    await each_stage.give_pin()
    assert ("COMPLETED", None, None) == await each_stage.ended(str(read(answers[0])["id"]))
    assert 1 == len(read(await each_stage.api.get("/api/v1/transactions"))["transactions"])
    assert (1, 1) == (await each_stage.prompts_made(), await each_stage.transfers_made())
    assert COMPLETED == await each_stage.books()


async def test_twenty_deposits_of_five_users_come_out_to_the_cent(each_stage: Stage) -> None:
    """Each asks for four different amounts at once; M-Pesa shows one prompt a phone, so three of four must wait."""
    stage = each_stage
    people = [await _obedient(stage, number) for number in range(5)]
    amounts = [[2_00 + 1_37 * (4 * person + place) for place in range(4)] for person in range(5)]
    found = await asyncio.gather(
        *(
            _ask(stage, person, cents, f"many-{number}-{cents}")
            for number, person in enumerate(people)
            for cents in amounts[number]
        )
    )
    await stage.until(lambda: _all_done(stage), advancing=timedelta(seconds=2))

    books = await stage.books()
    charged = sum(each["kes_cents"] for each in found)
    dollars = sum(map(sum, amounts))
    assert dollars == sum(each["usd_cents"] for each in found)
    assert (charged, charged) == (books.collection, books.at_operator_paybill)
    assert (1_000_000 - dollars,) * 2 == (books.agent, books.at_deriv_agent)
    assert (0, 0, 0, 0) == (books.wallet_kes, books.wallet_usd, books.in_flight, books.suspense_kes)
    # What was charged is the dollars at the mid, the spread and the rounding; nothing else.
    position = await stage.system.ledger_books.balance("fx:KES")
    assert position is not None
    assert charged == abs(position.balance.cents) + books.spread + books.rounding
    arrived = [await stage.sandbox.deriv_book.balance_of(person.login_id) for person in people]
    assert [sum(row) for row in amounts] == arrived
    assert (20, 20) == (await stage.prompts_made(), await stage.transfers_made())
    assert [] == await stage.reviews()


@pytest.mark.path(
    saga="deposit", step="transfer", fault="more transfers than Deriv's limits allow", outcome="COMPLETED"
)
async def test_what_deriv_s_limits_hold_back_drains_without_people(stage: Stage) -> None:
    """Nine people pay, one after another, while Deriv takes few calls a minute: each is paid once, in that order."""
    people = [await _obedient(stage, number) for number in range(9)]
    stage.sandbox.deriv._budgets.limits = RateLimits(general_per_minute=6)
    for number, person in enumerate(people):
        made = await _ask(stage, person, 1_000 + number, f"limited-{number}")
        await stage.until(partial(_has_transfer, stage, str(made["id"])))
    await stage.until(lambda: _all_done(stage), advancing=timedelta(milliseconds=500))

    assert [] == await stage.reviews()
    async with stage.sandbox._deriv_engine.connect() as connection:
        paid = await connection.exec_driver_sql(
            "SELECT counterpart FROM deriv_sim_rows WHERE action = 'withdrawal' ORDER BY transaction_id"
        )
        assert [person.login_id for person in people] == list(paid.scalars())


async def test_who_is_told_by_deriv_to_come_back_later_keeps_its_place(stage: Stage) -> None:
    """The first is held back; the second, who comes then, is not tried before, and is found behind the first."""
    people = [await _obedient(stage, number) for number in range(2)]
    stage.sandbox.deriv._budgets.limits = RateLimits(general_per_minute=0)
    for number, person in enumerate(people):
        made = await _ask(stage, person, 1_000 + number, f"behind-{number}")
        await stage.until(partial(_has_transfer, stage, str(made["id"])))
        await stage.until(partial(_held_back, stage))
    for _ in range(20):  # ten seconds of looks
        stage.clock.advance(timedelta(milliseconds=500))
        await asyncio.sleep(0.02)

    rows = select(deriv_transfers).order_by(deriv_transfers.c.created_at)
    async with stage.system.engine.connect() as connection:
        first, second = await connection.execute(rows)
    later, due = stage.clock.now() + timedelta(minutes=5), stage.system._due
    assert (1, 0) == (first.fence, second.fence)
    assert first.due_at > second.due_at
    assert [first.id, second.id] == await due.due_deriv_transfers(later, 10, unsent=True)
    assert [] == await due.due_deriv_transfers(later, 10, unsent=False)


async def _held_back(stage: Stage) -> bool:
    return stage.system.deriv.holds_back


async def _has_transfer(stage: Stage, deposit: str) -> bool:
    return await stage.transfer_state(deposit) is not None


async def test_two_programs_on_one_database_send_nothing_twice(server_stage: Stage) -> None:
    """Both look for the same work all the time; every prompt and every transfer is made once."""
    stage = server_stage
    people = [await _obedient(stage, number) for number in range(10)]
    twin = build(stage.settings, stage.ports)
    try:
        await twin.start()
        await twin.deriv.wait_ready()
        await asyncio.gather(
            *(_ask(stage, person, 2_00 + number, f"twin-{number}") for number, person in enumerate(people))
        )
        await stage.until(lambda: _all_done(stage), advancing=timedelta(milliseconds=200))
    finally:
        await twin.stop()

    assert (10, 10) == (await stage.prompts_made(), await stage.transfers_made())
    books = await stage.books()
    assert (1_000_000 - 2_045,) * 2 == (books.agent, books.at_deriv_agent)
    assert books.collection == books.at_operator_paybill
    assert [] == await stage.reviews()


@pytest.mark.parametrize("payload", [{}, {"user_id": "nobody"}], ids=["no user", "no identifier"])
async def test_an_event_nobody_can_handle_holds_its_successors_and_is_told_to_people(
    stage: Stage, payload: dict[str, str]
) -> None:
    """It is tried eight times with growing pauses; the paid deposit behind it is not forwarded, people have it all."""
    deposit = await stage.deposit()
    await stage.prompted()
    await _poison(stage, UUID(deposit), payload)
    await stage.sandbox.daraja.phone(PHONE).give_pin(PIN)
    await stage.until(lambda: stage.is_push(deposit, "CONFIRMED", due_at=None))

    assert ("IN_REVIEW", None, None) == await stage.ended(deposit, advancing=timedelta(minutes=1))
    assert [("DELIVERY_DEAD", 132_100, "KES")] == await stage.reviews()
    stage.clock.advance(timedelta(hours=1))
    await asyncio.sleep(0.2)
    async with stage.system.engine.connect() as connection:
        rows = (await connection.execute(select(deliveries).order_by(deliveries.c.sequence))).all()
    assert [(0, True, MAX_ATTEMPTS), (6, False, 0)] == [(row.sequence, row.dead, row.attempts) for row in rows]
    assert 1 == await stage.audited("delivery.dead")
    assert BOOKED == await stage.books()
    assert 0 == await stage.transfers_made()


async def _poison(stage: Stage, transaction_id: UUID, payload: dict[str, str]) -> None:
    """An event as a broken program could have left it, owed to the deposit worker before all others."""
    now = stage.clock.now()
    event_id = UuidV7(stage.clock, SystemRandom()).new()
    event = {
        "id": event_id,
        "name": "MpesaPaymentVerified",
        "schema_version": 1,
        "aggregate_type": "Transaction",
        "aggregate_id": transaction_id,
        "sequence": 0,
        "payload": json.dumps({"status": "PENDING", **payload}),
        "recorded_at": now,
        "batch_id": event_id,
    }
    owed = {
        "consumer": DEPOSIT_WORKER,
        "event_id": event_id,
        "key": transaction_id,
        "sequence": 0,
        "due_at": now,
        "fence": 0,
        "attempts": 0,
        "dead": False,
    }
    async with stage.system.engine.begin() as connection:
        await connection.execute(insert(domain_events), event)
        await connection.execute(insert(deliveries), owed)


async def _obedient(stage: Stage, number: int) -> Person:
    """A user whose handset gives the right PIN by itself."""
    person = await stage.person(number)
    stage.sandbox.daraja.phone(person.phone).standing_answer = StandingAnswer(habit=Habit.ENTER_PIN, pin=PIN)
    return person


async def _ask(stage: Stage, person: Person, cents: int, key: str) -> dict[str, Any]:
    request = stage.request(cents, "USD", key) | {"deriv_login_id": person.login_id}
    async with stage.client(person.api_key) as api:
        answer = await api.post("/api/v1/deposits", json=request)
    assert 202 == answer.status_code, answer.text
    return read(answer)


async def _all_done(stage: Stage) -> bool:
    recent = await stage.system.payment_books.recent(100)
    assert not {"FAILED", "IN_REVIEW"} & {found.status.value for found in recent}
    return all(found.status.value == "COMPLETED" for found in recent)
