"""What an earlier system of this kind did wrong with M-Pesa's messages, each as a story that ends well here."""

from __future__ import annotations

from datetime import timedelta

from penpay.application.collections.capturing import CONFIRMATION, RecordMessage
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.demo.world import SHORT_CODE
from penpay.domain.shared.ids import WebhookId
from tests.end_to_end.collections.shop import WORKED_EXAMPLE, Shop, kes


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
