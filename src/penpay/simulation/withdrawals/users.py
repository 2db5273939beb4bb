"""Who asks for withdrawals: users who read the code that Deriv mails, and mostly give it as it is."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import httpx

from penpay.simulation.people import API, Person
from penpay.simulation.profile import Hazard

if TYPE_CHECKING:
    from penpay.simulation.world import World

_ENDED: Final = frozenset({"COMPLETED", "FAILED", "REVERSED"})
_RANK: Final[Mapping[str, int]] = {
    "PENDING": 0,
    "PROCESSING": 1,
    "AWAITING_DERIV_CONFIRMATION": 2,
    "CONVERTING": 3,
    "AWAITING_MPESA_DISBURSEMENT": 4,
    "RETURNING": 5,
    "IN_REVIEW": 5,
    "COMPLETED": 6,
    "FAILED": 6,
    "REVERSED": 6,
}
"""How far a status is; what a user sees never goes back, but to where people have sent it."""
_TRIES: Final = 12
_LOOKS_FOR_MAIL: Final = 40
_NOT_NOW: Final = frozenset({"overloaded", "in_progress", "commit_unresolved", "not_ready", "fx_unavailable"})
_ASKED: Final = ("deriv_login_id", "currency", "amount_cents")


@dataclass(slots=True)
class Promises:
    """What users were told."""

    asked: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """By idempotency key."""
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By idempotency key: the answer."""
    seen: dict[str, str] = field(default_factory=dict)
    """By transaction id: the status last seen."""
    true_codes: set[str] = field(default_factory=set)
    """Withdrawals for which the newest mailed code was given."""
    broken: list[str] = field(default_factory=list)


class Withdrawers:
    """Everybody who withdraws in one seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._client = world.network.client()
        self._chance = world.chance("withdrawals/users")
        self.promises = Promises()

    async def live(self, person: Person) -> None:
        """Ask for withdrawals, one after another."""
        script = self._world.script
        level = self._world.profile.level(Hazard.WITHDRAWALS)
        for number in range(1 if script is not None else self._chance.randint(1, 1 + level)):
            await asyncio.sleep(self._chance.randint(0, 20_000) / 1_000)
            key = f"user-{person.number}-withdrawal-{number}-key"
            body = self._body(person, key, self._chance)
            self.promises.asked[key] = body
            taps = 1 if script is not None or self._chance.randrange(4) else 2
            await asyncio.gather(*(self._ask(person, body) for _ in range(taps)))
            answer = self.promises.accepted.get(key)
            if answer is None:
                continue
            if script is None and self._chance.randrange(4) == 0:
                await self._ask_otherwise(person, body)
            if script is not None or self._chance.randrange(10):
                await self._start(person, str(answer["id"]))
            await self._watch(person, str(answer["id"]))

    @staticmethod
    def _body(person: Person, key: str, chance: random.Random) -> dict[str, object]:
        amount, currency = chance.choice(
            (
                (chance.randint(500, 20_000), "USD"),
                (chance.randint(500, 20_000), "USD"),
                (chance.randint(7, 250) * 10_000, "KES"),
                (chance.choice((500, 50_000, 100_000)), "USD"),
            )
        )
        return {
            "amount_cents": amount,
            "currency": currency,
            "deriv_login_id": person.login_id,
            "idempotency_key": key,
        }

    # -- asking

    async def _ask(self, person: Person, body: Mapping[str, object]) -> None:
        """Ask until there is an answer; always under the same key."""
        key = str(body["idempotency_key"])
        answer = await self._insist(person, "/api/v1/withdrawals", body)
        if answer is None:
            return
        if answer.status_code == httpx.codes.ACCEPTED:
            told = _object(answer.content)
            if self.promises.accepted.setdefault(key, told) != told:
                self.promises.broken.append(f"W6: two answers under {key}")
            self._world.reach("withdrawal accepted")
        else:
            self._world.reach(f"withdrawal refused {_object(answer.content).get('code')}")
            if key in self.promises.accepted:
                self.promises.broken.append(f"W6: {key} was accepted, and its repeat is refused {answer.text}")

    async def _ask_otherwise(self, person: Person, body: Mapping[str, object]) -> None:
        """Another body under the same key is refused."""
        other = {**body, "amount_cents": int(str(body["amount_cents"])) + 10_000}
        try:
            answer = await self._post(person, "/api/v1/withdrawals", other)
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.ACCEPTED:
            self.promises.broken.append("W6: another body under a used key was accepted")

    async def _insist(self, person: Person, path: str, body: Mapping[str, object]) -> httpx.Response | None:
        """Post until somebody answers for good."""
        for _ in range(_TRIES):
            try:
                answer = await self._post(person, path, body)
            except httpx.TransportError:
                await asyncio.sleep(self._chance.randint(1, 20))
                continue
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                code = _object(answer.content).get("code")
                if code != "in_progress":
                    return answer
            elif (code := _object(answer.content).get("code")) not in _NOT_NOW:
                self.promises.broken.append(f"W6: {path} was answered {answer.status_code} {code}")
            await asyncio.sleep(self._chance.randint(1, 10))
        return None

    # -- the code

    async def _start(self, person: Person, transaction_id: str) -> None:
        """Wait for the mail and give the code; sometimes a wrong, an old or a spoilt one first."""
        code = await self._mailed(person)
        doing = (
            "gives"
            if self._world.script is not None or self._chance.randrange(4)
            else self._chance.choice(("errs", "mistypes", "gives an old one", "gives twice"))
        )
        self._world.reach(f"user {doing} the code")
        if doing == "mistypes":
            refused = await self._insist(person, f"/api/v1/withdrawals/{transaction_id}/confirm", _code("a b"))
            if refused is not None and refused.status_code == httpx.codes.ACCEPTED:
                self.promises.broken.append("W6: what is no code was taken")
        if doing == "errs" or code is None:
            code = f"wrong{self._chance.randrange(1_000):03d}"
        elif doing == "gives an old one":
            used = self._world.books.derivs(_USED_CODES, person.login_id)
            code = used[-1]["code"] if used else code
        if self._is_good(person, code):
            self.promises.true_codes.add(transaction_id)
        path = f"/api/v1/withdrawals/{transaction_id}/confirm"
        taps = 2 if doing == "gives twice" else 1
        await asyncio.gather(*(self._insist(person, path, _code(code)) for _ in range(taps)))

    async def _mailed(self, person: Person) -> str | None:
        """The newest code in her mailbox that is good, once it is there."""
        for _ in range(_LOOKS_FOR_MAIL):
            await asyncio.sleep(self._chance.randint(1, 6))
            if found := self._world.books.derivs(_GOOD_CODES, person.login_id):
                return str(found[0]["code"])
        return None

    def _is_good(self, person: Person, code: str) -> bool:
        return any(row["code"] == code for row in self._world.books.derivs(_GOOD_CODES, person.login_id))

    # -- looking

    async def _watch(self, person: Person, transaction_id: str) -> None:
        for _ in range(self._chance.randint(2, 10)):
            await asyncio.sleep(self._chance.randint(1, 15))
            await self.look(person, transaction_id)
            if self.promises.seen.get(transaction_id) in _ENDED:
                return

    async def look(self, person: Person, transaction_id: str) -> None:
        """See how far it is; it must not have gone back."""
        try:
            answer = await self._world.users.ask_about(person, transaction_id)
        except httpx.TransportError:
            return
        if answer.status_code != httpx.codes.OK:
            return
        status = str(_object(answer.content)["status"])
        before = self.promises.seen.get(transaction_id, "PENDING")
        sent_on = before == "IN_REVIEW"
        is_over = before in _ENDED and status != before and not self._world.books.is_reopened(transaction_id)
        if (_RANK[status] < _RANK[before] and not sent_on and before not in _ENDED) or is_over:
            self.promises.broken.append(f"W6: {transaction_id} was {before} and is {status}")
        self.promises.seen[transaction_id] = status

    async def _post(self, person: Person, path: str, body: Mapping[str, object]) -> httpx.Response:
        credential = {"Authorization": f"Bearer {person.api_key}"}
        return await self._client.post(f"{API}{path}", json=dict(body), headers=credential)


_GOOD_CODES: Final = "SELECT code FROM deriv_sim_mail WHERE login_id = ? AND NOT is_used ORDER BY number DESC"
_USED_CODES: Final = "SELECT code FROM deriv_sim_mail WHERE login_id = ? AND is_used ORDER BY number"


def _code(code: str) -> dict[str, object]:
    return {"verification_code": code}


def _object(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content, parse_float=Decimal)
    return found
