"""Showing what each possible decision about a review would book, by carrying it out and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.payments.carrying_out import carry_out
from penpay.application.payments.deciding import ReviewHeld, decision_footprint, review_held
from penpay.application.payments.payout_subjects import RefundBooks
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.rows import REVIEWS, Decision
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet.postings import RehearsedJournal, rehearsed
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.ids import ReviewId


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedDecision:
    """A decision that is possible, and the journals its approval would post at once."""

    decision: Decision
    journals: tuple[RehearsedJournal, ...]
    refused: DomainError | None = None
    """What would keep it from being approved now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseDecisions:
    """Show what can be decided about a review, and what each decision would book. Nothing is kept of it."""

    review_id: ReviewId


class RehearseDecisionsHandler:
    def __init__(self, policy: PaymentsPolicy, refunds: RefundBooks) -> None:
        self._policy = policy
        self._refunds = refunds

    async def footprint(self, commands: Sequence[RehearseDecisions], find: Find) -> Footprint:
        return await decision_footprint([command.review_id for command in commands], find, self._refunds)

    def handle(self, command: RehearseDecisions, work: Work) -> tuple[RehearsedDecision, ...]:
        """Each possible decision in alphabetical order; none for a review that is resolved. Raises NotFound."""
        held = review_held(work, command.review_id)
        if not held.review.is_open:
            return ()
        return tuple(self._rehearsed(work, held, decision) for decision in sorted(held.options))

    def _rehearsed(self, work: Work, held: ReviewHeld, decision: Decision) -> RehearsedDecision:
        review = held.review
        refused: DomainError | None = None

        def do() -> None:
            nonlocal refused
            resolved = review.resolved("rehearsal", work.now, decision=decision)
            work.put(REVIEWS, (review.subject_id, review.reason), resolved)
            try:
                carry_out(work, resolved, held.situation, self._policy, self._refunds, by="rehearsal")
            except DomainError as error:
                refused = error

        journals = rehearsed(work, do)
        return RehearsedDecision(decision=decision, journals=() if refused else journals, refused=refused)
