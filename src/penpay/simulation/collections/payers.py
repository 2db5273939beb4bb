"""Who pays a simulated business, and who only says so: subscribers with handsets, and a forger at our doors."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import httpx

from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.notifications import BillPayment
from penpay.simulation.collections.staff import Board
from penpay.simulation.collections.tally import Bill, Tally
from penpay.simulation.people import API
from penpay.simulation.profile import Hazard, Level
from penpay.simulation.template import SHORT_CODE

if TYPE_CHECKING:
    from penpay.simulation.world import World

PHONES: Final = tuple(PhoneNumber.parse(f"2547130000{number:02d}") for number in range(1, 4))
WALLETS: Final = (600_000_00, 600_000_00, 3_000_00)
"""Cents that each has; the last one often has too little."""
PIN: Final = "1234"
_PAYMENTS: Final = MappingProxyType({Level.MILD: (3, 6), Level.EXTREME: (6, 10)})
_WAITING: Final = """SELECT DISTINCT i.invoice_number, i.balance FROM invoices i
    JOIN invoice_reminders r ON r.invoice_id = i.id WHERE r.state = 'WAITING' AND i.balance > 0 ORDER BY 1"""
_NONSENSE: Final = ("rent", "JOHN", "CUST-999", "0712000001", "INV-20200101-0001")


class Payers:
    """Everybody who pays the PayBill of their own accord."""

    def __init__(self, world: World, board: Board, tally: Tally, chance: random.Random) -> None:
        self._world = world
        self._board = board
        self._tally = tally
        self._chance = chance

    async def live(self, phone: PhoneNumber) -> None:
        """Pay one thing after another, with the number typed as people do."""
        least, most = _PAYMENTS[self._world.profile.level(Hazard.COLLECTIONS)]
        for _ in range(self._chance.randint(least, most)):
            await asyncio.sleep(self._chance.randint(200, 12_000) / 1_000)
            reference, cents = self._wanted()
            await self._pay(phone, reference, cents)

    async def pay_meanwhile(self) -> bool:
        """Somebody pays invoices of which her customers are still to be reminded; whether there were any."""
        waiting = self._world.books.ours(_WAITING)
        for row in self._chance.sample(waiting, min(len(waiting), 2)):
            await self._pay(PHONES[0], row["invoice_number"], -(-row["balance"] // 100) * 100)
        return bool(waiting)

    def _wanted(self) -> tuple[str, int]:
        known = self._board.references()
        if not known or self._chance.randrange(6) == 0:
            return self._chance.choice(_NONSENSE), self._chance.randint(1, 50) * 1_000
        reference, due = self._chance.choice(known)
        whole = -(-due // 100) * 100 or self._chance.randint(10, 2_000) * 100
        cents = self._chance.choice((whole, whole, max(100, whole // 200 * 100), whole + 5_000))
        if self._chance.randrange(20) == 0:
            cents = 249_000_00  # there is enough for two of these, and never for three
        typed = self._chance.choice((reference, reference, reference.lower(), reference.replace("-", "")))
        return typed, min(cents, 249_000_00)

    async def _pay(self, phone: PhoneNumber, reference: str, cents: int) -> None:
        wish = BillPayment(phone=phone, short_code=SHORT_CODE, account=reference, amount=Money(cents, Currency.KES))
        paying = self._world.at_sandbox(self._paid(wish))
        receipt = await asyncio.shield(paying)
        if receipt is not None:
            self._world.trace(f"{phone.msisdn} pays {cents} for {reference}: {receipt}")

    async def _paid(self, wish: BillPayment) -> str | None:
        """What the handset shows in the end; whoever has begun to pay is told, whatever happens to the world."""
        try:
            receipt = await self._world.sandbox.daraja._c2b.pay_bill(wish)  # noqa: SLF001  (it is her handset)
        except DomainError as refused:
            self._world.reach(f"business payer refused {refused.code}")
            return None
        bill = Bill(receipt, wish.amount.cents, wish.account or "", len(self._tally.bills) + 1)
        self._tally.bills[receipt] = bill
        return receipt


class BillForger:
    """Somebody who has learned our addresses and posts payments there that nobody has made."""

    def __init__(
        self, *, world: World, client: httpx.AsyncClient, board: Board, tally: Tally, address: Callable[[], str | None]
    ) -> None:
        self._world = world
        self._client = client
        self._board = board
        self._tally = tally
        self._address = address
        self._chance = world.chance("business/forger")

    async def live(self) -> None:
        """Forge until cancelled."""
        level = self._world.profile.level(Hazard.FORGER)
        while level is not Level.OFF:
            await asyncio.sleep(self._chance.randint(500, 20_000 // level) / 1_000)
            if self._world.nemesis.is_active:
                self._world.reach("business forger posts")
                await self._forge()

    async def _forge(self) -> None:
        path = self._chance.choice((self._address(), "/api/webhooks/mpesa")) or "/api/webhooks/mpesa"
        receipt, cents = f"FORGED{self._chance.randrange(10_000):04d}", self._chance.randint(1, 90) * 10_000
        if self._tally.bills and self._chance.randrange(3) == 0:
            bill = self._tally.bills[self._chance.choice(sorted(self._tally.bills))]
            receipt, cents = bill.receipt, bill.cents + self._chance.randint(1, 9) * 100
        reference, _ = self._chance.choice(self._board.references() or [("rent", 0)])
        pushes = self._world.books.ours("SELECT account_reference, amount_cents FROM till_pushes ORDER BY id")
        if pushes and self._chance.randrange(4) == 0:
            push = self._chance.choice(pushes)
            reference, cents = push["account_reference"], self._chance.choice((push["amount_cents"], cents))
            self._tally.lied_about.add(reference)
        body = {"TransID": receipt, "TransAmount": f"{cents // 100}.00", "BillRefNumber": reference, "MSISDN": "x"}
        self._tally.forged.setdefault(receipt, set()).add(cents)
        try:
            await self._client.post(f"{API}{path}", content=json.dumps(body).encode())
        except httpx.TransportError:
            return
