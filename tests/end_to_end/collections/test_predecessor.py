"""The thirteen failures of an earlier system of this kind, each as a story that ends well here.

They are told over sockets: an owner in the back office, M-Pesa at its own door.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from penpay.application.collections.capturing import CONFIRMATION, RecordMessage
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.demo.world import SHORT_CODE
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import WebhookId
from tests.end_to_end.collections.shop import WORKED_EXAMPLE, Shop, kes
from tests.end_to_end.deposits.stage import read

OWNER, PASSWORD = Email("owner@example.com"), "correct horse battery"


@asynccontextmanager
async def logged_in(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """The back office as an owner sees it."""
    access = shop.system.staff_access
    await access.create(OWNER, StaffRole.OWNER, PASSWORD, by=None)
    token, _ = await access.log_in(OWNER, PASSWORD, "127.0.0.1")
    async with shop.stage.client(token) as client:
        yield client


@pytest.fixture
async def office(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """The same from the beginning of a test to its end."""
    async with logged_in(shop) as client:
        yield client


async def post(office: httpx.AsyncClient, path: str, status: int = 201, **body: object) -> dict[str, Any]:
    """What a POST to the back office has made."""
    answer = await office.post(path, json=body)
    assert status == answer.status_code, answer.text
    return read(answer)


async def seen(office: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """What a GET of the back office shows."""
    answer = await office.get(path)
    assert 200 == answer.status_code, answer.text
    return read(answer)


async def proven(office: httpx.AsyncClient) -> None:
    """The books hold, rule by rule."""
    assert {"isValid": True, "errors": []} == await seen(office, "/api/reports?type=verify")


async def billed(office: httpx.AsyncClient, cents: int, customer: str = "CUST-001") -> str:
    invoice: str = (await post(office, "/api/invoices", customer_id=customer, amount_cents=cents))["invoice_id"]
    return invoice


async def standing(office: httpx.AsyncClient, invoice: str) -> tuple[str, int]:
    """How an invoice stands: its status, and what is open."""
    found = await seen(office, f"/api/invoices?invoiceId={invoice}")
    return found["status"], found["balance_cents"]


def paying(receipt: str, shillings: str, reference: str) -> dict[str, str]:
    return {"TransID": receipt, "TransAmount": shillings, "BillRefNumber": reference}


async def test_01_an_invoice_is_created_with_its_ledger_entries_in_one_commit(
    shop: Shop, office: httpx.AsyncClient
) -> None:
    """There the entry was written on another connection, and every invoice failed on its foreign key."""
    await post(office, "/api/customers", name="Amina")
    invoice = await billed(office, 500_000)

    assert 1 == await shop.one("PRAGMA foreign_keys")
    assert (500_000, 500_000) == (await shop.account("1200"), await shop.account("4000"))
    assert ("UNPAID", 500_000) == await standing(office, invoice)
    await proven(office)


async def test_02_a_mistyped_account_is_in_the_books_and_in_suspense(shop: Shop) -> None:
    """There the money was in the till and nowhere in the books."""
    await shop.told({**WORKED_EXAMPLE, "BillRefNumber": "INV-20260203-9999"})

    assert (500_000, 500_000) == (await shop.account("1010"), await shop.account("2300"))


async def test_03_a_message_that_could_not_be_booked_once_is_booked_later(shop: Shop) -> None:
    """There a payment that had failed once was refused for ever; here the process dies before it books, and goes on."""
    await shop.invoice(await shop.customer("CUST-001"), kes(5_000), "INV-20260203-0001")
    await shop.do(
        RecordMessage(
            webhook_id=WebhookId(shop.system.ids.new()),
            source=CONFIRMATION,
            remote_address="127.0.0.1",
            body=b'{"TransID":"QGK12XYZ9","TransAmount":"5000.00","BillRefNumber":"INV-20260203-0001"}',
            outcome=WebhookOutcome.RECEIVED,
        )
    )
    await shop.stage.restart()
    shop.system = shop.stage.system
    assert 0 == await shop.one("SELECT count(*) FROM payments")

    async def booked() -> bool:
        return await shop.outcomes() == ["APPLIED"]

    await shop.stage.until(booked, advancing=timedelta(seconds=5))
    await shop.told(WORKED_EXAMPLE)
    assert ["APPLIED", "REPEATED"] == await shop.outcomes()
    assert [("PAID",)] == await shop.rows("SELECT status FROM invoices")


async def test_04_what_was_paid_above_the_limits_is_booked_on_its_day_in_nairobi(shop: Shop) -> None:
    """There it was refused after M-Pesa had taken it, and days were the server's; 00:30 in Nairobi is a new day."""
    await shop.customer("CUST-001")
    for number, (when, amount) in enumerate(
        [("20260203233000", "250000"), ("20260203235959", "250000.01"), ("20260204003000", "100")]
    ):
        body = {"TransID": f"QGK12XYZ{number}", "TransTime": when, "TransAmount": amount, "BillRefNumber": "CUST-001"}
        await shop.told(body)

    assert [("",), ("OVER_DAY_LIMIT,OVER_TRANSACTION_LIMIT",), ("",)] == await shop.rows(
        "SELECT flags FROM payments ORDER BY mpesa_receipt_number"
    )
    assert 50_010_001 == await shop.account("1010")


async def test_05_a_validation_books_nothing(shop: Shop) -> None:
    """There both addresses were one handler, and a payment was posted that the customer then cancelled."""
    await shop.told(WORKED_EXAMPLE, path="/api/webhooks/mpesa/validation")

    assert 0 == await shop.one("SELECT count(*) FROM payments")
    assert 0 == await shop.one("SELECT count(*) FROM ledger_journals WHERE reference = 'QGK12XYZ9'")


async def test_06_balances_are_right_when_everybody_pays_and_bills_at_once(
    shop: Shop, office: httpx.AsyncClient
) -> None:
    """There they were read, changed and written back without a lock; here sixty at once leave every cent in place."""
    await post(office, "/api/customers", name="Amina")
    first = await billed(office, 100_000)
    await asyncio.gather(
        *(billed(office, 10_000) for _ in range(20)),
        *(shop.told(paying(f"QGK{number}", "50.00", first)) for number in range(20)),
        *(shop.told(paying(f"QGL{number}", "70.00", "CUST-001")) for number in range(20)),
    )

    owed = 100_000 + 20 * 10_000 - 20 * 5_000 - 20 * 7_000
    assert owed == (await seen(office, "/api/customers?customerId=CUST-001"))["balance_cents"]
    assert 240_000 == await shop.account("1010")
    await proven(office)


async def test_07_an_invoice_with_one_cent_open_is_not_paid(shop: Shop, office: httpx.AsyncClient) -> None:
    """There amounts were floats, and a cent more or less was as good as paid."""
    await post(office, "/api/customers", name="Amina")
    invoice = await billed(office, 500_000)
    await shop.told(paying("QGK1", "4999.99", invoice))
    assert ("PARTIALLY_PAID", 1) == await standing(office, invoice)
    await shop.told(paying("QGK2", "0.01", invoice))

    assert ("PAID", 0) == await standing(office, invoice)
    await proven(office)


async def test_08_what_is_paid_too_much_is_credit_and_pays_the_next_invoice(
    shop: Shop, office: httpx.AsyncClient
) -> None:
    """There it was allocated to nothing, or lost, and the balance was no longer the sum of the invoices."""
    await post(office, "/api/customers", name="Amina")
    invoice = await billed(office, 10_000)
    await shop.told(paying("QGK1", "150.00", invoice))
    await shop.told(paying("QGK2", "30.00", invoice))
    credited = await seen(office, "/api/customers?customerId=CUST-001")
    next_ = await billed(office, 7_000)

    assert (8_000, -8_000) == (credited["credit_cents"], credited["balance_cents"])
    assert ("PAID", 0) == await standing(office, next_)
    assert -1_000 == (await seen(office, "/api/customers?customerId=CUST-001"))["balance_cents"]
    await proven(office)


async def test_09_a_sale_is_paid_by_its_number_and_moves_revenue_and_stock(
    shop: Shop, office: httpx.AsyncClient
) -> None:
    """There its number was no reference, so no sale could ever be paid, and goods never left the stock."""
    line = {"description": "Flour", "unit_price_cents": 21_000, "unit_cost_cents": 15_000}
    sale = await post(office, "/api/pos", lines=[line])
    await shop.told(paying("QGK1", "210.00", sale["pos_id"].lower().replace("-", " ")))

    assert "PAID" == (await seen(office, f"/api/pos?posId={sale['pos_id']}"))["status"]
    moved = {code: await shop.account(code) for code in ("1010", "4000", "5000", "1300")}
    assert {"1010": 21_000, "4000": 21_000, "5000": 15_000, "1300": -15_000} == moved
    await proven(office)


async def test_10_a_message_without_names_and_with_numbers_for_text_is_booked(shop: Shop) -> None:
    """There it was answered 200 and not even logged."""
    await shop.told({"TransID": "QGK12XYZ9", "TransAmount": 5000, "BusinessShortCode": int(SHORT_CODE)})

    assert ["APPLIED"] == await shop.outcomes()
    assert [(500_000, SHORT_CODE, "NO_REFERENCE")] == await shop.rows(
        "SELECT amount_cents, short_code, suspense_reason FROM payments"
    )


async def test_11_nobody_but_mpesa_posts_a_payment(shop: Shop) -> None:
    """There anybody could: here a stranger is refused at every address, with a trace."""
    for path in ("/api/webhooks/mpesa", shop.path + "/confirmation", "/api/webhooks/c2b/guess/confirmation"):
        answer = await shop.told(WORKED_EXAMPLE, path=path, **{"X-Forwarded-For": "203.0.113.9"})
        assert 404 == answer.status_code

    assert 3 == len(await shop.outcomes())
    assert 0 == await shop.one("SELECT count(*) FROM payments")


async def test_12_a_payment_taken_back_is_undone_once_and_stands_in_the_statement(
    shop: Shop, office: httpx.AsyncClient
) -> None:
    """There a reversal could be posted twice and left the payment as it was, and a statement had no running balance."""
    await post(office, "/api/customers", name="Amina")
    invoice = await billed(office, 10_000)
    await shop.told(paying("QGK1", "150.00", invoice))
    for _ in range(2):
        undone = await post(office, "/api/payments/QGK1/reverse", 200, reversed_by="SAFARICOM")
        assert "REVERSED" == undone["status"]
    statement = await seen(office, "/api/customers/CUST-001/statement")

    assert ("UNPAID", 10_000) == await standing(office, invoice)
    assert 0 == await shop.account("1010")
    lines = [(line["kind"], line["balance_cents"]) for line in statement["lines"]]
    assert [("INVOICE", 10_000), ("PAYMENT", -5_000), ("PAYMENT_REVERSED", 10_000)] == lines
    assert 10_000 == statement["closing_cents"]
    await proven(office)


async def test_13_invoices_issued_at_once_have_numbers_of_their_own_and_of_nairobis_day(shop: Shop) -> None:
    """There they were counted, so two could have one number; and the date was another zone's than the count."""
    now = shop.stage.clock.now()
    late = now.replace(hour=22, minute=30) + timedelta(days=now.hour >= 22)
    shop.stage.clock.advance(late - now)
    async with logged_in(shop) as office:
        await post(office, "/api/customers", name="Amina")
        numbers = await asyncio.gather(*(billed(office, 100) for _ in range(50)))
        await proven(office)

    day = (late + timedelta(days=1)).strftime("%Y%m%d")
    assert {f"INV-{day}-{number:04d}" for number in range(1, 51)} == set(numbers)
