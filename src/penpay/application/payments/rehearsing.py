"""Showing what each possible decision about a review would book, by carrying it out and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.payments.carrying_out import carry_out
from penpay.application.payments.deciding import decision_footprint, review_held
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.rows import REVIEWS, Decision, Review
from penpay.application.payments.situation import Situation, options
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
    def __init__(self, policy: PaymentsPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[RehearseDecisions], find: Find) -> Footprint:
        return await decision_footprint([command.review_id for command in commands], find)

    def handle(self, command: RehearseDecisions, work: Work) -> tuple[RehearsedDecision, ...]:
        """Each possible decision in alphabetical order; none for a review that is resolved. Raises NotFound."""
        review, situation = review_held(work, command.review_id)
        if not review.is_open:
            return ()
        return tuple(
            self._rehearsed(work, review, situation, decision) for decision in sorted(options(review, situation))
        )

    def _rehearsed(
        self, work: Work, review: Review, situation: Situation | None, decision: Decision
    ) -> RehearsedDecision:
        refused: DomainError | None = None

        def do() -> None:
            nonlocal refused
            resolved = review.resolved("rehearsal", work.now, decision=decision)
            work.put(REVIEWS, (review.subject_id, review.reason), resolved)
            try:
                carry_out(work, resolved, situation, self._policy, by="rehearsal")
            except DomainError as error:
                refused = error

        journals = rehearsed(work, do)
        return RehearsedDecision(decision=decision, journals=() if refused else journals, refused=refused)
