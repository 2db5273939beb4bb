"""Refunds of suspense and of credit, paid out by B2C: a phone is paid once at most, or the money is where it was."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import pytest

from penpay.application.collections.importing import StatementImporter
from penpay.application.collections.receiving import VerifyPayment
from penpay.application.collections.refunding import DecideRefund, ProposeRefund
from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.application.mobile_money.tariffs import LoadTariff
from penpay.application.payments.deciding import ApproveDecision, ProposeDecision
from penpay.application.payments.refund_payouts import PayRefund
from penpay.application.payments.results import PAYOUT_SOURCE
from penpay.application.payments.rows import Decision
from penpay.application.payments.situation import options
from penpay.demo.world import PHONE, SHORT_CODE
from penpay.domain.collections.allocation import RefundId
from penpay.domain.collections.errors import PaymentUnverified, RefundDecided
from penpay.domain.mpesa.statement_file import read_statement
from penpay.domain.shared.errors import DecisionNotPossible
from penpay.domain.shared.money import Currency, Money
from penpay.sandbox.faults import DarajaCall, Fault, FaultRule, ForcedResult, LostCallback, Spoilt, SpoiltReply
from tests.contract.sandbox.test_daraja_payouts import TARIFF
from tests.end_to_end.collections.shop import STAFF, Shop, kes
from tests.end_to_end.collections.test_records import HEADER
from tests.end_to_end.withdrawals.test_mpesa_goes_wrong import _paid as paid_result

OTHER: Final = "staff:otieno"
ONE_SECOND: Final = timedelta(seconds=1)
FULL_WALLET: Final = ForcedResult(code="8", text="Declined due to limit rule: would exceed the maximum balance.")
HERS: Final = 5_000_000
"""What is on her phone before she pays."""


@dataclass(frozen=True, kw_only=True)
class Books:
    """Every balance a refund can touch, in cents: ours, then the operator's own."""

    cash: int = 50_000
    credit: int = 0
    suspense: int = 0
    in_flight: int = 0
    fees: int = 0
    at_operator_phone: int = HERS - 50_000
    at_operator_paybill: int = 50_000


WAITING: Final = Books(suspense=50_000)
HELD: Final = Books(in_flight=50_000)
PAID_UNSEEN: Final = Books(in_flight=50_000, at_operator_phone=HERS, at_operator_paybill=0)
REFUNDED: Final = Books(cash=0, at_operator_phone=HERS, at_operator_paybill=0)


async def books(shop: Shop) -> Books:
    """Every book at this moment; ours must pass both proofs whenever anybody looks."""
    assert [] == list(await shop.system.ledger_books.verify())
    assert [] == list(await shop.system.reports.collections.verify())
    operator = await shop.stage.sandbox.operator.books.balances()
    return Books(
        cash=await shop.account("1010"),
        credit=await shop.account("2100"),
        suspense=await shop.account("2300"),
        in_flight=await shop.account("2400"),
        fees=await shop.account("expense:mpesa_charges"),
        at_operator_phone=dict(operator.subscribers)[PHONE].cents,
        at_operator_paybill=dict(operator.merchants)[SHORT_CODE].cents,
    )


async def received(shop: Shop, reference: str | None) -> str:
    """She pays KES 500.00 to our number, and M-Pesa tells us; the receipt."""
    await shop.registered()
    await shop.paid(PHONE, kes(500), reference)
    await shop.settled(1)
    receipt = str(await shop.one("SELECT mpesa_receipt_number FROM payments"))
    await shop.do(VerifyPayment(receipt=receipt, by="pull"))
    return receipt


async def approved(shop: Shop, **of: Any) -> RefundId:
    """All of it is proposed to go back by one, and approved by another."""
    answer = await shop.do(ProposeRefund(amount=kes(500), phone=PHONE, reason="paid twice", by=STAFF, **of))
    refund = RefundId(UUID(answer["refund_id"]))
    await shop.do(DecideRefund(refund_id=refund, approve=True, by=OTHER))
    return refund


async def refunded(shop: Shop, *faults: Fault) -> RefundId:
    """Suspense that two persons give back, with these faults at Daraja."""
    receipt = await received(shop, "nobody")
    for fault in faults:
        shop.stage.sandbox.daraja.faults.add(FaultRule(fault=fault, times=1))
    return await approved(shop, receipt=receipt)


async def payout(shop: Shop) -> Any:
    """State, id and name of the one payout there is; None before."""
    found = await shop.rows("SELECT state, id, originator_conversation_id FROM mpesa_disbursements")
    assert len(found) <= 1
    return found[0] if found else None


async def is_payout(shop: Shop, state: str) -> bool:
    found = await payout(shop)
    return found is not None and found[0] == state


async def ended(shop: Shop, state: str, *, advancing: timedelta = timedelta(0)) -> tuple[Any, ...]:
    """Receipt and failure code of the refund once it is in this state."""

    async def done() -> bool:
        return bool(await shop.one("SELECT count(*) FROM collections_refunds WHERE state = :state", state=state))

    await shop.stage.until(done, advancing=advancing)
    (found,) = await shop.rows(
        "SELECT receipt, failure_code FROM collections_refunds WHERE state = :state", state=state
    )
    return found


async def test_what_waits_in_suspense_is_paid_back(each_shop: Shop) -> None:
    """Approved, held, paid by B2C, told by the Result: her phone has it again, and the receipt stands in the refund."""
    shop = each_shop
    await refunded(shop)
    receipt, code = await ended(shop, "PAID")
    (refund,) = (await shop.system.collections_books.refunds(10)).items

    assert REFUNDED == await books(shop)
    assert (None, receipt) == (code, refund["receipt"])
    assert [("REFUNDED", 0)] == await shop.rows("SELECT status, suspense_cents FROM payments")
    assert [("COLLECTIONS_REFUND", "CONFIRMED", receipt)] == await shop.rows(
        "SELECT purpose, state, receipt FROM mpesa_disbursements"
    )
    await shop.stage.until(lambda: _is_verified(shop), advancing=ONE_SECOND)
    assert REFUNDED == await books(shop)


async def test_what_only_a_message_tells_of_waits_for_the_statement(shop: Shop) -> None:
    """Nobody has confirmed her payment to us: two persons agree, and are refused until the statement is imported."""
    await shop.registered()
    await shop.paid(PHONE, kes(500), "nobody")
    await shop.settled(1)
    receipt = str(await shop.one("SELECT mpesa_receipt_number FROM payments"))
    answer = await shop.do(ProposeRefund(receipt=receipt, amount=kes(500), phone=PHONE, reason="x", by=STAFF))
    agree = DecideRefund(refund_id=RefundId(UUID(answer["refund_id"])), approve=True, by=OTHER)
    with pytest.raises(PaymentUnverified):
        await shop.do(agree)
    assert WAITING == await books(shop)
    row = f"{receipt},03-02-2026 12:00:05,Pay Bill from 2547****149 Acc. nobody,Completed,500.00,,500,\n"
    importer = StatementImporter(
        executor=shop.system.executor, attach=shop.system.capture.attach, short_code=SHORT_CODE
    )
    await importer.run(read_statement((HEADER + row).encode()), by=STAFF)
    await shop.do(agree)
    await ended(shop, "PAID")

    assert REFUNDED == await books(shop)


async def test_a_customers_credit_is_paid_back(shop: Shop) -> None:
    """What she paid too much is hers again."""
    customer = await shop.customer()
    await received(shop, customer)
    assert replace(WAITING, suspense=0, credit=50_000) == await books(shop)
    await approved(shop, customer_number=customer)
    await ended(shop, "PAID")

    assert REFUNDED == await books(shop)
    assert [(0,)] == await shop.rows("SELECT credit_cents FROM customers")


async def test_what_m_pesa_refuses_is_where_it_was(each_shop: Shop) -> None:
    """Her wallet is full: the Result is asked about, the money is in suspense again, and can be refunded anew."""
    shop = each_shop
    await refunded(shop, FULL_WALLET)

    assert (None, "8") == await ended(shop, "FAILED")
    assert WAITING == await books(shop)
    assert [("REFUND_FAILED",)] == await shop.rows("SELECT suspense_reason FROM payments")
    receipt = await shop.one("SELECT mpesa_receipt_number FROM payments")
    await approved(shop, receipt=receipt)
    await ended(shop, "PAID")
    assert REFUNDED == await books(shop)


async def test_a_lost_result_is_asked_for(shop: Shop) -> None:
    """Her phone is paid and nobody tells us: after a minute M-Pesa is asked, by our own id."""
    await refunded(shop, LostCallback())
    await shop.stage.until(lambda: is_payout(shop, "ACCEPTED"))
    assert "APPROVED" == await shop.one("SELECT state FROM collections_refunds")
    await ended(shop, "PAID", advancing=ONE_SECOND)

    assert REFUNDED == await books(shop)


async def test_what_m_pesa_charges_for_a_refund_is_an_expense_of_the_business_once(shop: Shop) -> None:
    """Its answer to our question tells the charge, and later the statement does, under the same receipt."""
    await shop.stage.sandbox.operator.do(LoadTariff(tariff=parse_tariff(TARIFF), by="operator"))
    await refunded(shop)
    receipt, _ = await ended(shop, "PAID")

    async def charged() -> bool:
        return await shop.account("5100") > 0

    await shop.stage.until(charged, advancing=ONE_SECOND)
    charge = Money(await shop.account("5100"), Currency.KES)
    row = f"{receipt},03-02-2026 12:00:05,Business Payment Charge,Completed,,{charge.decimal_text()},0,\n"
    importer = StatementImporter(
        executor=shop.system.executor, attach=shop.system.capture.attach, short_code=SHORT_CODE
    )
    again = await importer.run(read_statement((HEADER + row).encode()), by=STAFF)

    assert (charge, 0, ()) == (again.charges, again.charges_booked, again.unreadable)
    assert (charge.cents, -charge.cents, 0) == (
        await shop.account("5100"),
        await shop.account("1010"),
        await shop.account("expense:mpesa_charges"),
    )
    assert [] == list(await shop.system.reports.collections.verify())


async def test_a_payout_m_pesa_never_heard_of_is_sent_again_under_the_same_id(shop: Shop) -> None:
    """The connection broke before anything was done: asked by our id M-Pesa knows nothing, and is told once more."""
    await refunded(shop, SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT))
    await shop.stage.until(lambda: is_payout(shop, "UNKNOWN"))
    before = (await payout(shop))[2]
    await ended(shop, "PAID", advancing=ONE_SECOND)

    assert REFUNDED == await books(shop)
    assert before == (await payout(shop))[2]


async def test_approved_twice_at_once_it_is_paid_once(each_shop: Shop) -> None:
    """Two owners press the button together, and two workers find the refund together: one approval, one payout."""
    shop = each_shop
    receipt = await received(shop, "nobody")
    answer = await shop.do(ProposeRefund(receipt=receipt, amount=kes(500), phone=PHONE, reason="x", by=STAFF))
    refund = RefundId(UUID(answer["refund_id"]))
    enqueue = shop.system.executor.enqueue
    futures = [enqueue(DecideRefund(refund_id=refund, approve=True, by=one)) for one in (OTHER, "staff:atieno")]
    futures += [enqueue(PayRefund(refund_id=refund)) for _ in range(4)]
    found = await asyncio.gather(*futures, return_exceptions=True)
    await ended(shop, "PAID")

    assert [RefundDecided] == [type(one) for one in found if isinstance(one, Exception)]
    assert 1 == await shop.one("SELECT count(*) FROM mpesa_disbursements")
    assert REFUNDED == await books(shop)


@pytest.mark.parametrize("state", ["INTENDED", "ACCEPTED"])
async def test_the_process_dies_after_the_intent(shop: Shop, state: str) -> None:
    """Another one takes over on the same database, before the call or after it; her phone is paid once."""
    receipt = await received(shop, "nobody")
    if state == "INTENDED":
        await shop.stage.daraja_down()
    else:
        shop.stage.sandbox.daraja.faults.add(FaultRule(fault=LostCallback(), times=1))
    await approved(shop, receipt=receipt)
    await shop.stage.until(lambda: is_payout(shop, state))
    await shop.stage.until(lambda: _is_on_phone(shop, 0 if state == "INTENDED" else 50_000))
    assert (HELD if state == "INTENDED" else PAID_UNSEEN) == await books(shop)
    await shop.stage.restart()
    shop.system = shop.stage.system
    if state == "INTENDED":
        await shop.stage.daraja_up()
    await ended(shop, "PAID", advancing=ONE_SECOND)

    assert REFUNDED == await books(shop)


async def test_a_forged_success_does_not_end_it_twice(shop: Shop) -> None:
    """Somebody tells a success of another amount: it is asked about, and booked when M-Pesa itself has said so."""
    await refunded(shop, LostCallback())
    await shop.stage.until(lambda: is_payout(shop, "ACCEPTED"))
    (row,) = await shop.rows("SELECT id, originator_conversation_id FROM mpesa_disbursements")
    token = shop.system._tokens.sign(PAYOUT_SOURCE, UUID(bytes=row[0]))

    forged = paid_result(SimpleNamespace(originator_conversation_id=row[1]), amount=10)
    told = await shop.told({"Result": forged}, path=f"/api/v1/callbacks/results/{token}")
    await ended(shop, "PAID", advancing=ONE_SECOND)

    assert 200 == told.status_code
    assert REFUNDED == await books(shop)


async def test_what_nobody_can_tell_of_is_settled_by_two_persons(shop: Shop) -> None:
    """M-Pesa is away for more than a day: people look at its portal and say that the phone was paid."""
    await refunded(shop, LostCallback())
    await _unresolved(shop)
    (case,) = await shop.system.review_books.open_reviews(10)
    possible = options(case.review, case.situation, case.payout)
    await _decide(shop, Decision.IT_ARRIVED)
    await ended(shop, "PAID")

    assert {Decision.IT_ARRIVED, Decision.IT_DID_NOT} == possible
    assert ("DISBURSEMENT_UNRESOLVED", kes(500)) == (case.review.reason.value, case.review.amount)
    assert REFUNDED == await books(shop)
    assert [] == list(await shop.system.review_books.open_reviews(10))


async def test_what_did_not_arrive_is_where_it_was(shop: Shop) -> None:
    """They say it did not; the money is in suspense again, and saying it twice is refused."""
    await refunded(shop, LostCallback(), FULL_WALLET)
    await _unresolved(shop)
    review = await _decide(shop, Decision.IT_DID_NOT)

    assert (None, "people") == await ended(shop, "FAILED")
    assert 50_000 == await shop.account("2300")
    assert [] == list(await shop.system.reports.collections.verify())
    with pytest.raises(DecisionNotPossible):
        await shop.do(ApproveDecision(review_id=review, approved_by="bob"))


async def _unresolved(shop: Shop) -> None:
    await shop.stage.until(lambda: is_payout(shop, "ACCEPTED"))
    await shop.stage.daraja_down()
    await shop.stage.until(lambda: _has_reviews(shop), advancing=timedelta(hours=1))


async def _decide(shop: Shop, decision: Decision) -> Any:
    (case,) = await shop.system.review_books.open_reviews(10)
    proposal = ProposeDecision(
        review_id=case.review.id, decision=decision, note="seen in the portal", proposed_by="ann"
    )
    await shop.do(proposal)
    await shop.do(ApproveDecision(review_id=case.review.id, approved_by="bob"))
    return case.review.id


async def _has_reviews(shop: Shop) -> bool:
    return bool(await shop.system.review_books.open_reviews(1))


async def _is_on_phone(shop: Shop, cents: int) -> bool:
    """Whether so much of what she had paid is on her phone again."""
    operator = await shop.stage.sandbox.operator.books.balances()
    return dict(operator.subscribers)[PHONE].cents == HERS - 50_000 + cents


async def _is_verified(shop: Shop) -> bool:
    return bool(await shop.one("SELECT count(*) FROM mpesa_disbursements WHERE verified_at IS NOT NULL"))
