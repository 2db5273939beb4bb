"""What users are told: each message in full, short enough, and with nothing in it that is nobody's business."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from penpay.application.payments.messages import LONGEST_TEXT, moment_text, words
from penpay.domain.payments.notification import NOTED
from penpay.domain.payments.transaction import Transaction, TransactionStatus, create_transaction
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money

AT = datetime(2026, 2, 3, 9, 5, tzinfo=UTC)
RATE = LockedRate(
    base=Currency.USD,
    quote=Currency.KES,
    mid_e8=12_950_000_000,
    spread_bps=200,
    source="test",
    locked_at=AT,
    expires_at=AT + timedelta(minutes=15),
)
S = TransactionStatus


def transaction(status: TransactionStatus, *, deposit: bool, cents: int = 1_000) -> Transaction:
    """A transaction that has come to this state, with M-Pesa's receipt."""
    amount = Money(cents, Currency.USD)
    created, _ = create_transaction(
        transaction_id=TransactionId(UUID(int=1)),
        user_id=UserId(UUID(int=2)),
        amount=amount,
        deriv_login_id="CR123456",
        rate=RATE,
        quote=RATE.quote_deposit(amount) if deposit else RATE.quote_withdrawal(amount),
        at=AT,
    )
    return replace(created, status=status, receipt="UB3ABC1234")


@pytest.mark.parametrize(
    ("status", "deposit", "title", "text"),
    [
        (
            S.COMPLETED, True, "Your deposit of USD 10.00 is complete",
            ("UB3ABC1234 Confirmed. KES 1,321.00 paid by M-Pesa, USD 10.00 sent to your Deriv account CR123456"
            " on 3/2/26 at 12:05 PM. PenPay"),
        ),
        (
            S.COMPLETED, False, "Your withdrawal of USD 10.00 is complete",
            ("UB3ABC1234 Confirmed. KES 1,269.00 sent to your M-Pesa number for USD 10.00 from your Deriv account"
            " CR123456 on 3/2/26 at 12:05 PM. PenPay"),
        ),
        (
            S.FAILED, True, "Your deposit of USD 10.00 was not made",
            ("Your deposit of USD 10.00 to Deriv account CR123456 was not made. You were not charged."
            " 3/2/26 at 12:05 PM. PenPay"),
        ),
        (
            S.FAILED, False, "Your withdrawal of USD 10.00 was not made",
            ("Your withdrawal of USD 10.00 from Deriv account CR123456 was not made. Nothing was taken from it."
            " 3/2/26 at 12:05 PM. PenPay"),
        ),
        (
            S.REVERSED, True, "Your deposit of USD 10.00 was given back",
            ("UB3BACK999 Confirmed. KES 1,321.00 paid back to your M-Pesa number on 3/2/26 at 12:05 PM. Your deposit to"
            " Deriv account CR123456 could not be made. PenPay"),
        ),
        (
            S.REVERSED, False, "Your withdrawal of USD 10.00 was given back",
            ("UB3BACK999 Confirmed. USD 10.00 returned to your Deriv account CR123456 on 3/2/26 at 12:05 PM. Your"
            " withdrawal could not be paid to M-Pesa. PenPay"),
        ),
        (
            S.IN_REVIEW, True, "Your deposit of USD 10.00 is being checked",
            ("Your deposit of USD 10.00 to Deriv account CR123456 is being checked by our staff since 3/2/26 at"
            " 12:05 PM. We will tell you how it ends. PenPay"),
        ),
        (
            S.IN_REVIEW, False, "Your withdrawal of USD 10.00 is being checked",
            ("Your withdrawal of USD 10.00 from Deriv account CR123456 is being checked by our staff since 3/2/26 at"
            " 12:05 PM. We will tell you how it ends. PenPay"),
        ),
    ],
)  # fmt: skip
def test_each_state_in_words(status: TransactionStatus, *, deposit: bool, title: str, text: str) -> None:
    """The receipt first, amounts as people write them, and the time in Nairobi."""
    assert (title, text) == words(transaction(status, deposit=deposit), AT, "UB3BACK999")


def test_without_a_receipt_none_is_named() -> None:
    """Learned by a question, a payment has none yet."""
    told = words(replace(transaction(S.COMPLETED, deposit=True), receipt=None), AT)

    assert told.text.startswith("Confirmed. KES 1,321.00 paid")


@pytest.mark.parametrize("status", sorted(NOTED))
@pytest.mark.parametrize("deposit", [True, False])
def test_the_largest_amounts_fit_into_two_short_messages(status: TransactionStatus, *, deposit: bool) -> None:
    """In plain ASCII, which no handset spells in another alphabet."""
    told = words(transaction(status, deposit=deposit, cents=100_000_000), AT.replace(month=12, day=31), "W" * 20)

    assert told.text.isascii()
    assert len(told.text) <= LONGEST_TEXT
    assert len(told.title) <= 120


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(2026, 1, 1, 21, 0, tzinfo=UTC), "2/1/26 at 12:00 AM"),
        (datetime(2026, 12, 31, 9, 0, tzinfo=UTC), "31/12/26 at 12:00 PM"),
        (datetime(2026, 12, 31, 20, 59, tzinfo=UTC), "31/12/26 at 11:59 PM"),
        (datetime(2009, 6, 5, 4, 7, tzinfo=UTC), "5/6/09 at 7:07 AM"),
    ],
)
def test_a_moment_as_people_know_it(at: datetime, shown: str) -> None:
    """Midnight and noon are twelve."""
    assert shown == moment_text(at)
