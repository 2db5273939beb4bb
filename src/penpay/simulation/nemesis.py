"""What works against the system: crashes, pauses, wrong clocks, lost commits, providers that are away.

A process has two crash points at every commit and at every call to the outside, one on either side. In a random seed
chance decides at each of them; in the exhaustive run a plan names the ones to strike by number.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

from penpay.simulation.database import CommitFate, StatementFate
from penpay.simulation.loop import Process, SimLoop, current_process
from penpay.simulation.ports import SimClock
from penpay.simulation.profile import DRAWN_LAST, PAYOUTS, Hazard, Level, Profile

_CRASH_PERMILLE: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 6, Level.EXTREME: 30}
_PAUSE_PERMILLE: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 8, Level.EXTREME: 80}
_LOST_PERMILLE: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 30, Level.EXTREME: 150}
_BUSY_PERMILLE: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 15, Level.EXTREME: 120}
_BROKEN_PER_MILLION: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 1_500, Level.EXTREME: 8_000}
_OUTAGE_SECONDS: Final[Mapping[Level, int]] = {Level.MILD: 60, Level.EXTREME: 25 * 60}
_MINUTE: Final = 60
_OWN_OUTAGE_MINUTES: Final[Mapping[Level, tuple[int, int]]] = {Level.MILD: (10, 60), Level.EXTREME: (60, 8 * 60)}
_ENDURING_MINUTES: Final[Mapping[Level, tuple[int, int]]] = {Level.MILD: (1, 5), Level.EXTREME: (5, 30)}
_PAST_A_LEASE: Final = (250, 420)
"""Seconds after which another process has taken over what the stopped one was at."""
_LOST: Final = (CommitFate.ANSWER_LOST, CommitFate.NEVER_ARRIVED, CommitFate.LATE, CommitFate.LATE_NEVER)


T = TypeVar("T")


class Notes(Protocol):
    """Where a run is written down."""

    def trace(self, line: str) -> None:
        """Write one line of what happened."""
        ...

    def reach(self, place: str) -> None:
        """Count a place, state or fault as reached."""
        ...


class Nemesis:
    """Decides, from the seed or from a plan, what goes wrong; quiet once `rest` was called."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        chance: random.Random,
        profile: Profile,
        notes: Notes,
        crash: Callable[[Process], None],
        apart: Callable[[str], random.Random],
        planned: Collection[int] = (),
    ) -> None:
        """`crash` ends a process and sees to its restart; `planned` are the crash points to strike, by number.

        `apart` gives chance of its own for a purpose, which moves nothing else that is drawn.
        """
        self._loop = loop
        self._chance = chance
        self._profile = profile
        self._notes = notes
        self._crash = crash
        self._planned = frozenset(planned)
        self._apart = {hazard: apart(f"nemesis/{hazard}") for hazard in DRAWN_LAST | PAYOUTS if profile.level(hazard)}
        self._is_disk_full = False
        self.points: list[str] = []
        """The crash points passed so far, in order."""
        self.is_active = True
        self._is_over = False

    def rest(self) -> None:
        """From now on nothing goes wrong any more."""
        self.is_active = False
        self._is_disk_full = False

    def end(self) -> None:
        """What still runs is there to be looked at: it passes no crash points any more."""
        self._is_over = True

    def strikes(self, hazard: Hazard) -> bool:
        """Whether this happens now."""
        permille = self._profile.permille(hazard)
        if not self.is_active or not permille or self._of(hazard).randrange(1000) >= permille:
            return False
        self._notes.reach(f"fault {hazard}")
        return True

    def choose(self, hazard: Hazard, ways: Sequence[T]) -> T:
        """One of the ways in which this can happen."""
        return self._of(hazard).choice(ways)

    def _of(self, hazard: Hazard) -> random.Random:
        return self._apart.get(hazard, self._chance)

    # -- crash points

    async def point(self, place: str) -> None:
        """A place where the process may die; then this never returns. Or it may stop for a while, and go on."""
        process = current_process()
        if process is None or not process.may_crash or self._is_over:
            return
        self.points.append(place)
        self._notes.reach(f"point {place}")
        number = len(self.points)
        if number in self._planned or self._draws(_CRASH_PERMILLE, Hazard.CRASH):
            self._notes.trace(f"crash of {process} at point {number}: {place}")
            self._notes.reach(f"crash {place}")
            self._notes.reach(f"fault {Hazard.CRASH}")
            self._crash(process)
            await self._loop.create_future()
        # Not with the write lock in hand: there it would only make everybody else wait.
        if not place.startswith("before commit") and self._draws(_PAUSE_PERMILLE, Hazard.PAUSE):
            self._notes.reach(f"fault {Hazard.PAUSE}")
            self._loop.pause(process)
            self._loop.start(self._pause(process, _PAST_A_LEASE), None, "pause")
            await asyncio.sleep(0)  # this is where it stops

    def _draws(self, permille: Mapping[Level, int], hazard: Hazard) -> bool:
        chance = permille[self._profile.level(hazard)]
        return self.is_active and chance > 0 and self._chance.randrange(1000) < chance

    # -- databases

    async def before_commit(self, label: str) -> CommitFate:
        await self.point(f"before commit {label}")
        if not self.is_active:
            return CommitFate.COMMITTED
        if self._is_disk_full:
            self._notes.reach("commit meets a full disk")
            return CommitFate.FULL
        draw = self._chance.randrange(1000)
        if draw < _BUSY_PERMILLE[self._profile.level(Hazard.DATABASE_BUSY)]:
            self._notes.reach("commit is busy")
            self._notes.reach(f"fault {Hazard.DATABASE_BUSY}")
            return CommitFate.BUSY
        if self._chance.randrange(1000) < _LOST_PERMILLE[self._profile.level(Hazard.COMMIT_LOST)]:
            fate = self._chance.choice(_LOST)
            self._notes.reach(f"commit is {fate}")
            self._notes.reach(f"fault {Hazard.COMMIT_LOST}")
            return fate
        return CommitFate.COMMITTED

    async def after_commit(self, label: str) -> None:
        await self.point(f"after commit {label}")

    def before_statement(self, *, in_writing: bool, changes: bool) -> StatementFate:
        if not self.is_active:
            return StatementFate.DONE
        broken = _BROKEN_PER_MILLION[self._profile.level(Hazard.DATABASE_LOST)]
        if broken and self._of(Hazard.DATABASE_LOST).randrange(1_000_000) < broken:
            self._notes.reach(f"connection breaks in {'writing' if in_writing else 'reading'}")
            self._notes.reach(f"fault {Hazard.DATABASE_LOST}")
            return StatementFate.LOST
        if changes and self._is_disk_full:
            self._notes.reach("statement meets a full disk")
            self._notes.reach(f"fault {Hazard.DISK_FULL}")
            return StatementFate.FULL
        permille = _BUSY_PERMILLE[self._profile.level(Hazard.DATABASE_BUSY)] // 4
        if in_writing and permille and self._chance.randrange(1000) < permille:
            self._notes.reach("statement is busy")
            self._notes.reach(f"fault {Hazard.DATABASE_BUSY}")
            return StatementFate.BUSY
        return StatementFate.DONE

    async def fill_disk(self) -> None:
        """Leave no room on the disk for a while now and then, until resting."""
        await self.take_away(
            Hazard.DISK_FULL,
            lambda: setattr(self, "_is_disk_full", True),
            lambda: setattr(self, "_is_disk_full", False),
        )

    # -- what goes on in the background

    async def pause_processes(self, alive: Callable[[], list[Process]]) -> None:
        """Stop processes for a while, long enough for their leases to lapse, until resting."""
        await self._now_and_then(Hazard.PAUSE, lambda: self._pause_one(alive))

    async def _pause_one(self, alive: Callable[[], list[Process]]) -> None:
        candidates = alive()
        if candidates:
            await self._pause(self._chance.choice(candidates), (5, 60, *_PAST_A_LEASE))

    async def _pause(self, process: Process, lengths: Sequence[int]) -> None:
        seconds = self._chance.choice(lengths)
        self._notes.trace(f"pause of {process} for {seconds} s")
        self._loop.pause(process)
        await asyncio.sleep(seconds)
        self._loop.resume(process)
        self._notes.trace(f"{process} goes on")

    async def move_clocks(self, clocks: Callable[[], list[SimClock]]) -> None:
        """Set the clocks of processes wrong, to either side."""
        await self._now_and_then(Hazard.CLOCK_JUMP, lambda: self._move_one(clocks))

    async def _move_one(self, clocks: Callable[[], list[SimClock]]) -> None:
        candidates = clocks()
        if candidates:
            by = timedelta(seconds=self._chance.choice((-3600, -300, -90, -5, 5, 90, 300)))
            self._chance.choice(candidates).skew = by
            self._notes.trace(f"a clock is wrong by {by}")

    def skew(self) -> timedelta:
        """How wrong the clock of a process is that starts now."""
        level = self._profile.level(Hazard.CLOCK_SKEW)
        if not self.is_active or level is Level.OFF:
            return timedelta(0)
        self._notes.reach(f"fault {Hazard.CLOCK_SKEW}")
        return timedelta(
            seconds=self._chance.randint(-90, 90) if level is Level.EXTREME else self._chance.randint(-5, 5)
        )

    def endures_seconds(self) -> int:
        """How long everything stays broken after people have stopped asking."""
        level = self._profile.level(Hazard.ENDURING)
        if level is Level.OFF:
            return 0
        self._notes.reach(f"fault {Hazard.ENDURING}")
        first, last = _ENDURING_MINUTES[level]
        return self._of(Hazard.ENDURING).randint(first * _MINUTE, last * _MINUTE)

    async def stand_still(self, stop: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Once, while people ask, have none of our processes run; `stop` is told for how many seconds."""
        level = self._profile.level(Hazard.OWN_OUTAGE)
        if level is Level.OFF:
            return
        chance = self._of(Hazard.OWN_OUTAGE)
        await asyncio.sleep(chance.randint(2, 45))
        if self.is_active:
            self._notes.reach(f"fault {Hazard.OWN_OUTAGE}")
            first, last = _OWN_OUTAGE_MINUTES[level]
            await stop(chance.randint(first * _MINUTE, last * _MINUTE))

    async def take_away(self, hazard: Hazard, down: Callable[[], None], up: Callable[[], None]) -> None:
        """Let a provider be away for a while now and then, until resting."""

        async def once() -> None:
            seconds = self._of(hazard).randint(3, _OUTAGE_SECONDS[self._profile.level(hazard)])
            self._notes.trace(f"{hazard} for {seconds} s")
            down()
            await asyncio.sleep(seconds)
            up()

        await self._now_and_then(hazard, once)

    async def _now_and_then(self, hazard: Hazard, happen: Callable[[], Coroutine[Any, Any, None]]) -> None:
        level = self._profile.level(hazard)
        while level is not Level.OFF:
            await asyncio.sleep(self._of(hazard).randint(1, 120 if level is Level.MILD else 40))
            if not self.is_active:
                return
            self._notes.reach(f"fault {hazard}")
            await happen()
