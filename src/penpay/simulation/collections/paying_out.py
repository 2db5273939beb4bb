"""Refunds that M-Pesa pays out for a simulated business: what goes wrong with them, and who forges their Results."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from penpay.domain.shared.money import Currency, Money
from penpay.simulation.collections.pushing import COUNTER
from penpay.simulation.profile import PAYOUTS, Hazard, Profile
from penpay.simulation.template import SHORT_CODE
from penpay.simulation.withdrawals.forger import ResultForger
from penpay.simulation.withdrawals.opening import copy_key, settings_of
from penpay.simulation.withdrawals.providers import break_payouts
from penpay.simulation.withdrawals.staff import Staff
from penpay.simulation.withdrawals.tally import Tally

if TYPE_CHECKING:
    from penpay.simulation.world import World

PHONES: Final = COUNTER
"""Handsets that money is given back to."""
_FLOAT_CENTS: Final = 500_000_00
_LITTLE_CENTS: Final = 60_00
_OWN: Final = "SELECT originator_conversation_id FROM mpesa_disbursements WHERE purpose = 'COLLECTIONS_REFUND'"


def pays_out(profile: Profile, seed: int) -> bool:
    """Whether somebody may move the business's money by M-Pesa: in every other seed, and where payouts go wrong."""
    return seed % 2 == 1 or any(profile.level(hazard) for hazard in PAYOUTS)


class PayingOut:
    """Where an initiator is set. Where users withdraw as well, they have brought all of it with them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_alone = not world.profile.level(Hazard.WITHDRAWALS)
        self._deciders: Staff | None = None
        if self._is_alone:
            copy_key(world.template.folder, world.folder)
            world.settings = settings_of(world.settings, world.folder)
            world.oracle.payouts = tally = Tally(world.oracle.now_us)
            self._deciders = Staff(world, tally)

    @property
    def is_alone(self) -> bool:
        """Whether nobody else is paid out to, and nobody else looks at what was sent."""
        return self._is_alone

    @property
    def world(self) -> World:
        return self._world

    @property
    def tally(self) -> Tally:
        """What went over the wire."""
        tally = self._world.oracle.payouts
        if not isinstance(tally, Tally):
            raise TypeError("Nobody counts payouts.")
        return tally

    def begin(self) -> list[asyncio.Task[None]]:
        """Let things go wrong, somebody forge and people decide; what is returned is to be cancelled."""
        world = self._world
        if self._deciders is None:
            return []
        chance = world.chance("business/providers")
        break_payouts(world.sandbox.daraja.faults, world.profile, chance, world.nemesis, world)
        return [
            world.loop.start(ResultForger(world, self.tally).live(), None, "result forger"),
            world.loop.start(self._deciders.live(), None, "staff"),
        ]

    async def finish(self) -> None:
        """Once everything works and is quiet, what waits for people is decided."""
        if self._deciders is not None:
            await self._deciders.finish()

    async def fund(self) -> None:
        """Our PayBill gets what it pays out of, or less than that."""
        world = self._world
        if not self._is_alone:
            return
        is_little = bool(world.profile.level(Hazard.PAYOUT_FLOAT))
        if is_little:
            world.reach(f"fault {Hazard.PAYOUT_FLOAT}")
        float_ = Money(_LITTLE_CENTS if is_little else _FLOAT_CENTS, Currency.KES)
        await world.at_sandbox(world.sandbox.operator.issue_to_merchant(SHORT_CODE, float_, "refund-float"))
        world.oracle.float_cents += float_.cents

    def stated(self) -> list[tuple[str, int]]:
        """What a statement tells of refunds that were paid out: receipts and cents."""
        own = {row[0] for row in self._world.books.ours(_OWN)}
        return [(row["receipt"], row["amount_cents"]) for row in self._world.books.paid_out() if row["ocid"] in own]
