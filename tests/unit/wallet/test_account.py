"""One account: which side makes it grow, which may fall below zero, and which may exist."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from penpay.domain.shared.errors import AccountNotFound, CurrencyMismatch, Overdrawn
from penpay.domain.shared.ids import LedgerAccountId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import (
    CHART,
    FAMILIES,
    AccountType,
    LedgerAccount,
    LedgerSide,
    opened,
    owner_of,
    wallet_code,
)
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA

KES, USD = Currency.KES, Currency.USD
DEBIT, CREDIT = LedgerSide.DEBIT, LedgerSide.CREDIT
LATER = MORNING + timedelta(seconds=1)


def new(type_: AccountType, *, balance: int = 0, may_go_negative: bool = False) -> LedgerAccount:
    return LedgerAccount(
        id=LedgerAccountId(UUID(int=7)),
        code="test",
        name="Test",
        type=type_,
        currency=KES,
        owner_id=None,
        may_go_negative=may_go_negative,
        balance_cents=balance,
        version=3,
        last_recorded_at=MORNING,
    )


@pytest.mark.parametrize(
    ("type_", "after_debit", "after_credit"),
    [
        (AccountType.ASSET, 150, 50),
        (AccountType.EXPENSE, 150, 50),
        (AccountType.LIABILITY, 50, 150),
        (AccountType.EQUITY, 50, 150),
        (AccountType.REVENUE, 50, 150),
    ],
)
def test_an_account_grows_on_its_normal_side(type_: AccountType, after_debit: int, after_credit: int) -> None:
    """Debits raise what we own and spend; credits raise what we owe, earn and were given."""
    account, amount = new(type_, balance=100), Money(50, KES)

    assert after_debit == account.posted(DEBIT, amount, LATER).balance_cents
    assert after_credit == account.posted(CREDIT, amount, LATER).balance_cents


def test_posting_changes_balance_version_and_time_only() -> None:
    """The account stays who it is, and the one before is not touched."""
    before = new(AccountType.LIABILITY, balance=100)
    after = before.posted(CREDIT, Money(50, KES), LATER)

    assert (150, 4, LATER, Money(150, KES)) == (
        after.balance_cents,
        after.version,
        after.last_recorded_at,
        after.balance,
    )
    assert (100, 3, MORNING) == (before.balance_cents, before.version, before.last_recorded_at)
    kept = [
        (each.id, each.code, each.name, each.type, each.currency, each.owner_id, each.may_go_negative)
        for each in (before, after)
    ]
    assert kept[0] == kept[1]


def test_the_last_cent_can_be_taken_and_not_one_more() -> None:
    """Down to zero is allowed; below is Overdrawn, which names the account."""
    account = new(AccountType.LIABILITY, balance=100)

    assert 0 == account.posted(DEBIT, Money(100, KES), LATER).balance_cents
    with pytest.raises(Overdrawn) as refused:
        account.posted(DEBIT, Money(101, KES), LATER)
    assert {"account": "test"} == refused.value.details


def test_a_mirror_of_the_world_may_go_negative() -> None:
    """What happened at M-Pesa or Deriv must be bookable here even if our picture of it says it cannot be."""
    mirror = new(AccountType.ASSET, may_go_negative=True)

    assert -101 == mirror.posted(CREDIT, Money(101, KES), LATER).balance_cents


def test_dollars_are_not_posted_to_an_account_in_shillings() -> None:
    """An account has one currency."""
    with pytest.raises(CurrencyMismatch):
        new(AccountType.ASSET).posted(DEBIT, Money(1, USD), LATER)


def test_nothing_of_a_customer_may_go_negative() -> None:
    """Wallets and money in flight are owed to somebody; only the mirrors of accounts elsewhere may be below zero.

    And what a merchant owes for payouts, in an account of its own until it is settled; what the owner takes out; and
    what people count in drawers, which may be more or less than the books say.
    """
    lines = {code: line for code, line in CHART.items() if line.may_go_negative}
    families = [name for name, family in FAMILIES.items() for line in family.values() if line.may_go_negative]

    assert {
        "mpesa:collection",
        "mpesa:utility",
        "mpesa:charges_paid",
        "deriv:agent",
        "fx:KES",
        "fx:USD",
        "trust:bank",
        "1000",
        "1005",
        "1010",
        "1020",
        "1300",
        "3100",
        "5200",
    } == lines.keys()
    assert {"3100", "5200"} == {code for code, line in lines.items() if line.type is not AccountType.ASSET}
    assert ["charges_paid"] == families


@pytest.mark.parametrize("code", CHART)
def test_an_account_is_opened_as_the_chart_says(code: str) -> None:
    """Empty, without an owner, in the chart's currency."""
    account = opened(code, LedgerAccountId(UUID(int=7)), MORNING)
    line = CHART[code]

    assert (code, line.name, line.type, line.currency, line.may_go_negative) == (
        account.code,
        account.name,
        account.type,
        account.currency,
        account.may_go_negative,
    )
    assert (0, 0, MORNING, None) == (account.balance_cents, account.version, account.last_recorded_at, account.owner_id)


@pytest.mark.parametrize(
    ("code", "type_", "currency"),
    [
        (wallet_code(ALPHA, KES), AccountType.LIABILITY, KES),
        (wallet_code(ALPHA, USD), AccountType.LIABILITY, USD),
        (f"subscriber:{ALPHA}:KES", AccountType.LIABILITY, KES),
        (f"merchant:{ALPHA}:KES", AccountType.LIABILITY, KES),
    ],
)
def test_the_account_of_an_owner_knows_its_owner(code: str, type_: AccountType, currency: Currency) -> None:
    """One account per owner and currency, and we owe what it holds."""
    account = opened(code, LedgerAccountId(UUID(int=7)), MORNING)

    assert (ALPHA, type_, currency) == (account.owner_id, account.type, account.currency)
    assert ALPHA == owner_of(code)


@pytest.mark.parametrize(
    "code",
    [
        *("", "fx", "fx:EUR", "fx:kes", "mpesa:collection ", "cash"),
        f"wallet:{ALPHA}:EUR",
        f"subscriber:{ALPHA}:USD",
    ],
)
def test_no_account_is_opened_that_the_chart_does_not_know(code: str) -> None:
    """A misspelt code is refused instead of becoming an account."""
    with pytest.raises(AccountNotFound):
        opened(code, LedgerAccountId(UUID(int=7)), MORNING)


def test_the_two_sides_are_each_other_s_opposite() -> None:
    """A reversal swaps them."""
    assert (CREDIT, DEBIT) == (DEBIT.opposite, CREDIT.opposite)
