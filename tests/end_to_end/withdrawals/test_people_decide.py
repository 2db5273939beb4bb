"""Reviews are decided by two persons: each decision moves the money it says, once, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from penpay.application.payments.deciding import ApproveDecision, ProposeDecision, RejectDecision
from penpay.application.payments.rows import Decision, Review
from penpay.application.payments.situation import options
from penpay.demo.world import LOGIN_ID
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import DecisionNotPossible, DomainError, InvalidRequest, NotFound, OwnProposal
from penpay.domain.shared.ids import ReviewId
from penpay.infrastructure.sql.tables import ledger_journals
from penpay.sandbox.deriv.faults import DropBeforeCommit, Refuse
from penpay.sandbox.faults import DarajaCall, ForcedResult, LostCallback, Spoilt, SpoiltReply
from tests.end_to_end.deposits.callbacks import success_body
from tests.end_to_end.deposits.stage import read
from tests.end_to_end.withdrawals.stage import COMPLETED, IN_FLIGHT, UNTOUCHED, WithdrawalStage

FULL_WALLET = ForcedResult(code="8", text="Declined due to limit rule: would exceed the maximum balance.")
LOCKED = Refuse("You cannot transfer to account CR123456, as their cashier is locked.")


@pytest.mark.path(saga="withdrawal", step="return", fault="refused, then people decide", outcome="REVERSED")
async def test_dollars_in_suspense_are_returned_when_two_persons_say_so(each_stage: WithdrawalStage) -> None:
    """Deriv would not take them back; now it does, and every cent stands where it began."""
    stage = each_stage
    withdrawal = await _not_returned(stage)
    assert {Decision.RETURN} == await _possible(stage)
    await _decide(stage, Decision.RETURN)

    assert "REVERSED" == (await stage.ended(withdrawal))[0]
    assert UNTOUCHED == await stage.books()
    assert [] == await stage.base.reviews()


async def test_the_office_sees_what_its_decision_books(each_stage: WithdrawalStage) -> None:
    """Over HTTP: the journals shown for RETURN are the ones booked when the owner approves, and the rest follows."""
    stage = each_stage
    withdrawal = await _not_returned(stage)
    accountant, owner = [await _employed(stage, role) for role in (StaffRole.ACCOUNTANT, StaffRole.OWNER)]
    async with accountant, owner:
        (waiting,) = read(await accountant.get("/api/v1/reviews"))["reviews"]
        url = f"/api/v1/reviews/{waiting['id']}"
        shown = read(await accountant.get(url))
        (option,) = shown["options"]
        before = await _journals(stage)
        body = {"decision": "RETURN", "note": "her cashier is open again"}
        proposed = read(await accountant.post(f"{url}/propose", json=body))
        approved = await owner.post(f"{url}/approve", json={"version": proposed["version"]})

    assert (withdrawal, ["RETURN"]) == (shown["transaction_id"], shown["possible"])
    kinds = {"event", "evidence", "journal", "callback", "message", "review", "audit"}
    assert kinds == {line["kind"] for line in shown["story"]}
    assert 200 == approved.status_code
    foretold = [journal["kind"] for journal in option["journals"]]
    assert ["taken_from_suspense", "deriv_transfer_intended"] == foretold
    assert foretold == (await _journals(stage))[len(before) :][:2]
    assert "REVERSED" == (await stage.ended(withdrawal))[0]
    assert UNTOUCHED == await stage.books()


async def test_dollars_refused_again_can_be_returned_once_more(each_stage: WithdrawalStage) -> None:
    """The decision to return them is carried out, Deriv refuses them again, and the same review is decided anew."""
    stage = each_stage
    withdrawal = await _not_returned(stage)
    stage.fail_at_deriv(LOCKED, "paymentagent_transfer")
    await _decide(stage, Decision.RETURN)
    assert "IN_REVIEW" == (await stage.ended(withdrawal))[0]
    assert [("NOT_RETURNED", 1_000, "USD")] == await stage.base.reviews()
    await _decide(stage, Decision.RETURN)

    assert "REVERSED" == (await stage.ended(withdrawal))[0]
    assert UNTOUCHED == await stage.books()


async def test_nobody_approves_her_own_proposal(stage: WithdrawalStage) -> None:
    """Not in capitals either; and without a proposal, or a note, there is nothing to approve."""
    await _not_returned(stage)
    review = (await _open(stage)).id
    await _refused(stage, ApproveDecision(review_id=review, approved_by="bob"), DecisionNotPossible)
    proposal = ProposeDecision(review_id=review, decision=Decision.RETURN, note="it is open again", proposed_by="ann")
    await _refused(stage, replace(proposal, note=" "), InvalidRequest)
    await stage.system.executor.execute(proposal)
    await _refused(stage, ApproveDecision(review_id=review, approved_by="ann"), OwnProposal)
    await _refused(stage, ApproveDecision(review_id=review, approved_by="Ann"), InvalidRequest)
    await stage.system.executor.execute(RejectDecision(review_id=review, rejected_by="bob"))
    await _refused(stage, ApproveDecision(review_id=review, approved_by="bob"), DecisionNotPossible)
    await _refused(stage, ApproveDecision(review_id=ReviewId(stage.system.ids.new()), approved_by="bob"), NotFound)


async def test_a_decision_is_carried_out_once(stage: WithdrawalStage) -> None:
    """Approved twice at the same time: one is done, the other is told that it is resolved."""
    withdrawal = await _not_returned(stage)
    review = (await _open(stage)).id
    await stage.system.executor.execute(
        ProposeDecision(review_id=review, decision=Decision.RETURN, note="again", proposed_by="ann")
    )
    first = stage.system.executor.enqueue(ApproveDecision(review_id=review, approved_by="bob"))
    second = stage.system.executor.enqueue(ApproveDecision(review_id=review, approved_by="cyd"))
    await first
    with pytest.raises(DecisionNotPossible):
        await second

    assert "REVERSED" == (await stage.ended(withdrawal))[0]
    assert UNTOUCHED == await stage.books()


async def test_what_cannot_be_done_cannot_be_decided(stage: WithdrawalStage) -> None:
    """Dollars that were converted back are not paid out again, and a withdrawal is not refunded."""
    await _not_returned(stage)
    review = (await _open(stage)).id
    for decision in (Decision.PAY_OUT, Decision.REFUND, Decision.FORWARD, Decision.OWNERS, Decision.ACCEPT):
        proposal = ProposeDecision(review_id=review, decision=decision, note="please", proposed_by="ann")
        await _refused(stage, proposal, DecisionNotPossible)


async def test_people_who_saw_that_nothing_was_debited_end_the_withdrawal(stage: WithdrawalStage) -> None:
    """The call may have been made, and was not: it has failed; a credit that comes later is looked at again."""
    stage.fail_at_deriv(DropBeforeCommit())
    withdrawal = await stage.started()
    await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    assert {Decision.IT_DID_NOT} == await _possible(stage)
    await _decide(stage, Decision.IT_DID_NOT)

    assert ("FAILED", "decided_by_people", None) == await stage.base.outcome(withdrawal)
    assert UNTOUCHED == await stage.books()
    await stage.sandbox.deriv.exchange.pay_agent(
        client_id=LOGIN_ID,
        agent_id=stage.base.settings.deriv_login_id,
        cents=1_000,
        note=await stage.reference(withdrawal),
    )
    await stage.base.until(lambda: _has_reviews(stage))
    assert [("CONTRADICTION", 1_000, "USD")] == await stage.base.reviews()
    assert 1_000 == (await stage.books()).suspense_usd


@pytest.mark.path(saga="withdrawal", step="payout", fault="unknown for a day, then people decide", outcome="COMPLETED")
async def test_a_payout_nobody_could_tell_of_is_settled_by_what_people_saw(stage: WithdrawalStage) -> None:
    """M-Pesa is out of reach for a day: people look at its portal, and the phone was paid."""
    withdrawal = await _in_doubt(stage)
    assert {Decision.IT_ARRIVED, Decision.IT_DID_NOT} == await _possible(stage)
    await _decide(stage, Decision.IT_ARRIVED)

    assert ("COMPLETED", None, "people") == await stage.base.outcome(withdrawal)
    assert COMPLETED == await stage.books()


async def test_a_payout_that_did_not_arrive_is_paid_again_with_new_evidence(stage: WithdrawalStage) -> None:
    """People say it did not; the shillings are hers again, and a second decision pays them out anew."""
    withdrawal = await _in_doubt(stage, FULL_WALLET)
    await _decide(stage, Decision.IT_DID_NOT)
    assert [("NOT_RETURNED", 126_900, "KES")] == await stage.base.reviews()
    assert {Decision.PAY_OUT, Decision.RETURN, Decision.SUSPEND} == await _possible(stage)
    assert replace(IN_FLIGHT, payout_in_flight=0, wallet_kes=126_900) == await stage.books()
    await stage.base.daraja_up()
    await _decide(stage, Decision.PAY_OUT)

    assert "COMPLETED" == (await stage.ended(withdrawal))[0]
    assert [("PAYOUT", "FAILED"), ("PAYOUT", "CONFIRMED")] == await stage.payouts(withdrawal)
    assert COMPLETED == await stage.books()


async def test_a_deposit_that_a_callback_alone_tells_of_is_not_paid_out(stage: WithdrawalStage) -> None:
    """Two forged callbacks name two prompts: people look, and can move nothing while M-Pesa is asked; it denies it."""
    base = stage.base
    stage.fail_at_mpesa(SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.CUT, done=True))
    deposit = await base.deposit()
    await base.until(lambda: base.is_push(deposit, "UNKNOWN"))
    for name in ("ws_CO_FORGED1", "ws_CO_FORGED2"):
        await base.call_back(await base.token(deposit), success_body(name))
    await base.until(lambda: base.is_in(deposit, "IN_REVIEW"))
    assert [("IDENTITY_MISMATCH", 132_100, "KES")] == await base.reviews()
    assert set() == await _possible(stage)
    for decision in (Decision.REFUND, Decision.FORWARD, Decision.SUSPEND):
        proposal = ProposeDecision(
            review_id=(await _open(stage)).id, decision=decision, note="she says so", proposed_by="ann"
        )
        await _refused(stage, proposal, DecisionNotPossible)

    async def is_given_up() -> bool:
        return bool((await base.push(deposit)).due_at is None)

    await base.until(is_given_up, advancing=timedelta(hours=1))
    cases = await stage.system.review_books.open_reviews(10)
    assert {"IDENTITY_MISMATCH", "PAYMENT_UNRESOLVED"} == {case.review.reason.value for case in cases}
    assert all(Decision.REFUND in options(case.review, case.situation) for case in cases)


async def test_a_credit_of_our_owner_is_told_from_a_client_s(stage: WithdrawalStage) -> None:
    """The cashier's credit nobody had explained was the owner's: suspense is empty."""
    await stage.sandbox.deriv.exchange.top_up(stage.base.settings.deriv_login_id, 5_000)
    await stage.base.until(lambda: _has_reviews(stage))
    assert [("UNMATCHED_CREDIT", 5_000, "USD")] == await stage.base.reviews()
    assert {Decision.OWNERS, Decision.ACCEPT} == await _possible(stage)
    await _decide(stage, Decision.OWNERS)

    assert replace(UNTOUCHED, agent=1_005_000, at_deriv_agent=1_005_000) == await stage.books()
    assert [] == await stage.base.reviews()


async def _not_returned(stage: WithdrawalStage) -> str:
    """A withdrawal that M-Pesa would not pay and Deriv would not take back."""
    stage.fail_at_mpesa(FULL_WALLET)
    stage.fail_at_deriv(LOCKED, "paymentagent_transfer")
    withdrawal = await stage.started()
    assert "IN_REVIEW" == (await stage.ended(withdrawal))[0]
    return withdrawal


async def _in_doubt(stage: WithdrawalStage, *ends: ForcedResult) -> str:
    """A payout that M-Pesa took before it went away for more than a day."""
    stage.fail_at_mpesa(LostCallback(), *ends)
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    await stage.base.daraja_down()
    assert "IN_REVIEW" == (await stage.ended(withdrawal, advancing=timedelta(hours=1)))[0]
    return withdrawal


async def _employed(stage: WithdrawalStage, role: StaffRole) -> httpx.AsyncClient:
    """Somebody on the staff, logged in, as a script that acts for her."""
    email = Email(f"{role.value}@example.com")
    await stage.system.staff_access.create(email, role, "correct horse battery", by=None)
    token, _ = await stage.system.staff_access.log_in(email, "correct horse battery", "127.0.0.1")
    return stage.base.client(token)


async def _journals(stage: WithdrawalStage) -> list[str]:
    """The kind of every journal, in the order of booking."""
    statement = select(ledger_journals.c.kind).order_by(ledger_journals.c.id)
    async with stage.system.engine.connect() as connection:
        return list((await connection.execute(statement)).scalars())


async def _open(stage: WithdrawalStage) -> Review:
    (review,) = await stage.system.payment_books.reviews(10)
    found: Review = review
    return found


async def _possible(stage: WithdrawalStage) -> set[Decision]:
    (case,) = await stage.system.review_books.open_reviews(10)
    return set(options(case.review, case.situation))


async def _decide(stage: WithdrawalStage, decision: Decision) -> None:
    review = (await _open(stage)).id
    await stage.system.executor.execute(
        ProposeDecision(review_id=review, decision=decision, note="seen at the provider", proposed_by="ann")
    )
    await stage.system.executor.execute(ApproveDecision(review_id=review, approved_by="bob"))


async def _refused(stage: WithdrawalStage, command: object, error: type[DomainError]) -> None:
    with pytest.raises(error):
        await stage.system.executor.execute(command)


async def _has_reviews(stage: WithdrawalStage) -> bool:
    return bool(await stage.base.reviews())
