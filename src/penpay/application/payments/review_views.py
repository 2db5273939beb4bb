"""What a review looks like from outside: the one JSON shape of every answer about it."""

from __future__ import annotations

from penpay.application.payments.deciding import MEANINGS
from penpay.application.payments.queries import ReviewCase
from penpay.application.payments.rehearsing import RehearsedDecision
from penpay.application.payments.situation import options
from penpay.application.payments.views import moment


def review_view(case: ReviewCase) -> dict[str, object]:
    """A review as JSON-ready values: why, about how much, where the money stands, and what can be decided."""
    review, situation = case.review, case.situation
    return {
        "id": str(review.id),
        "transaction_id": review.transaction_id and str(review.transaction_id),
        "status": situation and situation.status.value,
        "reason": review.reason.value,
        "amount_cents": review.amount.cents,
        "currency": review.amount.currency.value,
        "facts": dict(review.facts),
        "opened_at": moment(review.opened_at),
        "held": {} if situation is None else dict(situation.held),
        "decision": review.decision and review.decision.value,
        "note": review.note,
        "proposed_by": review.proposed_by,
        "proposed_at": moment(review.proposed_at),
        "approved_by": review.approved_by,
        "resolved_at": moment(review.resolved_at),
        "possible": sorted(options(review, situation, case.payout)) if review.is_open else [],
        "version": review.version,
    }


def option_view(option: RehearsedDecision) -> dict[str, object]:
    """A possible decision as JSON-ready values: what it means, and what its approval would book at once."""
    journals = [
        {
            "kind": journal.kind,
            "lines": [
                {
                    "account": line.account,
                    "side": line.side.value,
                    "amount_cents": line.amount.cents,
                    "currency": line.amount.currency.value,
                }
                for line in journal.lines
            ],
        }
        for journal in option.journals
    ]
    return {
        "decision": option.decision.value,
        "meaning": MEANINGS[option.decision],
        "journals": journals,
        "code": option.refused and option.refused.code,
    }
