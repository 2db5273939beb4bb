"""The till: cash, M-Pesa and both for one sale, and sales that end without being paid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penpay.application.collections.allocating import AllocatePayment
from penpay.application.collections.selling import CancelSale, ExpireSale, OpenSale, TakeCash
from penpay.domain.collections.allocation import SaleId
from penpay.domain.collections.errors import SaleNotPending, TenderTooLarge
from penpay.domain.collections.line import LineItem
from tests.contract.collections.stage import STAFF, Stage, kes


async def sell(stage: Stage, shillings: int, *, customer: str | None = None, cost: int | None = None) -> str:
    """A sale of so much with 16 % VAT in it."""
    item = LineItem(
        description="Flour",
        unit_price=kes(shillings),
        vat_rate_bps=1_600,
        unit_cost=None if cost is None else kes(cost),
    )
    return str((await stage.do(OpenSale(items=(item,), customer_number=customer, by=STAFF)))["pos_id"])


async def test_a_payment_with_the_sale_s_number_settles_it(stage: Stage) -> None:
    """116 with 16 in VAT, of goods that cost 70: revenue, VAT, and the goods leave the stock."""
    assert "POS-001" == await sell(stage, 116, cost=70)

    await stage.paid("R1", kes(116), "pos001")

    assert [("PAID", 11_600)] == await stage.rows("SELECT status, mpesa_cents FROM pos_sales")
    assert {
        "1010": 11_600,
        "1300": -7_000,
        "2200": 1_600,
        "4000": 10_000,
        "5000": 7_000,
    } == await stage.trial_balance()
    await stage.agrees()


async def test_a_sale_is_paid_in_cash_and_by_m_pesa(stage: Stage) -> None:
    """A part payment waits in 2350 until the other tender completes the sale."""
    await sell(stage, 116)

    await stage.do(TakeCash(pos_number="POS-001", amount=kes(50), by=STAFF))
    assert {"1000": 5_000, "2350": 5_000} == await stage.trial_balance()
    with pytest.raises(TenderTooLarge):
        await stage.do(TakeCash(pos_number="POS-001", amount=kes(67), by=STAFF))
    await stage.paid("R1", kes(66), "POS-001")

    assert {"1000": 5_000, "1010": 6_600, "2200": 1_600, "4000": 10_000} == await stage.trial_balance()
    with pytest.raises(SaleNotPending):
        await stage.do(TakeCash(pos_number="POS-001", by=STAFF))
    await stage.agrees()


async def test_a_payment_in_suspense_is_picked_for_a_sale(stage: Stage) -> None:
    """The customer typed nonsense; the cashier finds her payment, and what is too much stays in suspense."""
    await sell(stage, 116)
    await stage.paid("R1", kes(200), "nonsense")

    await stage.do(AllocatePayment(receipt="R1", reference="POS-001", by=STAFF))

    assert [("PAID",)] == await stage.rows("SELECT status FROM pos_sales")
    assert 8_400 == await stage.account("2300")
    await stage.agrees()


@pytest.mark.parametrize(("named", "credit", "suspense"), [("CUST-001", 84, 0), (None, 0, 84)])
async def test_more_than_a_sale_costs_is_credit_or_suspense(
    stage: Stage, named: str | None, credit: int, suspense: int
) -> None:
    """A sale that names a customer gives her the rest as credit."""
    await stage.customer()
    await sell(stage, 116, customer=named)

    await stage.paid("R1", kes(200), "POS-001")

    assert (100 * credit, 100 * suspense) == (await stage.account("2100"), await stage.account("2300"))
    await stage.agrees()


@pytest.mark.parametrize(("named", "credit", "suspense"), [("CUST-001", 40, 0), (None, 0, 40)])
async def test_a_sale_that_is_not_paid_in_time_expires(
    stage: Stage, named: str | None, credit: int, suspense: int
) -> None:
    """Cash goes back over the counter; what M-Pesa brought is credit, or waits; a payment after that too."""
    await stage.customer()
    await sell(stage, 116, customer=named)
    await stage.do(TakeCash(pos_number="POS-001", amount=kes(50), by=STAFF))
    await stage.paid("R1", kes(40), "POS-001")
    sale_id = SaleId(stage.identifier(await stage.one("SELECT id FROM pos_sales")))

    await stage.do(ExpireSale(sale_id=sale_id))
    assert [("PENDING",)] == await stage.rows("SELECT status FROM pos_sales")
    stage.clock.moment += timedelta(minutes=31)
    for _ in range(2):
        await stage.do(ExpireSale(sale_id=sale_id))

    assert [("EXPIRED", 0, 0)] == await stage.rows("SELECT status, cash_cents, mpesa_cents FROM pos_sales")
    assert (0, 100 * credit, 100 * suspense) == (
        await stage.account("1000"),
        await stage.account("2100"),
        await stage.account("2300"),
    )
    await stage.agrees()
    await stage.paid("R2", kes(116), "POS-001")
    assert 15_600 == await stage.account("2100") + await stage.account("2300")
    await stage.agrees()


async def test_a_cancelled_sale_is_over(stage: Stage) -> None:
    """Nobody can pay it any more or cancel it again."""
    await sell(stage, 116)
    await stage.do(CancelSale(pos_number="POS-001", by=STAFF))

    for command in (CancelSale(pos_number="POS-001", by=STAFF), TakeCash(pos_number="POS-001", by=STAFF)):
        with pytest.raises(SaleNotPending):
            await stage.do(command)
    assert {} == await stage.trial_balance()
    await stage.agrees()
