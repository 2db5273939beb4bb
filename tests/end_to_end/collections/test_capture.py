"""Payments to the PayBill: from M-Pesa's message to the ledger, over real sockets."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.demo.world import PHONE, SHORT_CODE
from penpay.sandbox.faults import LostCallback
from tests.end_to_end.collections.shop import WORKED_EXAMPLE, Shop, kes


async def test_the_worked_example_posted_literally_is_booked(shop: Shop) -> None:
    """Four fields: message logged, payment recorded, invoice paid, 1010 against 1200, an event for the dashboard."""
    customer = await shop.customer("CUST-001")
    await shop.invoice(customer, kes(5_000), "INV-20260203-0001")
    assert 500_000 == await shop.account("1200")

    answer = await shop.told(WORKED_EXAMPLE, path="/api/webhooks/mpesa")

    assert (200, b'{"ResultCode":0,"ResultDesc":"Success"}') == (answer.status_code, answer.content)
    assert ["APPLIED"] == await shop.outcomes()
    assert [("QGK12XYZ9", 500_000, "ALLOCATED", "UNVERIFIED")] == await shop.rows(
        "SELECT mpesa_receipt_number, amount_cents, status, verification FROM payments"
    )
    assert [("PAID", 0)] == await shop.rows("SELECT status, balance FROM invoices")
    assert [(0, 0)] == await shop.rows("SELECT receivable_cents, credit_cents FROM customers")
    assert (500_000, 0) == (await shop.account("1010"), await shop.account("1200"))
    assert 1 == await shop.one("SELECT count(*) FROM domain_events WHERE name = 'PaymentReceived'")


async def test_the_worked_example_paid_by_a_subscriber_is_booked(shop: Shop) -> None:
    """Our addresses are registered at the sandbox, and the customer pays from her handset."""
    customer = await shop.customer("CUST-001")
    await shop.invoice(customer, kes(5_000), "INV-20260203-0001")
    await shop.registered()

    await shop.paid(PHONE, kes(5_000), "INV-20260203-0001")

    assert ["APPLIED"] == await shop.settled(1)
    assert [("PAID", 0)] == await shop.rows("SELECT status, balance FROM invoices")
    assert (500_000, 0) == (await shop.account("1010"), await shop.account("1200"))


async def test_a_hundred_identical_confirmations_at_once_count_once(shop: Shop) -> None:
    """Every one is answered and kept; one is a payment."""
    await shop.invoice(await shop.customer("CUST-001"), kes(5_000), "INV-20260203-0001")

    answers = await asyncio.gather(*(shop.told(WORKED_EXAMPLE) for _ in range(100)))

    assert {200} == {answer.status_code for answer in answers}
    assert ["APPLIED", *["REPEATED"] * 99] == sorted(await shop.outcomes())
    assert 1 == await shop.one("SELECT count(*) FROM payments")
    assert 500_000 == await shop.account("1010")


async def test_the_same_receipt_with_another_amount_is_an_anomaly_and_no_payment(shop: Shop) -> None:
    """What was booked stays; people see the contradiction, and a restart in between changes nothing."""
    await shop.told(WORKED_EXAMPLE)
    await shop.stage.restart()
    shop.system = shop.stage.system
    await shop.told({**WORKED_EXAMPLE, "TransAmount": "9000.00"})

    assert ["APPLIED", "CONTRADICTS"] == await shop.outcomes()
    assert [("QGK12XYZ9", 500_000, "RECEIPT_REUSED")] == await shop.rows(
        "SELECT mpesa_receipt_number, amount_cents, flags FROM payments"
    )
    assert 500_000 == await shop.account("1010")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"TransID":"QGK12XYZ9"}', b'{"TransID":"A","TransID":"B","TransAmount":"5"}', b"\xff"]
)
async def test_a_body_that_cannot_be_read_is_kept_and_answered(shop: Shop, body: bytes) -> None:
    """Nothing is booked, and the bytes are there for people."""
    answer = await shop.told(body)

    assert (200, ["UNREADABLE"]) == (answer.status_code, await shop.outcomes())
    assert 0 == await shop.one("SELECT count(*) FROM payments")


@pytest.mark.parametrize(
    ("path", "source", "outcome"),
    [
        ("/api/webhooks/c2b/0000/confirmation", None, "REFUSED_TOKEN"),
        ("/api/webhooks/mpesa", "203.0.113.9", "REFUSED_SOURCE"),
        (None, "203.0.113.9", "REFUSED_SOURCE"),
    ],
)
async def test_a_stranger_books_nothing(shop: Shop, path: str | None, source: str | None, outcome: str) -> None:
    """Another path, or another address, as our own proxy tells it: refused, with a trace."""
    headers = {} if source is None else {"X-Forwarded-For": source}
    answer = await shop.told(WORKED_EXAMPLE, path=path, **headers)

    assert 404 == answer.status_code
    assert shop.path.rpartition("/")[2] not in answer.text
    assert [outcome] == await shop.outcomes()
    assert 0 == await shop.one("SELECT count(*) FROM payments")


async def test_a_validation_is_answered_and_posts_nothing(shop: Shop) -> None:
    """The payment it asks about may still be cancelled by the customer."""
    answer = await shop.told(WORKED_EXAMPLE, path=shop.path + "/validation")

    assert b'{"ResultCode":"0","ResultDesc":"Accepted"}' == answer.content
    assert (["ACCEPTED"], []) == (await shop.outcomes("c2b_validation"), await shop.outcomes())
    assert 0 == await shop.one("SELECT count(*) FROM payments")


async def test_what_is_paid_above_a_limit_is_booked_and_flagged(shop: Shop) -> None:
    """M-Pesa has taken the money already."""
    await shop.customer("CUST-001")
    await shop.told({**WORKED_EXAMPLE, "TransAmount": "250000.01", "BillRefNumber": "cust 001"})

    assert [("ALLOCATED", "OVER_TRANSACTION_LIMIT")] == await shop.rows("SELECT status, flags FROM payments")


async def test_an_unknown_reference_waits_in_suspense(shop: Shop) -> None:
    """Never lost, whatever was typed."""
    await shop.told({**WORKED_EXAMPLE, "BillRefNumber": "rent for May"})

    assert [("SUSPENSE", "UNKNOWN_REFERENCE")] == await shop.rows("SELECT status, suspense_reason FROM payments")
    assert 500_000 == await shop.account("2300")


async def test_a_confirmation_that_was_lost_is_found_in_mpesas_list(shop: Shop) -> None:
    """Nothing was registered, so nothing was told; the pull books it, verified, and once."""
    await shop.invoice(await shop.customer("CUST-001"), kes(50), "INV-20260203-0001")
    await shop.paid(PHONE, kes(50), "INV-20260203-0001")

    async def pulled() -> bool:
        return bool(await shop.one("SELECT count(*) FROM payments"))

    await shop.stage.until(pulled, advancing=timedelta(minutes=1))
    assert [("PULL", "VERIFIED", "ALLOCATED")] == await shop.rows("SELECT source, verification, status FROM payments")
    assert [("PAID",)] == await shop.rows("SELECT status FROM invoices")


async def test_the_list_verifies_what_a_confirmation_told(shop: Shop) -> None:
    """Told by message, proven by M-Pesa's own list, booked once."""
    await shop.registered()
    await shop.paid(PHONE, kes(50), "CUST-001")
    await shop.settled(1)

    async def verified() -> bool:
        return bool(await shop.one("SELECT count(*) FROM payments WHERE verification = 'VERIFIED'"))

    await shop.stage.until(verified, advancing=timedelta(minutes=1))
    assert [("C2B", "pull", 5_000)] == await shop.rows("SELECT source, verified_by, amount_cents FROM payments")


async def test_a_deposit_told_twice_is_the_deposits_alone(shop: Shop) -> None:
    """The push's callback and the C2B confirmation of the same money: one wallet is credited, Collections gets none."""
    await shop.registered()
    deposit = await shop.stage.paid_deposit()

    assert "COMPLETED" == (await shop.stage.ended(deposit))[0]
    assert {"APPLIED", "REPEATED"} >= set(await shop.settled(1))
    assert 0 == await shop.one("SELECT count(*) FROM payments")
    now = shop.system.clock.now()
    points = await shop.system.capture.balances.points(SHORT_CODE, now - timedelta(hours=1), now + timedelta(hours=1))
    assert [kes(1_321)] == [point.amount for point in points], "its balance counts all the same"
    assert 0 == await shop.account("1010")


async def test_a_deposit_whose_callback_is_lost_is_confirmed_by_the_c2b_message(shop: Shop) -> None:
    """The confirmation carries our account reference; the deposit goes on, with its receipt."""
    await shop.registered()
    deposit = await shop.stage.paid_deposit(LostCallback())

    assert "COMPLETED" == (await shop.stage.ended(deposit))[0]
    assert ["APPLIED"] == await shop.settled(1)
    assert "MpesaConfirmationReceived" in await shop.stage.events(deposit)
    assert 0 == await shop.one("SELECT count(*) FROM payments")
