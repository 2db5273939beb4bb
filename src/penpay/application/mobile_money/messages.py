"""The short messages that customers, merchants and agents of the operator read (shapes: kenya.md §3G).

Every `at` is a UTC moment and shown in East Africa Time. The spacing around full stops is the operator's own, uneven
as it is: programs read these messages. What others have written, such as an account reference, stays on its line.
"""

from __future__ import annotations

from datetime import datetime

from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


def sent_message(
    *,
    receipt: str,
    amount: Money,
    to_name: str,
    to_phone: PhoneNumber | None,
    at: datetime,
    balance: Money,
    fee: Money,
    day_left: Money | None,
) -> str:
    """The sender's confirmation; `day_left` is None where no daily limit is set."""
    return (
        f"{receipt} Confirmed. {_ksh(amount)} sent to {_whom(to_name, to_phone)} on {_when(at)}. "
        f"{_outcome(balance, fee, day_left)}"
    )


def received_message(
    *, receipt: str, amount: Money, from_name: str, from_phone: PhoneNumber | None, at: datetime, balance: Money
) -> str:
    """The receiver's confirmation; the sender's phone is masked."""
    return (
        f"{receipt} Confirmed.You have received {_ksh(amount)} from {_from(from_name, from_phone)} "
        f"on {_when(at)} {_balance(balance)}."
    )


def paid_message(
    *,
    receipt: str,
    amount: Money,
    merchant: str,
    account_reference: str,
    at: datetime,
    balance: Money,
    fee: Money,
    day_left: Money | None,
) -> str:
    """The payer's confirmation of a PayBill payment."""
    return (
        f"{receipt} Confirmed. {_ksh(amount)} sent to {_line(merchant)} for account {_line(account_reference)} "
        f"on {_when(at)}. {_outcome(balance, fee, day_left)}"
    )


def paid_to_till_message(
    *, receipt: str, amount: Money, merchant: str, at: datetime, balance: Money, fee: Money, day_left: Money | None
) -> str:
    """The payer's confirmation of a payment to a till."""
    return (
        f"{receipt} Confirmed. {_ksh(amount)} paid to {_line(merchant)}. on {_when(at)}. "
        f"{_outcome(balance, fee, day_left)}"
    )


def withdrawn_message(
    *,
    receipt: str,
    amount: Money,
    agent: str,
    at: datetime,
    balance: Money,
    fee: Money,
    day_left: Money | None,
) -> str:
    """The customer's confirmation of cash taken at an agent."""
    return (
        f"{receipt} Confirmed.on {_when(at)}Withdraw {_ksh(amount)} from {_line(agent)} "
        f"{_outcome(balance, fee, day_left)}"
    )


def deposited_message(*, receipt: str, amount: Money, agent: str, at: datetime, balance: Money) -> str:
    """The customer's confirmation of cash given to an agent."""
    return f"{receipt} Confirmed. On {_when(at)} Give {_ksh(amount)} cash to {_line(agent)} {_balance(balance)}."


def float_assigned_message(*, receipt: str, amount: Money, at: datetime, balance: Money) -> str:
    """What a super agent reads when the operator has issued float."""
    return (
        f"{receipt} Confirmed. Float of {_ksh(amount)} was assigned to you on {_when(at)}. "
        f"New float balance is {_ksh(balance)}."
    )


def given_back_message(*, receipt: str, reversed_receipt: str, amount: Money, at: datetime, balance: Money) -> str:
    """What the payer of a reversed transaction reads."""
    return (
        f"{receipt} Confirmed. Transaction {reversed_receipt} was reversed on {_when(at)} and {_ksh(amount)} "
        f"returned to your account. {_balance(balance)}."
    )


def taken_back_message(*, receipt: str, reversed_receipt: str, amount: Money, at: datetime, balance: Money) -> str:
    """What the payee of a reversed transaction reads."""
    return (
        f"{receipt} Confirmed. Transaction {reversed_receipt} was reversed on {_when(at)} and {_ksh(amount)} "
        f"taken from your account. {_balance(balance)}."
    )


def short_of_funds_message(*, amount: Money, fee: Money, balance: Money) -> str:
    cost = f" and the transaction cost, {_ksh(fee)}" if fee.cents else ""
    return (
        f"Failed. You have insufficient funds in your M-PESA account for {_ksh(amount)}{cost}. "
        f"Your M-PESA balance is {_ksh(balance)}."
    )


def above_maximum_message(*, amount: Money, maximum: Money) -> str:
    """The amount is more than one transaction may move."""
    return f"Failed. {_ksh(amount)} is above the maximum of {_ksh(maximum)} for one transaction."


def above_daily_limit_message(*, amount: Money, day_left: Money) -> str:
    return (
        f"Failed. {_ksh(amount)} is above your daily limit. "
        f"Amount you can transact within the day is {_figure(day_left)}."
    )


def wrong_pin_message(*, attempts_left: int) -> str:
    attempts = "attempt" if attempts_left == 1 else "attempts"
    return f"You have entered a wrong M-PESA PIN. You have {attempts_left} {attempts} left."


def pin_locked_message() -> str:
    return "Your M-PESA PIN is locked."


def low_float_message(*, balance: Money, threshold: Money, at: datetime) -> str:
    """A warning to an agent whose float has fallen below what was agreed."""
    return f"Your float is low: {_ksh(balance)} on {_when(at)}, below {_ksh(threshold)}. Ask your super agent for more."


def float_asked_for_message(*, agent: str, amount: Money) -> str:
    """What a super agent reads when an agent wants to buy float."""
    return f"{_line(agent) or 'An agent'} asks you for float of {_ksh(amount)}. Agree or refuse in your requests."


def cash_out_code_message(*, code: str, amount: Money, expires_at: datetime) -> str:
    """The code a customer shows at an agent to take out cash."""
    return (
        f"Your cash-out code is {code}, for {_ksh(amount)}. It expires on {_when(expires_at)}. "
        "Show it to nobody but the agent who pays you."
    )


def _outcome(balance: Money, fee: Money, day_left: Money | None) -> str:
    """What the payer has left, what it cost, and what may still move today."""
    left = "" if day_left is None else f" Amount you can transact within the day is {_figure(day_left)}."
    return f"{_balance(balance)}. Transaction cost, {_ksh(fee)}.{left}"


def _balance(balance: Money) -> str:
    return f"New M-PESA balance is {_ksh(balance)}"


def _figure(amount: Money) -> str:
    units, cents = divmod(amount.cents, 100)
    return f"{units:,}.{cents:02d}"


def _ksh(amount: Money) -> str:
    return f"Ksh{_figure(amount)}"


def _national(phone: PhoneNumber) -> str:
    """As Kenyans write it: 0712345678."""
    return f"0{phone.e164.removeprefix('+254')}"


def _whom(name: str, phone: PhoneNumber | None) -> str:
    """Name and number, as far as they are known."""
    return " ".join(filter(None, (_line(name), "" if phone is None else _national(phone)))) or "a customer"


def _from(name: str, phone: PhoneNumber | None) -> str:
    """The same with the number masked."""
    return " ".join(filter(None, (_line(name), "" if phone is None else _masked(phone)))) or "a customer"


def _masked(phone: PhoneNumber) -> str:
    """0712***678."""
    number = _national(phone)
    return f"{number[:4]}***{number[-3:]}"


def _line(text: str) -> str:
    """A text somebody else chose: a line break in it would let it pass for a message of its own."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _when(at: datetime) -> str:
    """Day and month without leading zeros, twelve-hour clock: 9/7/26 at 2:33 PM."""
    local = at.astimezone(EAST_AFRICA)
    hour = (local.hour - 1) % 12 + 1
    half = "AM" if local.hour < 12 else "PM"  # noqa: PLR2004  (noon)
    return f"{local.day}/{local.month}/{local:%y} at {hour}:{local:%M} {half}"
