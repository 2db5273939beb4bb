"""Shifts: a drawer is opened with a float, sales and movements change it, and counting it again ends it for good."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from penpay.application.collections.selling import CancelSale, ExpireSale, OpenSale, TakeCash
from penpay.application.collections.shifts import CloseShift, MoveCash, OpenShift
from penpay.domain.collections.allocation import SaleId
from penpay.domain.collections.errors import CashTooSmall, NotYourShift, ShiftNotFound, ShiftNotOpen, ShiftOpen
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.shift import CashDirection, CashPurpose, ShiftState
from penpay.domain.shared.errors import InvalidAmount, InvalidRequest
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.collections_shifts import SqlShifts
from tests.contract.collections.stage import OTHER, STAFF, Stage, kes, opened

IN, OUT = CashDirection.IN, CashDirection.OUT


async def begin(stage: Stage, shillings: int, who: str = STAFF) -> str:
    """A shift with this float."""
    return str((await stage.do(OpenShift(cashier=who, opening_float=kes(shillings), by=who)))["shift_id"])


async def sell(stage: Stage, shillings: int, who: str | None = STAFF) -> str:
    """A sale with 16 % VAT in it."""
    item = LineItem(description="Flour", unit_price=kes(shillings), vat_rate_bps=1_600)
    return str((await stage.do(OpenSale(items=(item,), cashier=who, by=STAFF)))["pos_id"])


async def cash(stage: Stage, sale: str, shillings: int, who: str | None = STAFF) -> None:
    await stage.do(TakeCash(pos_number=sale, amount=kes(shillings), cashier=who, by=STAFF))


def moving(shift: str | None, direction: CashDirection, purpose: CashPurpose, shillings: int) -> MoveCash:
    return MoveCash(
        shift_number=shift, direction=direction, purpose=purpose, amount=kes(shillings), reason="Why", by=STAFF
    )


async def close(stage: Stage, shift: str, shillings: int, who: str = STAFF, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await stage.do(CloseShift(shift_number=shift, counted=kes(shillings), by=who, **more))
    return answer


async def holds(stage: Stage) -> None:
    """All that `collections verify` proves."""
    await stage.agrees()
    assert [] == list(await SqlCollectionsReports(stage.engine, clock=stage.clock).verify())


async def test_a_day_at_the_till_is_counted_and_the_difference_is_booked(stage: Stage) -> None:
    """Float 2,000, 348 in cash and 116 by M-Pesa, 500 to the bank, 50 for milk: 1,798 expected, 1,790 counted."""
    shift = await begin(stage, 2_000)
    first, second, third = [await sell(stage, shillings) for shillings in (232, 116, 116)]
    await cash(stage, first, 232)
    await cash(stage, second, 116)
    await stage.paid("R1", kes(116), third)
    await stage.do(moving(shift, OUT, CashPurpose.BANK, 500))
    await stage.do(moving(shift, OUT, CashPurpose.EXPENSE, 50))
    assert {"1000": -200_000, "1005": 179_800} == {
        code: cents for code, cents in (await stage.trial_balance()).items() if code in {"1000", "1005"}
    }
    await holds(stage)

    report = await close(stage, shift, 1_790)

    assert (179_800, 179_000, -800) == (
        report["expected_cents"], report["counted_cents"], report["difference_cents"],
    )  # fmt: skip
    assert ("CLOSED", 34_800, 55_000, 3, 11_600) == (
        report["state"], report["cash_taken_cents"], report["cash_out_cents"], report["sales_count"],
        report["mpesa_cents"],
    )  # fmt: skip
    assert {
        "1000": -21_000,
        "1010": 11_600,
        "1020": 50_000,
        "2200": 6_400,
        "4000": 40_000,
        "5200": 800,
        "5300": 5_000,
    } == await stage.trial_balance()
    await holds(stage)


@pytest.mark.parametrize(("counted", "over_and_short"), [(1_100, 0), (1_250, -15_000), (0, 110_000)])
async def test_what_is_counted_decides_what_is_over_or_short(stage: Stage, counted: int, over_and_short: int) -> None:
    """1,100 expected: nothing is booked, or what is over, or all of it is missing."""
    shift = await begin(stage, 1_000)
    await cash(stage, await sell(stage, 100), 100)

    await close(stage, shift, counted)

    assert (over_and_short, 0) == (await stage.account("5200"), await stage.account("1005"))
    assert 100 * (counted - 1_000) == await stage.account("1000")
    await holds(stage)


async def test_a_float_of_nothing_counted_as_nothing_posts_nothing(stage: Stage) -> None:
    """A drawer that was never used leaves the ledger alone."""
    await close(stage, await begin(stage, 0), 0)

    assert 0 == await stage.one("SELECT count(*) FROM ledger_journals")
    with pytest.raises(InvalidAmount):
        await begin(stage, -1)
    with pytest.raises(InvalidAmount):
        await close(stage, await begin(stage, 0), -1)
    await holds(stage)


async def test_a_cashier_has_one_open_shift_and_another_has_her_own(stage: Stage) -> None:
    """A second one is refused until the first is closed."""
    first = await begin(stage, 100)
    with pytest.raises(ShiftOpen):
        await begin(stage, 100)
    await begin(stage, 50, OTHER)

    await close(stage, first, 100)

    assert "SHIFT-003" == await begin(stage, 10)
    assert 6_000 == await stage.account("1005")


async def test_closing_and_opening_in_one_batch_are_two_shifts(stage: Stage) -> None:
    """What waits together is done one after the other: the second shift is not written over the first."""
    shift = await begin(stage, 100)

    answers = await stage.together(
        [
            CloseShift(shift_number=shift, counted=kes(100), by=STAFF),
            OpenShift(cashier=STAFF, opening_float=kes(70), by=STAFF),
            OpenShift(cashier=STAFF, opening_float=kes(30), by=STAFF),
        ]
    )

    assert ["CLOSED", "OPEN"] == [one["state"] for one in answers[:2]]
    assert isinstance(answers[2], ShiftOpen)
    assert 7_000 == await stage.account("1005")
    await holds(stage)


async def test_two_processes_open_one_shift_for_a_cashier(url: str) -> None:
    """Both are asked at the same moment; one opens it and the other is told of it."""
    async with opened(url) as here, opened(url) as there:
        commands = [OpenShift(cashier=STAFF, opening_float=kes(10), by=STAFF) for _ in range(2)]
        answers = await asyncio.gather(here.do(commands[0]), there.do(commands[1]), return_exceptions=True)

        assert 1 == sum(isinstance(one, ShiftOpen) for one in answers), answers
        assert 1 == await here.one("SELECT count(*) FROM till_shifts")


async def test_a_closed_shift_never_changes(stage: Stage) -> None:
    """Neither cash nor movements nor a second count reach it; what is sold afterwards is in no shift."""
    shift = await begin(stage, 100)
    sale = await sell(stage, 200)
    await cash(stage, sale, 50)
    await close(stage, shift, 150)
    before = await stage.rows("SELECT * FROM till_shifts")

    for command in (
        CloseShift(shift_number=shift, counted=kes(1), by=STAFF),
        moving(shift, IN, CashPurpose.OWNER, 5),
    ):
        with pytest.raises(ShiftNotOpen):
            await stage.do(command)
    await cash(stage, sale, 50)
    await stage.paid("R1", kes(40), sale)
    await stage.do(CancelSale(pos_number=sale, cashier=STAFF, by=STAFF))

    assert before == await stage.rows("SELECT * FROM till_shifts")
    assert 0 == await stage.account("1000")
    await holds(stage)


async def test_a_sale_needs_no_shift(stage: Stage) -> None:
    """Cash that somebody without an open shift takes is in 1000, whoever else has one."""
    await begin(stage, 100, OTHER)

    await cash(stage, await sell(stage, 116), 116)

    assert (1_600, 10_000) == (await stage.account("1000"), await stage.account("1005"))
    assert [(None,)] == await stage.rows("SELECT shift_id FROM pos_tenders")
    await holds(stage)


async def test_cash_is_handed_back_out_of_the_drawer_of_whoever_cancels(stage: Stage) -> None:
    """One cashier took it twice, another hands all of it back."""
    await begin(stage, 100)
    await begin(stage, 100, OTHER)
    sale = await sell(stage, 116)
    await cash(stage, sale, 50)
    await cash(stage, sale, 20)

    await stage.do(CancelSale(pos_number=sale, cashier=OTHER, by=OTHER))

    assert [(7_000, 0), (0, 7_000)] == await stage.rows(
        "SELECT taken_cents, returned_cents FROM till_shifts ORDER BY shift_number"
    )
    await holds(stage)


@pytest.mark.parametrize("closed", [False, True])
async def test_cash_of_a_sale_that_expires_comes_out_of_the_drawer_that_took_it(stage: Stage, *, closed: bool) -> None:
    """As long as that is open; else out of the cash that is in no drawer."""
    shift = await begin(stage, 100)
    sale = await sell(stage, 116)
    await cash(stage, sale, 50)
    if closed:
        await close(stage, shift, 150)
        await begin(stage, 0)
    sale_id = SaleId(stage.identifier(await stage.one("SELECT id FROM pos_sales")))
    stage.clock.moment += timedelta(minutes=31)

    await stage.do(ExpireSale(sale_id=sale_id))

    assert (0 if closed else 5_000) == await stage.one("SELECT sum(returned_cents) FROM till_shifts")
    assert (0 if closed else -10_000) == await stage.account("1000")
    await holds(stage)


async def test_cash_comes_and_goes_without_a_sale(stage: Stage) -> None:
    """From the owner, the bank and the safe, and back; no more goes than is there."""
    shift = await begin(stage, 0)
    await stage.do(moving(None, IN, CashPurpose.OWNER, 1_000))
    await stage.do(moving(shift, IN, CashPurpose.SAFE, 300))
    await stage.do(moving(shift, IN, CashPurpose.BANK, 200))
    await stage.do(moving(shift, OUT, CashPurpose.OWNER, 100))
    await stage.do(moving(shift, OUT, CashPurpose.SAFE, 50))
    for short in (moving(shift, OUT, CashPurpose.BANK, 351), moving(None, OUT, CashPurpose.BANK, 751)):
        with pytest.raises(CashTooSmall):
            await stage.do(short)
    await stage.do(moving(None, OUT, CashPurpose.BANK, 750))

    assert {
        "1005": 35_000,
        "1020": 55_000,
        "3100": -10_000,
        "equity:owner:KES": 100_000,
    } == await stage.trial_balance()
    found: Any = await SqlShifts(stage.engine).shift("shift001")
    assert ["IN", "IN", "OUT", "OUT"] == [one["direction"] for one in found["movements"]]
    await holds(stage)


@pytest.mark.parametrize(
    ("shift", "direction", "purpose", "shillings", "reason", "error"),
    [
        ("SHIFT-001", IN, CashPurpose.EXPENSE, 1, "Why", InvalidRequest),
        (None, OUT, CashPurpose.SAFE, 1, "Why", InvalidRequest),
        ("SHIFT-001", IN, CashPurpose.OWNER, 0, "Why", InvalidAmount),
        ("SHIFT-001", IN, CashPurpose.OWNER, 1, " ", InvalidRequest),
    ],
)
def test_a_movement_that_cannot_be_is_refused(
    *,
    shift: str | None,
    direction: CashDirection,
    purpose: CashPurpose,
    shillings: int,
    reason: str,
    error: type[Exception],
) -> None:
    """An expense brings nothing in, the safe is beside a drawer, an amount moves something, a reason says something."""
    with pytest.raises(error):
        MoveCash(
            shift_number=shift, direction=direction, purpose=purpose, amount=kes(shillings), reason=reason, by=STAFF
        )


async def test_a_shift_is_its_cashier_s_and_an_owner_s(stage: Stage) -> None:
    """Another cashier neither moves cash in it nor closes it; an owner may."""
    shift = await begin(stage, 100)

    with pytest.raises(NotYourShift):
        await close(stage, shift, 100, OTHER)
    with pytest.raises(ShiftNotFound):
        await close(stage, "SHIFT-9", 100)

    assert OTHER == (await close(stage, shift, 100, OTHER, is_owner=True))["closed_by"]


async def test_shifts_are_listed_by_state_and_cashier_page_by_page(stage: Stage) -> None:
    """The newest first; one that is open is told with what was sold until now."""
    books = SqlShifts(stage.engine)
    await close(stage, await begin(stage, 1), 1)
    await begin(stage, 2, OTHER)
    await begin(stage, 3)
    await sell(stage, 10)
    await sell(stage, 20)

    async def numbers(**which: Any) -> list[object]:
        return [one["shift_id"] for one in (await books.shifts(10, **which)).items]

    first = await books.shifts(1)
    assert ["SHIFT-003", "SHIFT-002", "SHIFT-001"] == await numbers()
    assert ["SHIFT-003"] == [one["shift_id"] for one in first.items]
    assert ["SHIFT-002", "SHIFT-001"] == await numbers(after=first.next)
    assert ["SHIFT-001"] == await numbers(state=ShiftState.CLOSED)
    assert ["SHIFT-002"] == await numbers(state=ShiftState.OPEN, cashier=OTHER)
    found = await books.shift("SHIFT-003")
    assert found is not None
    assert (2, 0, None) == (found["sales_count"], found["mpesa_cents"], found["counted_cents"])
    assert await books.shift("SHIFT-9") is None
    assert [] == list((await books.cash_movements(10)).items)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE till_shifts SET open_by = NULL",
        "UPDATE till_shifts SET counted_cents = -1",
        "UPDATE till_shifts SET float_cents = -1",
        "UPDATE till_shifts SET open_by = 'staff:somebody'",
    ],
)
async def test_the_database_refuses_a_shift_that_cannot_be(stage: Stage, change: str) -> None:
    """Closed without a count, less than nothing in the drawer, open for somebody else."""
    await begin(stage, 1)

    with pytest.raises(DBAPIError):
        await stage.change(change)


@pytest.mark.parametrize(
    ("change", "check", "difference"),
    [
        ("UPDATE till_shifts SET taken_cents = taken_cents + 1", "shift_taken", 1),
        ("UPDATE till_shifts SET returned_cents = 1", "shift_returned", 1),
        ("UPDATE till_shifts SET in_cents = in_cents + 1", "shift_in", 1),
        ("UPDATE till_shifts SET out_cents = out_cents + 1", "shift_out", 1),
        ("UPDATE till_shifts SET float_cents = float_cents + 1", "cash_total", 1),
        ("UPDATE till_shifts SET float_cents = float_cents + 1", "drawers_total", -1),
        ("UPDATE till_shifts SET taken_cents = taken_cents + 1", "drawers_total", -1),
    ],
)
async def test_a_drawer_that_does_not_add_up_is_found(stage: Stage, change: str, check: str, difference: int) -> None:
    """A cent that is in no tender, movement or journal."""
    shift = await begin(stage, 100)
    await cash(stage, await sell(stage, 116), 116)
    await stage.do(moving(shift, IN, CashPurpose.BANK, 5))
    await stage.change(change)

    errors = await SqlCollectionsReports(stage.engine, clock=stage.clock).verify()

    assert (check, difference) in {(one.check, one.difference.cents) for one in errors}
