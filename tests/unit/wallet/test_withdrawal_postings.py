"""How money moves out by M-Pesa and back, one table of debits and credits for each thing that can happen."""

from __future__ import annotations

import pytest

from penpay.application.shared.unit_of_work import Footprint
from penpay.application.wallet import withdrawal_postings as out
from penpay.application.wallet.ledger import ACCOUNTS, JOURNALS
from penpay.application.wallet.postings import DEPOSIT_CONVERTED
from penpay.domain.shared.errors import Overdrawn
from penpay.domain.shared.locked_rate import WithdrawalQuote
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA, T1, Books, kes, usd
from tests.unit.wallet.steps import converted as deposit_converted
from tests.unit.wallet.steps import paid

QUOTE = WithdrawalQuote(usd=usd("10"), kes_at_mid=kes("1295"), kes_priced=kes("1269.10"), kes_paid=kes("1269"))


@pytest.fixture
def books() -> Books:
    made = Books()
    for kind in (DEPOSIT_CONVERTED, out.WITHDRAWAL_CONVERTED):
        made.may_look_at((kind, str(T1)), (f"{kind}.reversed", str(T1)))
    made.may_look_at((out.MPESA_CHARGE, "p-1"), (out.RECOVERY_CLAIMED, "p-1"))
    made.may_look_at((out.MPESA_CHARGES_SETTLED, "s-1"), (out.COLLECTION_MOVED, "m-1"))
    made.work.begin()
    return made


def debited(books: Books) -> None:
    out.deriv_debited(
        books.work, user=ALPHA, transaction=T1, amount=usd("10"), reference="467480000002", happened_at=MORNING
    )


def converted(books: Books) -> None:
    debited(books)
    out.withdrawal_converted(books.work, user=ALPHA, transaction=T1, quote=QUOTE)


def intended(books: Books) -> None:
    converted(books)
    out.payout_intended(books.work, user=ALPHA, transaction=T1, reference="p-1", amount=kes("1269"))


def test_deriv_debited(books: Books) -> None:
    """A client's dollars are on our agent account and are hers."""
    debited(books)

    assert ["DEBIT deriv:agent USD 10.00", "CREDIT wallet:Alpha:USD USD 10.00"] == books.last()


def test_withdrawal_converted(books: Books) -> None:
    """U leaves her dollars, T is in her shillings, M is what it was worth; the rest is ours: spread and rounding."""
    converted(books)

    assert [
        "DEBIT wallet:Alpha:USD USD 10.00",
        "CREDIT fx:USD USD 10.00",
        "DEBIT fx:KES KES 1,295.00",
        "CREDIT wallet:Alpha:KES KES 1,269.00",
        "CREDIT revenue:fx_spread KES 25.90",
        "CREDIT revenue:rounding KES 0.10",
    ] == books.last()


def test_payout_intended_and_confirmed(books: Books) -> None:
    """Her shillings are on their way and can be used for nothing else; then M-Pesa has paid her from our account."""
    intended(books)
    assert ["DEBIT wallet:Alpha:KES KES 1,269.00", "CREDIT mpesa:payout_in_flight KES 1,269.00"] == books.last()

    out.payout_confirmed(books.work, transaction=T1, reference="p-1", amount=kes("1269"), happened_at=MORNING)
    assert ["DEBIT mpesa:payout_in_flight KES 1,269.00", "CREDIT mpesa:utility KES 1,269.00"] == books.last()


def test_payout_failed_and_conversion_undone(books: Books) -> None:
    """M-Pesa paid nothing: shillings again, then dollars again, and nothing is left of margin and rounding."""
    intended(books)
    out.payout_failed(books.work, reference="p-1")
    assert ["CREDIT wallet:Alpha:KES KES 1,269.00", "DEBIT mpesa:payout_in_flight KES 1,269.00"] == books.last()
    assert out.conversion_undone(books.work, transaction=T1)
    assert [
        "CREDIT wallet:Alpha:USD USD 10.00",
        "DEBIT fx:USD USD 10.00",
        "CREDIT fx:KES KES 1,295.00",
        "DEBIT wallet:Alpha:KES KES 1,269.00",
        "DEBIT revenue:fx_spread KES 25.90",
        "DEBIT revenue:rounding KES 0.10",
    ] == books.last()

    assert {"deriv:agent": "USD 10.00", "wallet:Alpha:USD": "USD 10.00"} == books.balances()


def test_a_conversion_is_undone_once(books: Books) -> None:
    """There is nothing to undo before it, and nothing a second time."""
    assert not out.conversion_undone(books.work, transaction=T1)
    converted(books)
    assert out.conversion_undone(books.work, transaction=T1)
    assert not out.conversion_undone(books.work, transaction=T1)


def test_a_deposit_is_undone_too(books: Books) -> None:
    """The payer's whole charge is hers again, spread and rounding included."""
    paid(books)
    deposit_converted(books)
    assert out.conversion_undone(books.work, transaction=T1)

    assert {"mpesa:collection": "KES 1,315.00", "wallet:Alpha:KES": "KES 1,315.00"} == books.balances()


def test_the_same_shillings_are_not_paid_out_twice(books: Books) -> None:
    """A second payout finds an empty wallet."""
    intended(books)
    with pytest.raises(Overdrawn):
        out.payout_intended(books.work, user=ALPHA, transaction=T1, reference="p-2", amount=kes("1269"))


def test_a_charge_is_booked_once_and_settled_later(books: Books) -> None:
    """It costs us when it is told, whoever tells it again, and leaves our account when M-Pesa takes it."""
    for _ in range(2):
        out.mpesa_charged(books.work, transaction=T1, reference="p-1", amount=kes("9"))
    assert ["DEBIT expense:mpesa_charges KES 9.00", "CREDIT mpesa:charges_paid KES 9.00"] == books.last()
    out.charges_settled(books.work, reference="s-1", amount=kes("9"))

    assert ["DEBIT mpesa:charges_paid KES 9.00", "CREDIT mpesa:utility KES 9.00"] == books.last()
    assert {"expense:mpesa_charges": "KES 9.00", "mpesa:utility": "KES -9.00"} == books.balances()


def test_money_waits_in_suspense_and_is_found_again(books: Books) -> None:
    """What can neither go on nor back is nobody's to use, until people say whose it is."""
    debited(books)
    out.put_in_suspense(books.work, user=ALPHA, transaction=T1, reference="r-1", amount=usd("10"))
    assert ["DEBIT wallet:Alpha:USD USD 10.00", "CREDIT suspense:USD USD 10.00"] == books.last()
    out.taken_from_suspense(books.work, user=ALPHA, transaction=T1, reference="r-1", amount=usd("10"))

    assert ["DEBIT suspense:USD USD 10.00", "CREDIT wallet:Alpha:USD USD 10.00"] == books.last()


def test_recovery_claimed(books: Books) -> None:
    """M-Pesa paid after the money had been given back: once, somebody owes it to us."""
    told = [
        out.recovery_claimed(books.work, transaction=T1, reference="p-1", amount=kes("1269"), happened_at=MORNING)
        for _ in range(2)
    ]

    assert [True, False] == told
    assert ["DEBIT receivable:recovery:KES KES 1,269.00", "CREDIT mpesa:utility KES 1,269.00"] == books.last()


def test_collection_moved(books: Books) -> None:
    """What payers paid in is where payouts are made from."""
    paid(books)
    out.collection_moved(books.work, reference="m-1", amount=kes("1000"))

    assert ["DEBIT mpesa:utility KES 1,000.00", "CREDIT mpesa:collection KES 1,000.00"] == books.last()


def test_the_footprint_of_a_payout_names_what_giving_back_touches() -> None:
    """Every account of the tables above but the owner's equity, and the journals of both conversions."""
    named = out.payout_footprint(Footprint(), ALPHA).rows[ACCOUNTS]
    conversions = out.conversion_footprint(Footprint(), T1).rows[JOURNALS]

    assert {"mpesa:utility", "mpesa:payout_in_flight", "expense:mpesa_charges", "suspense:USD"} <= named
    assert {
        (DEPOSIT_CONVERTED, str(T1)),
        (f"{DEPOSIT_CONVERTED}.reversed", str(T1)),
        (out.WITHDRAWAL_CONVERTED, str(T1)),
        (f"{out.WITHDRAWAL_CONVERTED}.reversed", str(T1)),
    } == conversions
