"""Shifts over HTTP: who may open, count and look, and what is answered."""

from __future__ import annotations

from penpay.presentation.http.routes.shift_shapes import CashMovementBody, ShiftBody
from tests.integration.http.desk import Desk, done, refused


async def test_a_cashier_s_day_over_http(desk: Desk) -> None:
    """Float, a sale in cash, milk, and the count: 5 shillings are missing, and the accountant reads so."""
    opened = done(await desk.cashier.post("/api/shifts", json={"float_cents": 100_000}), 201)
    await desk.sale(11_600)
    done(await desk.cashier.post("/api/pos/POS-001/cash", json={}))
    milk = {"direction": "OUT", "purpose": "EXPENSE", "amount_cents": 5_000, "reason": "Milk"}
    moved = done(await desk.cashier.post("/api/shifts/SHIFT-001/cash-movements", json=milk), 201)
    closed = done(await desk.cashier.post("/api/shifts/shift-001/close", json={"counted_cents": 106_100}))
    read = done(await desk.accountant.get("/api/shifts", params={"shiftId": "SHIFT-001"}))
    listed = done(await desk.accountant.get("/api/shifts", params={"state": "closed"}))["shifts"]

    assert ("SHIFT-001", "OPEN", 100_000) == (opened["shift_id"], opened["state"], opened["expected_cents"])
    assert (106_600, 106_100, -500) == (
        closed["expected_cents"], closed["counted_cents"], closed["difference_cents"],
    )  # fmt: skip
    assert {**closed, "movements": [moved]} == read
    assert [closed] == listed
    assert [moved] == done(await desk.accountant.get("/api/cash-movements"))["movements"]
    for model, view in ((ShiftBody, read), (ShiftBody, opened), (CashMovementBody, moved)):
        model.model_validate(view)
        assert set(view) <= set(model.model_fields)
    assert 1 == len(await desk.office.audited("shift.closed"))


async def test_a_shift_is_opened_and_closed_once_under_a_key(desk: Desk) -> None:
    """A repeat gets the first answer; without the key it is told how things are."""
    headers = {"Idempotency-Key": "my-shift-today"}
    first, again = [await desk.cashier.post("/api/shifts", json={"float_cents": 0}, headers=headers) for _ in range(2)]

    assert (201, first.content) == (first.status_code, again.content)
    assert (409, "shift_open") == refused(await desk.cashier.post("/api/shifts", json={"float_cents": 0}))
    url = "/api/shifts/SHIFT-001/close"
    done(await desk.cashier.post(url, json={"counted_cents": 0}))
    assert (409, "shift_not_open") == refused(await desk.cashier.post(url, json={"counted_cents": 0}))
    assert (404, "shift_not_found") == refused(
        await desk.cashier.post("/api/shifts/SHIFT-002/close", json={"counted_cents": 0})
    )
    assert (404, "not_found") == refused(await desk.cashier.get("/api/shifts?shiftId=SHIFT-002"))


async def test_who_may_do_what_with_cash(desk: Desk) -> None:
    """An accountant opens no drawer and books the safe; a cashier the other way round; an owner closes anybody's."""
    banked = {"direction": "IN", "purpose": "BANK", "amount_cents": 5_000, "reason": "Change"}
    done(await desk.cashier.post("/api/shifts", json={"float_cents": 100}), 201)

    assert (403, "forbidden") == refused(await desk.accountant.post("/api/shifts", json={"float_cents": 0}))
    assert (403, "forbidden") == refused(await desk.cashier.post("/api/cash-movements", json=banked))
    assert (403, "forbidden") == refused(await desk.cashier.get("/api/cash-movements"))
    assert (401, "unauthorized") == refused(await desk.stranger.get("/api/shifts"))
    done(await desk.accountant.post("/api/cash-movements", json=banked), 201)
    more = {**banked, "direction": "OUT", "amount_cents": 5_000}
    assert (409, "cash_too_small") == refused(await desk.accountant.post("/api/cash-movements", json=more))
    assert (400, "invalid_request") == refused(
        await desk.owner.post("/api/shifts/SHIFT-001/cash-movements", json={**banked, "purpose": "GIFT"})
    )
    closed = done(await desk.owner.post("/api/shifts/SHIFT-001/close", json={"counted_cents": 100}))
    assert closed["cashier"] != closed["closed_by"]


async def test_a_cashier_does_not_close_another_s_shift(desk: Desk) -> None:
    """The owner's own shift is hers."""
    done(await desk.owner.post("/api/shifts", json={"float_cents": 0}), 201)

    answer = await desk.cashier.post("/api/shifts/SHIFT-001/close", json={"counted_cents": 0})

    assert (403, "not_your_shift") == refused(answer)
