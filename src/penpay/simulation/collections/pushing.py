"""Sales that are paid on the customer's handset: the cashier asks M-Pesa for it, impatiently, and looks at the sale."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.till_asking import AskFromTill
from penpay.application.collections.till_pushing import PushFromTill
from penpay.bootstrap import System
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.simulation.collections.office import Office
from penpay.simulation.collections.tally import Tally, What
from penpay.simulation.people import FORGED, answer_prompts

if TYPE_CHECKING:
    from penpay.simulation.world import World

COUNTER: Final = tuple(PhoneNumber.parse(f"2547130001{number:02d}") for number in range(1, 3))
"""Who stands at the counter with a handset; what they pay there is all that they pay."""
PURSES: Final = (40_000_00, 400_00)
"""Cents that each has; the second one often has too little."""
_MOST_OPEN: Final = 2
_STANDS: Final = "SELECT 1 FROM stk_pushes WHERE account_reference = ? AND state = 'PAID'"
_PAYING: Final = """SELECT u.account_reference FROM till_pushes u
    JOIN payments p ON p.push_reference = u.account_reference JOIN pos_tenders t ON t.payment_id = p.id
    JOIN pos_sales s ON s.id = u.sale_id AND s.id = t.sale_id
    WHERE s.pos_number = ? AND s.status = 'PAID' AND t.kind = 'MPESA'"""
"""The pushes by which a sale that is over was paid."""


class Pushing:
    """What a cashier does who has a customer's handset asked."""

    def __init__(
        self,
        office: Office,
        sales: list[tuple[str, int]],
        chance: random.Random,
        sell: Callable[[str], Awaitable[None]],
        is_true: Callable[[str], str | None],
    ) -> None:
        """`sales`: what was sold, with its total; `is_true` says what is wrong with a sale that is shown as paid."""
        self._office = office
        self._sales = sales
        self._chance = chance
        self._sell = sell
        self._is_true = is_true

    async def ask(self, who: str) -> None:
        """Sell something, or take one of the last sales; have a handset asked, often twice; and look what comes."""
        if not self._sales or self._chance.randrange(2):
            await self._sell(who)
        if not self._sales:
            return
        number, total = self._chance.choice(self._sales[-_MOST_OPEN:])
        wish = self._office.wish(who, What.PUSH)
        phone = self._chance.choice(COUNTER)
        amount = self._chance.choice((None, None, Money(max(1, total // 200) * 100, Currency.KES)))

        def command(system: System) -> AskFromTill:
            # As the route does: another id with every try, so that the key alone keeps a repeat from being a second.
            push_id = TillPushId(system.ids.new())
            return AskFromTill(
                push=PushFromTill(push_id=push_id, pos_number=number, phone=phone, amount=amount, by=wish.by)
            )

        taps = 2 if wish.key is not None and self._chance.randrange(2) else 1
        await asyncio.gather(*(self._office.ask(wish, command) for _ in range(taps)))
        if wish.is_done:
            await self._watch(number)

    async def _watch(self, number: str) -> None:
        """Look at the sale until it is paid, or for long enough; goods are handed over as soon as it is."""
        for _ in range(self._chance.randint(1, 4)):
            await asyncio.sleep(self._chance.randint(1, 9))
            shown = await self._office.look(lambda system: system.collections_books.sale(number))
            if shown is not None and shown["status"] == "PAID":
                if (wrong := self._is_true(number)) is not None:
                    self._office.tally.found(f"K12: {number} is shown as paid, and {wrong}")
                return


def hand_out_phones(world: World) -> None:
    """Whoever stands at the counter answers what her handset asks."""
    for number, phone in enumerate(COUNTER):
        world.counter.append(phone)
        answers = answer_prompts(
            world.sandbox.daraja.phone(phone),
            chance=world.chance(f"business/counter/{number}"),
            nemesis=world.nemesis,
            oracle=world.oracle,
            notes=world,
        )
        world.at_sandbox(answers)


def unpaid_push(world: World, tally: Tally, number: str) -> str | None:
    """What is wrong with a sale that is paid now: a push that pays it and that no handset has paid; None if nothing.

    What a forger has told of a push may be believed for a while, where it is small.
    """
    for (reference,) in world.books.ours(_PAYING, number):
        if not world.books.operators(_STANDS, reference) and reference not in lies(world, tally):
            return f"nobody has paid {reference}"
    return None


def lies(world: World, tally: Tally) -> set[str]:
    """The account references of pushes of which somebody who forges has told that they were paid."""
    found = set(tally.lied_about)
    for message, _ in world.oracle.posted:
        reference, callback = world.oracle.reference_of(message.path), _callback(message.body)
        if reference is None or callback is None or callback.get("ResultDesc") != FORGED:
            continue
        if str(callback.get("ResultCode")) == "0":
            found.add(reference)
    return found


def _callback(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body, parse_float=Decimal)["Body"]["stkCallback"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None
