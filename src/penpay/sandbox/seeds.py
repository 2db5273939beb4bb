"""What is there when the sandbox starts: subscribers with a PIN and money, and numbers of merchants."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from penpay.application.mobile_money.operator import Operator
from penpay.application.mobile_money.registration import RegisterMerchant
from penpay.domain.mobile_money.errors import CustomerExists
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

SHORT_CODE: Final = "174379"
PASSKEY: Final = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
"""The test number for pushes and its passkey, as they are published (daraja.md §6.6)."""
INITIATOR: Final = "testapi"
INITIATOR_PASSWORD: Final = "Safaricom999!*!"  # noqa: S105  (a public test value)
"""The test initiator, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A SIM, and what it is there for."""

    phone: PhoneNumber
    pin: str
    opening: Money
    reference: str
    """What its money is booked under, once: never a phone number, since what is booked is never erased."""
    good_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A merchant's number. A PayBill can push, too."""

    short_code: str
    name: str
    kind: NumberKind
    opening: Money


def _shillings(whole: int) -> Money:
    return Money(whole * 100, Currency.KES)


SUBSCRIBERS: Final[Sequence[Subscriber]] = (
    Subscriber(
        phone=PhoneNumber("+254708374149"),
        pin="1234",
        opening=_shillings(50_000),
        reference="demo-opening",  # as the demo and earlier versions book it: it is paid out once
        good_for="paying",
    ),
    Subscriber(
        phone=PhoneNumber("+254712345678"),
        pin="1234",
        opening=_shillings(50_000),
        reference="sandbox-opening-2",
        good_for="paying at the same time",
    ),
    Subscriber(
        phone=PhoneNumber("+254712345679"),
        pin="1234",
        opening=_shillings(50),
        reference="sandbox-opening-3",
        good_for="too little money: result 1",
    ),
    Subscriber(
        phone=PhoneNumber("+254722000000"),
        pin="1234",
        opening=_shillings(499_900),
        reference="sandbox-opening-4",
        good_for="a wallet that is nearly full",
    ),
)
NUMBERS: Final[Sequence[Number]] = (
    Number(short_code="600984", name="SHOP ONE", kind=NumberKind.PAYBILL, opening=_shillings(400_000)),
    Number(short_code="600996", name="SHOP TWO", kind=NumberKind.PAYBILL, opening=_shillings(400_000)),
    Number(short_code="600999", name="SHOP THREE", kind=NumberKind.PAYBILL, opening=_shillings(100)),
    Number(short_code="600730", name="TILL ONE", kind=NumberKind.TILL, opening=_shillings(1_000)),
)


async def seed(operator: Operator) -> None:
    """Make what is missing; what is there keeps its PIN, its name and its money."""
    for one in SUBSCRIBERS:
        with suppress(CustomerExists):
            await operator.register_subscriber(one.phone, one.pin)
        await operator.issue_float(one.phone, one.opening, one.reference)
    for number in NUMBERS:
        await operator.do(RegisterMerchant(short_code=number.short_code, name=number.name, kind=number.kind))
        await operator.issue_to_merchant(number.short_code, number.opening, f"sandbox-opening-{number.short_code}")
