"""The steps of one deposit of Alpha's, as postings."""

from __future__ import annotations

from datetime import timedelta

from penpay.application.wallet import postings
from penpay.domain.shared.locked_rate import DepositQuote
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA, T1, Books, kes, usd

EARLIER = MORNING - timedelta(minutes=1)
TEN_DOLLARS = DepositQuote(
    usd=usd("10.00"), kes_at_mid=kes("1295.00"), kes_priced=kes("1314.42"), kes_charged=kes("1315.00")
)


def paid(books: Books, *, reference: str = "stk-1", amount: str = "1315.00") -> None:
    postings.deposit_paid(
        books.work, user=ALPHA, transaction=T1, reference=reference, amount=kes(amount), happened_at=EARLIER
    )


def converted(books: Books, quote: DepositQuote = TEN_DOLLARS) -> None:
    postings.deposit_converted(books.work, user=ALPHA, transaction=T1, quote=quote)


def intended(books: Books, amount: str = "10.00") -> None:
    postings.transfer_intended(books.work, user=ALPHA, transaction=T1, reference="tr-1", amount=usd(amount))


def confirmed(books: Books, amount: str = "10.00") -> None:
    postings.transfer_confirmed(books.work, transaction=T1, reference="tr-1", amount=usd(amount), happened_at=EARLIER)
