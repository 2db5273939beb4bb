"""The back office over HTTP: what is billed again and again, and what left the PayBill."""

from __future__ import annotations

from penpay.application.collections.outflows import BookOutflow
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.http.routes.outflows import OutflowBody
from penpay.presentation.http.routes.recurring import RecurringBody
from penpay.presentation.http.routes.reminders import PolicyBody
from tests.integration.http.desk import Desk, done, refused
from tests.integration.http.stage import read


async def test_what_left_is_listed_and_explained_by_an_accountant(desk: Desk) -> None:
    """Everybody may look; an accountant says what it was, once under a key, and not what only the books can know."""
    told = BookOutflow(receipt="QOUT1", amount=Money(30_000, Currency.KES), at=None, told="Salary", by="test")
    await desk.office.system.executor.execute(told)
    (waiting,) = done(await desk.cashier.get("/api/outflows", params={"use": "unexplained"}))["outflows"]
    url, headers = "/api/outflows/QOUT1/explain", {"Idempotency-Key": "salary-of-january"}
    said = await desk.accountant.post(url, json={"use": "EXPENSE"}, headers=headers)
    again = await desk.accountant.post(url, json={"use": "EXPENSE"}, headers=headers)

    OutflowBody.model_validate(waiting)
    assert set(waiting) == set(OutflowBody.model_fields)
    assert ("UNEXPLAINED", "UNKNOWN_RECEIPT", "Salary") == (waiting["use"], waiting["reason"], waiting["told"])
    assert ("EXPENSE", said.content) == (done(said)["use"], again.content)
    assert [] == done(await desk.cashier.get("/api/outflows", params={"use": "unexplained"}))["outflows"]
    assert (400, "invalid_request") == refused(await desk.accountant.post(url, json={"use": "REFUND"}))
    assert (403, "forbidden") == refused(await desk.cashier.post(url, json={"use": "BANK"}))
    assert (404, "outflow_not_found") == refused(
        await desk.accountant.post("/api/outflows/QNONE/explain", json={"use": "BANK"})
    )


async def test_a_customer_is_billed_again_and_again_until_somebody_ends_it(desk: Desk) -> None:
    """Made once under a key, found, paused, resumed and ended; the fields of a wrong schedule are named."""
    await desk.customer()
    url, headers = "/api/recurring-invoices", {"Idempotency-Key": "rent-of-shop-4"}
    body = {"customer_id": "cust-001", "amount_cents": 100_000, "every": "MONTH", "starts_on": "2099-01-31"}
    made = done(await desk.accountant.post(url, json=body, headers=headers), 201)
    again = done(await desk.accountant.post(url, json=body, headers=headers), 201)
    steps = [done(await desk.accountant.post(f"{url}/REC-001/{step}")) for step in ("pause", "resume", "end")]
    listed = done(await desk.cashier.get(url, params={"customerId": "CUST-001", "state": "ended"}))
    (found,) = listed["recurring_invoices"]

    RecurringBody.model_validate(made)
    assert set(made) == set(RecurringBody.model_fields)
    assert ("REC-001", "ACTIVE", "2099-01-31", 100_000) == (
        made["recurring_id"], made["state"], made["next_on"], made["total_cents"],
    )  # fmt: skip
    assert (made, ["PAUSED", "ACTIVE", "ENDED"]) == (again, [step["state"] for step in steps])
    assert (None, "ENDED") == (found["next_on"], found["state"])
    assert (409, "recurring_over") == refused(await desk.accountant.post(f"{url}/REC-001/end"))
    assert (404, "recurring_not_found") == refused(await desk.accountant.post(f"{url}/REC-9/end"))
    assert (403, "forbidden") == refused(await desk.cashier.post(url, json=body))
    for wrong in ({"interval": 0}, {"starts_on": "2020-01-01"}, {"due_days": -1}, {"every": "YEAR"}):
        answer = await desk.accountant.post(url, json={**body, **wrong})
        assert (400, list(wrong)) == (answer.status_code, read(answer)["fields"])


async def test_an_owner_turns_reminders_on_and_an_accountant_leaves_a_customer_out(desk: Desk) -> None:
    """Off with the usual levels before; what is answered is what is documented."""
    created = await desk.customer()
    before = done(await desk.cashier.get("/api/reminders/policy"))
    on = {"is_on": True, "levels": [-1, 14]}
    after = done(await desk.owner.post("/api/reminders/policy", json=on))
    url = f"/api/customers/{created['customer_id']}/reminders"
    out = [done(await desk.accountant.post(f"{url}/{wish}")) for wish in ("stop", "stop", "allow")]
    invoice = await desk.invoice(100_000)
    listed = done(await desk.cashier.get("/api/reminders", params={"invoiceId": invoice["invoice_id"]}))

    for view in (before, after):
        PolicyBody.model_validate(view)
        assert set(view) == set(PolicyBody.model_fields)
    assert (False, [-3, 0, 7, 30], None) == (before["is_on"], before["levels"], before["changed_by"])
    assert (on, after) == (
        {"is_on": after["is_on"], "levels": after["levels"]},
        done(await desk.cashier.get("/api/reminders/policy")),
    )
    assert [False, False, True] == [one["is_reminded"] for one in out]
    assert {"reminders": []} == listed
    assert (403, "forbidden") == refused(await desk.accountant.post("/api/reminders/policy", json=on))
    assert (400, "invalid_request") == refused(
        await desk.owner.post("/api/reminders/policy", json={**on, "levels": []})
    )
    assert (404, "customer_not_found") == refused(await desk.accountant.post("/api/customers/CUST-9/reminders/stop"))
    assert (400, "invalid_request") == refused(await desk.accountant.post(f"{url}/perhaps"))
