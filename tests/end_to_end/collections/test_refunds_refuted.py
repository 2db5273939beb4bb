"""A refund that a forged Result has ended: two persons take it back, and its money and its receipt are free again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from penpay.application.collections.importing import StatementImporter
from penpay.application.payments.deciding import ApproveDecision, ProposeDecision
from penpay.application.payments.results import PAYOUT_SOURCE
from penpay.application.payments.rows import Decision
from penpay.application.payments.situation import options
from penpay.demo.world import SHORT_CODE
from penpay.domain.mpesa.statement_file import read_statement
from penpay.domain.shared.errors import DecisionNotPossible
from penpay.sandbox.faults import LostCallback
from tests.end_to_end.collections.shop import STAFF, Shop
from tests.end_to_end.collections.test_records import HEADER
from tests.end_to_end.collections.test_refunds import (
    FULL_WALLET,
    ONE_SECOND,
    REFUNDED,
    WAITING,
    _decide,
    _has_reviews,
    approved,
    books,
    ended,
    is_payout,
    refunded,
)
from tests.end_to_end.withdrawals.test_mpesa_goes_wrong import _paid as paid_result


async def test_a_refund_that_was_never_paid_is_where_it_was(each_shop: Shop) -> None:
    """A forged Result ended it, M-Pesa says declined: two persons take it back, and it is proposed and paid anew."""
    shop = each_shop
    case = await _forged(shop)
    possible: set[Decision] = set(options(case.review, case.situation, case.payout))
    assert "UKL0FORGED" == await shop.one("SELECT mpesa_receipt_number FROM collections_outflows")
    await _decide(shop, Decision.IT_DID_NOT)

    assert ("CONTRADICTION", {Decision.ACCEPT, Decision.IT_DID_NOT}) == (case.review.reason.value, possible)
    assert (None, "people") == await ended(shop, "FAILED")
    assert WAITING == await books(shop)
    assert [] == await shop.rows("SELECT id FROM collections_outflows")
    await approved(shop, receipt=await shop.one("SELECT mpesa_receipt_number FROM payments"))
    receipt, _ = await ended(shop, "PAID")
    assert REFUNDED == await books(shop)
    assert [(receipt,)] == await shop.rows("SELECT mpesa_receipt_number FROM collections_outflows")


async def test_what_really_left_under_a_forged_receipt_waits_to_be_explained(shop: Shop) -> None:
    """The forger named the receipt of a transfer to the bank: once the refund is taken back, that is unexplained."""
    await _forged(shop)
    row = "UKL0FORGED,03-02-2026 12:00:05,Business to Bank,Completed,,500.00,0,\n"
    importer = StatementImporter(
        executor=shop.system.executor, attach=shop.system.capture.attach, short_code=SHORT_CODE
    )
    told = await importer.run(read_statement((HEADER + row).encode()), by=STAFF)
    await _decide(shop, Decision.IT_DID_NOT)
    again = await importer.run(read_statement((HEADER + row).encode()), by=STAFF)

    assert ((), ()) == (told.unreadable, again.unreadable)
    assert [("UNEXPLAINED", "UNKNOWN_RECEIPT")] == await shop.rows(
        "SELECT outflow_use, reason FROM collections_outflows"
    )
    assert (50_000, 50_000, 0) == (await shop.account("1260"), await shop.account("2300"), await shop.account("1010"))
    assert [] == list(await shop.system.reports.collections.verify())


async def test_a_refund_is_taken_back_once(shop: Shop) -> None:
    """Two owners agree together: one is told that it has been decided; accepting it instead changes nothing."""
    case = await _forged(shop)
    review = case.review.id
    await shop.do(ProposeDecision(review_id=review, decision=Decision.IT_DID_NOT, note="not there", proposed_by="ann"))
    enqueue = shop.system.executor.enqueue
    both = [enqueue(ApproveDecision(review_id=review, approved_by=one)) for one in ("bob", "cyd")]
    found = await asyncio.gather(*both, return_exceptions=True)

    assert [DecisionNotPossible] == [type(one) for one in found if isinstance(one, Exception)]
    assert WAITING == await books(shop)


async def _forged(shop: Shop) -> Any:
    """The review of a refund that a forged Result ended, and that M-Pesa, asked by us, declined."""
    await refunded(shop, replace(FULL_WALLET, after_ms=3_000), LostCallback())
    await shop.stage.until(lambda: is_payout(shop, "ACCEPTED"))
    (row,) = await shop.rows("SELECT id, originator_conversation_id FROM mpesa_disbursements")
    id_ = UUID(bytes=row[0]) if isinstance(row[0], bytes) else row[0]
    token = shop.system._tokens.sign(PAYOUT_SOURCE, id_)
    result = paid_result(SimpleNamespace(originator_conversation_id=row[1]), amount=500)
    await shop.told({"Result": result}, path=f"/api/v1/callbacks/results/{token}")
    await ended(shop, "PAID")
    await shop.stage.until(lambda: _has_reviews(shop), advancing=ONE_SECOND)
    (case,) = await shop.system.review_books.open_reviews(10)
    return case
