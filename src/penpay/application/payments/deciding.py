"""Deciding reviews: what people may decide about one, what each decision posts, and the two persons it takes.

What can be decided follows from where the money of the transaction stands, and is looked at again when the second
person agrees: a decision that has become impossible meanwhile is refused and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from penpay.application.payments.carrying_out import carry_out, footprint_of
from penpay.application.payments.disbursing import disbursements_footprint
from penpay.application.payments.fx import parse_operator
from penpay.application.payments.payout_subjects import RefundBooks
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.rows import MPESA_DISBURSEMENTS, PAYERS, REVIEWS, Decision, Review
from penpay.application.payments.situation import REVIEW_SUBJECTS, SITUATIONS, Outflow, Situation, options
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.shared.errors import DecisionNotPossible, InvalidRequest, NotFound, OwnProposal
from penpay.domain.shared.ids import ReviewId

_NOTE_LETTERS: Final = 500
_STAFF_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
MEANINGS: Final[Mapping[Decision, str]] = MappingProxyType(
    {
        Decision.PAY_OUT: "pay the shillings to the phone, by a new payout",
        Decision.REFUND: "pay the deposit back to the phone it came from",
        Decision.RETURN: "send the dollars back to the account at Deriv",
        Decision.FORWARD: "send the dollars to Deriv, by a new transfer",
        Decision.IT_ARRIVED: "what is in doubt did happen, as you have seen at the provider",
        Decision.IT_DID_NOT: "what is in doubt, or a Result alone tells, did not happen and will not, as you have seen",
        Decision.SUSPEND: "keep the money in suspense; it stays under review there",
        Decision.OWNERS: "the credit was our owner's own",
        Decision.ACCEPT: "leave everything as it is",
    }
)
"""For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeDecision:
    """One person says what should be done about a review, and why; it takes the place of an earlier proposal."""

    review_id: ReviewId
    decision: Decision
    note: str = field(repr=False)
    proposed_by: str


async def decision_footprint(reviews: Sequence[ReviewId], find: Find, refunds: RefundBooks) -> Footprint:
    """The reviews, and every row that a decision about one of them can touch."""
    subjects = await find(REVIEW_SUBJECTS, set(reviews))
    footprint = Footprint().add(REVIEWS, *(subject.key for subject in subjects.values()))
    payouts = {one.payout_id for one in subjects.values() if one.payout_id is not None}
    footprint.merge(await disbursements_footprint(payouts, find, refunds))
    concerned = {one.transaction_id for one in subjects.values() if one.transaction_id is not None}
    situations = await find(SITUATIONS, concerned)
    await find(PAYERS, {situation.user_id for situation in situations.values()})
    for situation in situations.values():
        footprint_of(footprint, situation)
    return footprint


@dataclass(frozen=True, slots=True)
class ReviewHeld:
    """A review with where its money stands, held until the batch has ended."""

    review: Review
    situation: Situation | None
    """Of its transaction; None where it is about none."""
    payout: Outflow | None
    """Of the refund it is about; None where it is about none."""

    @property
    def options(self) -> frozenset[Decision]:
        """What can be decided."""
        return options(self.review, self.situation, self.payout)


def review_held(work: Work, review_id: ReviewId) -> ReviewHeld:
    """The review and what can be known of its money; raises NotFound."""
    subject = work.found(REVIEW_SUBJECTS, review_id)
    review = None if subject is None else work.get(REVIEWS, subject.key)
    if subject is None or review is None:
        raise NotFound("There is no such review.")
    situation = None if subject.transaction_id is None else work.found(SITUATIONS, subject.transaction_id)
    payout = None if subject.payout_id is None else work.get(MPESA_DISBURSEMENTS, subject.payout_id)
    if payout is None:
        return ReviewHeld(review, situation, None)
    outflow = Outflow(
        id=payout.id,
        reference=payout.originator_conversation_id,
        state=payout.state,
        is_unproven=payout.is_unproven,
    )
    return ReviewHeld(review, situation, outflow)


def _open_review(work: Work, review_id: ReviewId) -> ReviewHeld:
    """The same while the review is open; raises NotFound, DecisionNotPossible."""
    held = review_held(work, review_id)
    if not held.review.is_open:
        raise DecisionNotPossible("The review has been resolved already.")
    return held


def _person(text: str) -> str:
    """Who decides: an operator's handle, or the id of somebody on the staff, each in its one spelling.

    Raises InvalidRequest.
    """
    return text if _STAFF_ID.fullmatch(text) else parse_operator(text)


class ProposeDecisionHandler:
    def __init__(self, refunds: RefundBooks) -> None:
        self._refunds = refunds

    async def footprint(self, commands: Sequence[ProposeDecision], find: Find) -> Footprint:
        return await decision_footprint([command.review_id for command in commands], find, self._refunds)

    def handle(self, command: ProposeDecision, work: Work) -> Review:
        """Keep the proposal. Raises NotFound, InvalidRequest without a note, DecisionNotPossible."""
        maker = _person(command.proposed_by)
        note = command.note.strip()
        if not 1 <= len(note) <= _NOTE_LETTERS:
            raise InvalidRequest(f"A note of 1 to {_NOTE_LETTERS} characters says why.")
        held = _open_review(work, command.review_id)
        review = held.review
        _require_possible(command.decision, held)
        proposed = replace(
            review,
            decision=command.decision,
            note=note,
            proposed_by=maker,
            proposed_at=work.now,
            version=review.version + 1,
        )
        work.put(REVIEWS, (review.subject_id, review.reason), proposed)
        work.audit(f"staff:{maker}", "review.proposed", "review", review.id, decision=command.decision.value)
        return proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveDecision:
    """A second person agrees: it is done."""

    review_id: ReviewId
    approved_by: str
    version: int | None = None
    """Of the review as she saw it; given, nothing else than what she saw is approved."""


class ApproveDecisionHandler:
    def __init__(self, policy: PaymentsPolicy, refunds: RefundBooks) -> None:
        self._policy = policy
        self._refunds = refunds

    async def footprint(self, commands: Sequence[ApproveDecision], find: Find) -> Footprint:
        return await decision_footprint([command.review_id for command in commands], find, self._refunds)

    def handle(self, command: ApproveDecision, work: Work) -> Review:
        """Do what was proposed, in this commit, and close the review.

        Raises NotFound, OwnProposal, and DecisionNotPossible when nothing is proposed, or it cannot be done any more.
        """
        checker = _person(command.approved_by)
        held = _open_review(work, command.review_id)
        review = held.review
        if command.version not in {None, review.version}:
            raise DecisionNotPossible("The review has changed meanwhile; look again.")
        if review.decision is None or review.proposed_by is None:
            raise DecisionNotPossible("Nobody has proposed a decision.")
        if review.proposed_by == checker:
            raise OwnProposal
        _require_possible(review.decision, held)
        resolved = review.resolved(checker, work.now, decision=review.decision)
        # First, so that what is done may open this very question anew.
        work.put(REVIEWS, (review.subject_id, review.reason), resolved)
        carry_out(work, resolved, held.situation, self._policy, self._refunds, by=f"staff:{checker}")
        work.audit(
            f"staff:{checker}",
            "review.approved",
            "review",
            review.id,
            decision=review.decision.value,
            proposed_by=review.proposed_by,
        )
        return resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectDecision:
    """A second person does not agree, or the first takes it back: the review waits for another proposal."""

    review_id: ReviewId
    rejected_by: str


class RejectDecisionHandler:
    def __init__(self, refunds: RefundBooks) -> None:
        self._refunds = refunds

    async def footprint(self, commands: Sequence[RejectDecision], find: Find) -> Footprint:
        return await decision_footprint([command.review_id for command in commands], find, self._refunds)

    def handle(self, command: RejectDecision, work: Work) -> Review:
        """Drop the proposal. Raises NotFound, and DecisionNotPossible when nothing is proposed."""
        who = _person(command.rejected_by)
        review = _open_review(work, command.review_id).review
        if review.decision is None:
            raise DecisionNotPossible("Nobody has proposed a decision.")
        dropped = replace(
            review, decision=None, note=None, proposed_by=None, proposed_at=None, version=review.version + 1
        )
        work.put(REVIEWS, (review.subject_id, review.reason), dropped)
        work.audit(f"staff:{who}", "review.rejected", "review", review.id, decision=review.decision.value)
        return dropped


def _require_possible(decision: Decision, held: ReviewHeld) -> None:
    possible = held.options
    if decision not in possible:
        offered = ", ".join(sorted(possible)) or "nothing"
        raise DecisionNotPossible(f"As things stand, {offered} can be decided.", possible=sorted(possible))
