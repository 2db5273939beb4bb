"""The operator's own rules: wallets, PINs, limits, receipts and the states of a push."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from penpay.domain.mobile_money.customer import (
    Bar,
    Customer,
    CustomerId,
    CustomerType,
    LastPayment,
    check_pin,
)
from penpay.domain.mobile_money.errors import InvalidPin, InvalidShortCode, PushEnded, SubscriberBusy
from penpay.domain.mobile_money.merchant import Merchant, MerchantId, parse_short_code
from penpay.domain.mobile_money.policy import KycTier, Limits, OperatorPolicy
from penpay.domain.mobile_money.receipt import RECEIPTS_PER_DAY, ReceiptCounter, receipt_number
from penpay.domain.mobile_money.stk_push import (
    CANCELLED,
    NO_RESPONSE,
    UNREACHABLE,
    PushState,
    StkPush,
    StkPushId,
)
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

NOON = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)  # noon in Nairobi
KENYAN = Limits(
    transaction=Money(250_000_00, Currency.KES),
    day=Money(500_000_00, Currency.KES),
    balance=Money(500_000_00, Currency.KES),
)
POLICY = OperatorPolicy(limits={KycTier.FULL: KENYAN})
NO_FEE = Money.zero(Currency.KES)
PAYBILL = "174379"


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


def payer(**facts: Any) -> Customer:
    """A wallet that came with a SIM, and so of the highest tier."""
    return replace(
        Customer(
            id=CustomerId(UUID(int=1)),
            type=CustomerType.SUBSCRIBER,
            name="",
            created_at=NOON,
            phone=PhoneNumber("+254712345678"),
            pin_hash="stored",
            tier=KycTier.FULL,
        ),
        **facts,
    )


def a_push(**facts: Any) -> StkPush:
    return replace(
        StkPush(
            id=StkPushId(UUID(int=7)),
            merchant_request_id="2654-4b64-97ff-b827b542881d3130",
            checkout_request_id="ws_CO_2011202612000017712345678",
            short_code=PAYBILL,
            phone=PhoneNumber("+254712345678"),
            customer_id=CustomerId(UUID(int=1)),
            amount=kes(500),
            account_reference="A1",
            callback_url="http://127.0.0.1/callback",
            state=PushState.PROMPTED,
            accepted_at=NOON,
            due_at=NOON + timedelta(seconds=60),
        ),
        **facts,
    )


def bar(
    customer: Customer, amount: Money, *, balance: Money, policy: OperatorPolicy = POLICY, at: datetime = NOON
) -> Bar | None:
    return customer.bar_to(amount, fee=NO_FEE, balance=balance, policy=policy, at=at, short_code=PAYBILL)


def test_a_payment_of_the_whole_wallet_is_allowed_and_one_cent_more_is_not() -> None:
    """The balance may be spent to the last cent."""
    assert bar(payer(), kes(500), balance=kes(500)) is None
    assert bar(payer(), kes(500), balance=Money(499_99, Currency.KES)) is Bar.INSUFFICIENT_FUNDS


def test_a_single_payment_may_be_250_000_shillings_and_not_one_more() -> None:
    """The limit per transaction is inclusive."""
    assert bar(payer(), kes(250_000), balance=kes(400_000)) is None
    assert bar(payer(), kes(250_001), balance=kes(400_000)) is Bar.ABOVE_MAXIMUM


def test_a_day_may_carry_500_000_shillings_and_the_next_day_starts_anew_at_midnight_in_nairobi() -> None:
    """The daily limit is inclusive and follows East Africa Time, not UTC."""
    spent = payer().paid(kes(250_000), NOON, PAYBILL).paid(kes(249_000), NOON, PAYBILL)
    assert kes(499_000) == spent.paid_on_day_of(NOON)
    assert bar(spent, kes(1_000), balance=kes(9_000)) is None
    assert bar(spent, kes(1_001), balance=kes(9_000)) is Bar.ABOVE_DAILY_LIMIT

    last_minute = datetime(2026, 11, 20, 20, 59, 59, tzinfo=UTC)
    midnight = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert bar(spent, kes(1_001), balance=kes(9_000), at=last_minute) is Bar.ABOVE_DAILY_LIMIT
    assert bar(spent, kes(1_001), balance=kes(9_000), at=midnight) is None


def test_the_same_amount_to_the_same_merchant_is_refused_within_the_window_only() -> None:
    """The repeat rule knows amount, merchant and time, and is off unless the policy sets a window."""
    once = payer().paid(kes(100), NOON, PAYBILL)
    two_minutes = replace(POLICY, repeat_window=timedelta(seconds=120))
    soon, later = NOON + timedelta(seconds=119), NOON + timedelta(seconds=120)
    assert bar(once, kes(100), balance=kes(900), policy=two_minutes, at=soon) is Bar.REPEATED
    assert bar(once, kes(100), balance=kes(900), policy=two_minutes, at=later) is None
    assert bar(once, kes(101), balance=kes(900), policy=two_minutes, at=soon) is None
    assert bar(once, kes(100), balance=kes(900), at=soon) is None
    elsewhere = once.bar_to(kes(100), fee=NO_FEE, balance=kes(900), policy=two_minutes, at=soon, short_code="600100")
    assert elsewhere is None


def test_three_wrong_pins_in_a_row_lock_the_wallet_even_for_the_right_one() -> None:
    """The lock closes with the last forgiven attempt."""
    twice = payer().enter_wrong_pin(POLICY).enter_wrong_pin(POLICY)
    assert not twice.pin_locked
    locked = twice.enter_wrong_pin(POLICY)
    assert locked.pin_locked
    assert bar(locked, kes(1), balance=kes(900)) is Bar.PIN_LOCKED


def test_a_payment_forgives_the_wrong_pins_before_it() -> None:
    """Only wrong PINs in a row count."""
    paid = payer().enter_wrong_pin(POLICY).enter_wrong_pin(POLICY).paid(kes(10), NOON, PAYBILL)
    assert 0 == paid.wrong_pins
    assert not paid.enter_wrong_pin(POLICY).pin_locked


def test_a_phone_shows_one_prompt_at_a_time() -> None:
    """A second prompt is refused until the first is closed."""
    busy = payer().open_prompt(UUID(int=8))
    with pytest.raises(SubscriberBusy):
        busy.open_prompt(UUID(int=9))
    assert UUID(int=9) == busy.close_prompt().open_prompt(UUID(int=9)).open_push_id


def test_every_change_of_a_customer_is_a_new_version() -> None:
    """Each move raises the version by one, so a lost update cannot pass unseen."""
    before = payer(version=4)
    moved = [
        before.open_prompt(UUID(int=8)),
        before.close_prompt(),
        before.enter_wrong_pin(POLICY),
        before.paid(kes(1), NOON, PAYBILL),
    ]
    assert [5, 5, 5, 5] == [after.version for after in moved]


def test_a_payment_is_remembered_with_its_day() -> None:
    """The last payment carries the sum of its day."""
    expected = LastPayment(short_code=PAYBILL, amount=kes(20), at=NOON, day_total=kes(30))
    assert expected == payer().paid(kes(10), NOON, "600100").paid(kes(20), NOON, PAYBILL).last_payment


@pytest.mark.parametrize("pin", ["", "123", "12345", "12a4", "١٢٣٤", " 1234", "1234\n"])
def test_what_is_not_four_digits_is_no_pin(pin: str) -> None:
    """Length, letters, other digits, blanks and line ends are refused."""
    with pytest.raises(InvalidPin):
        check_pin(pin)


@pytest.mark.parametrize("text", ["", "1234", "12345678", "012345", "17437a", "174379\n"])
def test_what_is_not_five_to_seven_digits_is_no_short_code(text: str) -> None:
    """Length, a leading zero, letters and line ends are refused."""
    with pytest.raises(InvalidShortCode):
        parse_short_code(text)


def test_wallets_and_merchant_accounts_have_codes_the_chart_knows() -> None:
    """The family, the customer's id and the currency: all numbers of a merchant share one account."""
    merchant = Merchant(
        id=MerchantId(UUID(int=3)), short_code=PAYBILL, name="PENPAY", customer_id=CustomerId(UUID(int=4))
    )
    assert f"subscriber:{UUID(int=1)}:KES" == payer().wallet == a_push().wallet
    assert f"merchant:{UUID(int=4)}:KES" == merchant.account
    assert a_push(customer_id=None).wallet is None


def test_a_push_ends_once() -> None:
    """Neither a second answer nor a late silence changes what a push came to."""
    paid = a_push().pay("UKK1234567", NOON)
    assert (PushState.PAID, "0", "UKK1234567") == (paid.state, paid.result and paid.result.code, paid.receipt)
    cancelled = a_push().fail(CANCELLED, NOON)
    for over in (paid, cancelled):
        with pytest.raises(PushEnded):
            over.pay("UKK7654321", NOON)
        with pytest.raises(PushEnded):
            over.fail(over.silence, NOON)


def test_silence_is_worded_by_whether_there_was_a_handset() -> None:
    """With a wallet nobody answered; without one nobody could be reached. The code is the same."""
    assert NO_RESPONSE == a_push().silence
    assert UNREACHABLE == a_push(customer_id=None).silence
    assert NO_RESPONSE.code == UNREACHABLE.code


@pytest.mark.parametrize(
    ("day", "prefix"),
    [
        (date(2026, 11, 20), "UKK"),
        (date(2026, 7, 9), "UG9"),
        (date(2025, 11, 6), "TK6"),
        (date(2017, 7, 27), "LGR"),
        (date(2028, 2, 29), "WBT"),
        (date(2026, 12, 31), "ULV"),
    ],
)
def test_a_receipt_tells_its_day(day: date, prefix: str) -> None:
    """Year, month and day are the letters seen on real receipts (daraja.md §6.7, kenya.md §3F)."""
    receipt = receipt_number(day, 1)
    assert prefix == receipt[:3]
    assert re.fullmatch(r"[A-Z0-9]{10}", receipt)


def test_no_two_numbers_of_a_day_share_a_receipt_and_none_looks_like_a_failure() -> None:
    """Ten thousand numbers, the last of the day among them, give as many receipts, none ending in seven zeros."""
    day = date(2026, 11, 20)
    numbers = [*range(1, 10_000), RECEIPTS_PER_DAY]
    receipts = {receipt_number(day, number) for number in numbers}
    assert len(numbers) == len(receipts)
    assert not any(receipt.endswith("0000000") for receipt in receipts)


@pytest.mark.parametrize(
    ("day", "number"),
    [
        (date(2026, 1, 1), 0),
        (date(2026, 1, 1), RECEIPTS_PER_DAY + 1),
        (date(2032, 1, 1), 1),
        (date(2005, 1, 1), 1),
    ],
)
def test_what_the_form_cannot_hold_is_refused(day: date, number: int) -> None:
    """A wrong receipt is worse than none."""
    with pytest.raises(ValueError, match="No receipt number"):
        receipt_number(day, number)


def test_the_counter_starts_anew_each_day_but_never_goes_back() -> None:
    """A clock that steps back over midnight goes on counting the newer day, so no receipt repeats."""
    friday, saturday = date(2026, 11, 20), date(2026, 11, 21)
    counter, first = ReceiptCounter(day=friday, used=0).next(friday)
    counter, second = counter.next(friday)
    counter, third = counter.next(saturday)
    counter, fourth = counter.next(friday)
    expected = [(friday, 1), (friday, 2), (saturday, 1), (saturday, 2)]
    assert [receipt_number(day, number) for day, number in expected] == [first, second, third, fourth]
    assert 4 == counter.version
