"""How a customer asks the simulated operator: again and again under her key, until she is answered or gives up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final

import httpx

from penpay.simulation.mobile_money.members import Desk, Member, read
from penpay.simulation.mobile_money.oracle import OperatorOracle
from penpay.simulation.mobile_money.wishes import Wish
from penpay.simulation.nemesis import Notes

_TRIES: Final = 6
_BUSY: Final = frozenset({"overloaded", "commit_unresolved", "in_progress"})
"""Answers that say: not now; the same request may be asked again."""


class Counter:
    """Where everybody asks, and every answer is told to the oracle."""

    def __init__(self, desk: Desk, oracle: OperatorOracle, chance: random.Random, notes: Notes) -> None:
        self._desk = desk
        self.oracle = oracle
        self._chance = chance
        self._notes = notes

    async def ask(self, wish: Wish, *, tries: int = _TRIES) -> bool:
        """Ask until there is an answer; whether it is done. Without a key nothing is asked for twice."""
        for _ in range(tries):
            if not await self._is_logged_in(wish.asker):
                await self._wait()
                continue
            is_repeat = wish.is_done
            self.oracle.sends(wish)
            try:
                answer = await self._desk.send(wish.asker, "POST", wish.path, wish.body, wish.key)
            except httpx.TransportError:
                self._notes.reach("operator client hears nothing")
                if wish.key is None:
                    return False
                await self._wait()
                continue
            if answer.status_code == httpx.codes.OK:
                self.oracle.done(wish, answer.content)
                return not wish.is_forbidden
            if self._is_final(wish, answer, is_repeat=is_repeat):
                return False
            if wish.key is None and wish.is_open:
                return False
            await self._wait()
        return False

    def _is_final(self, wish: Wish, answer: httpx.Response, *, is_repeat: bool) -> bool:
        """Whether an answer that is no success ends the asking; the oracle is told what it means.

        `is_repeat`: the wish was known to be done when this was sent.
        """
        body = read(answer.content)
        code = str(body.get("code"))
        if code == "unauthorized":
            wish.unknown -= 1
            self._desk.log_out(wish.asker)
            return False
        if code in _BUSY:
            wish.unknown -= code == "overloaded"
            self._notes.reach(f"operator client is told {code}")
            return False
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.oracle.found(f"O7: {wish.what} was answered {answer.status_code} {code}")
            return True
        wish.unknown -= 1
        self.oracle.refused(wish, code, is_repeat=is_repeat)
        if code in {"wrong_pin", "pin_locked"}:
            self.oracle.pin_missed(wish.asker, code, body.get("attempts_left"))
        return True

    async def look(self, member: Member, path: str) -> Mapping[str, Any] | None:
        """What somebody is shown there; None when she cannot be shown it now. An old token is renewed."""
        for _ in range(2):
            try:
                if not await self._desk.is_logged_in(member):
                    return None
                answer = await self._desk.send(member, "GET", path)
            except httpx.TransportError:
                return None
            if answer.status_code == httpx.codes.OK:
                found: Mapping[str, Any] = read(answer.content)["data"]
                return found
            self._desk.log_out(member)
        return None

    async def change(self, member: Member, method: str, path: str, body: Mapping[str, object]) -> bool:
        """Change what may be changed twice without harm, as often as it takes; whether that was answered."""
        for _ in range(_TRIES):
            try:
                if await self._desk.is_logged_in(member):
                    answer = await self._desk.send(member, method, path, body)
                    if answer.status_code == httpx.codes.OK:
                        return True
                    self._desk.log_out(member)
            except httpx.TransportError:
                self._notes.reach("operator client hears nothing")
            await self._wait()
        return False

    async def _is_logged_in(self, member: Member) -> bool:
        try:
            return await self._desk.is_logged_in(member)
        except httpx.TransportError:
            return False

    async def _wait(self) -> None:
        await asyncio.sleep(self._chance.randint(500, 20_000) / 1_000)
