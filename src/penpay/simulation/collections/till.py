"""The drawers of a simulated business: opened, used, counted rightly or wrongly, by those who sell."""

from __future__ import annotations

import random

from penpay.application.collections.shifts import CloseShift, MoveCash, OpenShift
from penpay.domain.collections.shift import CashDirection, CashPurpose
from penpay.domain.shared.money import Currency, Money
from penpay.simulation.collections.office import Office
from penpay.simulation.collections.tally import What

_MOVEMENTS = (
    (CashDirection.IN, CashPurpose.BANK),
    (CashDirection.IN, CashPurpose.OWNER),
    (CashDirection.OUT, CashPurpose.BANK),
    (CashDirection.OUT, CashPurpose.OWNER),
    (CashDirection.OUT, CashPurpose.EXPENSE),
)
_WITH_SAFE = ((CashDirection.IN, CashPurpose.SAFE), (CashDirection.OUT, CashPurpose.SAFE))
_MOST_KNOWN = 3


def cashier(who: str) -> str:
    """Whose drawer it is, whatever the name under which something is wished for."""
    return f"staff:{who}"


class Till:
    """What everybody who sells does with her drawer."""

    def __init__(self, office: Office, chance: random.Random) -> None:
        self._office = office
        self._chance = chance
        self._shifts: list[tuple[str, int]] = []
        """Those that were opened, with their floats."""

    async def begin(self, who: str) -> None:
        """Open a shift; whoever has one is refused."""
        wish = self._office.wish(who, What.SHIFT)
        cents = self._chance.choice((0, self._chance.randint(1, 50) * 10_000 + 5))
        command = OpenShift(cashier=cashier(who), opening_float=Money(cents, Currency.KES), by=wish.by)
        if await self._office.ask(wish, command) and wish.answer is not None:
            self._shifts.append((str(wish.answer["shift_id"]), cents))

    async def move(self, who: str) -> None:
        """Cash comes and goes, in a drawer or in none, and now and then more than is there."""
        shift = self._known()[0] if self._shifts and self._chance.randrange(4) else None
        direction, purpose = self._chance.choice(_MOVEMENTS if shift is None else _MOVEMENTS + _WITH_SAFE)
        wish = self._office.wish(who, What.CASH_MOVED)
        command = MoveCash(
            shift_number=shift,
            direction=direction,
            purpose=purpose,
            amount=Money(self._chance.randint(1, 300) * 1_000, Currency.KES),
            reason=wish.by,
            by=wish.by,
            is_owner=True,
        )
        await self._office.ask(wish, command)

    async def count(self, who: str) -> None:
        """Close a shift with what was counted, which is seldom what is expected."""
        if not self._shifts:
            return
        shift, cents = self._known()
        wish = self._office.wish(who, What.COUNT)
        counted = Money(self._chance.choice((0, cents, cents + 12_345)), Currency.KES)
        await self._office.ask(wish, CloseShift(shift_number=shift, counted=counted, by=wish.by, is_owner=True))

    def _known(self) -> tuple[str, int]:
        return self._chance.choice(self._shifts[-_MOST_KNOWN:])
