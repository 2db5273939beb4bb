"""The back office over HTTP: who may do what, what is answered, and what is done once however often it is asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from penpay.application.collections.receiving import VerifyPayment
from penpay.presentation.http.routes.collections_shapes import (
    CreditNoteBody,
    CustomerBody,
    InvoiceBody,
    PaymentBody,
    RefundBody,
    SaleBody,
)
from tests.contract.office.stage import ACCOUNTANT
from tests.integration.http.desk import Desk, done, refused
from tests.integration.http.stage import read


async def test_an_invoice_is_issued_paid_and_found(desk: Desk) -> None:
    """The worked example: 5,000 shillings named for the invoice, which is then paid, and she owes nothing."""
    created = await desk.customer()
    issued = await desk.invoice(500_000, invoice_id="INV-20260203-0001")
    owed = await desk.balance()
    await desk.paid("QGK12XYZ9", 500_000, "inv 20260203 0001")
    paid = done(await desk.cashier.get("/api/invoices", params={"invoiceId": "inv-20260203-0001"}))
    payment = done(await desk.cashier.get("/api/payments/QGK12XYZ9"))

    assert ("CUST-001", "+254712345678", 0) == (created["customer_id"], created["phone"], created["balance_cents"])
    assert ("UNPAID", 500_000, 500_000) == (issued["status"], issued["balance_cents"], owed)
    assert ("PAID", 0, 0) == (paid["status"], paid["balance_cents"], await desk.balance())
    assert [("QGK12XYZ9", 500_000)] == [
        (one["mpesa_receipt_number"], one["amount_cents"]) for one in paid["allocations"]
    ]
    assert ("ALLOCATED", "INV-20260203-0001") == (payment["status"], payment["allocations"][0]["invoice_id"])


async def test_what_is_answered_is_what_is_documented(desk: Desk) -> None:
    """Every answer has the members of its description, of the types it names, and no other."""
    customer = await desk.customer()
    invoice = await desk.invoice(100_000)
    note = done(
        await desk.accountant.post(
            f"/api/invoices/{invoice['invoice_id']}/credit-notes", json={"amount_cents": 10_000, "reason": "Broken"}
        ),
        201,
    )
    sale = await desk.sale(5_000)
    await desk.paid("QAA1", 7_000, "nonsense")
    (waiting,) = done(await desk.cashier.get("/api/payments", params={"status": "suspense"}))["payments"]
    refund = await proposed(desk)
    whole = done(await desk.cashier.get("/api/invoices", params={"invoiceId": invoice["invoice_id"]}))

    pairs: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (CustomerBody, customer), (InvoiceBody, invoice), (InvoiceBody, whole), (CreditNoteBody, note),
        (SaleBody, sale), (PaymentBody, waiting), (RefundBody, refund),
    ]  # fmt: skip
    for model, view in pairs:
        model.model_validate(view)
        optional = {name for name, field in model.model_fields.items() if not field.is_required()}
        assert set(model.model_fields) - optional <= set(view) <= set(model.model_fields), model


async def test_lines_are_priced_with_their_vat(desk: Desk) -> None:
    """One and a half at 210.00 and 16 % on top: 315.00 and 50.40."""
    await desk.customer()
    line = {"description": "Flour", "quantity_milli": 1_500, "unit_price_cents": 21_000, "vat_rate_bps": 1_600}
    body = {"customer_id": "cust001", "lines": [line], "due_on": "2026-12-01", "memo": "Thank you"}
    invoice = done(await desk.accountant.post("/api/invoices", json=body), 201)

    assert (31_500, 5_040, 36_540) == (invoice["net_cents"], invoice["vat_cents"], invoice["total_cents"])
    assert ("2026-12-01", "Thank you", 1) == (invoice["due_on"], invoice["memo"], invoice["lines"][0]["line_no"])


async def test_invoices_are_listed_by_customer_and_by_what_is_owed(desk: Desk) -> None:
    """Outstanding is what something is owed on; overdue what is past its day; pages follow without gap or repeat."""
    await desk.customer()
    await desk.customer(name="Otieno", phone="0722000000", email=None)
    first = await desk.invoice(1_000, due_on="2026-01-01")
    second = await desk.invoice(2_000, due_on="2030-01-01")
    third = await desk.invoice(3_000, "CUST-002")
    await desk.paid("QAA1", 3_000, third["invoice_id"])

    async def ids(**params: Any) -> list[str]:
        found = done(await desk.cashier.get("/api/invoices", params=params))
        return [one["invoice_id"] for one in found["invoices"]]

    numbers = [one["invoice_id"] for one in (first, second, third)]
    assert numbers[::-1] == await ids()
    assert numbers[1::-1] == await ids(customerId="CUST-001")
    assert numbers[:2] == await ids(status="outstanding")
    assert numbers[:1] == await ids(status="overdue")
    assert numbers[2:] == await ids(status="paid")
    page = done(await desk.cashier.get("/api/invoices", params={"limit": 2}))
    assert numbers[:1] == await ids(limit=2, after=page["next"])
    assert (400, "invalid_request") == refused(await desk.cashier.get("/api/invoices?status=never"))
    assert (404, "not_found") == refused(await desk.cashier.get("/api/invoices?invoiceId=INV-1"))


async def test_a_sale_is_paid_by_cash_and_by_a_payment_that_is_picked(desk: Desk) -> None:
    """Half in cash, half by an M-Pesa payment whose payer named nothing."""
    sale = await desk.sale(10_000)
    pending = done(await desk.cashier.get("/api/pos", params={"status": "pending"}))["sales"]
    half = done(await desk.cashier.post("/api/pos/POS-001/cash", json={"amount_cents": 4_000}))
    await desk.paid("QAA1", 6_000, "for the shop")
    picked = done(await desk.cashier.post("/api/pos/pos-001/payment", json={"mpesa_receipt_number": "QAA1"}))
    paid = done(await desk.cashier.get("/api/pos", params={"posId": "POS-001"}))

    assert (["POS-001"], "PENDING", 6_000) == ([one["pos_id"] for one in pending], sale["status"], half["to_pay_cents"])
    assert ("ALLOCATED", "PAID", 4_000, 6_000) == (
        picked["status"], paid["status"], paid["cash_cents"], paid["mpesa_cents"],
    )  # fmt: skip
    assert [("CASH", 4_000), ("MPESA", 6_000)] == [(one["kind"], one["amount_cents"]) for one in paid["tenders"]]
    assert (409, "sale_not_pending") == refused(await desk.cashier.post("/api/pos/POS-001/cancel"))


async def test_a_push_from_the_till_is_asked_for_once(desk: Desk) -> None:
    """A repeat under the key gets the first answer, which says nothing of whose handset it is; a second one waits."""
    await desk.sale(10_000)
    headers, url, body = {"Idempotency-Key": "push-to-jane"}, "/api/pos/POS-001/push", {"phone": "0712345678"}
    asked = await desk.cashier.post(url, json=body, headers=headers)
    again = await desk.cashier.post(url, json=body, headers=headers)
    second = await desk.cashier.post(url, json=body)
    cents = await desk.cashier.post(url, json={**body, "amount_cents": 150})

    assert (202, 10_000, "INTENDED") == (asked.status_code, read(asked)["amount_cents"], read(asked)["state"])
    assert (asked.content, False) == (again.content, "712345678" in asked.text)
    assert (409, "push_pending") == refused(second)
    assert 1 == len(await desk.office.rows("till_pushes"))
    assert cents.status_code in {409, 422}


async def test_a_cashier_uses_a_payment_for_a_sale_and_nothing_else(desk: Desk) -> None:
    """A number that is an invoice's is no sale, whoever asks."""
    await desk.customer()
    invoice = await desk.invoice(5_000)
    await desk.paid("QAA1", 5_000, None)
    url = f"/api/pos/{invoice['invoice_id']}/payment"

    assert (404, "sale_not_found") == refused(await desk.cashier.post(url, json={"mpesa_receipt_number": "QAA1"}))
    assert 5_000 == await desk.balance()


async def test_money_in_suspense_is_allocated_taken_back_and_moved(desk: Desk) -> None:
    """Found by the queue with a hint, used for an invoice, and for another one after that."""
    await desk.customer()
    first, second = await desk.invoice(5_000), await desk.invoice(5_000)
    await desk.paid("QAA1", 5_000, "what is this")
    (waiting,) = done(await desk.cashier.get("/api/payments", params={"status": "suspense"}))["payments"]
    url = "/api/payments/QAA1/allocate"
    used = done(await desk.accountant.post(url, json={"reference": first["invoice_id"]}))
    (row,) = done(await desk.cashier.get("/api/payments/QAA1"))["allocations"]
    moved = done(
        await desk.accountant.post(
            f"/api/allocations/{row['allocation_id']}/move", json={"reference": second["invoice_id"]}
        )
    )
    newest = done(await desk.cashier.get("/api/payments/QAA1"))["allocations"][-1]
    back = done(
        await desk.accountant.post(f"/api/allocations/{newest['allocation_id']}/reverse", json={"to_suspense": True})
    )

    assert {first["invoice_id"], second["invoice_id"]} <= {one["reference"] for one in waiting["suggestions"]}
    assert ("UNKNOWN_REFERENCE", "ALLOCATED", "ALLOCATED") == (
        waiting["suspense_reason"], used["status"], moved["status"],
    )  # fmt: skip
    assert (None, None, "PLAIN") == (used["payer_form"], moved["payer_form"], waiting["payer_form"])
    assert 5_000 == back["amount_cents"]
    assert 5_000 == done(await desk.cashier.get("/api/payments/QAA1"))["suspense_cents"]
    again = await desk.accountant.post(f"/api/allocations/{newest['allocation_id']}/reverse", json={})
    assert (404, "allocation_not_found") == refused(again)


async def proposed(desk: Desk, by: httpx.AsyncClient | None = None, **changes: Any) -> dict[str, Any]:
    """A refund of 1,000 cents of the payment QAA1."""
    body = {"mpesa_receipt_number": "QAA1", "amount_cents": 1_000, "phone": "0712345678", "reason": "Paid twice"}
    return done(await (by or desk.accountant).post("/api/refunds", json={**body, **changes}), 201)


async def test_the_queue_and_the_refunds_follow_page_by_page(desk: Desk) -> None:
    """`next` of one page is `after` of the following; the last page has none."""
    for number in range(3):
        await desk.paid(f"QAA{number}", 5_000, None)
    asked = [await proposed(desk, reason=f"r{number}") for number in range(3)]

    async def all_of(url: str, name: str, key: str, **params: Any) -> list[str]:
        found, after = [], None
        while True:
            where = {**params, "limit": 2} | ({} if after is None else {"after": after})
            page = done(await desk.cashier.get(url, params=where))
            assert len(page[name]) <= 2
            found += [one[key] for one in page[name]]
            after = page["next"]
            if after is None:
                return found

    queue = await all_of("/api/payments", "payments", "mpesa_receipt_number", status="suspense")
    refunds = await all_of("/api/refunds", "refunds", "refund_id")

    assert ["QAA0", "QAA1", "QAA2"] == sorted(queue)
    assert sorted(one["refund_id"] for one in asked) == sorted(refunds)


async def test_a_refund_takes_two_people(desk: Desk) -> None:
    """Who asked for it cannot approve it, not even an owner; an accountant cannot approve any."""
    await desk.paid("QAA1", 5_000, None)
    refund = await proposed(desk)
    own = await proposed(desk, desk.owner)
    by_accountant = await desk.accountant.post(f"/api/refunds/{refund['refund_id']}/approve")
    by_herself = await desk.owner.post(f"/api/refunds/{own['refund_id']}/approve")
    too_early = await desk.owner.post(f"/api/refunds/{refund['refund_id']}/approve")
    await desk.office.system.executor.execute(VerifyPayment(receipt="QAA1", by="pull"))
    approved = done(await desk.owner.post(f"/api/refunds/{refund['refund_id']}/approve"))
    rejected = done(await desk.accountant.post(f"/api/refunds/{own['refund_id']}/reject"))
    twice = await desk.owner.post(f"/api/refunds/{refund['refund_id']}/approve")

    assert ("PROPOSED", "+2547******78") == (refund["state"], refund["phone"])
    assert [(403, "forbidden"), (403, "own_approval")] == [refused(by_accountant), refused(by_herself)]
    assert (409, "payment_unverified") == refused(too_early)
    assert ("APPROVED", "REJECTED") == (approved["state"], rejected["state"])
    assert (409, "refund_decided") == refused(twice)
    listed = done(await desk.cashier.get("/api/refunds", params={"state": "approved"}))["refunds"]
    assert [refund["refund_id"]] == [one["refund_id"] for one in listed]


ACTS: tuple[tuple[str, str, Any, tuple[int, int, int]], ...] = (
    # method, path, body: cashier, accountant, owner
    ("POST", "/api/customers", {"name": "A"}, (201, 201, 201)),
    ("GET", "/api/customers", None, (200, 200, 200)),
    ("POST", "/api/customers/CUST-001/apply-credit", {}, (403, 409, 409)),
    ("POST", "/api/invoices", {"customer_id": "CUST-001", "amount_cents": 1}, (403, 201, 201)),
    ("GET", "/api/invoices", None, (200, 200, 200)),
    ("POST", "/api/invoices/INV-1/void", None, (403, 404, 404)),
    ("POST", "/api/invoices/INV-1/credit-notes", {"reason": "r"}, (403, 404, 404)),
    ("POST", "/api/pos", {"amount_cents": 100}, (201, 403, 201)),
    ("GET", "/api/pos", None, (200, 200, 200)),
    ("POST", "/api/pos/POS-999/cash", {}, (404, 403, 404)),
    ("POST", "/api/pos/POS-999/payment", {"mpesa_receipt_number": "QAA1"}, (404, 403, 404)),
    ("POST", "/api/pos/POS-999/push", {"phone": "0712345678"}, (404, 403, 404)),
    ("POST", "/api/pos/POS-999/cancel", None, (404, 403, 404)),
    ("GET", "/api/payments", None, (200, 200, 200)),
    ("GET", "/api/payments/QZZ9", None, (404, 404, 404)),
    ("POST", "/api/payments/QZZ9/allocate", {"reference": "CUST-001"}, (403, 404, 404)),
    ("POST", "/api/payments/QZZ9/reverse", {"reversed_by": "SAFARICOM"}, (403, 403, 404)),
    ("POST", "/api/allocations/01900000-0000-7000-8000-000000000000/reverse", {}, (403, 404, 404)),
    ("POST", "/api/allocations/01900000-0000-7000-8000-000000000000/move", {"reference": "x"}, (403, 404, 404)),
    ("POST", "/api/refunds", {"customer_id": "CUST-001", "amount_cents": 100, "phone": "0712345678", "reason": "r"},
     (403, 409, 409)),
    ("GET", "/api/refunds", None, (200, 200, 200)),
    ("POST", "/api/refunds/01900000-0000-7000-8000-000000000000/approve", None, (403, 403, 404)),
    ("POST", "/api/refunds/01900000-0000-7000-8000-000000000000/reject", None, (403, 404, 404)),
)  # fmt: skip


async def test_each_role_may_do_its_own(desk: Desk) -> None:
    """Nobody gets in without a session; whoever is let in and has nothing to do it with is told that instead."""
    await desk.customer()
    for method, path, body, statuses in ACTS:
        found = [
            (await client.request(method, path, json=body)).status_code
            for client in (desk.cashier, desk.accountant, desk.owner)
        ]
        nobody = await desk.stranger.request(method, path, json=body)
        assert (statuses, 401) == (tuple(found), nobody.status_code), (method, path)


async def test_a_key_makes_twins_one_and_replays_the_answer(desk: Desk) -> None:
    """Of twenty identical sales at once one is opened, and all get its bytes; another body under the key is refused."""
    headers = {"Idempotency-Key": "sale-at-till-1"}
    answers = await asyncio.gather(
        *(desk.cashier.post("/api/pos", json={"amount_cents": 5_000}, headers=headers) for _ in range(20))
    )
    other = await desk.cashier.post("/api/pos", json={"amount_cents": 6_000}, headers=headers)
    elsewhere = await desk.cashier.post("/api/pos/POS-001/cash", json={}, headers=headers)
    again = await desk.cashier.post("/api/pos/POS-001/cash", json={}, headers=headers)

    assert ({201}, 1) == ({one.status_code for one in answers}, len({one.content for one in answers}))
    assert 1 == len(await desk.office.rows("pos_sales"))
    assert ((409, "idempotency_conflict"), ["amount_cents"]) == (refused(other), read(other)["fields"])
    assert (200, elsewhere.content) == (again.status_code, again.content)
    for key in ("short", "x" * 129):
        wrong = await desk.cashier.post("/api/pos", json={"amount_cents": 1}, headers={"Idempotency-Key": key})
        assert (422, "invalid_idempotency_key") == refused(wrong)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/customers", {"name": " "}, 400, "invalid_request"),
        ("/api/customers", {"name": "A", "phone": "12"}, 422, "invalid_phone_number"),
        ("/api/customers", {"name": "A", "colour": "red"}, 400, "invalid_request"),
        ("/api/invoices", {"customer_id": "CUST-009", "amount_cents": 5}, 404, "customer_not_found"),
        ("/api/invoices", {"customer_id": "CUST-001"}, 400, "invalid_request"),
        ("/api/invoices", {"customer_id": "CUST-001", "amount_cents": 5, "lines": []}, 400, "invalid_request"),
        ("/api/invoices", {"customer_id": "CUST-001", "amount_cents": 0}, 422, "invalid_amount"),
        ("/api/invoices", {"customer_id": "CUST-001", "amount_cents": "5"}, 400, "invalid_request"),
        ("/api/invoices", {"customer_id": "CUST-001", "amount_cents": -5}, 422, "invalid_line"),
        ("/api/invoices", {"customer_id": "CUST-001", "amount_cents": 5, "due_on": "1.2.2026"}, 400, "invalid_request"),
        ("/api/invoices", {"customer_id": "CUST-001", "lines": []}, 422, "invalid_line"),
        ("/api/invoices", {"customer_id": "CUST-001", "amount_cents": 10**18}, 400, "invalid_request"),
        ("/api/pos", {"amount_cents": 5, "expires_in_minutes": 0}, 400, "invalid_request"),
        ("/api/refunds", {"amount_cents": 5, "phone": "0712345678", "reason": "r"}, 400, "invalid_request"),
        ("/api/payments/QAA1/reverse", {"reversed_by": "ME"}, 400, "invalid_request"),
    ],
)
async def test_bad_input_is_named_and_changes_nothing(
    desk: Desk, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """A clear code, and the books are as they were."""
    await desk.customer()
    before = [len(await desk.office.rows(name)) for name in ("customers", "invoices", "pos_sales", "domain_events")]
    answer = await desk.owner.post(path, json=body)

    assert (status, code) == refused(answer)
    tables = ("customers", "invoices", "pos_sales", "domain_events")
    assert before == [len(await desk.office.rows(name)) for name in tables]


async def test_a_fraction_is_refused_before_it_is_a_number(desk: Desk) -> None:
    """Amounts are cents: 50.5 is no amount."""
    answer = await desk.cashier.post(
        "/api/pos", content=b'{"amount_cents": 50.5}', headers={"Content-Type": "application/json"}
    )

    assert (400, "invalid_request") == refused(answer)


async def test_a_page_of_another_site_can_move_no_money(desk: Desk) -> None:
    """A browser that is logged in is not enough."""
    answer = await desk.owner.post("/api/pos", json={"amount_cents": 5}, headers={"Origin": "http://evil.example"})

    assert (403, "cross_site") == refused(answer)
    assert [] == await desk.office.rows("pos_sales")


async def test_an_invoice_is_credited_and_voided(desk: Desk) -> None:
    """What was paid on it becomes her credit, which pays the next one."""
    await desk.customer()
    invoice = await desk.invoice(5_000)
    await desk.paid("QAA1", 5_000, invoice["invoice_id"])
    url = f"/api/invoices/{invoice['invoice_id']}"
    note = done(await desk.accountant.post(f"{url}/credit-notes", json={"amount_cents": 1_000, "reason": "Late"}), 201)
    after_note = await desk.balance()
    voided = done(await desk.accountant.post(f"{url}/void"))
    after_void = await desk.balance()
    following = await desk.invoice(8_000)

    assert (1_000, -1_000) == (note["total_cents"], after_note)
    assert ("VOID", -5_000) == (voided["status"], after_void)
    assert ("PARTIALLY_PAID", 3_000) == (following["status"], following["balance_cents"])
    assert (409, "invoice_void") == refused(await desk.accountant.post(f"{url}/void"))


async def test_lists_of_nothing_are_empty_and_cursors_are_checked(desk: Desk) -> None:
    """A cursor that is none is the caller's mistake, not ours."""
    assert {"payments": [], "next": None} == done(await desk.cashier.get("/api/payments"))
    assert {"sales": [], "next": None} == done(await desk.cashier.get("/api/pos"))
    for path in ("/api/payments?after=x", "/api/payments?status=x", "/api/pos?status=x", "/api/refunds?state=x"):
        assert (400, "invalid_request") == refused(await desk.cashier.get(path)), path


async def test_the_clock_of_the_business_is_nairobis(desk: Desk) -> None:
    """At half past nine in the evening in London it is the next day's number."""
    await desk.customer()
    desk.office.clock.moment = datetime(2026, 2, 3, 21, 30, tzinfo=UTC)
    token = await desk.office.token(ACCOUNTANT)
    async with desk.office.client(token) as accountant:
        body = {"customer_id": "CUST-001", "amount_cents": 100}
        invoice = done(await accountant.post("/api/invoices", json=body), 201)

    assert ("INV-20260204-0001", "2026-02-04") == (invoice["invoice_id"], invoice["due_on"])
