"""The short messages a payer receives (shapes: kenya.md §3G)."""

from __future__ import annotations

from datetime import datetime

from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.domain.shared.money import Money


def paid_message(
    *, receipt: str, amount: Money, merchant: str, account_reference: str, at: datetime, balance: Money, day_left: Money
) -> str:
    """The payer's confirmation of a PayBill payment."""
    return (
        f"{receipt} Confirmed. {_ksh(amount)} sent to {merchant} for account {account_reference} on {_when(at)} "
        f"New M-PESA balance is {_ksh(balance)}. Transaction cost, Ksh0.00. "
        f"Amount you can transact within the day is {_figure(day_left)}."
    )


def short_of_funds_message(*, amount: Money, merchant: str, balance: Money) -> str:
    return (
        f"Failed. You have insufficient funds in your M-PESA account to pay {_ksh(amount)} to {merchant}. "
        f"Your M-PESA balance is {_ksh(balance)}."
    )


def wrong_pin_message(*, attempts_left: int) -> str:
    return f"You have entered a wrong M-PESA PIN. You have {attempts_left} attempts left."


def pin_locked_message() -> str:
    return "Your M-PESA PIN is locked."


def _figure(amount: Money) -> str:
    units, cents = divmod(amount.cents, 100)
    return f"{units:,}.{cents:02d}"


def _ksh(amount: Money) -> str:
    return f"Ksh{_figure(amount)}"


def _when(at: datetime) -> str:
    """Day and month without leading zeros, twelve-hour clock: 9/7/26 at 2:33 PM."""
    local = at.astimezone(EAST_AFRICA)
    hour = (local.hour - 1) % 12 + 1
    half = "AM" if local.hour < 12 else "PM"  # noqa: PLR2004  (noon)
    return f"{local.day}/{local.month}/{local:%y} at {hour}:{local:%M} {half}."
