"""What a posting writes down, and the rows its footprint names."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from penpay.application.shared.unit_of_work import Footprint
from penpay.application.wallet import postings
from penpay.application.wallet.ledger import ACCOUNTS, ENTRIES, JOURNALS
from penpay.domain.shared.errors import (
    Overdrawn,
)
from penpay.domain.shared.ids import LedgerAccountId
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import opened, wallet_code
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA, BETA, T1, Books, kes, usd
from tests.unit.wallet.steps import EARLIER, confirmed, converted, intended, paid


def test_entries_count_an_account_s_postings_without_a_gap(books: Books) -> None:
    """Each entry holds its place and the balance after it."""
    for number, amount in enumerate(("10.00", "20.00", "30.00"), 1):
        paid(books, reference=f"stk-{number}", amount=amount)
    collection = books.account("mpesa:collection")

    assert [(1, 1_000), (2, 3_000), (3, 6_000)] == [
        (entry.account_seq, entry.balance_after_cents)
        for entry in books.work.appended(ENTRIES)
        if entry.account_id == collection.id
    ]
    assert (3, 6_000) == (collection.version, postings.balance(books.work, "mpesa:collection", Currency.KES).cents)


def test_a_journal_says_what_happened_when_and_for_which_transaction(books: Books) -> None:
    """It happened when the provider says, and was recorded when we wrote it down."""
    paid(books)
    posted = books.work.get(JOURNALS, (postings.DEPOSIT_PAID, "stk-1"))

    assert posted is not None
    head = posted.journal
    assert ("deposit_paid", "stk-1", T1, None, EARLIER, MORNING) == (
        head.kind,
        head.reference,
        head.transaction_id,
        head.reverses_id,
        head.happened_at,
        head.recorded_at,
    )


def test_records_never_go_back_in_time(books: Books) -> None:
    """An account written by a machine whose clock is ahead keeps its time; so does what is posted after it."""
    ahead = MORNING + timedelta(seconds=30)
    collection = opened("mpesa:collection", LedgerAccountId(UUID(int=7)), ahead)
    books.work.loaded(ACCOUNTS, {collection.code: collection})
    paid(books)
    posted = books.work.get(JOURNALS, (postings.DEPOSIT_PAID, "stk-1"))

    assert posted is not None
    assert ahead == posted.journal.recorded_at
    assert ahead == books.account(wallet_code(ALPHA, Currency.KES)).last_recorded_at


def test_a_wallet_tells_that_its_balance_changed(books: Books) -> None:
    """One event for each entry of an owner's account, numbered like the entries; accounts of ours tell nothing."""
    paid(books, amount="10.00")
    paid(books, amount="5.00", reference="stk-2")
    wallet = books.account(wallet_code(ALPHA, Currency.KES))

    assert [(wallet.id, 1, 1_000, 1_000), (wallet.id, 2, 500, 1_500)] == [
        (event.aggregate_id, event.sequence, event.payload["amount_cents"], event.payload["balance_cents"])
        for event in books.events()
    ]
    assert {("BalanceChanged", "LedgerAccount")} == {(event.name, event.aggregate_type) for event in books.events()}
    assert {("CREDIT", "KES", "deposit_paid")} == {
        (event.payload["side"], event.payload["currency"], event.payload["journal_kind"]) for event in books.events()
    }


def test_a_refused_command_leaves_no_trace_in_the_batch(books: Books) -> None:
    """Its journal, entries, events and new accounts are gone; those of the command before it stay."""
    paid(books)
    before = (books.posted(), books.balances(), len(books.events()))
    books.work.begin()
    paid(books, reference="stk-2", amount="1.00")
    with pytest.raises(Overdrawn):
        intended(books)
    books.work.forget()

    assert before == (books.posted(), books.balances(), len(books.events()))
    assert books.work.get(ACCOUNTS, "deriv:in_flight") is None
    paid(books, reference="stk-2", amount="1.00")
    assert "KES 1,316.00" == books.balances()["mpesa:collection"]


def test_the_balance_of_an_account_never_opened_is_nothing(books: Books) -> None:
    """Asking is not opening."""
    assert usd("0") == postings.balance(books.work, "deriv:agent", Currency.USD)
    assert 0 == postings.balance(books.work, "deriv:agent", Currency.USD).cents
    paid(books)
    assert kes("1315") == postings.balance(books.work, "mpesa:collection", Currency.KES)
    assert 2 == len(books.opened())


# -- footprints


def test_the_footprint_of_a_deposit_covers_its_whole_life() -> None:
    """Every step of a deposit, good or bad, finds its accounts locked."""
    books = Books()
    named = postings.deposit_footprint(Footprint(), ALPHA).rows[ACCOUNTS]
    paid(books)
    converted(books)
    intended(books)
    confirmed(books)
    postings.payment_unmatched(books.work, transaction=T1, reference="x", amount=kes("1"), happened_at=EARLIER)

    assert {account.code for account in books.opened()} == named


def test_every_other_posting_has_a_footprint_that_covers_it() -> None:
    """Accounts, and the journals that are looked at."""
    payer, payee = wallet_code(ALPHA, Currency.KES), wallet_code(BETA, Currency.KES)

    funding = postings.owner_funding_footprint(
        Footprint(), account="deriv:agent", currency=Currency.USD, reference="f-1"
    )
    assert {ACCOUNTS: {"deriv:agent", "equity:owner:USD"}, JOURNALS: {("owner_funding", "f-1")}} == funding.rows
    issued = postings.float_issued_footprint(Footprint(), holder=payer, reference="f-1")
    assert {ACCOUNTS: {"trust:unevidenced", payer}, JOURNALS: {("float_issued", "f-1")}} == issued.rows
    payment = postings.operator_payment_footprint(Footprint(), payer=payer, payee=payee)
    assert {ACCOUNTS: {payer, payee, "revenue:mobile_money_fees", "excise:payable"}} == payment.rows
    commission = postings.commission_footprint(Footprint(), agent=ALPHA)
    assert {ACCOUNTS: {"expense:agent_commission", f"commission:{ALPHA}:KES"}} == commission.rows
    assigned = postings.float_footprint(Footprint(), holder=payee)
    assert {ACCOUNTS: {"trust:unevidenced", "trust:bank", "suspense:KES", payee}} == assigned.rows
    banked = postings.bank_deposit_footprint(Footprint())
    assert {ACCOUNTS: {"trust:bank", "trust:unevidenced", "suspense:KES", "equity:owner:KES"}} == banked.rows
    own = {"equity:owner:KES", "revenue:mobile_money_fees", "expense:agent_commission", "operator:bank"}
    swept = postings.own_funds_footprint(Footprint())
    assert {ACCOUNTS: own | {"trust:bank", "excise:payable"}} == swept.rows
    journals = postings.journal_footprint(Footprint(), ("a", "1"), ("b", "2"))
    assert {JOURNALS: {("a", "1"), ("b", "2")}} == journals.rows
