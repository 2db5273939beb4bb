"""Customers are reminded of what they owe: on each level once, by the channels they have, and not without cause."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.invoicing import CreateInvoice, VoidInvoice
from penpay.application.collections.receiving import ReceivePayment
from penpay.application.collections.reminding import DecideReminders, RemindOf, SetReminded
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.collections.reminder import DEFAULT_LEVELS
from penpay.domain.shared.delivery import Channel
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import InvalidRequest, LostLicence
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import nairobi_day
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.unit_of_work import parsed
from penpay.workers.reminding import ReminderWorker, RemindingWorker
from tests.contract.mpesa.scripted_daraja import reset
from tests.contract.notifications.stage import GATEWAY, Stage, form, opened, taken

NOON = datetime(2027, 2, 1, 9, tzinfo=UTC)
HERS = PhoneNumber.parse("254713000001")
BY = "staff:wanjiru"


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


async def do(stage: Stage, command: object) -> Any:
    return await stage.system.executor.execute(command)


async def customer(stage: Stage, number: str = "CUST-001", *, phone: PhoneNumber | None = HERS, mail: str = "") -> str:
    contact = Contact(name="Amina", phone=phone, email=Email.parse(mail) if mail else None)
    return str((await do(stage, CreateCustomer(contact=contact, number=number, by=BY)))["customer_id"])


async def invoice(stage: Stage, whose: str, *, due_in: int, shillings: int = 500, number: str | None = None) -> str:
    """An invoice due so many days from now."""
    command = CreateInvoice(
        customer_number=whose,
        items=(LineItem(description="Goods", unit_price=kes(shillings)),),
        due_on=nairobi_day(stage.clock.now()) + timedelta(days=due_in),
        number=number,
        by=BY,
    )
    return str((await do(stage, command))["invoice_id"])


async def decided(stage: Stage, *, is_on: bool = True, levels: tuple[int, ...] = DEFAULT_LEVELS) -> None:
    await do(stage, DecideReminders(is_on=is_on, levels=levels, by=BY))


async def paid(stage: Stage, receipt: str, shillings: int, reference: str) -> None:
    command = ReceivePayment(
        receipt=receipt,
        source=PaymentSource.C2B,
        amount=kes(shillings),
        short_code="174379",
        bill_reference=reference,
    )
    await do(stage, command)


async def remind(stage: Stage) -> int:
    """What the two workers do once; how many invoices were found."""
    books, carriers = stage.system.reminder_books, stage.system._carriers
    writing = RemindingWorker(executor=stage.system.executor, books=books, clock=stage.system.clock)
    found = await writing.look(100)
    for one in found:
        await writing.handle(one)
    delivering = ReminderWorker(executor=stage.system.executor, carriers=carriers)
    for due in await books.due(stage.clock.now(), 100, carriers):
        try:
            await delivering.handle(due)
        except LostLicence:
            continue
    return len(found)


async def told(stage: Stage, number: str) -> list[tuple[int, str, str]]:
    found = await stage.system.reminder_books.of_invoice(number)
    return [(one.key.level, one.key.channel.value, one.state.value) for one in found]


async def test_she_is_told_before_on_the_day_and_after_it_each_once(stage: Stage) -> None:
    """Forty days of looking twice a day: four short messages, with number, amount, PayBill and account."""
    stage.clock.moment = NOON
    await decided(stage)
    number = await invoice(stage, await customer(stage), due_in=5)
    for _ in range(80):
        await remind(stage)
        stage.clock.moment += timedelta(hours=12)

    assert [(level, "SMS", "SENT") for level in DEFAULT_LEVELS] == await told(stage, number)
    sent = [form(one) for one in stage.gateway.to(GATEWAY)]
    assert [HERS.e164] * 4 == [one["to"] for one in sent]
    pay = f"Pay by M-Pesa: PayBill {stage.system._settings.mpesa_short_code}, account {number}."
    begin = f"{stage.system._settings.business_name}: invoice {number}, KES 500.00 to pay, "
    assert [
        f"{begin}is due on 6 Feb 2027. {pay}",
        f"{begin}is due today. {pay}",
        f"{begin}was due on 6 Feb 2027. {pay}",
        f"{begin}was due on 6 Feb 2027. {pay}",
    ] == [one["message"] for one in sent]
    assert [] == stage.post_office.mails


async def test_two_processes_that_find_it_write_one_message_for_each_channel(stage: Stage) -> None:
    """Eight tries at once, and a second delivery after it: one short message and one mail."""
    stage.clock.moment = NOON
    await decided(stage)
    number = await invoice(stage, await customer(stage, mail="amina@example.com"), due_in=0)
    (found,) = await stage.system.reminder_books.to_write(nairobi_day(stage.clock.now()), 10)
    written = await asyncio.gather(*(do(stage, found) for _ in range(8)))
    for _ in range(2):
        await remind(stage)

    assert [0] * 7 + [2] == sorted(written)
    assert [(0, "MAIL", "SENT"), (0, "SMS", "SENT")] == await told(stage, number)
    assert (1, ["amina@example.com"]) == (len(stage.gateway.to(GATEWAY)), stage.post_office.recipients)
    assert [f"Invoice {number}"] == [mail["Subject"] for mail in stage.post_office.mails]


async def test_nobody_is_reminded_without_cause(stage: Stage) -> None:
    """Paid, void, covered by credit, opted out, and while it is off; of a part that is owed she is told that part."""
    stage.clock.moment = NOON
    one = await customer(stage)
    gone, void, part = [await invoice(stage, one, due_in=0, number=f"INV-{name}") for name in ("A", "B", "C")]
    assert 0 == await remind(stage)
    await decided(stage)
    await paid(stage, "QGA1", 500, gone)
    await paid(stage, "QGA2", 200, part)
    await do(stage, VoidInvoice(invoice_number=void, by=BY))
    out = await customer(stage, "CUST-002", phone=None)
    await do(stage, SetReminded(customer_number=out, is_reminded=False, by=BY))
    refused = await invoice(stage, out, due_in=0, number="INV-D")
    covered = await customer(stage, "CUST-003", phone=None)
    await paid(stage, "QGA3", 900, covered)
    await do(
        stage,
        CreateInvoice(
            customer_number=await _with_credit(stage),
            items=(LineItem(description="Goods", unit_price=kes(500)),),
            number="INV-E",
            by=BY,
        ),
    )
    assert 1 == await remind(stage)
    assert 0 == await remind(stage)

    assert [(0, "SMS", "SENT")] == await told(stage, part)
    assert ["KES 300.00 to pay" in form(sent)["message"] for sent in stage.gateway.to(GATEWAY)] == [True]
    assert [[]] * 4 == [await told(stage, number) for number in (gone, void, refused, "INV-E")]
    await do(stage, SetReminded(customer_number=out, is_reminded=True, by=BY))
    assert 1 == await remind(stage)
    assert [(0, "SMS", "GIVEN_UP")] == await told(stage, refused)
    assert ["no_contact"] == await given_up(stage)
    await decided(stage, is_on=False)
    await invoice(stage, one, due_in=0)
    assert 0 == await remind(stage)


async def _with_credit(stage: Stage) -> str:
    """A customer with 600 of credit that pays nothing by itself."""
    contact = Contact(name="Otieno", phone=PhoneNumber.parse("254713000009"))
    made = await do(stage, CreateCustomer(contact=contact, number="CUST-004", auto_apply_credit=False, by=BY))
    await paid(stage, "QGA4", 600, "CUST-004")
    return str(made["customer_id"])


async def test_what_was_paid_between_finding_and_writing_is_not_told(stage: Stage) -> None:
    """And neither is a level that is over, or one that nobody has decided on."""
    stage.clock.moment = NOON
    await decided(stage)
    number = await invoice(stage, await customer(stage), due_in=0)
    (found,) = await stage.system.reminder_books.to_write(nairobi_day(stage.clock.now()), 10)
    wrong = [RemindOf(invoice_id=found.invoice_id, customer_id=found.customer_id, level=level) for level in (-3, 1, 7)]
    assert [0, 0, 0] == [await do(stage, one) for one in wrong]
    await paid(stage, "QGA1", 500, number)

    assert (0, []) == (await do(stage, found), await told(stage, number))


async def test_what_is_long_past_is_passed_over(stage: Stage) -> None:
    """Turned on late, an invoice of last year is left alone; after a week of downtime only the newest level is told."""
    stage.clock.moment = NOON
    whose = await customer(stage)
    old = await invoice(stage, whose, due_in=-40)
    recent = await invoice(stage, whose, due_in=-8)
    late = await invoice(stage, whose, due_in=1)
    await decided(stage)
    assert 0 == await remind(stage)
    stage.clock.moment += timedelta(days=9)
    assert 1 == await remind(stage)
    stage.clock.moment += timedelta(days=15)
    assert 1 == await remind(stage)

    assert [] == await told(stage, old)
    assert [(30, "SMS", "SENT")] == await told(stage, recent)
    assert [(7, "SMS", "SENT")] == await told(stage, late)


async def test_a_carrier_that_does_not_answer_is_tried_again(stage: Stage) -> None:
    """Under the same id, after a pause."""
    stage.clock.moment = NOON
    stage.gateway.scripts[GATEWAY] = lambda _: reset
    await decided(stage)
    number = await invoice(stage, await customer(stage), due_in=0)
    await remind(stage)
    assert [(0, "SMS", "WAITING")] == await told(stage, number)
    stage.gateway.scripts[GATEWAY] = taken
    stage.advance(timedelta(seconds=6))
    await remind(stage)

    assert [(0, "SMS", "SENT")] == await told(stage, number)
    assert 1 == len({one.headers["idempotency-key"] for one in stage.gateway.to(GATEWAY)})


async def test_what_has_to_wait_is_not_sent_once_nothing_is_owed(stage: Stage) -> None:
    """While nobody takes them one is paid, one void, and one customer left out: only the fourth is sent."""
    stage.clock.moment = NOON
    stage.gateway.scripts[GATEWAY] = lambda _: reset
    await decided(stage)
    hers, others = await customer(stage), await customer(stage, "CUST-002", phone=PhoneNumber.parse("254713000002"))
    gone, void, kept = [await invoice(stage, hers, due_in=0, number=f"INV-{name}") for name in ("A", "B", "C")]
    out = await invoice(stage, others, due_in=0, number="INV-D")
    await remind(stage)
    await paid(stage, "QGA1", 500, gone)
    await do(stage, VoidInvoice(invoice_number=void, by=BY))
    await do(stage, SetReminded(customer_number=others, is_reminded=False, by=BY))
    stage.gateway.scripts[GATEWAY] = taken
    tried = len(stage.gateway.to(GATEWAY))
    stage.advance(timedelta(seconds=6))
    await remind(stage)

    assert [[(0, "SMS", "GIVEN_UP")]] * 3 == [await told(stage, number) for number in (gone, void, out)]
    assert [(0, "SMS", "SENT")] == await told(stage, kept)
    assert [True] == [kept in form(one)["message"] for one in stage.gateway.to(GATEWAY)[tried:]]
    assert ["left_out", "nothing_owed", "nothing_owed"] == sorted(await given_up(stage))


async def given_up(stage: Stage) -> list[str]:
    """Why messages were given up, by the audit trail."""
    rows = await stage.rows("audit_logs")
    return [parsed(row.facts)["code"] for row in rows if row.action == "reminder.given_up"]


async def test_without_carriers_reminders_are_kept(fresh_sqlite_url: str) -> None:
    """They can be read, and are not sent later either."""
    async with opened(fresh_sqlite_url, None, None) as stage:
        stage.clock.moment = NOON
        await decided(stage)
        number = await invoice(stage, await customer(stage, mail="amina@example.com"), due_in=0)
        await remind(stage)

        assert [(0, "MAIL", "KEPT"), (0, "SMS", "KEPT")] == await told(stage, number)
        assert set() == {one.due_at for one in await stage.system.reminder_books.of_invoice(number)} - {None}


@pytest.mark.parametrize("levels", [(), (3, 0), (0, 0), (-400,), tuple(range(11))])
async def test_levels_rise_and_are_few(small_stage: Stage, levels: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest):
        await decided(small_stage, levels=levels)
    assert set(Channel) == set(small_stage.system._carriers)
