"""The short messages, word for word: customers keep them as receipts and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from penpay.application.mobile_money import messages
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

AT = datetime(2026, 7, 9, 11, 33, tzinfo=UTC)  # 2:33 in the afternoon in Nairobi
PHONE = PhoneNumber("+254712345678")


def ksh(cents: int) -> Money:
    return Money(cents, Currency.KES)


MOVED: dict[str, Any] = {"receipt": "UG9A1B2C3D", "amount": ksh(1_500_00), "at": AT, "balance": ksh(98_500_50)}
COST: dict[str, Any] = {"fee": ksh(23_00), "day_left": ksh(498_500_00)}

TOLD = [
    (
        messages.sent_message(**MOVED, **COST, to_name="SUBSCRIBER TWO", to_phone=PHONE),
        (
            "UG9A1B2C3D Confirmed. Ksh1,500.00 sent to SUBSCRIBER TWO 0712345678 on 9/7/26 at 2:33 PM. "
            "New M-PESA balance is Ksh98,500.50. Transaction cost, Ksh23.00. "
            "Amount you can transact within the day is 498,500.00."
        ),
    ),
    (
        messages.received_message(**MOVED, from_name="SUBSCRIBER ONE", from_phone=PHONE),
        (
            "UG9A1B2C3D Confirmed.You have received Ksh1,500.00 from SUBSCRIBER ONE 0712***678 on 9/7/26 at 2:33 PM "
            "New M-PESA balance is Ksh98,500.50."
        ),
    ),
    (
        messages.paid_message(**MOVED, **COST, merchant="PENPAY", account_reference="A 1#"),
        (
            "UG9A1B2C3D Confirmed. Ksh1,500.00 sent to PENPAY for account A 1# on 9/7/26 at 2:33 PM. "
            "New M-PESA balance is Ksh98,500.50. Transaction cost, Ksh23.00. "
            "Amount you can transact within the day is 498,500.00."
        ),
    ),
    (
        messages.paid_to_till_message(**MOVED, **COST, merchant="SHOP ONE"),
        (
            "UG9A1B2C3D Confirmed. Ksh1,500.00 paid to SHOP ONE. on 9/7/26 at 2:33 PM. "
            "New M-PESA balance is Ksh98,500.50. Transaction cost, Ksh23.00. "
            "Amount you can transact within the day is 498,500.00."
        ),
    ),
    (
        messages.withdrawn_message(**MOVED, **COST, agent="AGENT ONE"),
        (
            "UG9A1B2C3D Confirmed.on 9/7/26 at 2:33 PMWithdraw Ksh1,500.00 from AGENT ONE "
            "New M-PESA balance is Ksh98,500.50. Transaction cost, Ksh23.00. "
            "Amount you can transact within the day is 498,500.00."
        ),
    ),
    (
        messages.deposited_message(**MOVED, agent="AGENT ONE"),
        (
            "UG9A1B2C3D Confirmed. On 9/7/26 at 2:33 PM Give Ksh1,500.00 cash to AGENT ONE "
            "New M-PESA balance is Ksh98,500.50."
        ),
    ),
    (
        messages.float_assigned_message(**MOVED),
        (
            "UG9A1B2C3D Confirmed. Float of Ksh1,500.00 was assigned to you on 9/7/26 at 2:33 PM. "
            "New float balance is Ksh98,500.50."
        ),
    ),
    (
        messages.given_back_message(**MOVED, reversed_receipt="UG8Z9Y8X7W"),
        (
            "UG9A1B2C3D Confirmed. Transaction UG8Z9Y8X7W was reversed on 9/7/26 at 2:33 PM and Ksh1,500.00 "
            "returned to your account. New M-PESA balance is Ksh98,500.50."
        ),
    ),
    (
        messages.taken_back_message(**MOVED, reversed_receipt="UG8Z9Y8X7W"),
        (
            "UG9A1B2C3D Confirmed. Transaction UG8Z9Y8X7W was reversed on 9/7/26 at 2:33 PM and Ksh1,500.00 "
            "taken from your account. New M-PESA balance is Ksh98,500.50."
        ),
    ),
    (
        messages.short_of_funds_message(amount=ksh(500_00), fee=ksh(7_00), balance=ksh(506_99)),
        (
            "Failed. You have insufficient funds in your M-PESA account for Ksh500.00 and the transaction cost, "
            "Ksh7.00. Your M-PESA balance is Ksh506.99."
        ),
    ),
    (
        messages.short_of_funds_message(amount=ksh(500_00), fee=ksh(0), balance=ksh(5)),
        "Failed. You have insufficient funds in your M-PESA account for Ksh500.00. Your M-PESA balance is Ksh0.05.",
    ),
    (
        messages.above_maximum_message(amount=ksh(250_001_00), maximum=ksh(250_000_00)),
        "Failed. Ksh250,001.00 is above the maximum of Ksh250,000.00 for one transaction.",
    ),
    (
        messages.above_daily_limit_message(amount=ksh(1_500_00), day_left=ksh(1_000_00)),
        "Failed. Ksh1,500.00 is above your daily limit. Amount you can transact within the day is 1,000.00.",
    ),
    (
        messages.wrong_pin_message(attempts_left=2),
        "You have entered a wrong M-PESA PIN. You have 2 attempts left.",
    ),
    (
        messages.wrong_pin_message(attempts_left=1),
        "You have entered a wrong M-PESA PIN. You have 1 attempt left.",
    ),
    (messages.pin_locked_message(), "Your M-PESA PIN is locked."),
    (
        messages.low_float_message(balance=ksh(900_00), threshold=ksh(1_000_00), at=AT),
        "Your float is low: Ksh900.00 on 9/7/26 at 2:33 PM, below Ksh1,000.00. Ask your super agent for more.",
    ),
    (
        messages.cash_out_code_message(code="482913", amount=ksh(1_500_00), expires_at=AT),
        (
            "Your cash-out code is 482913, for Ksh1,500.00. It expires on 9/7/26 at 2:33 PM. "
            "Show it to nobody but the agent who pays you."
        ),
    ),
]


@pytest.mark.parametrize(("message", "text"), TOLD)
def test_each_message_word_for_word(message: str, text: str) -> None:
    """The figures, the clock, and the operator's own uneven spacing."""
    assert text == message


def test_without_a_daily_limit_nothing_is_said_of_one() -> None:
    """The message ends with what it cost."""
    message = messages.paid_to_till_message(**MOVED, merchant="SHOP ONE", fee=ksh(0), day_left=None)

    assert message.endswith("New M-PESA balance is Ksh98,500.50. Transaction cost, Ksh0.00.")


@pytest.mark.parametrize(("hour", "shown"), [(21, "12:05 AM"), (6, "9:05 AM"), (9, "12:05 PM"), (20, "11:05 PM")])
def test_noon_and_midnight_are_twelve(hour: int, shown: str) -> None:
    """UTC plus three hours, in the twelve-hour clock."""
    message = messages.deposited_message(**MOVED | {"at": datetime(2026, 11, 20, hour, 5, tzinfo=UTC)}, agent="A")

    assert f"at {shown} Give" in message


def test_the_day_is_that_of_nairobi() -> None:
    """Half past nine in the evening in UTC is tomorrow in Nairobi, and here next year."""
    message = messages.deposited_message(**MOVED | {"at": datetime(2026, 12, 31, 21, 30, tzinfo=UTC)}, agent="A")

    assert "On 1/1/27 at 12:30 AM" in message


def test_nobody_can_write_a_second_message_into_a_first() -> None:
    """Line breaks in names and references are blanks on the phone."""
    forged = "X\r\nUG9FORGED1 Confirmed."
    told = [
        messages.sent_message(**MOVED, **COST, to_name=forged, to_phone=PHONE),
        messages.received_message(**MOVED, from_name=forged, from_phone=PHONE),
        messages.paid_message(**MOVED, **COST, merchant=forged, account_reference="A"),
        messages.paid_message(**MOVED, **COST, merchant="M", account_reference=forged),
        messages.paid_to_till_message(**MOVED, **COST, merchant=forged),
        messages.withdrawn_message(**MOVED, **COST, agent=forged),
        messages.deposited_message(**MOVED, agent=forged),
    ]

    assert all("X  UG9FORGED1" in message and message.isprintable() for message in told)
