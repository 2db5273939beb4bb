"""The JSON of shifts and of cash that moves without a sale, as it is documented; amounts in cents of KES."""

from __future__ import annotations

from pydantic import BaseModel, Field

from penpay.domain.collections.shift import CashDirection, CashPurpose, ShiftState
from penpay.presentation.http.routes.collections_shapes import PageBody


class CashMovementBody(BaseModel):
    """Cash that came or went without a sale."""

    movement_id: str
    shift_id: str | None = Field(description="In whose drawer; null where the cash was in none.")
    direction: CashDirection
    purpose: CashPurpose
    amount_cents: int
    reason: str
    moved_at: str
    moved_by: str


class ShiftBody(BaseModel):
    """The report of a shift."""

    shift_id: str
    cashier: str
    state: ShiftState
    opened_at: str
    float_cents: int = Field(description="Counted before the first sale.")
    cash_taken_cents: int = Field(description="For sales, less the change given.")
    cash_returned_cents: int = Field(description="Handed back for sales that were not completed.")
    cash_in_cents: int
    cash_out_cents: int
    expected_cents: int = Field(description="What is in the drawer if nothing is missing.")
    counted_cents: int | None = Field(description="What was; null while it is open, as all that follows but the sales.")
    difference_cents: int | None = Field(description="Counted less expected: above zero too much.")
    sales_count: int | None = Field(description="Sales opened in it; null in lists while it is open.")
    mpesa_cents: int | None = Field(description="What M-Pesa had paid of them when it was closed, or has by now.")
    closed_at: str | None
    closed_by: str | None
    movements: list[CashMovementBody] | None = Field(None, description="Of one shift that was asked for.")


class ShiftsBody(PageBody):
    shifts: list[ShiftBody]


class CashMovementsBody(PageBody):
    movements: list[CashMovementBody]
