"""The JSON of locks of the books, as it is documented; days in Nairobi."""

from __future__ import annotations

from pydantic import BaseModel, Field

from penpay.domain.collections.period import LockState
from penpay.presentation.http.routes.collections_shapes import PageBody


class PeriodLockBody(BaseModel):
    """A wish to lock the books, and what became of it."""

    lock_id: str
    through: str | None = Field(description="The last day to be locked; null to unlock all.")
    reason: str
    state: LockState
    proposed_by: str
    proposed_at: str
    decided_by: str | None
    decided_at: str | None


class PeriodLocksBody(PageBody):
    locked_through: str | None = Field(description="The last day on which people book nothing now; null: none.")
    locks: list[PeriodLockBody]
