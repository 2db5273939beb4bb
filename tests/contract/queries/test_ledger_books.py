"""The ledger as it is read, and every kind of corruption found where it was planted, on each engine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.wallet.queries import AccountBalance, Finding, TrialBalanceRow
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import AccountType
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from penpay.infrastructure.sql.tables import (
    deriv_transfers,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    transactions,
)
from tests.contract.queries.books import DONE, KES_WALLET, NOON, OPEN, USD_WALLET, USER_ONE, USER_TWO, Ledger

Breach = tuple[str, str, int, str]
_a, _e, _j = ledger_accounts.c, ledger_entries.c, ledger_journals.c


async def findings(ledger: Ledger) -> list[Finding]:
    return list(await SqlLedgerBooks(ledger.engine).verify())


async def breaches(ledger: Ledger) -> set[Breach]:
    return {(one.check, one.subject, one.difference_cents, one.currency) for one in await findings(ledger)}


async def test_sound_books_have_no_finding(ledger: Ledger) -> None:
    """What the domain writes is right by every check."""
    assert await findings(ledger) == []


async def test_empty_books_are_sound(engine: AsyncEngine) -> None:
    """A new database has nothing wrong with it."""
    assert await SqlLedgerBooks(engine).verify() == []


async def test_a_changed_amount_unbalances_its_journal_and_its_account(ledger: Ledger) -> None:
    """One cent more in one entry shows in the journal, the account and the running balance."""
    account = ledger.accounts["mpesa:collection"]
    await ledger.run(
        update(ledger_entries)
        .where(_e.account_id == account.id, _e.account_seq == 1)
        .values(amount_cents=_e.amount_cents + 1)
    )

    assert await breaches(ledger) == {
        ("journal_balance", str(ledger.journals[f"paid {DONE.int}"]), 1, "KES"),
        ("account_balance", "mpesa:collection", -1, "KES"),
        ("running_balance", "mpesa:collection", -1, "KES"),
    }


async def test_a_journal_that_balances_only_across_currencies_is_found(ledger: Ledger) -> None:
    """A shilling does not make up for a dollar."""
    accounts = {code: ledger.accounts[code].id for code in ("fx:KES", "fx:USD")}
    for code, cents in (("fx:KES", 1), ("fx:USD", -1)):
        await ledger.run(
            update(ledger_entries)
            .where(_e.account_id == accounts[code], _e.account_seq == 1)
            .values(amount_cents=_e.amount_cents + cents)
        )

    journal = str(ledger.journals[f"converted {DONE.int}"])
    found = {breach for breach in await breaches(ledger) if breach[0] == "journal_balance"}
    assert {("journal_balance", journal, -1, "KES"), ("journal_balance", journal, -1, "USD")} == found


async def test_a_journal_without_entries_is_found(ledger: Ledger) -> None:
    """A head with nothing under it says that something was lost."""
    journal = ledger.journals[f"paid {OPEN.int}"]
    await ledger.run(delete(ledger_entries).where(_e.journal_id == journal))

    assert ("journal_empty", str(journal), 0, "") in await breaches(ledger)


async def test_a_changed_balance_is_found(ledger: Ledger) -> None:
    """An account that says more than its entries is named with the difference."""
    await ledger.run(update(ledger_accounts).where(_a.code == "deriv:agent").values(balance_cents=_a.balance_cents + 5))

    assert await breaches(ledger) == {("account_balance", "deriv:agent", 5, "USD")}


async def test_a_wrong_balance_in_an_entry_is_found_with_its_number(ledger: Ledger) -> None:
    """The first entry whose carried balance is wrong is named."""
    account = ledger.accounts[KES_WALLET]
    await ledger.run(
        update(ledger_entries)
        .where(_e.account_id == account.id, _e.account_seq >= 2)
        .values(balance_after_cents=_e.balance_after_cents + 7)
    )

    (found,) = await findings(ledger)
    assert ("running_balance", KES_WALLET, 7, "KES") == (
        found.check,
        found.subject,
        found.difference_cents,
        found.currency,
    )
    assert "Entry 2 " in found.detail


async def test_a_lost_entry_is_found(ledger: Ledger) -> None:
    """A deleted entry leaves a gap, an unbalanced journal and an account that says too much."""
    account = ledger.accounts["mpesa:collection"]
    await ledger.run(delete(ledger_entries).where(_e.account_id == account.id, _e.account_seq == 2))

    assert {breach[:2] for breach in await breaches(ledger)} == {
        ("journal_balance", str(ledger.journals[f"paid {OPEN.int}"])),
        ("account_sequence", "mpesa:collection"),
        ("account_balance", "mpesa:collection"),
    }


async def test_a_gap_in_the_sequence_is_found(ledger: Ledger) -> None:
    """Entries that are not numbered from 1 without a gap are a lost update."""
    account = ledger.accounts["mpesa:collection"]
    await ledger.run(
        update(ledger_entries).where(_e.account_id == account.id, _e.account_seq == 2).values(account_seq=3)
    )

    assert await breaches(ledger) == {("account_sequence", "mpesa:collection", 0, "KES")}


async def test_a_version_that_is_not_the_number_of_entries_is_found(ledger: Ledger) -> None:
    """The account's version counts its entries."""
    await ledger.run(update(ledger_accounts).where(_a.code == "fx:KES").values(version=_a.version + 1))

    assert await breaches(ledger) == {("account_sequence", "fx:KES", 0, "KES")}


async def test_time_that_runs_backwards_on_an_account_is_found(ledger: Ledger) -> None:
    """An entry recorded before the one it follows would make balances as of a moment wrong."""
    journal = ledger.journals[f"paid {OPEN.int}"]
    await ledger.run(update(ledger_journals).where(_j.id == journal).values(recorded_at=NOON - timedelta(days=1)))

    assert await breaches(ledger) == {
        ("recorded_order", "mpesa:collection", 0, "KES"),
        ("recorded_order", KES_WALLET, 0, "KES"),
    }


async def test_an_overdraft_is_found(ledger: Ledger) -> None:
    """An account below zero that may not be there is named with its balance."""
    await ledger.run(update(ledger_accounts).where(_a.code == "deriv:agent").values(may_go_negative=False))

    assert await breaches(ledger) == {("overdraft", "deriv:agent", -10_000, "USD")}


async def test_an_overdraft_that_was_made_good_is_found_all_the_same(ledger: Ledger) -> None:
    """An account that was below zero once, by its entries, is named though it holds something now."""
    account = ledger.accounts[USD_WALLET]
    await ledger.run(
        update(ledger_entries).where(_e.account_id == account.id, _e.account_seq == 2).values(balance_after_cents=-1)
    )

    assert ("overdraft", USD_WALLET, -1, "USD") in await breaches(ledger)


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "REVERSED"])
async def test_money_left_on_its_way_by_an_ended_transaction_is_found(ledger: Ledger, status: str) -> None:
    """A transaction that has ended has left nothing on wallets and in-flight accounts."""
    await ledger.run(update(transactions).where(transactions.c.id == OPEN).values(status=status))

    (found,) = await findings(ledger)
    assert ("ended_transaction", str(OPEN), 10_000, "USD") == (
        found.check,
        found.subject,
        found.difference_cents,
        found.currency,
    )
    assert "deriv:in_flight" in found.detail


async def test_money_left_on_a_wallet_by_an_ended_transaction_is_found(ledger: Ledger) -> None:
    """Two deposits that make up for each other are two findings."""
    journals = (ledger.journals[f"paid {DONE.int}"], ledger.journals[f"paid {OPEN.int}"])
    await ledger.run(
        update(transactions).where(transactions.c.id == OPEN).values(status=TransactionStatus.IN_REVIEW.value),
        update(ledger_journals).where(_j.id == journals[0]).values(transaction_id=OPEN),
    )

    cents = -ledger.accounts["mpesa:collection"].balance_cents // 2
    assert await breaches(ledger) == {("ended_transaction", str(DONE), cents, "KES")}


@pytest.mark.parametrize("state", list(EvidenceState))
async def test_what_is_on_its_way_is_what_the_open_transfers_say(ledger: Ledger, state: EvidenceState) -> None:
    """The in-flight balance is the sum of the transfers that may still arrive, whatever they wait for."""
    subject = deriv_transfers.c.subject_id == OPEN
    await ledger.run(update(deriv_transfers).where(subject).values(state=state.value))

    final = state in {EvidenceState.CONFIRMED, EvidenceState.FAILED}
    expected = {("in_flight", "deriv:in_flight", 10_000, "USD")} if final else set()
    assert expected == await breaches(ledger)


async def test_an_open_transfer_that_was_never_posted_is_found(engine: AsyncEngine) -> None:
    """Evidence without a posting shows even when the account does not exist yet."""
    row = {
        "id": OPEN,
        "purpose": "DEPOSIT",
        "subject_id": OPEN,
        "state": "INTENDED",
        "amount_cents": 300,
        "currency": "USD",
    }
    async with engine.begin() as connection:
        await connection.execute(insert(deriv_transfers), row)

    (found,) = await SqlLedgerBooks(engine).verify()
    assert ("in_flight", "deriv:in_flight", -300) == (found.check, found.subject, found.difference_cents)


async def test_the_trial_balance_has_two_equal_sides(ledger: Ledger) -> None:
    """Every account stands on the side its balance is on, and per currency the sides are equal."""
    rows = await SqlLedgerBooks(ledger.engine).trial_balance()

    assert sorted(ledger.accounts) == [row.code for row in rows]
    for currency in Currency:
        own = [row for row in rows if row.currency is currency]
        assert sum(row.debit_cents for row in own) == sum(row.credit_cents for row in own) > 0
    by_code = {row.code: row for row in rows}
    # an asset below zero stands on the credit side
    assert by_code["deriv:agent"] == TrialBalanceRow(
        "deriv:agent", "Deriv payment-agent account", AccountType.ASSET, Currency.USD, 0, 10_000
    )
    assert by_code["deriv:in_flight"].credit_cents == 10_000


async def test_the_trial_balance_has_two_equal_sides_at_any_moment(ledger: Ledger) -> None:
    """As of each moment, between two postings too, per currency the sides are equal; what was opened later is absent.

    | minute | posted                   | deriv:in_flight | deriv:agent |
    | 1      | paid                     |                 |             |
    | 2      | converted                |                 |             |
    | 3      | intended                 | 100.00 credit   |             |
    | 4      | confirmed                | 0.00            | 100.00 cr   |
    | 7      | the second is intended   | 100.00 credit   | 100.00 cr   |
    """
    books = SqlLedgerBooks(ledger.engine)
    told: dict[str, tuple[int | None, int | None]] = {}
    for seconds in range(0, 8 * 60, 30):
        rows = await books.trial_balance(NOON + timedelta(seconds=seconds))
        for currency in Currency:
            own = [row for row in rows if row.currency is currency]
            assert sum(row.debit_cents for row in own) == sum(row.credit_cents for row in own)
        by_code = {row.code: row.credit_cents for row in rows}
        told[f"{seconds // 60}:{seconds % 60:02}"] = by_code.get("deriv:in_flight"), by_code.get("deriv:agent")

    assert [] == list(await books.trial_balance(NOON + timedelta(seconds=59)))
    assert (None, None) == told["2:30"]
    assert (10_000, None) == told["3:00"] == told["3:30"]
    assert (0, 10_000) == told["4:00"] == told["6:30"]
    assert (10_000, 10_000) == told["7:00"]
    assert await books.trial_balance(NOON + timedelta(minutes=7)) == await books.trial_balance()


async def test_balances_are_told_as_of_any_moment(ledger: Ledger) -> None:
    """An account as of a moment holds what its last entry recorded by then left; before its first, nothing."""
    books = SqlLedgerBooks(ledger.engine)

    async def in_flight(minutes: int) -> int:
        found = await books.balance("deriv:in_flight", NOON + timedelta(minutes=minutes))
        assert found is not None
        return found.balance.cents

    # posted at minutes 3 (intended), 4 (confirmed) and 7 (intended)
    assert [0, 10_000, 0, 0, 10_000] == [await in_flight(minute) for minute in (2, 3, 4, 6, 7)]
    assert await books.balance("deriv:in_flight") == AccountBalance("deriv:in_flight", Money(10_000, Currency.USD))
    assert await books.balance("suspense:KES") is None


async def test_an_owners_balances_are_hers_alone(ledger: Ledger) -> None:
    """The accounts of one owner by code, now and then."""
    books = SqlLedgerBooks(ledger.engine)
    charged = ledger.accounts["mpesa:collection"].balance_cents // 2

    now = await books.balances(USER_ONE)
    then = await books.balances(USER_ONE, NOON + timedelta(minutes=1))

    empty = AccountBalance(USD_WALLET, Money.zero(Currency.USD))
    assert [AccountBalance(KES_WALLET, Money.zero(Currency.KES)), empty] == now
    assert [AccountBalance(KES_WALLET, Money(charged, Currency.KES)), empty] == then
    assert await books.balances(USER_TWO) == []
