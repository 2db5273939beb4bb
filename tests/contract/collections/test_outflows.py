"""Money that leaves the PayBill, on every engine: each row of a statement is accounted for once, under one name."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from penpay.application.collections.outflows import BookOutflow, ExplainOutflow, OutflowBooked
from penpay.application.collections.refunding import DecideRefund, ProposeRefund, RefundPaid
from penpay.application.collections.reversing import ReversedBy, ReversePayment
from penpay.domain.collections.allocation import RefundId
from penpay.domain.collections.errors import InvalidReceipt, OutflowDiffers, OutflowNotFound, OutflowSettled
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from tests.contract.collections.stage import OTHER, STAFF, Stage, kes, opened, rows

PHONE = PhoneNumber.parse("254708374149")
PAID, LEFT, NEW = "QGK12XYZ9", "QGK12XYZB", (OutflowUse.UNEXPLAINED, True)


def left(receipt: str, amount: Money, **more: Any) -> BookOutflow:
    return BookOutflow(receipt=receipt, amount=amount, at=None, told="Business Payment Salary", by=STAFF, **more)


def taken_back(amount: Money, payment: str | None = PAID, receipt: str = LEFT) -> BookOutflow:
    return left(receipt, amount, is_reversal=True, linked_receipt=payment)


def as_told(booked: OutflowBooked) -> tuple[OutflowUse, bool]:
    return booked.use, booked.is_new


async def proven(stage: Stage) -> None:
    """The books agree, and the proof of Collections finds nothing."""
    await stage.agrees()
    assert [] == list(await SqlCollectionsReports(stage.engine, clock=stage.clock).verify())


async def waiting(stage: Stage) -> list[tuple[Any, ...]]:
    return await stage.rows("SELECT mpesa_receipt_number, reason FROM collections_outflows WHERE reason IS NOT NULL")


async def refund_of(stage: Stage, amount: Money) -> RefundId:
    """A refund out of suspense, approved by a second person."""
    await stage.paid(PAID, amount, "nobody")
    asked = ProposeRefund(receipt=PAID, amount=amount, phone=PHONE, reason="Too much", by=STAFF)
    refund = RefundId(UUID((await stage.do(asked))["refund_id"]))
    await stage.verified()
    await stage.do(DecideRefund(refund_id=refund, approve=True, by=OTHER))
    return refund


async def test_what_nobody_knows_is_booked_once_and_waits_for_people(stage: Stage) -> None:
    """Told three times, twice at once: 300 have left, and stand where somebody must say what they were."""
    await stage.paid(PAID, kes(1_000), "nobody")
    found = await stage.together([left(LEFT, kes(300)), left(LEFT, kes(300))])
    again = await stage.do(left(LEFT, kes(300)))

    assert {NEW, (OutflowUse.UNEXPLAINED, False)} == set(map(as_told, found))
    assert (OutflowUse.UNEXPLAINED, False) == as_told(again)
    assert {"1010": 70_000, "1260": 30_000, "2300": 100_000} == await stage.trial_balance()
    assert [(LEFT, "UNKNOWN_RECEIPT")] == await waiting(stage)
    await proven(stage)


async def test_somebody_says_what_it_was_and_something_else_later(stage: Stage) -> None:
    """An expense, and then the owner's: the money moves, and once for the same word."""
    await stage.do(left(LEFT, kes(300)))
    for use in (OutflowUse.EXPENSE, OutflowUse.EXPENSE, OutflowUse.OWNER):
        view = await stage.do(ExplainOutflow(receipt=LEFT, use=use, by=OTHER))
        await proven(stage)

    assert {"1010": -30_000, "3100": -30_000} == await stage.trial_balance()
    assert ("OWNER", None, OTHER, "Business Payment Salary") == (
        view["use"],
        view["reason"],
        view["explained_by"],
        view["told"],
    )
    assert (OutflowUse.OWNER, False) == as_told(await stage.do(left(LEFT, kes(300))))


@pytest.mark.parametrize(
    ("use", "account"), [(OutflowUse.BANK, "1020"), (OutflowUse.CHARGE, "5100"), (OutflowUse.EXPENSE, "5300")]
)
async def test_each_word_has_its_account(stage: Stage, use: OutflowUse, account: str) -> None:
    await stage.do(left(LEFT, kes(300)))
    await stage.do(ExplainOutflow(receipt=LEFT, use=use, by=OTHER))

    assert {"1010": -30_000, account: 30_000} == await stage.trial_balance()
    await proven(stage)


async def test_what_is_on_its_way_to_the_bank_waits_for_nobody(stage: Stage) -> None:
    """The statement says so itself; somebody may know better."""
    assert (OutflowUse.BANK, True) == as_told(await stage.do(left(LEFT, kes(300), to_bank=True)))
    assert {"1010": -30_000, "1020": 30_000} == await stage.trial_balance()
    await stage.do(ExplainOutflow(receipt=LEFT, use=OutflowUse.OWNER, by=OTHER))
    assert {"1010": -30_000, "3100": -30_000} == await stage.trial_balance()
    await proven(stage)


async def test_a_refund_and_the_statement_count_the_same_money_once_whichever_comes_first(stage: Stage) -> None:
    """The Result before the statement, and the statement before a late Result."""
    refund = await refund_of(stage, kes(500))
    await stage.do(RefundPaid(refund_id=refund, receipt=LEFT))
    assert (OutflowUse.REFUND, False) == as_told(await stage.do(left(LEFT, kes(500))))
    assert {} == await stage.trial_balance()
    await proven(stage)

    await stage.paid("QGK12XYZA", kes(700), "nobody")
    asked = ProposeRefund(receipt="QGK12XYZA", amount=kes(700), phone=PHONE, reason="Too much", by=STAFF)
    late = RefundId(UUID((await stage.do(asked))["refund_id"]))
    await stage.verified()
    await stage.do(DecideRefund(refund_id=late, approve=True, by=OTHER))
    assert NEW == as_told(await stage.do(left("QGK12XYZC", kes(700))))
    await stage.do(ExplainOutflow(receipt="QGK12XYZC", use=OutflowUse.EXPENSE, by=OTHER))
    await stage.do(RefundPaid(refund_id=late, receipt="QGK12XYZC"))
    assert {} == await stage.trial_balance()
    assert (OutflowUse.REFUND, False) == as_told(await stage.do(left("QGK12XYZC", kes(700))))
    await proven(stage)


async def test_a_result_and_a_statement_in_two_processes_at_once_count_once(stage: Stage, url: str) -> None:
    """Whoever commits first, the other sees it: eight refunds, each told both ways at the same moment."""
    receipts = [f"QGK12XYZ{letter}" for letter in "BCDEFGHJ"]
    refunds = []
    for number, _ in enumerate(receipts):
        await stage.paid(f"QGA{number}", kes(500), "nobody")
        asked = ProposeRefund(receipt=f"QGA{number}", amount=kes(500), phone=PHONE, reason="Too much", by=STAFF)
        refund = RefundId(UUID((await stage.do(asked))["refund_id"]))
        await stage.verified()
        await stage.do(DecideRefund(refund_id=refund, approve=True, by=OTHER))
        refunds.append(refund)
    async with opened(url) as other:
        told = [other.do(left(receipt, kes(500))) for receipt in receipts]
        ended = [
            stage.do(RefundPaid(refund_id=refund, receipt=receipt))
            for refund, receipt in zip(refunds, receipts, strict=True)
        ]
        await asyncio.gather(*told, *ended)

    assert {} == await stage.trial_balance()
    assert [("REFUND", 8)] == await stage.rows("SELECT outflow_use, count(*) FROM collections_outflows GROUP BY 1")
    await proven(stage)


async def test_a_reversal_opens_the_invoice_and_its_repeat_does_nothing(stage: Stage) -> None:
    """Told by the statement, and by somebody at her desk afterwards."""
    number = await stage.invoice(await stage.customer(), kes(500))
    await stage.paid(PAID, kes(500), number)

    assert (OutflowUse.REVERSAL, True) == as_told(await stage.do(taken_back(kes(500))))
    assert (OutflowUse.REVERSAL, False) == as_told(await stage.do(taken_back(kes(500))))
    await stage.do(ReversePayment(receipt=PAID, reversed_by=ReversedBy.SAFARICOM, reversal_receipt=LEFT, by=STAFF))
    assert [("UNPAID", 50_000)] == await stage.rows("SELECT status, balance FROM invoices")
    assert {"1200": 50_000, "4000": 50_000} == await stage.trial_balance()
    await proven(stage)


async def test_a_reversal_of_what_is_not_booked_yet_waits_and_is_undone_when_it_is(stage: Stage) -> None:
    """The payment comes later: the statement imported again, or somebody at her desk, takes it back."""
    for receipt, payment in ((LEFT, PAID), ("QGK12XYZC", "QGK12XYZA"), ("QGK12XYZE", "QGK12XYZD")):
        assert NEW == as_told(await stage.do(taken_back(kes(500), payment, receipt)))
        await stage.paid(payment, kes(500), "nobody")
    assert {"1260": 150_000, "2300": 150_000} == await stage.trial_balance()

    assert (OutflowUse.REVERSAL, True) == as_told(await stage.do(taken_back(kes(500))))
    reversed_ = ReversePayment(
        receipt="QGK12XYZA", reversed_by=ReversedBy.SAFARICOM, reversal_receipt="QGK12XYZC", by=STAFF
    )
    await stage.do(reversed_)
    await stage.do(ReversePayment(receipt="QGK12XYZD", reversed_by=ReversedBy.SAFARICOM, by=STAFF))
    assert {} == await stage.trial_balance()
    assert [] == await waiting(stage)
    await proven(stage)


async def test_a_payment_reversed_at_a_desk_is_known_when_the_statement_tells_of_it(stage: Stage) -> None:
    """Without the reversal's receipt; a second reversal of the same payment is another thing, and waits."""
    await stage.paid(PAID, kes(500), "nobody")
    await stage.do(ReversePayment(receipt=PAID, reversed_by=ReversedBy.SAFARICOM, by=STAFF))

    assert (OutflowUse.REVERSAL, False) == as_told(await stage.do(taken_back(kes(500))))
    assert NEW == as_told(await stage.do(taken_back(kes(500), receipt="QGK12XYZC")))
    assert {"1010": -50_000, "1260": 50_000} == await stage.trial_balance()
    assert [("QGK12XYZC", "REVERSED_TWICE")] == await waiting(stage)
    await proven(stage)


async def test_a_part_that_was_taken_back_does_not_undo_all_of_the_payment(stage: Stage) -> None:
    """The payer had spent the rest; somebody decides, and the invoice stays paid."""
    number = await stage.invoice(await stage.customer(), kes(500))
    await stage.paid(PAID, kes(500), number)

    assert NEW == as_told(await stage.do(taken_back(kes(200))))
    assert [("PAID", 0)] == await stage.rows("SELECT status, balance FROM invoices")
    assert [(LEFT, "REVERSAL_OF_PART")] == await waiting(stage)
    assert {"1010": 30_000, "1260": 20_000, "4000": 50_000} == await stage.trial_balance()
    await proven(stage)


async def test_what_cannot_be_is_refused_and_changes_nothing(stage: Stage) -> None:
    """Another amount, a word for what the books know, a reversal under a receipt that is something else."""
    refund = await refund_of(stage, kes(500))
    await stage.do(RefundPaid(refund_id=refund, receipt=LEFT))
    await stage.paid("QGK12XYZA", kes(500), "nobody")
    await stage.do(left("QGK12XYZC", kes(100)))
    before = await stage.trial_balance()
    refused: list[tuple[object, type[Exception]]] = [
        (left(LEFT, kes(400)), OutflowDiffers),
        (left("QGK12XYZC", kes(101)), OutflowDiffers),
        (ExplainOutflow(receipt=LEFT, use=OutflowUse.BANK, by=STAFF), OutflowSettled),
        (ExplainOutflow(receipt="QGNONE", use=OutflowUse.BANK, by=STAFF), OutflowNotFound),
        (reversal("QGK12XYZA", LEFT), OutflowSettled),
        (reversal("QGK12XYZA", "QGK12XYZC"), OutflowDiffers),
    ]
    for command, error in refused:
        with pytest.raises(error):
            await stage.do(command)
    for use in (OutflowUse.UNEXPLAINED, OutflowUse.REFUND, OutflowUse.PAYOUT, OutflowUse.REVERSAL):
        with pytest.raises(InvalidRequest):
            ExplainOutflow(receipt=LEFT, use=use, by=STAFF)
    with pytest.raises(InvalidReceipt):
        reversal("QGK12XYZA", "no receipt!")

    assert before == await stage.trial_balance()
    await proven(stage)


def reversal(payment: str, receipt: str) -> ReversePayment:
    return ReversePayment(receipt=payment, reversed_by=ReversedBy.SAFARICOM, reversal_receipt=receipt, by=STAFF)


async def test_a_statement_that_tells_another_amount_keeps_no_refund_from_ending(stage: Stage) -> None:
    """M-Pesa says that the refund is paid, so it is; the proof tells that the receipt is booked twice."""
    refund = await refund_of(stage, kes(500))
    await stage.do(left(LEFT, kes(400)))
    await stage.do(RefundPaid(refund_id=refund, receipt=LEFT))

    assert {"1010": -40_000, "1260": 40_000} == await stage.trial_balance()
    found = await SqlCollectionsReports(stage.engine, clock=stage.clock).verify()
    assert [("outflow_booked_twice", LEFT)] == [(one.check, one.subject) for one in found]


async def test_the_statements_time_takes_the_place_of_ours(stage: Stage) -> None:
    """A Result tells no time of its own: the balance is followed by the time that the statement tells."""
    refund = await refund_of(stage, kes(500))
    await stage.do(RefundPaid(refund_id=refund, receipt=LEFT))
    at = stage.clock.now() - timedelta(minutes=3)
    await stage.do(BookOutflow(receipt=LEFT, amount=kes(500), at=at, by=STAFF))
    (found,) = (await rows().outflow_books(stage.engine).outflows(10)).items

    assert at.strftime("%Y-%m-%dT%H:%M:%S") == str(found["left_at"])[:19]
    await proven(stage)


async def test_outflows_are_listed_newest_first_and_page_by_page(stage: Stage) -> None:
    """All, and those that wait; a page begins after the receipt that the one before ended with."""
    for number in range(5):
        stage.clock.moment += timedelta(minutes=1)
        await stage.do(left(f"QGA{number}", kes(100), to_bank=number % 2 == 0))
    books = rows().outflow_books(stage.engine)
    first = await books.outflows(3)
    rest = await books.outflows(3, after=first.next)
    waits = await books.outflows(3, use=OutflowUse.UNEXPLAINED)

    assert ["QGA4", "QGA3", "QGA2", "QGA1", "QGA0"] == [
        one["mpesa_receipt_number"] for page in (first, rest) for one in page.items
    ]
    assert (["QGA3", "QGA1"], None, None) == (
        [one["mpesa_receipt_number"] for one in waits.items],
        waits.next,
        rest.next,
    )
