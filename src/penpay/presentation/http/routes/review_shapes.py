"""The JSON of reviews, as it is documented; the values come from the views of the application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from penpay.application.payments.rows import Decision, ReviewReason
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import LedgerSide
from penpay.presentation.http.routes.shapes import StoryLineBody

_REVIEW: Final[Mapping[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000001",
    "transaction_id": "019a0000-0000-7000-8000-000000000002",
    "status": "IN_REVIEW",
    "reason": "NOT_RETURNED",
    "amount_cents": 1_000,
    "currency": "USD",
    "facts": {"code": "cashier_locked"},
    "opened_at": "2026-02-03T09:00:00.000000Z",
    "held": {"suspense:USD": 1_000},
    "decision": None,
    "note": None,
    "proposed_by": None,
    "proposed_at": None,
    "approved_by": None,
    "resolved_at": None,
    "possible": ["RETURN"],
    "version": 1,
}
_RETURN: Final[Mapping[str, Any]] = {
    "decision": "RETURN",
    "meaning": "send the dollars back to the account at Deriv",
    "journals": [
        {
            "kind": "deriv_transfer_intended",
            "lines": [
                {"account": "wallet:USD", "side": "DEBIT", "amount_cents": 1_000, "currency": "USD"},
                {"account": "deriv:in_flight", "side": "CREDIT", "amount_cents": 1_000, "currency": "USD"},
            ],
        }
    ],
    "code": None,
}


class ReviewBody(BaseModel):
    """A question for people; amounts in cents."""

    model_config = ConfigDict(json_schema_extra={"example": dict(_REVIEW)})

    id: str
    transaction_id: str | None = Field(description="Null for money that belongs to no transaction.")
    status: TransactionStatus | None = Field(description="Of the transaction.")
    reason: ReviewReason
    amount_cents: int = Field(description="What the review is about; 0 when nothing moved.")
    currency: Currency
    facts: dict[str, str | int | bool | None] = Field(description="What was known when it was opened.")
    opened_at: str
    held: dict[str, int] = Field(description="Where the books hold money of the transaction, in cents by place.")
    decision: Decision | None = Field(description="What is proposed, or was done once `approved_by` is there.")
    note: str | None = Field(description="Why, by whoever proposed it.")
    proposed_by: str | None
    proposed_at: str | None
    approved_by: str | None
    resolved_at: str | None
    possible: list[Decision] = Field(description="What can be decided as things stand.")
    version: int = Field(description="Grows with every change; whoever approves names the one she saw.")


class JournalLineBody(BaseModel):
    """One side of a journal."""

    account: str
    side: LedgerSide
    amount_cents: int
    currency: Currency


class DecisionJournalBody(BaseModel):
    """A journal that a decision would post."""

    kind: str
    lines: list[JournalLineBody]


class OptionBody(BaseModel):
    """Something that can be decided."""

    decision: Decision
    meaning: str = Field(description="For people.")
    journals: list[DecisionJournalBody] = Field(
        description="What its approval would book at once; what follows from it is booked as it happens."
    )
    code: str | None = Field(description="The refusal that would keep it from being approved now.")


class ReviewWithEvidenceBody(ReviewBody):
    """A review with all that is needed to decide it."""

    model_config = ConfigDict(json_schema_extra={"example": {**_REVIEW, "options": [dict(_RETURN)], "story": []}})

    options: list[OptionBody]
    story: list[StoryLineBody] = Field(description="All that happened to its transaction, outside too.")


class ReviewsBody(BaseModel):
    """One page of reviews."""

    reviews: list[ReviewBody]
    next: str | None = Field(description="Give it as `after` for the following page; null on the last.")
