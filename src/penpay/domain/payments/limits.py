"""What one deposit and one withdrawal may be worth."""

from __future__ import annotations

from dataclasses import dataclass

from penpay.domain.shared.errors import AmountOutOfRange
from penpay.domain.shared.locked_rate import DepositQuote, WithdrawalQuote
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositLimits:
    """Inclusive bounds: on what reaches Deriv, and on what M-Pesa moves at once (kenya.md §3B)."""

    smallest: Money
    largest: Money
    largest_charge: Money

    def check(self, quote: DepositQuote) -> None:
        """Raises AmountOutOfRange, telling the bounds."""
        if not self.smallest <= quote.usd <= self.largest:
            raise AmountOutOfRange(
                f"A deposit is between {self.smallest} and {self.largest}.",
                currency=self.smallest.currency.value,
                minimum_cents=self.smallest.cents,
                maximum_cents=self.largest.cents,
            )
        if quote.kes_charged > self.largest_charge:
            raise AmountOutOfRange(
                f"M-Pesa moves at most {self.largest_charge} at once.",
                currency=self.largest_charge.currency.value,
                maximum_cents=self.largest_charge.cents,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalLimits:
    """Inclusive bounds: on what leaves Deriv, and on what M-Pesa pays a customer at once (daraja.md §6.5)."""

    smallest: Money
    largest: Money
    smallest_payout: Money
    largest_payout: Money

    def check(self, quote: WithdrawalQuote) -> None:
        """Raises AmountOutOfRange, telling the bounds."""
        for what, amount, lowest, highest in (
            ("A withdrawal is", quote.usd, self.smallest, self.largest),
            ("M-Pesa pays", quote.kes_paid, self.smallest_payout, self.largest_payout),
        ):
            if not lowest <= amount <= highest:
                raise AmountOutOfRange(
                    f"{what} between {lowest} and {highest}.",
                    currency=lowest.currency.value,
                    minimum_cents=lowest.cents,
                    maximum_cents=highest.cents,
                )
