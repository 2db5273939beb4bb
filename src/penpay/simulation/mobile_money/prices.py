"""What moving money costs in the simulated world, computed past the product, and the tariff file that says the same."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from penpay.domain.mobile_money.transaction import Operation

_FREE_CENTS: Final = 100_00
_SEND_CENTS: Final = 23_00
_WITHDRAW_CENTS: Final = 29_00
_PAYBILL_CENTS: Final = (5_00, 2_00)
"""Of the payer and of the merchant, who share it."""
_TILL_CENTS: Final = 3_00
_DEPOSIT_EARNS_CENTS: Final = 4_00
_WITHDRAWAL_EARNS_CENTS: Final = 12_00
_EXCISE_BPS: Final = 1_500
_ALL: Final = 10_000
_MOST_SHILLINGS: Final = 250_000


class Cost(NamedTuple):
    """What a movement costs whom, and what its agent earns, in cents."""

    payer_fee: int = 0
    payee_fee: int = 0
    commission: int = 0

    @property
    def excise(self) -> int:
        """The duty inside both fees, half-even to the cent."""
        whole, rest = divmod((self.payer_fee + self.payee_fee) * _EXCISE_BPS, _ALL + _EXCISE_BPS)
        twice = 2 * rest - (_ALL + _EXCISE_BPS)
        return whole + (1 if twice > 0 or (twice == 0 and whole % 2) else 0)


def cost_of(operation: Operation, source: str, target: str, cents: int, *, till: bool = False) -> Cost:
    """The price of one movement between two kinds of customers; `till`: a merchant is paid by her till."""
    if operation is Operation.DEPOSIT:
        return Cost(commission=_DEPOSIT_EARNS_CENTS if target == "subscriber" else 0)
    if operation is Operation.WITHDRAW:
        return Cost(payer_fee=_WITHDRAW_CENTS, commission=_WITHDRAWAL_EARNS_CENTS)
    if operation is not Operation.TRANSFER or (source, target) == ("agent", "agent"):
        return Cost()
    if target == "merchant":
        return Cost(payer_fee=_TILL_CENTS) if till else Cost(*_PAYBILL_CENTS)
    return Cost() if cents <= _FREE_CENTS else Cost(payer_fee=_SEND_CENTS)


def tariff_file() -> str:
    """The same figures as an operator loads them (docs/tariffs.md)."""

    def band(least: int, most: int, **figures: int) -> dict[str, int]:
        return {"fromShillings": least, "toShillings": most, **figures}

    free, most = _FREE_CENTS // 100, _MOST_SHILLINGS
    payer, payee = _PAYBILL_CENTS
    fees = {
        "sendMoney": [band(1, free, payerFeeCents=0), band(free + 1, most, payerFeeCents=_SEND_CENTS)],
        "withdrawAtAgent": [band(1, most, payerFeeCents=_WITHDRAW_CENTS)],
        "payBill": [band(1, most, payerFeeCents=payer, payeeFeeCents=payee)],
        "buyGoods": [band(1, most, payerFeeCents=_TILL_CENTS)],
    }
    commissions = {
        "depositAtAgent": [band(1, most, commissionCents=_DEPOSIT_EARNS_CENTS)],
        "withdrawAtAgent": [band(1, most, commissionCents=_WITHDRAWAL_EARNS_CENTS)],
    }
    named = {"name": "Simulation", "validFrom": "2026-01-01", "source": "The simulation's own figures"}
    return json.dumps({**named, "fees": fees, "commissions": commissions})
