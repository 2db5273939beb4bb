"""Mobile money in one seed: the installation, everybody who uses it, and the oracle that keeps what they were told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from penpay.simulation.books import Books
from penpay.simulation.mobile_money.asking import Counter
from penpay.simulation.mobile_money.customers import Customers
from penpay.simulation.mobile_money.hazards import AT_THE_OPERATOR, elsewhere
from penpay.simulation.mobile_money.installation import Installation, settings_at, uncovered
from penpay.simulation.mobile_money.members import Desk, Members
from penpay.simulation.mobile_money.oracle import OperatorOracle
from penpay.simulation.profile import Hazard

if TYPE_CHECKING:
    from fastapi import FastAPI

    from penpay.simulation.world import World

BALANCES: Final = "SELECT code, balance_cents FROM ledger_accounts ORDER BY code"
_UNDER_WAY_SECONDS: Final = 90
"""Longer than a request, its retries and a commit that lingers take together."""
_LOOKED_INTO: Final = 3
"""In one of so many seeds the trust account is looked into after every commit."""


class Country:
    """Where mobile money is used."""

    def __init__(self, world: World, members: Members, app: FastAPI) -> None:
        chance, self._books = world.chance, world.books
        self._loop, self._notes = world.loop, world
        self.members = members
        self.installation = Installation(
            loop=world.loop,
            profile=elsewhere(world.profile, AT_THE_OPERATOR),
            notes=world,
            chance=lambda purpose: chance(f"operator/{purpose}"),
            settings=settings_at(world.settings, world.folder),
            app=app,
            look=self._look,
        )
        self._chance = chance("operator/people")
        self._is_looked_into = self._chance.randrange(_LOOKED_INTO) == 0
        self.oracle = OperatorOracle(world, balances(world.books))
        self.known = {str(row["id"]) for row in world.books.mobile_money("SELECT id FROM operator_transactions")}
        self.counter = Counter(Desk(self.installation.client()), self.oracle, self._chance, world)
        level = world.profile.level(Hazard.MOBILE_MONEY)
        self._customers = Customers(self.counter, self.members, self._chance, world, level)
        self._troubles: list[asyncio.Task[None]] = []

    def begin(self) -> list[asyncio.Task[None]]:
        """Start the operator, all that goes wrong with it, and everybody who uses it; who uses it is returned."""
        self._notes.reach(f"fault {Hazard.MOBILE_MONEY}")
        for slot in range(1 + self._chance.randrange(2)):
            self.installation.launch(slot)
        self._troubles = self.installation.troubles()
        return [self._loop.start(live(), None, "customer") for live in self._customers.lives()]

    def heal(self) -> None:
        """Everything works again."""
        self.installation.heal()
        for task in self._troubles:
            task.cancel()

    async def finish(self) -> None:
        """Once everything works, half of those who have heard nothing ask once more, and must be answered.

        What was under way has ended by then, and no key is forgotten yet.
        """
        await asyncio.sleep(_UNDER_WAY_SECONDS)
        await self.installation.whole()
        unheard = [one for one in self.oracle.wishes if one.is_open and one.key is not None and not one.is_forbidden]
        for wish in unheard:
            if self._chance.randrange(2):
                await self.counter.ask(wish)
                if not wish.is_done:
                    wish.unknown = 0  # nothing is under way any more, so the refusal is about all of it
                    if wish.refusal is None:
                        self.oracle.found(f"O7: {wish.what} of {wish.asker.name} gets no answer, and all is repaired")

    def _look(self) -> None:
        if self._is_looked_into:
            for finding in uncovered(balances(self._books).items()):
                if finding not in self.oracle.broken:
                    self.oracle.found(finding)


def balances(books: Books) -> dict[str, int]:
    """Every account of the operator's ledger and its cents."""
    return {str(row["code"]): int(row["balance_cents"]) for row in books.mobile_money(BALANCES)}
