"""How the staff asks the business's own program: at any process that serves, again and again until it is answered."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from penpay.application.shared.idempotency import IdempotencyKey
from penpay.application.shared.unit_of_work import Transient
from penpay.bootstrap import System
from penpay.domain.shared.errors import DomainError
from penpay.simulation.collections.tally import Tally, What, Wish

if TYPE_CHECKING:
    from penpay.simulation.world import World

T = TypeVar("T")
_TRIES: Final = 4
_PATIENCE_SECONDS: Final = 40
_NOT_NOW: Final = frozenset({"overloaded", "in_progress"})
"""Refusals after which the same may be asked again; nothing was done by this try."""
_NOBODY_KNOWS: Final = frozenset({"commit_unresolved"})


@dataclass(frozen=True, slots=True)
class _Reply:
    kind: Literal["done", "refused", "unknown"]
    text: str = ""


class Office:
    """Where every wish is asked, and every answer told to the tally."""

    def __init__(self, world: World, tally: Tally, chance: random.Random) -> None:
        self._world = world
        self.tally = tally
        self._chance = chance
        self._count = 0

    def wish(self, who: str, what: What, *, keyed: bool | None = None) -> Wish:
        """A new wish of somebody's; most are asked for under a key."""
        self._count += 1
        has_key = self._chance.randrange(4) > 0 if keyed is None else keyed
        name = f"{who}/{self._count}"
        wish = Wish(what=what, by=f"staff:{name}", key=f"key-of-{name}" if has_key else None)
        self.tally.wishes.append(wish)
        return wish

    async def ask(self, wish: Wish, command: object, *, tries: int = _TRIES) -> bool:
        """Ask until there is an answer; whether it is done. Without a key nothing is asked for twice.

        A command that is another with every try is given as what makes it of the System that is asked.
        """
        for _ in range(tries):
            reply = await self._once(wish, command)
            if reply is None:
                await self._wait()
                continue
            if reply.kind == "done":
                self.tally.done(wish, reply.text)
                return True
            if reply.kind == "refused":
                self.tally.refused(wish, reply.text)
                return False
            if wish.key is None:
                return False
            await self._wait()
        return False

    async def _once(self, wish: Wish, command: object) -> _Reply | None:
        """One try; None when it certainly did nothing and may be repeated."""
        found = self._world.serving()
        if not found:
            return None
        process, system = self._chance.choice(found)
        wish.unknown += 1
        task = self._world.at(process, _execute(system, wish, command))
        for _ in range(_PATIENCE_SECONDS):
            done, _pending = await asyncio.wait({task}, timeout=1)
            if done or process.is_dead:
                break
        if not task.done():
            self._world.reach("business hears nothing")
            return _Reply("unknown")
        reply: _Reply = task.result()
        if reply.kind == "refused" and reply.text in _NOT_NOW:
            wish.unknown -= 1
            self._world.reach(f"business is told {reply.text}")
            return None if reply.text == "overloaded" or wish.key is not None else _Reply("unknown")
        if reply.kind != "unknown":
            wish.unknown -= 1
        return reply

    async def look(self, question: Callable[[System], Awaitable[T]]) -> T | None:
        """What the books show somebody now; None when nobody can say it."""
        found = self._world.serving()
        if not found:
            return None
        process, system = self._chance.choice(found)
        task = self._world.at(process, _looked(system, question))
        for _ in range(_PATIENCE_SECONDS):
            done, _pending = await asyncio.wait({task}, timeout=1)
            if done or process.is_dead:
                break
        return task.result() if task.done() else None

    async def _wait(self) -> None:
        await asyncio.sleep(self._chance.randint(500, 8_000) / 1_000)


async def _execute(system: System, wish: Wish, asked: object) -> _Reply:
    command = asked(system) if callable(asked) else asked
    try:
        if wish.key is None:
            answer = await system.executor.execute(command)
            return _Reply("done", json.dumps(answer))
        key = IdempotencyKey.of(
            system.idempotency_secret, caller="staff", route=wish.what, key=wish.key, fields={"by": wish.by}
        )
        return _Reply("done", await system.executor.execute(command, idempotency=key))
    except DomainError as refused:
        return _Reply("unknown" if refused.code in _NOBODY_KNOWS else "refused", refused.code)
    except Transient:
        return _Reply("unknown")


async def _looked(system: System, question: Callable[[System], Awaitable[T]]) -> Any:
    try:
        return await question(system)
    except (DomainError, Transient):
        return None
