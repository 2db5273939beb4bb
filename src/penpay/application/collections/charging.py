"""What M-Pesa charges the business: an expense, booked once under the receipt that it was charged for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penpay.application.collections.capture_rows import PAYOUT_RECEIPTS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import collections_postings as postings
from penpay.domain.collections.errors import ChargeDiffers
from penpay.domain.collections.payment import check_receipt
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCharge:
    """M-Pesa has taken a charge out of our account, as its statement or a result tells."""

    receipt: str
    """Of what was charged for: a payment, a refund, a withdrawal to the bank. M-Pesa charges for each once."""
    amount: Money
    """KES, above zero."""
    at: datetime | None
    """When it was taken; None where that is not told."""
    by: str

    def __post_init__(self) -> None:
        """Raises InvalidReceipt and InvalidAmount."""
        check_receipt(self.receipt)
        self.amount.require_positive()


@dataclass(frozen=True, slots=True)
class ChargeBooked:
    """What became of a charge."""

    is_new: bool
    """Whether it was missing until now; False also for the charge of a deposit's or a withdrawal's payout."""


class BookChargeHandler:
    async def footprint(self, commands: Sequence[BookCharge], find: Find) -> Footprint:
        receipts = {command.receipt for command in commands}
        await find(PAYOUT_RECEIPTS, receipts)
        return postings.charges_footprint(Footprint(), receipts)

    def handle(self, command: BookCharge, work: Work) -> ChargeBooked:
        """Book it once; told again it changes nothing. Raises ChargeDiffers when it was booked with another amount.

        What a payout to a PenPay user cost is booked with its result, and none of Collections'.
        """
        if work.found(PAYOUT_RECEIPTS, command.receipt) is not None:
            return ChargeBooked(is_new=False)
        booked = postings.charge_of(work, command.receipt)
        if booked is not None:
            if booked != command.amount:
                raise ChargeDiffers(mpesa_receipt_number=command.receipt)
            return ChargeBooked(is_new=False)
        at = work.now if command.at is None else min(command.at, work.now)
        journal_id = postings.charge_booked(work, receipt=command.receipt, amount=command.amount, happened_at=at)
        cents = command.amount.cents
        work.audit(command.by, "charge.booked", "journal", journal_id, amount_cents=cents, receipt=command.receipt)
        return ChargeBooked(is_new=True)
