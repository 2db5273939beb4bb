"""How money moves, one table of debits and credits for each thing that can happen."""

from __future__ import annotations

import pytest

from penpay.application.wallet import postings
from penpay.domain.shared.locked_rate import DepositQuote
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import wallet_code
from tests.unit.wallet.books import OTIENO, T1, WANJIKU, Books, kes, usd
from tests.unit.wallet.steps import EARLIER, confirmed, converted, intended, paid

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
