"""Allocating by hand: suspense, credit, and taking either back, with books that agree after every step."""

from __future__ import annotations

from typing import Any

import pytest

from penpay.application.collections.allocating import AllocatePayment, Reallocate, Unallocate
from penpay.application.collections.crediting import ApplyCredit
from penpay.application.collections.invoicing import IssueCreditNote, VoidInvoice
from penpay.domain.collections.allocation import AllocationId
from penpay.domain.collections.errors import (
    AllocationNotFound,
    CreditNoteTooLarge,
    CreditTooSmall,
    InvoiceVoid,
    SuspenseTooSmall,
    UnknownReference,
)
from penpay.domain.shared.money import Money
from tests.contract.collections.stage import COUNTS, STAFF, Stage, kes


def allocate(receipt: str, reference: str, amount: Money | None = None) -> AllocatePayment:
    return AllocatePayment(receipt=receipt, reference=reference, amount=amount, by=STAFF)


async def counting(stage: Stage, target: str) -> list[AllocationId]:
    """The allocations of this kind that count, oldest first."""
    found = await stage.rows(
        f"SELECT id FROM payment_allocations a WHERE target = '{target}' AND {COUNTS} ORDER BY created_at, id"
    )
    return [AllocationId(stage.identifier(row[0])) for row in found]


async def balances(stage: Stage) -> dict[str, int]:
    return {str(number): int(left) for number, left in await stage.rows("SELECT invoice_number, balance FROM invoices")}


async def test_suspense_is_allocated_in_parts(stage: Stage) -> None:
    """Of 100 that nobody could place, 30 pay an invoice and the rest is credit; more than is there is refused."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(30), "A-1")
    await stage.paid("R1", kes(100), "who knows")

    await stage.do(allocate("R1", "a1", kes(30)))
    with pytest.raises(SuspenseTooSmall):
        await stage.do(allocate("R1", customer, kes(71)))
    answer = await stage.do(allocate("R1", customer))

    assert ("ALLOCATED", 0, customer) == (answer["status"], answer["suspense_cents"], answer["customer_id"])
    assert {"1010": 10_000, "2100": 7_000, "4000": 3_000} == await stage.trial_balance()
    await stage.agrees()


async def test_by_hand_too_a_reference_must_name_one_thing(stage: Stage) -> None:
    """A number that is not there, two things of one number, and a void invoice are refused and change nothing."""
    customer = await stage.customer("SAME")
    await stage.invoice(customer, kes(30), "SAME")
    await stage.invoice(customer, kes(30), "A-1")
    await stage.do(VoidInvoice(invoice_number="A-1", by=STAFF))
    await stage.paid("R1", kes(100), None)

    for reference, error in (("A-9", UnknownReference), ("same", UnknownReference), ("A-1", InvoiceVoid)):
        with pytest.raises(error):
            await stage.do(allocate("R1", reference))

    assert 10_000 == await stage.account("2300")
    await stage.agrees()


async def test_what_was_allocated_wrongly_is_taken_back(stage: Stage) -> None:
    """From an invoice into credit, and from there into suspense; each row is reversed once."""
    customer = await stage.customer(auto=False)
    await stage.invoice(customer, kes(100), "A-1")
    await stage.paid("R1", kes(60), "A-1")
    (paying,) = await counting(stage, "INVOICE")

    await stage.do(Unallocate(allocation_id=paying, by=STAFF))
    assert ({"A-1": 10_000}, 6_000) == (await balances(stage), await stage.account("2100"))
    with pytest.raises(AllocationNotFound):
        await stage.do(Unallocate(allocation_id=paying, by=STAFF))
    (credit,) = await counting(stage, "CREDIT")
    await stage.do(Unallocate(allocation_id=credit, to_suspense=True, by=STAFF))

    assert ("SUSPENSE", 6_000) == (await stage.rows("SELECT status, suspense_cents FROM payments"))[0]
    assert [("UNPAID",)] == await stage.rows("SELECT status FROM invoices")
    await stage.agrees()


async def test_credit_that_was_used_cannot_be_taken_into_suspense(stage: Stage) -> None:
    """A customer's credit never falls below zero."""
    customer = await stage.customer()
    await stage.paid("R1", kes(60), customer)
    (credit,) = await counting(stage, "CREDIT")
    await stage.invoice(customer, kes(50), "A-1")

    with pytest.raises(CreditTooSmall):
        await stage.do(Unallocate(allocation_id=credit, to_suspense=True, by=STAFF))

    await stage.agrees()


async def test_money_is_moved_to_another_customer_s_invoice(stage: Stage) -> None:
    """Only rows are added: the old one, its reversal, and the new one."""
    wrong, right = await stage.customer(), await stage.customer()
    await stage.invoice(wrong, kes(100), "A-1")
    await stage.invoice(right, kes(100), "B-1")
    await stage.paid("R1", kes(80), "A-1")
    (paying,) = await counting(stage, "INVOICE")

    await stage.do(Reallocate(allocation_id=paying, reference="b1", by=STAFF))

    assert {"A-1": 10_000, "B-1": 2_000} == await balances(stage)
    assert 3 == await stage.one("SELECT count(*) FROM payment_allocations")
    await stage.agrees()


async def test_credit_is_applied_by_hand(stage: Stage) -> None:
    """To one invoice, or to the oldest, and never more than there is."""
    customer = await stage.customer(auto=False)
    await stage.paid("R1", kes(100), customer)
    await stage.invoice(customer, kes(50), "A-1")
    await stage.invoice(customer, kes(70), "A-2")

    await stage.do(ApplyCredit(customer_number=customer, invoice_number="A-2", amount=kes(20), by=STAFF))
    await stage.do(ApplyCredit(customer_number=customer, by=STAFF))
    with pytest.raises(CreditTooSmall):
        await stage.do(ApplyCredit(customer_number=customer, by=STAFF))

    assert ({"A-1": 0, "A-2": 2_000}, 0) == (await balances(stage), await stage.account("2100"))
    await stage.agrees()


async def test_a_void_invoice_leaves_what_paid_it_as_credit(stage: Stage) -> None:
    """Nothing is owed on it, its revenue is gone, and what was paid is the customer's; once."""
    customer = await stage.customer()
    await stage.paid("R1", kes(20), customer)
    await stage.invoice(customer, kes(100), "A-1")
    await stage.paid("R2", kes(30), "A-1")

    await stage.do(VoidInvoice(invoice_number="A-1", by=STAFF))
    with pytest.raises(InvoiceVoid):
        await stage.do(VoidInvoice(invoice_number="A-1", by=STAFF))

    assert {"1010": 5_000, "2100": 5_000} == await stage.trial_balance()
    await stage.agrees()


@pytest.mark.parametrize(
    ("paid", "noted", "balance", "credit"), [(0, 40, 60, 0), (80, 10, 10, 0), (80, 50, 0, 30), (100, 100, 0, 100)]
)
async def test_a_credit_note_comes_off_the_balance_and_then_off_what_was_paid(
    stage: Stage, paid: int, noted: int, balance: int, credit: int
) -> None:
    """Invoice of 100: what is taken off above the balance becomes credit."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(100), "A-1")
    if paid:
        await stage.paid("R1", kes(paid), "A-1")

    await stage.do(IssueCreditNote(invoice_number="A-1", amount=kes(noted), reason="returned", by=STAFF))

    assert ({"A-1": 100 * balance}, 100 * credit) == (await balances(stage), await stage.account("2100"))
    with pytest.raises(CreditNoteTooLarge):
        await stage.do(IssueCreditNote(invoice_number="A-1", amount=kes(101 - noted), reason="again", by=STAFF))
    await stage.agrees()


async def test_corrections_at_once_take_turns(stage: Stage) -> None:
    """Twenty invoices of one customer voided together with payments of them: all are done, and the books agree."""
    customer = await stage.customer()
    for number in range(20):
        await stage.invoice(customer, kes(10), f"A-{number}")
        await stage.paid(f"R{number}", kes(6), f"A-{number}")

    commands: list[object] = [VoidInvoice(invoice_number=f"A-{number}", by=STAFF) for number in range(20)]
    results: list[Any] = await stage.together(commands)

    assert ["VOID"] * 20 == [result["status"] for result in results]
    assert 20 == await stage.one("SELECT count(*) FROM invoices WHERE status = 'VOID'")
    assert 12_000 == await stage.account("2100")
    await stage.agrees()
