"""Withdrawals in one seed: who asks for them, what goes wrong at the providers, who forges and who decides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from penpay.domain.shared.money import Currency, Money
from penpay.simulation.profile import Hazard
from penpay.simulation.template import SHORT_CODE
from penpay.simulation.withdrawals.forger import ResultForger
from penpay.simulation.withdrawals.opening import FLOAT_CENTS, MORE_FLOAT_CENTS, settings_of
from penpay.simulation.withdrawals.providers import break_debits, break_payouts
from penpay.simulation.withdrawals.staff import Staff
from penpay.simulation.withdrawals.tally import Tally
from penpay.simulation.withdrawals.users import Withdrawers

if TYPE_CHECKING:
    from penpay.simulation.world import World

_SWEEP_US: Final = 900_000_000
"""Long enough for what is only looked for now and then: a credit that the stream has missed."""
_SWEEP_SECONDS: Final = 90


class Withdrawals:
    """Where users withdraw."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.settings = settings_of(world.settings, world.folder)
        self.tally = Tally(world.oracle.now_us)
        world.oracle.payouts = self.tally
        world.oracle.float_cents = FLOAT_CENTS
        self.users = Withdrawers(world)
        self._staff = Staff(world, self.tally)
        self._forger = ResultForger(world, self.tally)
        self._background: list[asyncio.Task[None]] = []

    def begin(self) -> list[asyncio.Task[None]]:
        """Start everybody; those who withdraw are returned."""
        world = self.world
        world.reach(f"fault {Hazard.WITHDRAWALS}")
        if world.script is None:
            chance = world.chance("withdrawals/providers")
            break_payouts(world.sandbox.daraja.faults, world.profile, chance, world.nemesis, world)
            break_debits(world.sandbox.deriv_faults, world.profile, chance, world)
            self._background = [
                world.loop.start(self._forger.live(), None, "result forger"),
                world.loop.start(self._staff.live(), None, "staff"),
            ]
        return [world.loop.start(self._open(), None, "withdrawals")]

    async def _open(self) -> None:
        """Our PayBill gets what it needs, and then people ask."""
        world = self.world
        if world.profile.level(Hazard.PAYOUT_FLOAT):
            world.reach(f"fault {Hazard.PAYOUT_FLOAT}")
        else:
            more = Money(MORE_FLOAT_CENTS, Currency.KES)
            await world.at_sandbox(world.sandbox.operator.issue_to_merchant(SHORT_CODE, more, "more-float"))
            world.oracle.float_cents += more.cents
        people = world.people if world.script is None or world.script.withdraws else []
        asking = [world.loop.start(self.users.live(person), None, "withdrawer") for person in people]
        try:
            await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()

    def heal(self) -> None:
        """Nobody forges any more, and whoever decides waits until all is quiet."""
        for task in self._background:
            task.cancel()

    async def finish(self) -> None:
        """Once everything works and is quiet, what waits for people is decided."""
        await self.world.settle()
        self.world.loop.skip(_SWEEP_US)
        await asyncio.sleep(_SWEEP_SECONDS)
        await self.world.settle()
        await self._staff.finish()
