"""The limits an operator puts on a payer's wallet, and how many wrong PINs it forgives."""

from __future__ import annotations

from dataclasses import dataclass

from penpay.domain.shared.money import Currency, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerPolicy:
    """Kenyan defaults of 2025 (daraja.md §6.5, kenya.md §3B). Limits bind the payer, never the collecting merchant."""

    max_transaction: Money = Money(250_000_00, Currency.KES)
    max_daily: Money = Money(500_000_00, Currency.KES)
    """What one wallet may pay out in one day of East Africa Time."""
    pin_attempts: int = 3
    """Wrong PINs in a row that lock the wallet."""
    repeat_window_seconds: int = 0
    """The same amount to the same merchant again within this time is refused; 0 switches the rule off."""
