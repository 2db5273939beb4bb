"""Money that goes back: refunds by two people, and payments that M-Pesa takes back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from penpay.application.collections.allocating import AllocatePayment
from penpay.application.collections.invoicing import IssueCreditNote
from penpay.application.collections.refunding import DecideRefund, ProposeRefund, RefundFailed, RefundPaid
from penpay.application.collections.reversing import ReversedBy, ReversePayment
from penpay.application.collections.selling import TakeCash
from penpay.domain.collections.allocation import RefundId
from penpay.domain.collections.errors import (
    CreditTooSmall,
    OwnApproval,
    PaymentReversed,
    PaymentUnverified,
    RefundDecided,
    SuspenseTooSmall,
)
from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.collections.stage import OTHER, STAFF, Stage, kes
from tests.contract.collections.test_selling import sell

PHONE = PhoneNumber.parse("0712345678")


def propose(shillings: int, *, receipt: str | None = None, customer: str | None = None) -> ProposeRefund:
    return ProposeRefund(
        receipt=receipt, customer_number=customer, amount=kes(shillings), phone=PHONE, reason="paid twice", by=STAFF
    )


async def proposed(stage: Stage, command: ProposeRefund) -> RefundId:
    """The refund, proposed out of money that M-Pesa's own records tell of."""
    await stage.verified()
    answer = await stage.do(command)
    found = await stage.rows("SELECT id FROM collections_refunds ORDER BY id")
    assert answer["refund_id"] == str(stage.identifier(found[-1][0]))
    return RefundId(stage.identifier(found[-1][0]))


def decide(refund_id: RefundId, by: str, *, approve: bool = True) -> DecideRefund:
    return DecideRefund(refund_id=refund_id, approve=approve, by=by)


def taken_back(receipt: str) -> ReversePayment:
    return ReversePayment(receipt=receipt, reversed_by=ReversedBy.SAFARICOM, by="mpesa")


async def test_suspense_is_refunded_by_two_people(stage: Stage) -> None:
    """Whoever proposed it cannot approve it; once approved the money can be used for nothing else, and is paid once."""
    await stage.paid("R1", kes(100), None)
    refund = await proposed(stage, propose(100, receipt="R1"))
    with pytest.raises(OwnApproval):
        await stage.do(decide(refund, STAFF))
    assert 10_000 == await stage.account("2300")

    await stage.do(decide(refund, OTHER))
    assert {"1010": 10_000, "2400": 10_000} == await stage.trial_balance()
    with pytest.raises(SuspenseTooSmall):
        await stage.do(propose(1, receipt="R1"))
    await stage.agrees()
    for _ in range(2):
        await stage.do(RefundPaid(refund_id=refund, receipt="PAYOUT1"))
    with pytest.raises(RefundDecided):
        await stage.do(RefundFailed(refund_id=refund, code="1"))

    assert [("REFUNDED", 0)] == await stage.rows("SELECT status, suspense_cents FROM payments")
    assert {} == await stage.trial_balance()
    await stage.agrees()


async def test_a_payment_refunded_in_parts_is_refunded_when_nothing_else_was_paid_with_it(stage: Stage) -> None:
    """Until then it says what is in suspense; a part that paid an invoice makes it allocated, not refunded."""
    await stage.invoice(await stage.customer("CUST-001"), kes(40), "INV-1")
    for receipt in ("R1", "R2"):
        await stage.paid(receipt, kes(100), None)
    await stage.do(AllocatePayment(receipt="R2", reference="INV-1", amount=kes(40), by=STAFF))
    parts = (("R1", 60), ("R1", 40), ("R2", 60))
    refunds = [await proposed(stage, propose(shillings, receipt=receipt)) for receipt, shillings in parts]

    await stage.do(decide(refunds[0], OTHER))
    assert ["PARTIALLY_ALLOCATED", "PARTIALLY_ALLOCATED"] == await statuses(stage)
    await stage.together([decide(refunds[1], OTHER), decide(refunds[2], OTHER)])
    assert ["REFUNDED", "ALLOCATED"] == await statuses(stage)
    await stage.do(RefundFailed(refund_id=refunds[1], code="2001"))
    await stage.do(decide(await proposed(stage, propose(40, receipt="R1")), OTHER))

    assert ["REFUNDED", "ALLOCATED"] == await statuses(stage)
    await stage.agrees()


async def test_both_halves_of_a_payment_refunded_at_once_leave_it_refunded(stage: Stage) -> None:
    """Two approvals in one batch: the second looks again at what the first has done."""
    await stage.paid("R1", kes(100), None)
    refunds = [await proposed(stage, propose(50, receipt="R1")) for _ in range(2)]

    await stage.together([decide(refund, OTHER) for refund in refunds])

    assert ["REFUNDED"] == await statuses(stage)
    await stage.agrees()


async def test_what_only_a_message_tells_of_is_not_paid_out(stage: Stage) -> None:
    """Anybody can post that she has paid: two persons may agree to it, and the money waits for M-Pesa's own word."""
    await stage.paid("R1", kes(100), None)
    answer = await stage.do(propose(100, receipt="R1"))
    refund = RefundId(UUID(str(answer["refund_id"])))
    with pytest.raises(PaymentUnverified) as refused:
        await stage.do(decide(refund, OTHER))
    assert {"mpesa_receipt_number": "R1"} == refused.value.details
    assert 10_000 == await stage.account("2300")
    await stage.verified()
    await stage.do(decide(refund, OTHER))

    assert 10_000 == await stage.account("2400")
    await stage.agrees()


async def test_credit_that_came_from_an_unverified_payment_is_not_paid_out(stage: Stage) -> None:
    """Of KES 300.00 of credit the 200.00 that M-Pesa has confirmed can go, and a credit note does not free the rest."""
    customer = await stage.customer("CUST-001")
    await stage.paid("R1", kes(200), "CUST-001")
    await stage.verified()
    await stage.paid("R2", kes(100), "CUST-001")
    refunds = [
        RefundId(UUID(str((await stage.do(propose(shillings, customer=customer)))["refund_id"])))
        for shillings in (201, 200, 1)
    ]
    with pytest.raises(PaymentUnverified) as refused:
        await stage.do(decide(refunds[0], OTHER))
    assert {"customer_id": customer, "unverified_cents": 10_000} == refused.value.details
    both = await stage.together([decide(refunds[1], OTHER), decide(refunds[2], OTHER)])
    assert [PaymentUnverified] == [type(one) for one in both if isinstance(one, Exception)]

    await stage.invoice(customer, kes(50), "INV-1")
    await stage.do(IssueCreditNote(invoice_number="INV-1", amount=kes(50), reason="Wrong", by=STAFF))
    with pytest.raises(PaymentUnverified):
        await stage.do(decide(refunds[2], OTHER))
    await stage.verified()
    await stage.do(decide(refunds[2], OTHER))
    await stage.agrees()


async def statuses(stage: Stage) -> list[str]:
    return [status for (status,) in await stage.rows("SELECT status FROM payments ORDER BY mpesa_receipt_number")]


async def test_a_refund_that_fails_is_where_it_was(stage: Stage) -> None:
    """Out of credit, and out of suspense: both are there again, once."""
    customer = await stage.customer()
    await stage.paid("R1", kes(100), customer)
    await stage.paid("R2", kes(50), None)
    for command in (propose(80, customer=customer), propose(50, receipt="R2")):
        refund = await proposed(stage, command)
        await stage.do(decide(refund, OTHER))
        await stage.agrees()
        for _ in range(2):
            await stage.do(RefundFailed(refund_id=refund, code="2001"))

    assert {"1010": 15_000, "2100": 10_000, "2300": 5_000} == await stage.trial_balance()
    assert 2 == await stage.one("SELECT count(*) FROM domain_events WHERE name = 'RefundApproved'")
    await stage.agrees()


async def test_a_rejected_refund_moves_nothing(stage: Stage) -> None:
    """Whoever proposed it may take it back; a decision is final."""
    await stage.paid("R1", kes(100), None)
    refund = await proposed(stage, propose(100, receipt="R1"))

    await stage.do(decide(refund, STAFF, approve=False))
    with pytest.raises(RefundDecided):
        await stage.do(decide(refund, OTHER))

    assert 10_000 == await stage.account("2300")
    await stage.agrees()


async def test_no_more_is_refunded_than_there_is(stage: Stage) -> None:
    """Two refunds of one credit: the second cannot be approved. Cents cannot be paid out."""
    customer = await stage.customer()
    await stage.paid("R1", kes(100), customer)
    first, second = [await proposed(stage, propose(60, customer=customer)) for _ in range(2)]

    await stage.do(decide(first, OTHER))
    with pytest.raises(CreditTooSmall):
        await stage.do(decide(second, OTHER))
    with pytest.raises(InvalidAmount):
        ProposeRefund(customer_number=customer, amount=kes(1, 50), phone=PHONE, reason="x", by=STAFF)

    await stage.agrees()


async def test_no_event_or_audit_row_tells_the_phone(stage: Stage) -> None:
    """Nor any other table in plain text."""
    await stage.paid("R1", kes(100), "0712345678")
    await stage.do(decide(await proposed(stage, propose(100, receipt="R1")), OTHER))

    for table in ("domain_events", "audit_logs", "collections_refunds"):
        assert "712345678" not in str(await stage.rows(f"SELECT * FROM {table}"))


async def test_a_reversal_opens_the_invoices_again_once(stage: Stage) -> None:
    """5,000 for an invoice of 4,000: it is owed again, the credit is gone, and telling it again changes nothing."""
    customer = await stage.customer()
    await stage.invoice(customer, kes(4_000), "A-1")
    await stage.paid("R1", kes(5_000), "A-1")

    results: list[Any] = await stage.together([taken_back("R1")] * 5)

    assert ["REVERSED"] * 5 == [result["status"] for result in results]
    assert [("UNPAID", 400_000)] == await stage.rows("SELECT status, balance FROM invoices")
    assert {"1200": 400_000, "4000": 400_000} == await stage.trial_balance()
    again = await stage.paid("R1", kes(5_000), "A-1")
    assert (True, "REVERSED") == (again.repeated, again.status.value)
    await stage.agrees()


async def test_credit_that_was_applied_is_taken_out_of_the_newest_invoices(stage: Stage) -> None:
    """Credit of 150 paid invoices of 60 and 70; without 100 of it the newest is owed whole, and 10 of the other."""
    customer = await stage.customer()
    await stage.paid("R1", kes(100), customer)
    await stage.paid("R2", kes(50), customer)
    await stage.invoice(customer, kes(60), "A-1")
    await stage.invoice(customer, kes(70), "A-2")

    await stage.do(taken_back("R1"))

    assert [("A-1", 1_000), ("A-2", 7_000)] == await stage.rows(
        "SELECT invoice_number, balance FROM invoices ORDER BY invoice_number"
    )
    assert 0 == await stage.account("2100")
    await stage.agrees()


async def test_what_was_refunded_before_the_reversal_is_to_be_recovered(stage: Stage) -> None:
    """The money has left twice: out of credit, and out of suspense; 1250 says so, and no credit falls below zero."""
    customer = await stage.customer()
    await stage.paid("R1", kes(100), customer)
    await stage.paid("R2", kes(50), None)
    for command in (propose(80, customer=customer), propose(50, receipt="R2")):
        refund = await proposed(stage, command)
        await stage.do(decide(refund, OTHER))
        await stage.do(RefundPaid(refund_id=refund, receipt=None))

    await stage.do(taken_back("R1"))
    await stage.do(taken_back("R2"))

    assert {"1010": -13_000, "1250": 13_000} == await stage.trial_balance()
    with pytest.raises(PaymentReversed):
        await stage.do(propose(1, receipt="R2"))
    await stage.agrees()


async def test_a_refund_that_fails_after_the_reversal_is_not_to_be_recovered_any_more(stage: Stage) -> None:
    """M-Pesa took the payment back while its refund was on the way, and then paid nothing out."""
    await stage.paid("R1", kes(50), None)
    refund = await proposed(stage, propose(50, receipt="R1"))
    await stage.do(decide(refund, OTHER))
    await stage.do(taken_back("R1"))
    assert {"1250": 5_000, "2400": 5_000} == await stage.trial_balance()

    await stage.do(RefundFailed(refund_id=refund, code="2001"))

    assert {} == await stage.trial_balance()
    await stage.agrees()


async def test_a_reversed_tender_is_missing_from_a_sale_that_waits(stage: Stage) -> None:
    """It is to pay again. Of a sale that was settled the goods are gone: the money is to be recovered."""
    await sell(stage, 116)
    await stage.paid("R1", kes(100), "POS-001")
    await stage.do(taken_back("R1"))
    assert [("PENDING", 0)] == await stage.rows("SELECT status, mpesa_cents FROM pos_sales")
    await stage.agrees()

    await stage.paid("R2", kes(66), "POS-001")
    await stage.do(TakeCash(pos_number="POS-001", by=STAFF))
    await stage.do(taken_back("R2"))

    assert {"1000": 5_000, "1250": 6_600, "2200": 1_600, "4000": 10_000} == await stage.trial_balance()
    await stage.agrees()
