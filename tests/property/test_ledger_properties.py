"""What holds in the books after any sequence of postings, refused ones included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from penpay.application.wallet import postings
from penpay.application.wallet.ledger import ENTRIES, JOURNALS, post
from penpay.domain.mobile_money.tariff import excise_in
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import LedgerSide, wallet_code
from penpay.domain.wallet.journal import Line
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA, BETA, Books

KES, USD = Currency.KES, Currency.USD
RATE = LockedRate(
    base=USD,
    quote=KES,
    mid_e8=12_950_000_000,
    spread_bps=150,
    source="test",
    locked_at=MORNING,
    expires_at=MORNING + timedelta(minutes=5),
)
REFERENCES = [str(number) for number in range(2)]

Step = Callable[[Books], object]

users = st.sampled_from([ALPHA, BETA])
references = st.sampled_from(REFERENCES)
transactions = st.integers(1, 4).map(lambda number: TransactionId(UUID(int=number)))
cents = st.integers(1, 30_000)
fees = st.integers(0, 500)
excise_rates = st.sampled_from([0, 1_000, 1_500])


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Anything that may happen to the books: some of it will be refused."""
    user, transaction, reference = draw(users), draw(transactions), draw(references)
    shillings, dollars = Money(draw(cents), KES), Money(draw(st.sampled_from([100, 200])), USD)
    quote = RATE.quote_deposit(dollars)
    payer_fee, payee_fee = Money(draw(fees), KES), Money(draw(fees), KES)
    excise = excise_in(payer_fee + payee_fee, draw(excise_rates))
    other = UserId(BETA if user == ALPHA else ALPHA)
    happened_at = MORNING

    def deposited(b: Books) -> None:
        postings.deposit_paid(
            b.work,
            user=user,
            transaction=transaction,
            reference=reference,
            amount=quote.kes_charged,
            happened_at=happened_at,
        )
        postings.deposit_converted(b.work, user=user, transaction=transaction, quote=quote)

    def sent(b: Books) -> None:
        deposited(b)
        postings.transfer_intended(b.work, user=user, transaction=transaction, reference=reference, amount=dollars)

    possible: list[Step] = [
        sent,
        lambda b: postings.deposit_paid(
            b.work, user=user, transaction=transaction, reference=reference, amount=shillings, happened_at=happened_at
        ),
        deposited,
        lambda b: postings.deposit_converted(b.work, user=user, transaction=transaction, quote=quote),
        lambda b: postings.transfer_intended(
            b.work, user=user, transaction=transaction, reference=reference, amount=dollars
        ),
        lambda b: postings.transfer_intended(
            b.work, user=user, transaction=transaction, reference=f"{reference} again", amount=dollars
        ),
        lambda b: postings.transfer_confirmed(
            b.work, transaction=transaction, reference=reference, amount=dollars, happened_at=happened_at
        ),
        lambda b: postings.transfer_failed(b.work, reference=reference),
        lambda b: postings.deposit_payment_refuted(b.work, reference=reference),
        lambda b: postings.payment_unmatched(
            b.work, transaction=transaction, reference=reference, amount=shillings, happened_at=happened_at
        ),
        lambda b: postings.owner_funding(b.work, account=postings.DERIV_AGENT, amount=dollars, reference=reference),
        lambda b: postings.float_issued(b.work, holder=wallet_code(user, KES), amount=shillings, reference=reference),
        lambda b: postings.operator_payment(
            b.work,
            payer=wallet_code(user, KES),
            payee=wallet_code(other, KES),
            amount=shillings,
            payer_fee=payer_fee,
            payee_fee=payee_fee,
            excise=excise,
            id_=uuid5(NAMESPACE_OID, reference),
        ),
    ]
    return draw(st.sampled_from(possible))


def books_for_anything() -> Books:
    """Books whose footprint names every journal the steps can look at."""
    books = Books()
    kinds = (postings.TRANSFER_INTENDED, postings.DEPOSIT_PAID, postings.OWNER_FUNDING, postings.FLOAT_ISSUED)
    books.may_look_at(*((kind, reference) for kind in kinds for reference in REFERENCES))
    return books


def attempt(books: Books, step: Step) -> bool:
    """One command: it succeeds, or it is refused and forgotten."""
    books.work.begin()
    try:
        step(books)
    except DomainError:
        books.work.forget()
        return False
    return True


def in_order(books: Books) -> None:
    """What an auditor would check."""
    accounts = {account.id: account for account in books.opened()}
    by_journal: Counter[tuple[UUID, Currency]] = Counter()
    running: Counter[UUID] = Counter()
    count: Counter[UUID] = Counter()
    for entry in books.work.appended(ENTRIES):
        account = accounts[entry.account_id]
        debit = entry.amount_cents if entry.side is LedgerSide.DEBIT else -entry.amount_cents
        by_journal[entry.journal_id, account.currency] += debit
        running[account.id] += debit if account.type.normal_side is LedgerSide.DEBIT else -debit
        count[account.id] += 1
        assert entry.amount_cents > 0
        assert (count[account.id], running[account.id]) == (entry.account_seq, entry.balance_after_cents)
        assert entry.balance_after_cents >= 0 or account.may_go_negative
    assert not any(by_journal.values())
    for account in accounts.values():
        assert (running[account.id], count[account.id]) == (account.balance_cents, account.version)
        assert account.balance_cents >= 0 or account.may_go_negative
    for currency in Currency:
        assert 0 == sum(
            account.balance_cents if account.type.normal_side is LedgerSide.DEBIT else -account.balance_cents
            for account in accounts.values()
            if account.currency is currency
        )


@given(script=st.lists(steps(), max_size=30))
def test_the_books_are_in_order_after_anything(script: list[Step]) -> None:
    """Every journal and currency balances, balances are the sums of entries, and nothing of a customer is negative."""
    books = books_for_anything()
    for step in script:
        before = (books.posted(), books.balances(), len(books.events()))
        if not attempt(books, step):
            assert before == (books.posted(), books.balances(), len(books.events()))
    in_order(books)


@given(script=st.lists(steps(), max_size=12))
def test_undoing_everything_in_reverse_leaves_nothing(script: list[Step]) -> None:
    """The mirrors of all journals, newest first, bring every account back to zero."""
    books = books_for_anything()
    for step in script:
        attempt(books, step)
    journals = [change.after for change in books.work.changes(JOURNALS) if change.after is not None]
    for posted in sorted(journals, key=lambda each: each.journal.id, reverse=True):
        mirror = [Line(line.side.opposite, line.account, line.amount) for line in posted.lines]
        post(books.work, "undone", str(posted.journal.id), mirror, happened_at=MORNING)

    in_order(books)
    assert {} == books.balances()


@given(dollars=st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_finished_deposits_leave_nothing_with_the_customer(dollars: list[int]) -> None:
    """However many, however large: wallets and money in flight are empty, and revenue is what the quotes said."""
    books = Books()
    spread, rounding = Money.zero(KES), Money.zero(KES)
    for number, amount in enumerate(dollars, 1):
        quote = RATE.quote_deposit(Money(amount, USD))
        spread, rounding = spread + quote.spread, rounding + quote.rounding
        transaction, reference = TransactionId(UUID(int=number)), str(number)
        postings.deposit_paid(
            books.work,
            user=ALPHA,
            transaction=transaction,
            reference=reference,
            amount=quote.kes_charged,
            happened_at=MORNING,
        )
        postings.deposit_converted(books.work, user=ALPHA, transaction=transaction, quote=quote)
        postings.transfer_intended(
            books.work, user=ALPHA, transaction=transaction, reference=reference, amount=quote.usd
        )
        postings.transfer_confirmed(
            books.work, transaction=transaction, reference=reference, amount=quote.usd, happened_at=MORNING
        )

    in_order(books)
    held = books.balances()
    assert not [code for code in held if code.startswith(("wallet", "deriv:in_flight"))]
    assert (spread, rounding) == (
        postings.balance(books.work, "revenue:fx_spread", KES),
        postings.balance(books.work, "revenue:rounding", KES),
    )
    assert -Money(sum(dollars), USD) == postings.balance(books.work, postings.DERIV_AGENT, USD)
