"""Postings that are refused: overdrawn, twice, unbalanced, or outside the footprint."""

from __future__ import annotations

import pytest

from penpay.application.shared.unit_of_work import NotLocked
from penpay.application.wallet import postings
from penpay.application.wallet.ledger import ACCOUNTS, JOURNALS, post, reverse
from penpay.domain.shared.errors import (
    AccountNotFound,
    DuplicateJournal,
    InvalidAmount,
    JournalNotFound,
    Overdrawn,
    Unbalanced,
)
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import wallet_code
from penpay.domain.wallet.journal import credit, debit
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA, BETA, T1, T2, Books, kes, usd
from tests.unit.wallet.steps import EARLIER, TEN_DOLLARS, confirmed, converted, intended, paid


def test_a_wallet_is_never_overdrawn(books: Books) -> None:
    """One cent less than the price in the wallet, and nothing is converted."""
    paid(books, amount="1314.99")
    with pytest.raises(Overdrawn) as refused:
        converted(books)
    assert {"account": wallet_code(ALPHA, Currency.KES)} == refused.value.details


def test_dollars_that_are_in_flight_cannot_fly_twice(books: Books) -> None:
    """A second transfer of the same dollars finds an empty wallet."""
    paid(books)
    converted(books)
    intended(books)
    with pytest.raises(Overdrawn):
        postings.transfer_intended(books.work, user=ALPHA, transaction=T2, reference="tr-2", amount=usd("0.01"))


def test_more_than_was_sent_is_never_confirmed(books: Books) -> None:
    """What Deriv says it moved beyond what is in flight cannot be booked against it."""
    paid(books)
    converted(books)
    intended(books)
    with pytest.raises(Overdrawn):
        confirmed(books, "10.01")


def test_one_s_shillings_do_not_pay_for_another(books: Books) -> None:
    """Beta's wallet is empty, whatever Alpha holds."""
    paid(books)
    with pytest.raises(Overdrawn):
        postings.deposit_converted(books.work, user=BETA, transaction=T2, quote=TEN_DOLLARS)


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
    holder = wallet_code(ALPHA, Currency.KES)

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
    postings.float_issued(books.work, holder=wallet_code(ALPHA, Currency.KES), amount=kes("5"), reference="f-1")

    with pytest.raises(DuplicateJournal):
        postings.owner_funding(books.work, account="deriv:agent", amount=usd("5.01"), reference="f-1")
    with pytest.raises(DuplicateJournal):
        postings.owner_funding(books.work, account="fx:USD", amount=usd("5"), reference="f-1")
    with pytest.raises(DuplicateJournal):
        postings.float_issued(books.work, holder=wallet_code(BETA, Currency.KES), amount=kes("5"), reference="f-1")


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
