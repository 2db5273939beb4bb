"""Locking the books over HTTP: who may, what is refused then, and what is answered."""

from __future__ import annotations

from datetime import timedelta

from penpay.domain.shared.nairobi import nairobi_day
from penpay.presentation.http.routes.period_shapes import PeriodLockBody, PeriodLocksBody
from tests.integration.http.desk import Desk, done, refused


async def test_an_accountant_closes_a_month_with_the_owner(desk: Desk) -> None:
    """Nothing bears a day of it any more; the refusal names the day; unlocking takes the same two."""
    await desk.customer()
    day = (nairobi_day(desk.office.clock.now()) - timedelta(days=1)).isoformat()
    asked = done(await desk.accountant.post("/api/period-locks", json={"through": day, "reason": "VAT is filed"}), 201)
    url = f"/api/period-locks/{asked['lock_id']}"
    assert (403, "forbidden") == refused(await desk.accountant.post(f"{url}/approve"))
    assert (403, "forbidden") == refused(await desk.cashier.post(f"{url}/reject"))
    locked = done(await desk.owner.post(f"{url}/approve"))
    assert (409, "lock_decided") == refused(await desk.accountant.post(f"{url}/reject"))

    body = {"customer_id": "CUST-001", "amount_cents": 100, "issued_on": day}
    answer = await desk.accountant.post("/api/invoices", json=body)
    cash = {"direction": "IN", "purpose": "OWNER", "amount_cents": 100, "reason": "Float", "moved_on": day}

    assert (409, "period_locked") == refused(answer)
    assert (day, day) == (answer.json()["locked_through"], answer.json()["day"])
    assert (409, "period_locked") == refused(await desk.accountant.post("/api/cash-movements", json=cash))
    await desk.invoice(100)
    found = done(await desk.cashier.get("/api/period-locks", params={"state": "approved"}))
    assert (day, [locked], None) == (found["locked_through"], found["locks"], found["next"])
    PeriodLocksBody.model_validate(found)
    PeriodLockBody.model_validate(asked)

    unlock = done(await desk.owner.post("/api/period-locks", json={"through": None, "reason": "A mistake"}), 201)
    assert (403, "own_approval") == refused(await desk.owner.post(f"/api/period-locks/{unlock['lock_id']}/approve"))
    done(await desk.accountant.post(f"/api/period-locks/{unlock['lock_id']}/reject"))
    again = done(await desk.accountant.post("/api/period-locks", json={"through": None, "reason": "A mistake"}), 201)
    done(await desk.owner.post(f"/api/period-locks/{again['lock_id']}/approve"))
    done(await desk.accountant.post("/api/cash-movements", json=cash), 201)
    assert 2 == len(await desk.office.audited("period_lock.approved"))


async def test_what_cannot_be_locked_is_refused(desk: Desk) -> None:
    """A cashier asks for nothing; a day to come, no day, and a lock that is not there."""
    tomorrow = (nairobi_day(desk.office.clock.now()) + timedelta(days=1)).isoformat()
    for day in (tomorrow, "2026-1-1"):
        answer = await desk.accountant.post("/api/period-locks", json={"through": day, "reason": "Why"})
        assert (400, "invalid_request") == refused(answer)
    assert (403, "forbidden") == refused(
        await desk.cashier.post("/api/period-locks", json={"through": None, "reason": "Why"})
    )
    nobody = "00000000-0000-0000-0000-000000000001"
    assert (404, "lock_not_found") == refused(await desk.owner.post(f"/api/period-locks/{nobody}/approve"))
