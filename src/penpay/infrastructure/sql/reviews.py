"""Rows of reviews."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.rows import REVIEWS, Decision, Review, ReviewReason
from penpay.domain.shared.ids import ReviewId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.payout_tables import reviews
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among_ids, document, fetch, for_update, parsed


class ReviewRepository:
    """Questions for people; what they write about their decision is sealed."""

    kind = REVIEWS
    table = reviews
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "amount_cents",
        "currency",
        "facts",
        "opened_at",
        "decision",
        "note_sealed",
        "proposed_by",
        "proposed_at",
        "approved_by",
        "resolved_at",
        "version",
    )

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(
        self, connection: AsyncConnection, keys: Collection[tuple[UUID, ReviewReason]]
    ) -> Mapping[tuple[UUID, ReviewReason], Review | None]:
        asked = {subject_id for subject_id, _ in keys}
        statement = (
            select(reviews).where(among_ids(reviews.c.subject_id, asked, connection.dialect)).order_by(reviews.c.id)
        )
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = {(one.subject_id, one.reason): one for one in (review(row, self._cipher) for row in rows)}
        return {key: found.get(key) for key in keys}

    def row(self, value: Review) -> Row:
        return (
            value.id,
            value.subject_id,
            value.transaction_id,
            value.reason.value,
            value.amount.cents,
            value.amount.currency.value,
            document(value.facts),
            value.opened_at,
            value.decision and value.decision.value,
            value.note and self._cipher.seal(value.note.encode(), _note_of(value.id)),
            value.proposed_by,
            value.proposed_at,
            value.approved_by,
            value.resolved_at,
            value.version,
        )

    def identity(self, value: Review) -> Row:
        return (value.id,)


def _note_of(review_id: ReviewId) -> str:
    return f"reviews.note_sealed:{review_id}"


def review(row: Any, cipher: FieldCipher | None = None) -> Review:
    """A review from its row; without the cipher its note stays closed."""
    note = cipher and row.note_sealed and cipher.open(row.note_sealed, _note_of(row.id)).decode()
    return Review(
        id=row.id,
        subject_id=row.subject_id,
        transaction_id=row.transaction_id,
        reason=ReviewReason(row.reason),
        amount=Money(row.amount_cents, Currency(row.currency)),
        facts=parsed(row.facts),
        opened_at=row.opened_at,
        decision=Decision(row.decision) if row.decision else None,
        note=note or None,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        approved_by=row.approved_by,
        resolved_at=row.resolved_at,
        version=row.version,
    )
