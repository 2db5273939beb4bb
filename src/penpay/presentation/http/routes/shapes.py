"""The JSON that clients read, as it is documented; the values come from the views of the application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from penpay.domain.payments.transaction import TransactionStatus, TransactionType
from penpay.domain.shared.money import Currency


class TransactionBody(BaseModel):
    """A transaction; amounts in cents, moments in RFC 3339."""

    id: str
    type: TransactionType
    status: TransactionStatus
    amount_cents: int
    currency: Currency
    deriv_login_id: str
    usd_cents: int = Field(description="What reaches or leaves the Deriv account.")
    kes_cents: int = Field(description="What the phone is charged or paid.")
    rate: str = Field(description="KES for one USD, as an exact decimal.")
    rate_expires_at: str
    receipt: str | None = Field(description="M-Pesa's receipt.")
    failure_code: str | None
    recovered_by: str | None = Field(description="How the outcome was learned when no callback brought it.")
    created_at: str
    updated_at: str


class TimelineBody(BaseModel):
    """One event of a transaction."""

    at: str
    event: str
    status: TransactionStatus


class TransactionWithTimelineBody(TransactionBody):
    """A transaction and everything that happened to it."""

    timeline: list[TimelineBody]


class StoryLineBody(BaseModel):
    """One thing in the story of a transaction."""

    at: str
    kind: str = Field(description="event, evidence, journal, callback or message.")
    text: str = Field(description="For people.")


class TransactionWithStoryBody(TransactionBody):
    """A transaction and all that happened, outside too."""

    story: list[StoryLineBody]


class TransactionPageBody(BaseModel):
    """Transactions, newest first."""

    transactions: list[TransactionBody]
    next: str | None = Field(description="Give it as `before` for the following page; null on the last.")


class BalanceBody(BaseModel):
    """One wallet."""

    currency: Currency
    balance_cents: int


class BalancesBody(BaseModel):
    """The user's wallets, one a currency."""

    balances: list[BalanceBody]


class HealthBody(BaseModel):
    """Whether this process can do its work."""

    status: Literal["ok", "degraded"]
    database: Literal["ok", "unreachable", "not committing"]
    schema_current: bool
    queued: int = Field(description="Commands waiting for their commit.")


class ProblemBody(BaseModel):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable; the one member to program against.")
    fields: list[str] | None = Field(None, description="The fields it is about.")
    reasons: dict[str, str] | None = Field(None, description="Why, by field.")


PROBLEMS: Final[Mapping[int | str, dict[str, Any]]] = {
    "default": {
        "description": "Refused.",
        "content": {"application/problem+json": {"schema": ProblemBody.model_json_schema()}},
    }
}
"""Documents every other answer of a route."""


def answers(status: int, model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with this model, or with a problem."""
    return {status: {"model": model}, **PROBLEMS}
