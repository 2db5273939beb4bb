"""M-Pesa's own records against the books: statements, balances, and what the terminal shows of a payment."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from penpay.application.collections.checking import BalanceCheck, check_balance
from penpay.application.collections.importing import Imported, StatementImporter
from penpay.cli.collections_shown import show_story
from penpay.demo.world import SHORT_CODE
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.mpesa.statement_file import read_statement
from penpay.domain.shared.money import Currency
from tests.end_to_end.collections.shop import STAFF, WORKED_EXAMPLE, Shop, kes

HEADER = "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance,Linked Transaction ID\n"
PAID = 'QGK12XYZ9,03-02-2026 12:00:05,Pay Bill from 2547****149 Acc. inv202602030001,Completed,"5,000.00",,105000,\n'
MISSED = "QGK12XYZA,03-02-2026 12:00:09,Pay Bill from 2547****149 Acc. nobody,Completed,20,,105020,\n"
TAKEN_BACK = 'QGK12XYZB,03-02-2026 12:09:00,Transaction Reversal,Completed,,"-5,000.00",100020,QGK12XYZ9\n'


async def imported(shop: Shop, *rows: str) -> Imported:
    capture = shop.system.capture
    importer = StatementImporter(executor=shop.system.executor, attach=capture.attach, short_code=SHORT_CODE)
    return await importer.run(read_statement((HEADER + "".join(rows)).encode()), by=STAFF)


async def test_a_statement_books_what_was_missed_and_proves_what_was_told(shop: Shop) -> None:
    """One payment was told, one was not; importing the file again books nothing."""
    await shop.invoice(await shop.customer("CUST-001"), kes(5_000), "INV-20260203-0001")
    await shop.told(WORKED_EXAMPLE)

    first = await imported(shop, PAID, MISSED)
    again = await imported(shop, PAID, MISSED)

    assert (2, kes(5_020), 1, kes(20)) == (first.payments, first.total, first.booked, first.booked_total)
    assert ((), ()) == (first.unreadable, first.contradicting)
    assert (2, 0) == (again.payments, again.booked)
    assert [("QGK12XYZ9", "C2B", "VERIFIED"), ("QGK12XYZA", "STATEMENT", "VERIFIED")] == await shop.rows(
        "SELECT mpesa_receipt_number, source, verification FROM payments ORDER BY mpesa_receipt_number"
    )
    assert (502_000, 2_000) == (await shop.account("1010"), await shop.account("2300"))


async def test_a_reversal_in_the_statement_opens_the_invoice_again(shop: Shop) -> None:
    """M-Pesa took the money back; told twice, it is undone once."""
    await shop.invoice(await shop.customer("CUST-001"), kes(5_000), "INV-20260203-0001")

    first = await imported(shop, PAID, TAKEN_BACK)
    again = await imported(shop, PAID, TAKEN_BACK)

    assert (("QGK12XYZ9",), ()) == (first.reversed_, first.unreadable)
    assert 0 == again.booked
    assert [("UNPAID", 500_000)] == await shop.rows("SELECT status, balance FROM invoices")
    assert (0, 500_000) == (await shop.account("1010"), await shop.account("1200"))


async def test_a_reversal_of_what_nobody_booked_waits_for_people_and_spoils_nothing(shop: Shop) -> None:
    """The other rows are booked all the same; once a statement brings the payment, it is undone."""
    found = await imported(shop, TAKEN_BACK, MISSED)

    assert (1, ("QGK12XYZB",), ()) == (found.booked, found.unexplained, found.unreadable)
    assert (500_000, 2_000 - 500_000) == (await shop.account("1260"), await shop.account("1010"))
    again = await imported(shop, TAKEN_BACK, PAID, MISSED)
    assert (("QGK12XYZ9",), ()) == (again.reversed_, again.unexplained)
    assert (0, 2_000) == (await shop.account("1260"), await shop.account("1010"))


async def test_every_way_in_which_money_leaves_is_booked_once_and_leaves_no_gap(shop: Shop) -> None:
    """The newest on top: a reversal, a charge in the second of its payment, the bank, and what nobody knows."""
    number = await shop.invoice(await shop.customer("CUST-001"), kes(5_000), "INV-20260203-0001")
    statement = (
        "QGK12XYZJ,03-02-2026 12:30:00,Pay Bill Acc. x,Completed,100,,99670,\n",
        "QGK12XYZH,03-02-2026 12:20:00,Business Payment to 0712***678,Completed,,-300,99570,\n",
        "QGK12XYZG,03-02-2026 12:15:00,Organization Settlement to Bank,Completed,,-150,99870,\n",
        TAKEN_BACK,
        MISSED,
        "QGK12XYZ9,03-02-2026 12:00:05,Pay Bill Charge,Completed,,-34,104966,\n",
        PAID,
    )
    corrected = [row.replace("105020", "104986").replace("100020", "99986") for row in statement]
    corrected[1:3] = [row.replace("99570", "99536").replace("99870", "99836") for row in corrected[1:3]]
    corrected[0] = corrected[0].replace("99670", "99636")
    first = await imported(shop, *corrected)
    again = await imported(shop, *corrected)
    shop.stage.clock.advance(datetime(2026, 2, 5, tzinfo=UTC) - shop.stage.clock.now())

    assert (kes(450), 2, ("QGK12XYZH",), ("QGK12XYZ9",)) == (
        first.outflows, first.outflows_booked, first.unexplained, first.reversed_,
    )  # fmt: skip
    assert (kes(450), 0, ("QGK12XYZH",), ()) == (
        again.outflows, again.outflows_booked, again.unexplained, again.unreadable,
    )  # fmt: skip
    codes = ("1010", "1020", "1200", "1260", "5100")
    assert [-36_400, 15_000, 500_000, 30_000, 3_400] == [await shop.account(code) for code in codes]
    assert [(number, "UNPAID")] == await shop.rows("SELECT invoice_number, status FROM invoices")
    assert [] == list(await shop.system.reports.collections.verify())
    assert () == (await followed(shop)).continuity.gaps


async def test_charges_of_a_statement_are_an_expense_once(shop: Shop) -> None:
    """Profit and loss shows them, the proof counts them, and the balance goes on over them; told twice, booked once.

    Under a receipt that is booked with another amount, the row is left out and told.
    """
    charge = "QGK12XYZ9,03-02-2026 12:00:06,Pay Bill Charge,Completed,,-25.50,104974.50,\n"
    other = charge.replace("-25.50", "-30.00")
    missed = MISSED.replace("105020", "104994.50")
    first = await imported(shop, PAID, charge, missed)
    again = await imported(shop, PAID, charge, other, missed)
    shop.stage.clock.advance(datetime(2026, 2, 5, tzinfo=UTC) - shop.stage.clock.now())

    assert [(kes(25, 50), 1), (kes(25, 50), 0)] == [(one.charges, one.charges_booked) for one in (first, again)]
    assert [(4, "it was refused: charge_differs")] == [(row.line, row.why) for row in again.unreadable]
    assert (2_550, 499_450) == (await shop.account("5100"), await shop.account("1010"))
    assert [] == list(await shop.system.reports.collections.verify())
    earned = await shop.system.reports.ledger.profit_and_loss(Currency.KES, date(2026, 1, 1), date(2026, 12, 31))
    assert [("5100", 2_550)] == [(row.code, row.balance.cents) for row in earned.expenses]
    assert () == (await followed(shop)).continuity.gaps


def told(receipt: str, second: int, amount: str, balance: str) -> dict[str, Any]:
    return {
        "TransID": receipt,
        "TransAmount": amount,
        "TransTime": f"202602031200{second:02d}",
        "OrgAccountBalance": balance,
        "BusinessShortCode": SHORT_CODE,
        "BillRefNumber": "x",
    }


async def followed(shop: Shop) -> BalanceCheck:
    return await check_balance(
        shop.system.executor, shop.system.capture.balances, short_code=SHORT_CODE, day=date(2026, 2, 3), by=STAFF
    )


async def test_a_receipt_that_never_came_shows_as_a_gap_in_the_balance(shop: Shop) -> None:
    """Named by its neighbours and its amount, kept, and told once; the statement that brings it closes the gap."""
    shop.stage.clock.advance(datetime(2026, 2, 5, tzinfo=UTC) - shop.stage.clock.now())
    await shop.told(told("QGK12XYZ1", 1, "50.00", "1050.00"))
    await shop.told(told("QGK12XYZ3", 9, "25.00", "1175.00"))

    checked = await followed(shop)
    assert [("QGK12XYZ1", "QGK12XYZ3", kes(100))] == [
        (gap.after, gap.before, gap.missing) for gap in checked.continuity.gaps
    ]
    await followed(shop)
    assert 1 == await shop.one("SELECT count(*) FROM domain_events WHERE name = 'BalanceGapFound'")
    assert [(10_000, 2)] == await shop.rows(
        "SELECT missing_cents, version FROM balance_checks WHERE day = '2026-02-03'"
    )

    await imported(shop, "QGK12XYZ2,03-02-2026 12:00:05,Pay Bill Acc. x,Completed,100,,1150,\n")
    assert () == (await followed(shop)).continuity.gaps


async def test_the_whole_story_of_a_receipt_is_shown(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Message, booking, allocations, both sides of the ledger, events and audit trail, in shillings and Nairobi's time.

    Into a pipe each thing is on one line.
    """
    await shop.invoice(await shop.customer("CUST-001"), kes(5_000), "INV-20260203-0001")
    await shop.told(WORKED_EXAMPLE)

    story = await shop.system.capture.stories.story("QGK12XYZ9")

    assert ["APPLIED"] == [message.outcome for message in story.messages]
    assert [("INVOICE", 500_000, "INV-20260203-0001")] == [
        (row["target"], row["amount_cents"], row["invoice_number"]) for row in story.allocations
    ]
    assert [("1010", "DEBIT", 500_000), ("1200", "CREDIT", 500_000)] == [
        (row["code"], row["side"], row["amount_cents"]) for row in story.entries
    ]
    assert "PaymentReceived" in [row["name"] for row in story.events]
    assert "payment.received" in [row["action"] for row in story.audit]
    assert "254708374149" not in repr(story)
    monkeypatch.delenv("COLUMNS", raising=False)
    show_story(story, as_json=False)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = shop.stage.clock.now().astimezone(EAST_AFRICA_TIME).strftime("%Y-%m-%d")
    assert "amount: KES 5,000.00" in lines
    for told in (
        "confirmed APPLIED QGK12XYZ9 5,000.00 INV-20260203-0001",
        "invoice INV-20260203-0001 KES 5,000.00 mpesa",
        "1010 M-Pesa Cash KES 5,000.00 receipt_booked",
        "mpesa payment.received status ALLOCATED",
    ):
        assert [] != [line for line in lines if line.startswith(at) and line.endswith(told)], told
