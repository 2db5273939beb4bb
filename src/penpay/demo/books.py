"""Comparing the books: ours against the operator's and Deriv's own, cent by cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penpay.demo.world import LOGIN_ID, PHONE, SHORT_CODE, WALLET, World
from penpay.domain.shared.money import Currency, Money


@dataclass(frozen=True, slots=True)
class Comparison:
    """One amount that stands in two books."""

    what: str
    ours: Money
    theirs: Money

    @property
    def agrees(self) -> bool:
        return self.ours == self.theirs


async def compare(world: World, transactions: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    """What we booked against what the operator and Deriv hold; none of the figures on the right is from our ledger."""
    ledger = world.system.ledger_books
    operator = await world.sandbox.operator.books.balances()
    book = world.sandbox.deriv_book
    completed = [found for found in transactions if found["status"] == "COMPLETED"]

    async def ours(code: str, currency: Currency) -> Money:
        account = await ledger.balance(code)
        return account.balance if account else Money.zero(currency)

    def moved(name: str) -> int:
        """What deposits moved less what withdrawals did."""
        return sum(found[name] * (1 if found["type"] == "DEPOSIT" else -1) for found in completed)

    paid, funded = Money(moved("kes_cents"), Currency.KES), Money(moved("usd_cents"), Currency.USD)
    agent = world.system.deriv_login_id
    return [
        Comparison(
            "PayBill account: ours / the operator's",
            await ours("mpesa:collection", Currency.KES) + await ours("mpesa:utility", Currency.KES),
            dict(operator.merchants)[SHORT_CODE],
        ),
        Comparison(
            "Agent account: ours / Deriv's",
            await ours("deriv:agent", Currency.USD),
            Money(await book.balance_of(agent), Currency.USD),
        ),
        Comparison(
            "Her Deriv account: deposits less withdrawals / Deriv's",
            funded,
            Money(await book.balance_of(LOGIN_ID), Currency.USD),
        ),
        Comparison(
            "Her M-Pesa wallet: opening less deposits, and withdrawals / the operator's",
            WALLET - paid,
            dict(operator.subscribers)[PHONE],
        ),
    ]
