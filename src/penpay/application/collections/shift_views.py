"""What shifts and cash movements look like from outside; amounts in cents of KES, moments in UTC."""

from __future__ import annotations

from penpay.application.collections.drawer import Sold
from penpay.application.collections.views import View, moment
from penpay.domain.collections.shift import CashMovement, Shift


def shift_view(shift: Shift, sold: Sold | None = None) -> View:
    """The report of a shift. What was sold is as it was when it was closed; of an open one `sold` tells it."""
    counted, difference = shift.counted, shift.difference
    told = Sold(counted.sales, counted.mpesa.cents) if counted else sold
    return {
        "shift_id": shift.number,
        "cashier": shift.cashier,
        "state": shift.state.value,
        "opened_at": moment(shift.opened_at),
        "float_cents": shift.opening_float.cents,
        "cash_taken_cents": shift.taken.cents,
        "cash_returned_cents": shift.returned.cents,
        "cash_in_cents": shift.put_in.cents,
        "cash_out_cents": shift.taken_out.cents,
        "expected_cents": shift.expected.cents,
        "counted_cents": counted and counted.cash.cents,
        "difference_cents": difference and difference.cents,
        "sales_count": told and told.sales,
        "mpesa_cents": told and told.mpesa_cents,
        "closed_at": moment(counted.at if counted else None),
        "closed_by": counted and counted.by,
    }


def movement_view(movement: CashMovement, shift_number: str | None) -> View:
    """Cash that came or went without a sale."""
    return {
        "movement_id": str(movement.id),
        "shift_id": shift_number,
        "direction": movement.direction.value,
        "purpose": movement.purpose.value,
        "amount_cents": movement.amount.cents,
        "reason": movement.reason,
        "moved_at": moment(movement.moved_at),
        "moved_by": movement.moved_by,
    }
