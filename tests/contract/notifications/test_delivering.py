"""A message is written with the state it tells of, and is delivered once as far as its carrier allows."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.application.payments.notifying import ClaimNotification, RecordDelivery
from penpay.application.shared.carrying import TRIES, Carried, CarrierAnswer
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.domain.shared.errors import LostLicence
from tests.contract.mpesa.scripted_daraja import http, reset
from tests.contract.notifications.stage import ADDRESS, GATEWAY, NOT_MADE, PHONE, SENDER, Stage, form, opened, told

SMS, MAIL = Channel.SMS, Channel.MAIL
LEASE = timedelta(seconds=200)


async def test_she_is_told_by_sms_and_by_mail(stage: Stage) -> None:
    """Her deposit failed: a short message and a mail wait in the same commit, and each carrier gets its own, once."""
    deposit = await stage.failed_deposit()
    waiting = await stage.messages(deposit)
    assert 2 == await stage.deliver()
    assert 0 == await stage.deliver()
    sent = await stage.messages(deposit)

    assert {SMS, MAIL} == set(waiting)
    assert {NotificationState.WAITING} == {one.state for one in waiting.values()}
    assert all(NOT_MADE in one.text and one.created_at == stage.clock.now() for one in waiting.values())
    (short,) = stage.gateway.to(GATEWAY)
    assert {"username": "penpay", "to": PHONE.e164, "message": sent[SMS].text, "from": "PENPAY"} == form(short)
    assert ("atsk_secret", sent[SMS].message_id) == (short.headers["apikey"], short.headers["idempotency-key"])
    assert (NotificationState.SENT, "ATXid_1", "sms_101") == (sent[SMS].state, sent[SMS].provider_id, sent[SMS].code)
    (mail,) = stage.post_office.mails
    assert ([ADDRESS.address], SENDER) == (stage.post_office.recipients, mail["From"])
    assert ("Your deposit of USD 10.00 was not made", sent[MAIL].text) == (mail["Subject"], mail.get_content().strip())
    assert f"<{sent[MAIL].message_id}@pay.example>" == mail["Message-ID"]
    assert [("us", "pass@word")] == stage.post_office.logins
    assert NotificationState.SENT is sent[MAIL].state


async def test_killed_between_sending_and_marking_the_same_message_is_sent_again(stage: Stage) -> None:
    """After the lease another one sends it under the same id, and the dead one's word counts no more."""
    deposit = await stage.failed_deposit()
    books, execute = stage.system.notification_books, stage.system.executor.execute
    claimed = {}
    for due in await books.due(stage.clock.now(), 10, set(Channel)):
        taken, message = await execute(ClaimNotification(key=due.key, user_id=due.user_id))
        assert message is not None
        await stage.system._carriers[due.key.channel].carry(message)
        claimed[due.key] = taken
    assert 0 == await stage.deliver()
    stage.advance(LEASE)
    assert 2 == await stage.deliver()

    shorts, mails = stage.gateway.to(GATEWAY), stage.post_office.mails
    assert (2, 2) == (len(shorts), len(mails))
    assert 1 == len({one.headers["idempotency-key"] for one in shorts}) == len({one["Message-ID"] for one in mails})
    assert {(NotificationState.SENT, 2)} == {
        (one.state, one.attempts) for one in (await stage.messages(deposit)).values()
    }
    for key, taken in claimed.items():
        late = RecordDelivery(key=key, fence=taken.fence, answer=CarrierAnswer(Carried.REFUSED, "late"))
        with pytest.raises(LostLicence):
            await execute(late)


async def test_two_workers_deliver_a_message_once(stage: Stage) -> None:
    """They find it together; one gets the licence."""
    await stage.failed_deposit()
    await asyncio.gather(*(stage.deliver() for _ in range(3)))

    assert (1, 1) == (len(stage.gateway.to(GATEWAY)), len(stage.post_office.mails))


async def test_what_nobody_carries_is_kept_and_can_be_read(sqlite_url: str) -> None:
    """Without settings nothing is sent, and nothing waits."""
    async with opened(sqlite_url, None, None) as stage:
        kept = await stage.messages(await stage.failed_deposit())
        assert 0 == await stage.deliver()

    assert {(NotificationState.KEPT, None, 0)} == {(one.state, one.due_at, one.attempts) for one in kept.values()}
    assert all(NOT_MADE in one.text for one in kept.values())


async def test_what_waits_for_a_channel_that_is_off_holds_nothing_up(stage: Stage) -> None:
    """The gateway's settings are taken out: its messages wait until they are back, and mail goes on."""
    books = stage.system.notification_books
    deposit = await stage.failed_deposit()

    found = await books.due(stage.clock.now(), 1, {MAIL})
    assert [(deposit, MAIL)] == [(one.key.transaction_id, one.key.channel) for one in found]
    assert [] == list(await books.due(stage.clock.now(), 10, set()))
    assert {SMS, MAIL} == {one.key.channel for one in await books.due(stage.clock.now(), 10, {MAIL, SMS})}


async def test_a_gateway_that_is_away_is_tried_again_and_in_the_end_given_up(small_stage: Stage) -> None:
    """With pauses that grow; what was given up is listed for operators and stands in the audit trail."""
    stage = small_stage
    stage.gateway.scripts[GATEWAY] = lambda _: http(503)
    stage.post_office.refuses["MAIL"] = "451 try again"
    deposit = await stage.failed_deposit()
    pauses = []
    for _ in range(TRIES):
        assert 2 == await stage.deliver()
        found = await stage.messages(deposit)
        due = found[SMS].due_at
        if due is not None:
            pauses.append(due - stage.clock.now())
            stage.advance(due - stage.clock.now() - timedelta(microseconds=1))
            assert 0 == await stage.deliver()
            stage.advance(timedelta(microseconds=1))

    seconds = [5, 30, 120, 600, 1800, 3600, 3600, 3600, 3600]
    assert [timedelta(seconds=one) for one in seconds] == pauses
    assert 0 == await stage.deliver()
    given_up = await stage.system.notification_books.newest(10, state=NotificationState.GIVEN_UP)
    assert {(SMS, "http_503"), (MAIL, "smtp_451")} == {(one.key.channel, one.code) for one in given_up}
    assert {one.key.transaction_id for one in given_up} == {deposit}
    audited = [row.action for row in await stage.rows("audit_logs") if row.action.startswith("notification")]
    assert ["notification.given_up"] * 2 == audited
    stored = str([await stage.rows(name) for name in ("notifications", "audit_logs", "domain_events")])
    assert "712345678" not in stored
    assert ADDRESS.address not in stored


async def test_a_carrier_that_is_back_gets_it(small_stage: Stage) -> None:
    """An answer that breaks off says nothing: it is sent again, and taken."""
    stage = small_stage
    answers = [reset, told(101)]
    stage.gateway.scripts[GATEWAY] = lambda _: answers.pop(0)
    stage.post_office.vanishes_after_data = True
    deposit = await stage.failed_deposit()
    await stage.deliver()
    stage.post_office.vanishes_after_data = False
    stage.advance(timedelta(seconds=5))
    await stage.deliver()

    assert {(NotificationState.SENT, 2)} == {
        (one.state, one.attempts) for one in (await stage.messages(deposit)).values()
    }
    assert 1 == len({one["Message-ID"] for one in stage.post_office.mails})


@pytest.mark.parametrize("code", [403, 404, 406, 409])
async def test_a_number_the_gateway_will_never_take_is_given_up_at_once(small_stage: Stage, code: int) -> None:
    """It is no number, or its owner wants no such messages."""
    small_stage.gateway.scripts[GATEWAY] = lambda _: told(code)
    deposit = await small_stage.failed_deposit()
    await small_stage.deliver()

    found = (await small_stage.messages(deposit))[SMS]
    assert (NotificationState.GIVEN_UP, f"sms_{code}", 1) == (found.state, found.code, found.attempts)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}}', "no_recipient"),
        (b'{"SMSMessageData": {"Recipients": [{"statusCode": "101"}]}}', "no_status"),
        (b'{"SMSMessageData": {"Recipients": [{"statusCode": 402}]}}', "sms_402"),
        (b'{"SMSMessageData": {"Recipients": [{"statusCode": 405}]}}', "sms_405"),
        (b'{"SMSMessageData": {"Recipients": [101]}}', "no_recipient"),
        (b"<html>", "no_recipient"),
        (b"[" * 100_000, "no_recipient"),
        (b"", "no_recipient"),
    ],
)
async def test_an_answer_about_ourselves_or_about_nothing_is_tried_again(
    small_stage: Stage, body: bytes, code: str
) -> None:
    """No money at the gateway, a sender it does not know, a page instead of an answer: people can mend that."""
    small_stage.gateway.scripts[GATEWAY] = lambda _: http(201, body)
    deposit = await small_stage.failed_deposit()
    await small_stage.deliver()

    found = (await small_stage.messages(deposit))[SMS]
    assert (NotificationState.WAITING, code) == (found.state, found.code)


@pytest.mark.parametrize(
    ("verb", "answer", "state", "code"),
    [
        ("RCPT", "550 no such mailbox", NotificationState.GIVEN_UP, "smtp_550"),
        ("RCPT", "452 mailbox full", NotificationState.WAITING, "smtp_452"),
        ("END", "554 looks like advertising", NotificationState.GIVEN_UP, "smtp_554"),
        ("END", "451 later", NotificationState.WAITING, "smtp_451"),
        ("AUTH", "535 wrong password", NotificationState.WAITING, "smtp_535"),
        ("MAIL", "550 who are you", NotificationState.WAITING, "smtp_550"),
    ],
)
async def test_a_mail_server_is_believed_about_the_mail_and_not_about_us(
    small_stage: Stage, verb: str, answer: str, state: NotificationState, code: str
) -> None:
    """A mailbox that does not exist is given up; our own wrong password is ours to mend."""
    small_stage.post_office.refuses[verb] = answer
    deposit = await small_stage.failed_deposit()
    await small_stage.deliver()

    found = (await small_stage.messages(deposit))[MAIL]
    assert (state, code) == (found.state, found.code)
