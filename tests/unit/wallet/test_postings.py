"""How money moves, one table of debits and credits for each thing that can happen."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from penpay.application.shared.unit_of_work import Footprint, NotLocked
from penpay.application.wallet import postings
from penpay.application.wallet.ledger import ACCOUNTS, ENTRIES, JOURNALS, post, reverse
from penpay.domain.shared.errors import (
    AccountNotFound,
    DuplicateJournal,
    InvalidAmount,
    JournalNotFound,
    Overdrawn,
    Unbalanced,
)
from penpay.domain.shared.ids import LedgerAccountId
from penpay.domain.shared.locked_rate import DepositQuote
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import opened, wallet_code
from penpay.domain.wallet.journal import credit, debit
from tests.support.ports import MORNING
from tests.unit.wallet.books import OTIENO, T1, T2, WANJIKU, Books, kes, usd

EARLIER = MORNING - timedelta(minutes=1)
TEN_DOLLARS = DepositQuote(
    usd=usd("10.00"), kes_at_mid=kes("1295.00"), kes_priced=kes("1314.42"), kes_charged=kes("1315.00")
)


@pytest.fixture
def books() -> Books:
    return Books()


def paid(books: Books, *, reference: str = "stk-1", amount: str = "1315.00") -> None:
    postings.deposit_paid(
        books.work, user=WANJIKU, transaction=T1, reference=reference, amount=kes(amount), happened_at=EARLIER
    )


def converted(books: Books, quote: DepositQuote = TEN_DOLLARS) -> None:
    postings.deposit_converted(books.work, user=WANJIKU, transaction=T1, quote=quote)


def intended(books: Books, amount: str = "10.00") -> None:
    postings.transfer_intended(books.work, user=WANJIKU, transaction=T1, reference="tr-1", amount=usd(amount))


def confirmed(books: Books, amount: str = "10.00") -> None:
    postings.transfer_confirmed(books.work, transaction=T1, reference="tr-1", amount=usd(amount), happened_at=EARLIER)


# -- the flows of DESIGN §4


def test_deposit_paid(books: Books) -> None:
    """The payer's shillings have reached us and are hers."""
    paid(books)

    assert [
        "DEBIT mpesa:collection KES 1,315.00",
        "CREDIT wallet:Wanjiku:KES KES 1,315.00",
    ] == books.last()


def test_deposit_converted(books: Books) -> None:
    """T leaves her shillings, M buys U, and what is left over is ours: the spread and the rounding."""
    paid(books)
    converted(books)

    assert [
        "DEBIT wallet:Wanjiku:KES KES 1,315.00",
        "CREDIT fx:KES KES 1,295.00",
        "CREDIT revenue:fx_spread KES 19.42",
        "CREDIT revenue:rounding KES 0.58",
        "DEBIT fx:USD USD 10.00",
        "CREDIT wallet:Wanjiku:USD USD 10.00",
    ] == books.last()


def test_deposit_converted_without_spread_or_rounding(books: Books) -> None:
    """Lines of nothing are left out."""
    paid(books, amount="1295.00")
    converted(
        books,
        DepositQuote(usd=usd("10"), kes_at_mid=kes("1295"), kes_priced=kes("1295"), kes_charged=kes("1295")),
    )

    assert [
        "DEBIT wallet:Wanjiku:KES KES 1,295.00",
        "CREDIT fx:KES KES 1,295.00",
        "DEBIT fx:USD USD 10.00",
        "CREDIT wallet:Wanjiku:USD USD 10.00",
    ] == books.last()


def test_deriv_transfer_intended(books: Books) -> None:
    """Her dollars are on their way and can be used for nothing else."""
    paid(books)
    converted(books)
    intended(books)

    assert [
        "DEBIT wallet:Wanjiku:USD USD 10.00",
        "CREDIT deriv:in_flight USD 10.00",
    ] == books.last()


def test_deriv_transfer_confirmed(books: Books) -> None:
    """Deriv has moved the dollars from our agent account to her."""
    paid(books)
    converted(books)
    intended(books)
    confirmed(books)

    assert [
        "DEBIT deriv:in_flight USD 10.00",
        "CREDIT deriv:agent USD 10.00",
    ] == books.last()


def test_deriv_transfer_failed(books: Books) -> None:
    """Deriv moved nothing: the dollars are hers again."""
    paid(books)
    converted(books)
    intended(books)
    postings.transfer_failed(books.work, reference="tr-1")

    assert [
        "CREDIT wallet:Wanjiku:USD USD 10.00",
        "DEBIT deriv:in_flight USD 10.00",
    ] == books.last()


def test_deposit_payment_refuted(books: Books) -> None:
    """M-Pesa says the announced payment never was: it leaves the books by its mirror."""
    paid(books)
    postings.deposit_payment_refuted(books.work, reference="stk-1")

    assert [
        "CREDIT mpesa:collection KES 1,315.00",
        "DEBIT wallet:Wanjiku:KES KES 1,315.00",
    ] == books.last()
    assert {} == books.balances()


def test_unmatched_payment(books: Books) -> None:
    """Shillings that fit nothing we asked for are kept apart until people decide."""
    postings.payment_unmatched(books.work, transaction=T1, reference="stk-1", amount=kes("500.00"), happened_at=EARLIER)

    assert [
        "DEBIT mpesa:collection KES 500.00",
        "CREDIT suspense:KES KES 500.00",
    ] == books.last()


@pytest.mark.parametrize(
    ("account", "amount", "table"),
    [
        ("deriv:agent", usd("1000"), ["DEBIT deriv:agent USD 1,000.00", "CREDIT equity:owner:USD USD 1,000.00"]),
        ("mpesa:collection", kes("5"), ["DEBIT mpesa:collection KES 5.00", "CREDIT equity:owner:KES KES 5.00"]),
    ],
)
def test_owner_funding(books: Books, account: str, amount: Money, table: list[str]) -> None:
    """The owner puts money into one of our provider accounts."""
    books.may_look_at((postings.OWNER_FUNDING, "f-1"))

    assert postings.owner_funding(books.work, account=account, amount=amount, reference="f-1")
    assert table == books.last()


def test_float_issued(books: Books) -> None:
    """The operator owes the holder money it has no bank evidence for yet."""
    books.may_look_at((postings.FLOAT_ISSUED, "f-1"))
    holder = wallet_code(WANJIKU, Currency.KES)

    assert postings.float_issued(books.work, holder=holder, amount=kes("100"), reference="f-1")
    assert ["DEBIT trust:unevidenced KES 100.00", "CREDIT wallet:Wanjiku:KES KES 100.00"] == books.last()


def test_operator_payment(books: Books) -> None:
    """Money moves between two holders at the operator."""
    paid(books, amount="100.00")
    postings.operator_payment(
        books.work,
        payer=wallet_code(WANJIKU, Currency.KES),
        payee=wallet_code(OTIENO, Currency.KES),
        amount=kes("40.00"),
        reference="p-1",
    )

    assert ["DEBIT wallet:Wanjiku:KES KES 40.00", "CREDIT wallet:Otieno:KES KES 40.00"] == books.last()
    assert {
        "mpesa:collection": "KES 100.00",
        "wallet:Wanjiku:KES": "KES 60.00",
        "wallet:Otieno:KES": "KES 40.00",
    } == books.balances()


# -- what holds over a whole deposit


def test_a_finished_deposit_leaves_nothing_with_the_customer(books: Books) -> None:
    """Paid, converted, intended, confirmed: every wallet and the money in flight end at zero."""
    paid(books)
    converted(books)
    intended(books)
    confirmed(books)

    assert {
        "mpesa:collection": "KES 1,315.00",
        "fx:KES": "KES -1,295.00",
        "revenue:fx_spread": "KES 19.42",
        "revenue:rounding": "KES 0.58",
        "fx:USD": "USD 10.00",
        "deriv:agent": "USD -10.00",
    } == books.balances()


def test_each_step_leaves_the_money_in_one_place(books: Books) -> None:
    """Between two steps the amount is in exactly one account of the customer."""
    places = []
    for step in (paid, converted, intended, confirmed):
        step(books)
        hers = ("wallet", "deriv:in_flight")
        places.append({code: held for code, held in books.balances().items() if code.startswith(hers)})

    assert [
        {"wallet:Wanjiku:KES": "KES 1,315.00"},
        {"wallet:Wanjiku:USD": "USD 10.00"},
        {"deriv:in_flight": "USD 10.00"},
        {},
    ] == places


# -- what is refused


def test_a_wallet_is_never_overdrawn(books: Books) -> None:
    """One cent less than the price in the wallet, and nothing is converted."""
    paid(books, amount="1314.99")
    with pytest.raises(Overdrawn) as refused:
        converted(books)
    assert {"account": wallet_code(WANJIKU, Currency.KES)} == refused.value.details


def test_dollars_that_are_in_flight_cannot_fly_twice(books: Books) -> None:
    """A second transfer of the same dollars finds an empty wallet."""
    paid(books)
    converted(books)
    intended(books)
    with pytest.raises(Overdrawn):
        postings.transfer_intended(books.work, user=WANJIKU, transaction=T2, reference="tr-2", amount=usd("0.01"))


def test_more_than_was_sent_is_never_confirmed(books: Books) -> None:
    """What Deriv says it moved beyond what is in flight cannot be booked against it."""
    paid(books)
    converted(books)
    intended(books)
    with pytest.raises(Overdrawn):
        confirmed(books, "10.01")


def test_one_s_shillings_do_not_pay_for_another(books: Books) -> None:
    """Otieno's wallet is empty, whatever Wanjiku holds."""
    paid(books)
    with pytest.raises(Overdrawn):
        postings.deposit_converted(books.work, user=OTIENO, transaction=T2, quote=TEN_DOLLARS)


def test_a_payment_is_booked_once(books: Books) -> None:
    """The same STK payment reported twice in one batch is one journal."""
    paid(books)
    with pytest.raises(DuplicateJournal):
        paid(books)
    assert 1 == len(books.posted())


def test_a_reversal_happens_once(books: Books) -> None:
    """Failing a transfer again gives nobody a second ten dollars."""
    paid(books)
    converted(books)
    intended(books)
    postings.transfer_failed(books.work, reference="tr-1")
    with pytest.raises(DuplicateJournal):
        postings.transfer_failed(books.work, reference="tr-1")


def test_a_reversal_mirrors_its_journal(books: Books) -> None:
    """Kind, reference, transaction and the journal reversed are on record; the balances are as before."""
    paid(books)
    before = books.balances()
    converted(books)
    original = books.work.get(JOURNALS, (postings.DEPOSIT_CONVERTED, str(T1)))
    mirror = reverse(books.work, postings.DEPOSIT_CONVERTED, str(T1), happened_at=EARLIER)

    assert original is not None
    assert ("deposit_converted.reversed", str(T1), T1, original.journal.id, EARLIER) == (
        mirror.journal.kind,
        mirror.journal.reference,
        mirror.journal.transaction_id,
        mirror.journal.reverses_id,
        mirror.journal.happened_at,
    )
    swap = {"DEBIT": "CREDIT", "CREDIT": "DEBIT"}
    was, now = books.posted()[-2:]
    assert [" ".join([swap[side], rest]) for side, rest in (line.split(" ", 1) for line in was)] == now
    assert before == books.balances()


def test_spent_money_is_not_taken_back(books: Books) -> None:
    """A payment refuted after its shillings were converted is a case for people, not for a negative wallet."""
    paid(books)
    converted(books)
    with pytest.raises(Overdrawn):
        postings.deposit_payment_refuted(books.work, reference="stk-1")


def test_what_was_never_booked_cannot_be_reversed(books: Books) -> None:
    """A reversal needs its journal."""
    books.may_look_at((postings.TRANSFER_INTENDED, "tr-9"))
    with pytest.raises(JournalNotFound):
        postings.transfer_failed(books.work, reference="tr-9")


def test_a_reversal_outside_the_footprint_waits_for_its_rows(books: Books) -> None:
    """A journal nobody looked up is not taken for one that does not exist."""
    with pytest.raises(NotLocked) as missing:
        postings.transfer_failed(books.work, reference="tr-9")
    assert (JOURNALS, ((postings.TRANSFER_INTENDED, "tr-9"),)) == (missing.value.kind, missing.value.keys)


def test_funding_is_booked_once_and_a_repeat_does_nothing(books: Books) -> None:
    """The same reference, account and amount: False, and no second journal."""
    books.may_look_at((postings.OWNER_FUNDING, "f-1"), (postings.FLOAT_ISSUED, "f-1"))
    holder = wallet_code(WANJIKU, Currency.KES)

    funded = [
        postings.owner_funding(books.work, account="deriv:agent", amount=usd("5"), reference="f-1") for _ in range(2)
    ]
    issued = [postings.float_issued(books.work, holder=holder, amount=kes("5"), reference="f-1") for _ in range(2)]
    assert [[True, False], [True, False]] == [funded, issued]
    assert 2 == len(books.posted())


def test_a_reference_is_not_used_for_another_funding(books: Books) -> None:
    """Another amount, account or holder under a reference in the books is refused."""
    books.may_look_at((postings.OWNER_FUNDING, "f-1"), (postings.FLOAT_ISSUED, "f-1"))
    postings.owner_funding(books.work, account="deriv:agent", amount=usd("5"), reference="f-1")
    postings.float_issued(books.work, holder=wallet_code(WANJIKU, Currency.KES), amount=kes("5"), reference="f-1")

    with pytest.raises(DuplicateJournal):
        postings.owner_funding(books.work, account="deriv:agent", amount=usd("5.01"), reference="f-1")
    with pytest.raises(DuplicateJournal):
        postings.owner_funding(books.work, account="fx:USD", amount=usd("5"), reference="f-1")
    with pytest.raises(DuplicateJournal):
        postings.float_issued(books.work, holder=wallet_code(OTIENO, Currency.KES), amount=kes("5"), reference="f-1")


def test_an_unbalanced_or_negative_or_unknown_posting_is_refused(books: Books) -> None:
    """The ledger itself checks, whoever calls it."""
    books.work.loaded(ACCOUNTS, {"cash": None})
    for lines, refusal in (
        ([debit("fx:USD", usd("1")), credit("fx:KES", kes("1"))], Unbalanced),
        ([debit("fx:USD", -usd("1")), credit("deriv:agent", -usd("1"))], InvalidAmount),
        ([debit("cash", kes("1")), credit("suspense:KES", kes("1"))], AccountNotFound),
    ):
        books.work.begin()
        with pytest.raises(refusal):
            post(books.work, "test", "1", lines, happened_at=MORNING)
        books.work.forget()
    assert ([], []) == (books.posted(), books.opened())


def test_an_account_outside_the_footprint_is_not_touched(books: Books) -> None:
    """A wallet that was not locked is asked for, never assumed to be empty."""
    stranger = f"wallet:{T1}:KES"
    with pytest.raises(NotLocked) as missing:
        post(books.work, "test", "1", [debit("fx:KES", kes("1")), credit(stranger, kes("1"))], happened_at=MORNING)
    assert (ACCOUNTS, (stranger,)) == (missing.value.kind, missing.value.keys)


# -- what is written down


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
    assert ahead == books.account(wallet_code(WANJIKU, Currency.KES)).last_recorded_at


def test_a_wallet_tells_that_its_balance_changed(books: Books) -> None:
    """One event for each entry of an owner's account, numbered like the entries; accounts of ours tell nothing."""
    paid(books, amount="10.00")
    paid(books, amount="5.00", reference="stk-2")
    wallet = books.account(wallet_code(WANJIKU, Currency.KES))

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
    named = postings.deposit_footprint(Footprint(), WANJIKU).rows[ACCOUNTS]
    paid(books)
    converted(books)
    intended(books)
    confirmed(books)
    postings.payment_unmatched(books.work, transaction=T1, reference="x", amount=kes("1"), happened_at=EARLIER)

    assert {account.code for account in books.opened()} == named


def test_every_other_posting_has_a_footprint_that_covers_it() -> None:
    """Accounts, and the journals that are looked at."""
    payer, payee = wallet_code(WANJIKU, Currency.KES), wallet_code(OTIENO, Currency.KES)

    funding = postings.owner_funding_footprint(
        Footprint(), account="deriv:agent", currency=Currency.USD, reference="f-1"
    )
    assert {ACCOUNTS: {"deriv:agent", "equity:owner:USD"}, JOURNALS: {("owner_funding", "f-1")}} == funding.rows
    issued = postings.float_issued_footprint(Footprint(), holder=payer, reference="f-1")
    assert {ACCOUNTS: {"trust:unevidenced", payer}, JOURNALS: {("float_issued", "f-1")}} == issued.rows
    payment = postings.operator_payment_footprint(Footprint(), payer=payer, payee=payee)
    assert {ACCOUNTS: {payer, payee}} == payment.rows
    journals = postings.journal_footprint(Footprint(), ("a", "1"), ("b", "2"))
    assert {JOURNALS: {("a", "1"), ("b", "2")}} == journals.rows
