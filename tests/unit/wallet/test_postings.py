"""How money moves, one table of debits and credits for each thing that can happen."""

from __future__ import annotations

from uuid import UUID

import pytest

from penpay.application.wallet import postings
from penpay.domain.mobile_money.tariff import excise_in
from penpay.domain.shared.errors import Overdrawn
from penpay.domain.shared.locked_rate import DepositQuote
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import wallet_code
from tests.unit.wallet.books import ALPHA, BETA, T1, Books, kes, usd
from tests.unit.wallet.steps import EARLIER, confirmed, converted, intended, paid

# -- the flows of DESIGN §4


def test_deposit_paid(books: Books) -> None:
    """The payer's shillings have reached us and are hers."""
    paid(books)

    assert [
        "DEBIT mpesa:collection KES 1,315.00",
        "CREDIT wallet:Alpha:KES KES 1,315.00",
    ] == books.last()


def test_deposit_converted(books: Books) -> None:
    """T leaves her shillings, M buys U, and what is left over is ours: the spread and the rounding."""
    paid(books)
    converted(books)

    assert [
        "DEBIT wallet:Alpha:KES KES 1,315.00",
        "CREDIT fx:KES KES 1,295.00",
        "CREDIT revenue:fx_spread KES 19.42",
        "CREDIT revenue:rounding KES 0.58",
        "DEBIT fx:USD USD 10.00",
        "CREDIT wallet:Alpha:USD USD 10.00",
    ] == books.last()


def test_deposit_converted_without_spread_or_rounding(books: Books) -> None:
    """Lines of nothing are left out."""
    paid(books, amount="1295.00")
    converted(
        books,
        DepositQuote(usd=usd("10"), kes_at_mid=kes("1295"), kes_priced=kes("1295"), kes_charged=kes("1295")),
    )

    assert [
        "DEBIT wallet:Alpha:KES KES 1,295.00",
        "CREDIT fx:KES KES 1,295.00",
        "DEBIT fx:USD USD 10.00",
        "CREDIT wallet:Alpha:USD USD 10.00",
    ] == books.last()


def test_deriv_transfer_intended(books: Books) -> None:
    """Her dollars are on their way and can be used for nothing else."""
    paid(books)
    converted(books)
    intended(books)

    assert [
        "DEBIT wallet:Alpha:USD USD 10.00",
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
        "CREDIT wallet:Alpha:USD USD 10.00",
        "DEBIT deriv:in_flight USD 10.00",
    ] == books.last()


def test_deposit_payment_refuted(books: Books) -> None:
    """M-Pesa says the announced payment never was: it leaves the books by its mirror."""
    paid(books)
    postings.deposit_payment_refuted(books.work, reference="stk-1")

    assert [
        "CREDIT mpesa:collection KES 1,315.00",
        "DEBIT wallet:Alpha:KES KES 1,315.00",
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
    holder = wallet_code(ALPHA, Currency.KES)

    assert postings.float_issued(books.work, holder=holder, amount=kes("100"), reference="f-1")
    assert ["DEBIT trust:unevidenced KES 100.00", "CREDIT wallet:Alpha:KES KES 100.00"] == books.last()


# -- the mobile-money operator; Alpha is a subscriber, Beta an agent or a merchant

SUBSCRIBER, AGENT, MERCHANT = f"subscriber:{ALPHA}:KES", f"agent:{BETA}:KES", f"merchant:{BETA}:KES"
P1, P2, P3 = (UUID(int=number) for number in (201, 202, 203))


def funded(books: Books, holder: str, amount: str) -> None:
    """Float issued without evidence, so that somebody has money to move."""
    postings.float_assigned(
        books.work, holder=holder, amount=kes(amount), against=postings.TRUST_UNEVIDENCED, id_=UUID(int=200)
    )


def moved(  # the lines of the table
    books: Books,
    payer: str,
    payee: str,
    amount: str,
    *,
    payer_fee: str = "0",
    payee_fee: str = "0",
    excise: str = "0",
    id_: UUID = P1,
) -> None:
    postings.operator_payment(
        books.work,
        payer=payer,
        payee=payee,
        amount=kes(amount),
        payer_fee=kes(payer_fee),
        payee_fee=kes(payee_fee),
        excise=kes(excise),
        id_=id_,
    )


def test_operator_payment(books: Books) -> None:
    """Free of charge: what leaves one holder reaches the other."""
    funded(books, SUBSCRIBER, "100")
    moved(books, SUBSCRIBER, MERCHANT, "40")

    assert ["DEBIT subscriber:Alpha:KES KES 40.00", "CREDIT merchant:Beta:KES KES 40.00"] == books.last()
    assert {
        "trust:unevidenced": "KES 100.00",
        "subscriber:Alpha:KES": "KES 60.00",
        "merchant:Beta:KES": "KES 40.00",
    } == books.balances()


def test_operator_payment_with_a_fee(books: Books) -> None:
    """Cash of 1,000 for a fee of 29, of which 3.78 is excise at 15 %: 29.00 × 15 ÷ 115 = 3.7826."""
    funded(books, SUBSCRIBER, "5000")
    assert kes("3.78") == excise_in(kes("29"), 1_500)
    moved(books, SUBSCRIBER, AGENT, "1000", payer_fee="29", excise="3.78")

    assert [
        "DEBIT subscriber:Alpha:KES KES 1,029.00",
        "CREDIT agent:Beta:KES KES 1,000.00",
        "CREDIT revenue:mobile_money_fees KES 25.22",
        "CREDIT excise:payable KES 3.78",
    ] == books.last()


def test_operator_payment_with_fees_on_both_sides(books: Books) -> None:
    """A shared PayBill payment: the payer bears 15, the merchant 10, and excise is taken out of the 25 once."""
    funded(books, SUBSCRIBER, "5000")
    moved(books, SUBSCRIBER, MERCHANT, "2000", payer_fee="15", payee_fee="10", excise="3.26")

    assert [
        "DEBIT subscriber:Alpha:KES KES 2,015.00",
        "CREDIT merchant:Beta:KES KES 1,990.00",
        "CREDIT revenue:mobile_money_fees KES 21.74",
        "CREDIT excise:payable KES 3.26",
    ] == books.last()


def test_the_fee_must_be_in_the_account_as_well(books: Books) -> None:
    """The amount alone is there, the fee is a cent too much, and nothing is posted."""
    funded(books, SUBSCRIBER, "100")
    with pytest.raises(Overdrawn):
        moved(books, SUBSCRIBER, MERCHANT, "100", payer_fee="0.01")


def test_operator_reversal(books: Books) -> None:
    """The amount goes back, the fee stays where it was earned."""
    funded(books, SUBSCRIBER, "1029")
    moved(books, SUBSCRIBER, AGENT, "1000", payer_fee="29", excise="3.78")
    postings.operator_reversal(books.work, payer=AGENT, payee=SUBSCRIBER, amount=kes("1000"), id_=P2)

    assert ["DEBIT agent:Beta:KES KES 1,000.00", "CREDIT subscriber:Alpha:KES KES 1,000.00"] == books.last()
    assert {
        "trust:unevidenced": "KES 1,029.00",
        "subscriber:Alpha:KES": "KES 1,000.00",
        "revenue:mobile_money_fees": "KES 25.22",
        "excise:payable": "KES 3.78",
    } == books.balances()


def test_commission_is_owed_when_earned_and_hers_when_paid(books: Books) -> None:
    """Accrued as an expense, later moved to the agent's float; never more than she has earned."""
    postings.commission_accrued(books.work, agent=BETA, amount=kes("15"), id_=P1)
    assert ["DEBIT expense:agent_commission KES 15.00", "CREDIT commission:Beta:KES KES 15.00"] == books.last()

    postings.commission_paid(books.work, agent=BETA, wallet=AGENT, amount=kes("15"), id_=P2)
    assert ["DEBIT commission:Beta:KES KES 15.00", "CREDIT agent:Beta:KES KES 15.00"] == books.last()
    with pytest.raises(Overdrawn):
        postings.commission_paid(books.work, agent=BETA, wallet=AGENT, amount=kes("0.01"), id_=P3)


@pytest.mark.parametrize("against", ["trust:unevidenced", "trust:bank", "suspense:KES"])
def test_float_assigned(books: Books, against: str) -> None:
    """Against evidence to come, a bank deposit named now, or one that waited in suspense."""
    postings.bank_deposit(books.work, amount=kes("5000"), reference="BANK-1", explains=postings.SUSPENSE_KES)
    postings.float_assigned(books.work, holder=AGENT, amount=kes("5000"), against=against, id_=P1)

    assert [f"DEBIT {against} KES 5,000.00", "CREDIT agent:Beta:KES KES 5,000.00"] == books.last()


@pytest.mark.parametrize("explains", ["trust:unevidenced", "equity:owner:KES", "suspense:KES"])
def test_bank_deposit(books: Books, explains: str) -> None:
    """Behind float issued before, the operator's own, or nobody knows yet."""
    funded(books, AGENT, "5000")
    postings.bank_deposit(books.work, amount=kes("5000"), reference="BANK-1", explains=explains)

    assert ["DEBIT trust:bank KES 5,000.00", f"CREDIT {explains} KES 5,000.00"] == books.last()


def test_what_the_operator_owns_of_the_trust_account(books: Books) -> None:
    """Its deposit and its net fees, less commission and what was swept; customers' money is never among it."""
    assert kes("0") == postings.own_funds(books.work)
    postings.bank_deposit(books.work, amount=kes("50"), reference="BANK-1", explains="equity:owner:KES")
    assert kes("50") == postings.own_funds(books.work)
    funded(books, SUBSCRIBER, "1029")
    assert kes("50") == postings.own_funds(books.work)
    moved(books, SUBSCRIBER, AGENT, "1000", payer_fee="29", excise="3.78")
    assert kes("75.22") == postings.own_funds(books.work)
    postings.commission_accrued(books.work, agent=BETA, amount=kes("15"), id_=P1)
    assert kes("60.22") == postings.own_funds(books.work)
    postings.commission_paid(books.work, agent=BETA, wallet=AGENT, amount=kes("15"), id_=P2)
    assert kes("60.22") == postings.own_funds(books.work)
    postings.fees_swept(books.work, amount=kes("60.22"), id_=P3)
    assert ["DEBIT operator:bank KES 60.22", "CREDIT trust:bank KES 60.22"] == books.last()
    assert kes("0") == postings.own_funds(books.work)


def test_excise_paid(books: Books) -> None:
    """To the tax authority out of the trust account, and not more than is owed."""
    funded(books, SUBSCRIBER, "1029")
    moved(books, SUBSCRIBER, AGENT, "1000", payer_fee="29", excise="3.78")
    postings.excise_paid(books.work, amount=kes("3.78"), id_=P2)

    assert ["DEBIT excise:payable KES 3.78", "CREDIT trust:bank KES 3.78"] == books.last()
    with pytest.raises(Overdrawn):
        postings.excise_paid(books.work, amount=kes("0.01"), id_=P3)


def test_the_trust_equation_holds_after_every_kind_of_movement(books: Books) -> None:
    """What is held, bank and unevidenced, is what is owed: to holders, agents, the tax authority and the operator."""
    funded(books, SUBSCRIBER, "6000")
    postings.bank_deposit(books.work, amount=kes("6000"), reference="BANK-1", explains=postings.TRUST_UNEVIDENCED)
    moved(books, SUBSCRIBER, AGENT, "1000", payer_fee="29", excise="3.78", id_=P1)
    postings.commission_accrued(books.work, agent=BETA, amount=kes("15"), id_=P1)
    moved(books, SUBSCRIBER, MERCHANT, "2000", payer_fee="15", payee_fee="10", excise="3.26", id_=P2)
    postings.excise_paid(books.work, amount=kes("7.04"), id_=P3)
    postings.fees_swept(books.work, amount=kes("31.96"), id_=P3)

    held = {
        "trust:bank": "KES 5,961.00",
        "subscriber:Alpha:KES": "KES 2,956.00",
        "agent:Beta:KES": "KES 1,000.00",
        "merchant:Beta:KES": "KES 1,990.00",
        "commission:Beta:KES": "KES 15.00",
        "revenue:mobile_money_fees": "KES 46.96",
        "expense:agent_commission": "KES 15.00",
        "operator:bank": "KES 31.96",
    }
    assert held == books.balances()
    assert kes("0") == postings.own_funds(books.work)
    owed = (SUBSCRIBER, AGENT, MERCHANT, postings.commission_account(BETA))
    assert postings.balance(books.work, postings.TRUST_BANK, Currency.KES) == sum(
        (postings.balance(books.work, code, Currency.KES) for code in owed), kes("0")
    )


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
        {"wallet:Alpha:KES": "KES 1,315.00"},
        {"wallet:Alpha:USD": "USD 10.00"},
        {"deriv:in_flight": "USD 10.00"},
        {},
    ] == places
