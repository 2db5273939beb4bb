"""Capture on every engine: its rows are written and read back whole, and what must happen once happens once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from penpay.application.collections.capture_rows import (
    DEPOSIT_PUSHES,
    OPEN_TILL_PUSHES,
    TILL_FACTS,
    TILL_FACTS_BY_REFERENCE,
    TILL_PUSHES,
    TILL_PUSHES_BY_CHECKOUT,
    TillFacts,
    TillPushId,
)
from penpay.application.collections.capturing import CONFIRMATION, Booking, RecordMessage
from penpay.application.collections.checking import RecordBalanceCheck
from penpay.application.collections.doors import Message
from penpay.application.collections.pulling import ClaimPull, EndPull
from penpay.application.collections.registering import (
    C2bRegistrationId,
    IntendRegistration,
    RecordRegistration,
    RegistrationState,
)
from penpay.application.collections.selling import OpenSale
from penpay.application.collections.till_pushing import (
    TILL_SOURCE,
    ApplyTillCallback,
    ClaimTillPush,
    PushFromTill,
    RecordTillPaymentAnswer,
    RecordTillPushAnswer,
)
from penpay.application.shared.push_ids import OTHER_OWNERS
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.bootstrap import System, build, real_ports
from penpay.config import load_settings
from penpay.domain.collections.allocation import SaleId
from penpay.domain.collections.continuity import Continuity, Gap
from penpay.domain.collections.line import LineItem
from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.callback import parse_stk_callback
from penpay.domain.mpesa.gateway import (
    CallAnswer,
    CallOutcome,
    PaymentAnswer,
    PaymentOutcome,
    PushAnswer,
    PushOutcome,
    UnansweredValidation,
)
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.till_push import PushPending
from penpay.domain.shared.errors import LostLicence
from penpay.domain.shared.ids import WebhookId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.workers.c2b import ConfirmationWorker
from tests.contract.sql.rows import Rows
from tests.end_to_end.deposits.callbacks import failure_body
from tests.support.engines import EVERY
from tests.support.ports import HandClock

PHONE = PhoneNumber("+254708374149")
ACCEPTED = PushAnswer(outcome=PushOutcome.ACCEPTED, checkout_request_id="ws_CO_1", merchant_request_id="m-1")
BODY = {"TransID": "QGK12XYZ9", "TransAmount": "5.00", "BillRefNumber": "x", "OrgAccountBalance": "25.00"}


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


@pytest.fixture(params=EVERY)
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """A System's executor on an empty database of one engine after the other, with a clock to move."""
    made = build(load_settings(environment(request.getfixturevalue(f"{request.param}_url"))), ports())
    await migrations.upgrade(made.engine)
    await made.start_executor()
    try:
        yield made
    finally:
        await made.stop()


def ports() -> Any:
    return replace(real_ports(), clock=HandClock())


def environment(url: str) -> dict[str, str]:
    key = base64.b64encode(b"k" * 32).decode()
    return {
        "APP_ENV": "testing",
        "DATABASE_URL": url,
        "MPESA_CONSUMER_KEY": "consumer",
        "MPESA_CONSUMER_SECRET": "secret",
        "MPESA_SHORT_CODE": "600600",
        "MPESA_PASSKEY": "passkey",
        "MPESA_CALLBACK_URL": "http://127.0.0.1:9/api/v1/callbacks/stk",
        "MPESA_BASE_URL": "http://127.0.0.1:9",
        "DERIV_ENDPOINT": "ws://127.0.0.1:9",
        "DERIV_APP_ID": "1",
        "DERIV_TOKEN": "token",
        "DERIV_LOGIN_ID": "CR90000001",
        "PENPAY_FIELD_KEYS": f"k1:{key}",
        "PENPAY_MASTER_KEY": key,
    }


def clock_of(system: System) -> HandClock:
    clock: Any = system.clock
    assert isinstance(clock, HandClock)
    return clock


async def do(system: System, command: object) -> Any:
    return await system.executor.execute(command)


async def rows(system: System, statement: str) -> list[tuple[Any, ...]]:
    async with system.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def test_one_worker_reads_the_list_and_a_late_one_may_not_say_how_far(system: System) -> None:
    """The second claim is refused until the lease lapses; then the first reader's word does not count."""
    assert await system.capture.due.is_due("600600", system.clock.now())
    first = await do(system, ClaimPull(short_code="600600"))
    with pytest.raises(LostLicence):
        await do(system, ClaimPull(short_code="600600"))
    clock_of(system).moment += timedelta(minutes=10)
    second = await do(system, ClaimPull(short_code="600600"))
    until = second.window(system.clock.now()).until
    with pytest.raises(LostLicence):
        await do(system, EndPull(short_code="600600", fence=first.fence, until=until))
    await do(system, EndPull(short_code="600600", fence=second.fence, until=until))

    assert not await system.capture.due.is_due("600600", system.clock.now())
    clock_of(system).moment += timedelta(minutes=15)
    third = await do(system, ClaimPull(short_code="600600"))
    assert (until, until - timedelta(hours=2)) == (third.pulled_until, third.window(system.clock.now()).since)


async def test_a_registration_is_kept_before_it_is_asked_for(system: System) -> None:
    """Its addresses come back whole, and are sealed in the table."""
    addresses = system.capture.addresses(UnansweredValidation.CANCEL)
    id_ = C2bRegistrationId(system.ids.new())
    intent = IntendRegistration(registration_id=id_, short_code="600600", addresses=addresses, by="amina")
    await do(system, intent)
    (asking,) = await system.capture.stories.registrations(5)
    await do(system, RecordRegistration(registration_id=id_, answer=CallAnswer(outcome=CallOutcome.ACCEPTED, code="0")))
    (kept,) = await system.capture.stories.registrations(5)

    assert (RegistrationState.ASKING, RegistrationState.REGISTERED) == (asking.state, kept.state)
    assert (addresses, "0", "amina") == (kept.addresses, kept.code, kept.asked_by)
    ((sealed,),) = await rows(system, "SELECT addresses_sealed FROM c2b_registrations")
    assert b"/c2b/" not in bytes(sealed)


async def test_a_day_has_one_check_and_tells_each_gap_once(system: System) -> None:
    """A later look takes the place of the earlier one."""
    gap = Gap(after="A", before="B", missing=kes(100))
    seen = Continuity(receipts=2, opening=kes(1), closing=kes(200), gaps=(gap,))
    command = RecordBalanceCheck(short_code="600600", day=date(2026, 2, 3), continuity=seen, by="amina")
    first = await do(system, command)
    again = await do(system, command)
    closed = await do(system, replace(command, continuity=replace(seen, gaps=())))

    assert (first.id, 1, 2) == (again.id, again.told, again.version)
    assert (kes(0), 3) == (closed.missing, closed.version)
    assert [(1,)] == await rows(system, "SELECT count(*) FROM domain_events WHERE name = 'BalanceGapFound'")


async def opened_push(system: System) -> Any:
    sale = await do(system, OpenSale(items=(LineItem(description="Tea", unit_price=kes(120)),), by="amina"))
    command = PushFromTill(
        push_id=TillPushId(system.ids.new()), pos_number=str(sale["pos_id"]), phone=PHONE, amount=None, by="amina"
    )
    return command, await do(system, command)


async def test_one_prompt_at_a_time_asks_for_one_sale(system: System) -> None:
    """Two cashiers at once: one of them is told that a prompt is out."""
    command, push = await opened_push(system)
    with pytest.raises(PushPending):
        await do(system, replace(command, push_id=TillPushId(system.ids.new())))
    claimed = await do(system, ClaimTillPush(push_id=TillPushId(push.id)))
    refused = PushAnswer(outcome=PushOutcome.FAILED, code="400.002.02")
    await do(system, RecordTillPushAnswer(push_id=TillPushId(push.id), fence=claimed.fence, answer=refused))
    await do(system, replace(command, push_id=TillPushId(system.ids.new())))

    assert [(push.id,)] != await rows(system, "SELECT open_for FROM till_pushes WHERE state = 'FAILED'")
    assert [("FAILED",), ("INTENDED",)] == await rows(system, "SELECT state FROM till_pushes ORDER BY id")


async def test_a_push_is_read_back_as_it_was_written(system: System) -> None:
    """Phone and CheckoutRequestID are sealed, and open again."""
    _, push = await opened_push(system)
    claimed = await do(system, ClaimTillPush(push_id=TillPushId(push.id)))
    await do(system, RecordTillPushAnswer(push_id=TillPushId(push.id), fence=claimed.fence, answer=ACCEPTED))
    clock_of(system).moment += timedelta(minutes=1)

    assert [push.id] == list(await system.capture.due.due_till_pushes(system.clock.now(), 10))
    again = await do(system, ClaimTillPush(push_id=TillPushId(push.id)))
    assert (PHONE, "ws_CO_1", "m-1", kes(120)) == (
        again.phone,
        again.checkout_request_id,
        again.merchant_request_id,
        again.amount,
    )


async def sent_push(system: System) -> Any:
    """A push whose licence to send is taken, and whose answer has not come."""
    _, push = await opened_push(system)
    return await do(system, ClaimTillPush(push_id=TillPushId(push.id)))


async def called_back(system: System, push: Any, checkout: str) -> WebhookOutcome:
    """Post a callback that decides nothing at the address of a push."""
    webhook_id = WebhookId(system.ids.new())
    kept = RecordMessage(
        webhook_id=webhook_id,
        source=TILL_SOURCE,
        remote_address="127.0.0.1",
        body=b"{}",
        outcome=WebhookOutcome.RECEIVED,
        subject_id=push.id,
    )
    await do(system, kept)
    callback = parse_stk_callback(failure_body(checkout, 7777))
    command = ApplyTillCallback(webhook_id=webhook_id, push_id=TillPushId(push.id), callback=callback)
    outcome: WebhookOutcome = await do(system, command)
    return outcome


async def test_an_id_that_our_own_call_was_answered_is_taken_back(system: System) -> None:
    """A forger has told it to another push before; the two change hands of it without meeting on the unique key."""
    mine, other = await sent_push(system), await sent_push(system)
    assert WebhookOutcome.APPLIED is await called_back(system, other, "ws_CO_1")
    record = RecordTillPushAnswer(push_id=TillPushId(mine.id), fence=mine.fence, answer=ACCEPTED)

    assert [False, True] == [await do(system, record), await do(system, record)]
    looked = Rows(system)
    assert {"ws_CO_1": mine.id} == await looked.find(TILL_PUSHES_BY_CHECKOUT, ["ws_CO_1"])
    assert {mine.id: False, other.id: True} == {
        row.id: row.checkout_index is None for row in await looked.table("till_pushes")
    }
    assert WebhookOutcome.CONTRADICTS is await called_back(system, other, "ws_CO_1")


async def test_whoever_else_was_sent_may_own_an_id_that_a_callback_named(system: System) -> None:
    """While its own is not certain, and as long as it goes by it; one that M-Pesa refused to send owns none."""
    his, hers = await sent_push(system), await sent_push(system)
    asked = (his.id, "ws_CO_1")
    looked = Rows(system)

    assert {asked: hers.id} == await looked.find(OTHER_OWNERS, [asked])
    refused = replace(hers, version=hers.version + 1).moved(EvidenceState.FAILED, system.clock.now(), due_at=None)
    await looked.put(TILL_PUSHES, hers.id, refused)
    assert {} == await looked.find(OTHER_OWNERS, [asked])
    await looked.put(TILL_PUSHES, hers.id, replace(refused, verified_at=system.clock.now(), version=9))
    assert {asked: hers.id} == await looked.find(OTHER_OWNERS, [asked])
    await looked.put(TILL_PUSHES, hers.id, replace(refused.identified("ws_CO_2", "m-2"), version=10))
    assert {} == await looked.find(OTHER_OWNERS, [asked])
    await looked.put(TILL_PUSHES, hers.id, replace(refused.identified("ws_CO_1", "m-1"), version=11))
    assert {asked: hers.id} == await looked.find(OTHER_OWNERS, [asked])


async def test_an_id_that_comes_late_is_asked_by_soon(system: System) -> None:
    """The licence had lapsed and there was nothing to ask by for two days; now there is."""
    sent = await sent_push(system)
    clock_of(system).moment += timedelta(minutes=10)
    again = await do(system, ClaimTillPush(push_id=TillPushId(sent.id)))
    nothing = PaymentAnswer(outcome=PaymentOutcome.UNKNOWN)
    await do(system, RecordTillPaymentAnswer(push=again, answer=nothing))
    await do(system, RecordTillPushAnswer(push_id=TillPushId(sent.id), fence=sent.fence, answer=ACCEPTED))
    clock_of(system).moment += timedelta(minutes=1)

    assert [sent.id] == list(await system.capture.due.due_till_pushes(system.clock.now(), 10))


async def test_what_was_asked_for_is_found_by_every_name_it_goes_by(system: System) -> None:
    """By id, reference, CheckoutRequestID and sale; when it has failed, by its sale no more."""
    _, push = await opened_push(system)
    claimed = await do(system, ClaimTillPush(push_id=TillPushId(push.id)))
    await do(system, RecordTillPushAnswer(push_id=TillPushId(push.id), fence=claimed.fence, answer=ACCEPTED))
    looked = Rows(system)
    facts = TillFacts(
        push_id=push.id,
        sale_id=SaleId(push.subject_id),
        account_reference=push.account_reference,
        amount=kes(120),
        phone=PHONE,
    )
    stranger = system.ids.new()

    assert {push.id: facts} == await looked.find(TILL_FACTS, [push.id, stranger])
    assert {push.account_reference: facts} == await looked.find(TILL_FACTS_BY_REFERENCE, [push.account_reference, "?"])
    assert {"ws_CO_1": push.id} == await looked.find(TILL_PUSHES_BY_CHECKOUT, ["ws_CO_1", "ws_CO_2"])
    assert {push.subject_id: push.id} == await looked.find(OPEN_TILL_PUSHES, [push.subject_id, stranger])
    assert {} == await looked.find(DEPOSIT_PUSHES, [push.account_reference])
    stored = await looked.get(TILL_PUSHES, push.id)
    assert stored is not None
    failed = stored.moved(EvidenceState.FAILED, system.clock.now(), due_at=None)
    await looked.put(TILL_PUSHES, push.id, failed)
    assert failed == await looked.get(TILL_PUSHES, push.id)
    assert {} == await looked.find(OPEN_TILL_PUSHES, [push.subject_id])
    (row,) = await looked.table("till_pushes")
    assert PHONE.msisdn.encode() not in bytes(row.phone_sealed) + bytes(row.checkout_sealed)


async def test_a_hundred_identical_confirmations_are_one_payment(system: System) -> None:
    """All at once at one door: every one kept, one booked; the stored messages and the balance can be read."""
    message = Message(token=None, remote_address="127.0.0.1", body=json.dumps(BODY).encode())
    await asyncio.gather(*(system.c2b_door.confirm(message) for _ in range(100)))

    assert [(1,)] == await rows(system, "SELECT count(*) FROM payments")
    shown = await system.capture.stories.messages(1000)
    assert (100, {"QGK12XYZ9"}) == (len(shown), {one.receipt for one in shown})
    assert [] == list(await system.capture.due.due_messages("c2b_confirmation", system.clock.now(), 10))
    booked = (await system.capture.stories.story("QGK12XYZ9")).payment
    assert (Money(500, Currency.KES), kes(25)) == (booked.amount, booked.org_balance)


async def test_what_a_customer_or_a_payer_has_paid_today_is_known(system: System) -> None:
    """By the reference where it names a customer, by the payer's number where it names none."""
    paid = {**BODY, "TransAmount": "7.00", "MSISDN": PHONE.msisdn}
    await system.c2b_door.confirm(Message(token=None, remote_address="127.0.0.1", body=json.dumps(paid).encode()))
    asked = parse_c2b_payment(json.dumps({**paid, "TransID": "QGK12XYZA"}).encode())

    assert kes(7) == await system.capture._days.paid_today(asked)
    clock_of(system).moment += timedelta(days=1)
    assert kes(0) == await system.capture._days.paid_today(asked)


async def test_a_message_whose_booking_fails_is_kept_and_booked_later(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered once it is stored; a repeat of the same fault leaves it waiting, and then it is booked once."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    message = Message(token=None, remote_address="127.0.0.1", body=json.dumps(BODY).encode())
    with monkeypatch.context() as patched:
        patched.setattr(Booking, "book", broken)
        await system.c2b_door.confirm(message)
    assert [("RECEIVED", 0)] == await rows(
        system, "SELECT outcome, (SELECT count(*) FROM payments) FROM webhook_logs ORDER BY id"
    )

    clock_of(system).moment += timedelta(minutes=1)
    (due,) = await system.capture.due.due_messages("c2b_confirmation", system.clock.now(), 10)
    worker = ConfirmationWorker(executor=system.executor, attach=system.capture.attach, short_code="174379")
    await worker.handle(due)
    await worker.handle(due)
    assert [("APPLIED", 1)] == await rows(system, "SELECT outcome, (SELECT count(*) FROM payments) FROM webhook_logs")


async def test_a_message_that_was_stored_and_never_applied_is_told_with_its_age(system: System) -> None:
    """Its money may be in the till and not in the books; one of this minute is still being worked on."""
    kept = RecordMessage(
        webhook_id=WebhookId(UUID(int=7)),
        source=CONFIRMATION,
        remote_address="127.0.0.1",
        body=b"{}",
        outcome=WebhookOutcome.RECEIVED,
    )
    await do(system, kept)
    await do(system, replace(kept, webhook_id=WebhookId(UUID(int=8)), outcome=WebhookOutcome.REFUSED_SOURCE))
    reports = SqlCollectionsReports(system.engine, clock=system.clock)
    assert [] == list(await reports.verify())
    told = []
    for later in (timedelta(minutes=5), timedelta(hours=3), timedelta(days=2)):
        clock_of(system).moment += later
        (found,) = await reports.verify()
        assert ("message_unapplied", "1010", str(UUID(int=7))) == (found.check, found.account, found.subject)
        told.append(found.detail)

    assert ["5 min ago", "3 h 5 min ago", "2 d 3 h ago"] == [
        words.partition(" stored ")[2].partition(" and ")[0] for words in told
    ]
