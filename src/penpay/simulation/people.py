"""Who uses the system: people asking for deposits, their handsets, and a forger who knows callbacks' addresses."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import httpx

from penpay.domain.mobile_money.stk_push import ABOVE_DAILY_LIMIT
from penpay.domain.shared.errors import DomainError
from penpay.sandbox.phone import NoPrompt, Prompt, SimulatedPhone
from penpay.simulation.nemesis import Nemesis, Notes
from penpay.simulation.oracle import Oracle
from penpay.simulation.profile import Hazard, Level, Profile
from penpay.simulation.script import LOOK_EVERY_SECONDS, LOOKS, Script

API: Final = "http://127.0.0.1:8000"
PIN: Final = "1234"
FORGED: Final = "forged"
"""What a forged callback says of itself, in words that nobody reads."""
_ENDED: Final = frozenset({"COMPLETED", "FAILED", "REVERSED"})
_RANK: Final[Mapping[str, int]] = {
    "PENDING": 0,
    "PROCESSING": 1,
    "AWAITING_MPESA_CALLBACK": 2,
    "VERIFYING_MPESA_PAYMENT": 3,
    "AWAITING_DERIV_CONFIRMATION": 4,
    "IN_REVIEW": 5,
    "RETURNING": 5,
    "COMPLETED": 6,
    "FAILED": 6,
    "REVERSED": 6,
}
"""How far a status is; what a user sees never goes back, but from an end that never was."""
_TRIES: Final = 12
_OUT_OF_RANGE: Final = "amount_out_of_range"
_BAD: Final[tuple[dict[str, object], ...]] = (
    {"amount_cents": -100},
    {"amount_cents": 0},
    {"amount_cents": "100"},
    {"amount_cents": 10**30},
    {"currency": "UGX"},
    {"deriv_login_id": "CR999999999"},
    {"idempotency_key": "x"},
    {"status": "COMPLETED"},
)
"""What a request must not be like."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a phone, an account at Deriv and an API key."""

    number: int
    msisdn: str
    login_id: str
    api_key: str


@dataclass(slots=True)
class Promises:
    """What users were told, and where it was not kept."""

    asked: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """By idempotency key: what was asked for."""
    accepted: dict[str, bytes] = field(default_factory=dict)
    """By idempotency key: the answer."""
    transactions: dict[str, str] = field(default_factory=dict)
    """By transaction id: the status last seen."""
    broken: list[str] = field(default_factory=list)


class Users:
    """Everybody who asks for deposits in one seed."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        chance: random.Random,
        profile: Profile,
        nemesis: Nemesis,
        notes: Notes,
        oracle: Oracle,
        limits_cents: tuple[int, int],
        is_reopened: Callable[[str], bool],
        script: Script | None = None,
    ) -> None:
        """`limits_cents`: the least and the most that may be asked for, in USD; `is_reopened`: of `Books`."""
        self._client = client
        self._chance = chance
        self._profile = profile
        self._nemesis = nemesis
        self._notes = notes
        self._oracle = oracle
        self._limits_cents = limits_cents
        self._is_reopened = is_reopened
        self._script = script
        self.promises = Promises()
        self._has_staff = bool(profile.level(Hazard.WITHDRAWALS))

    async def live(self, person: Person) -> None:
        """Ask for deposits, one after another, as people do: impatiently."""
        for number in range(self._profile.deposits):
            await asyncio.sleep(self._chance.randint(0, 8_000) / 1_000)
            key = f"user-{person.number}-deposit-{number}-key"
            body = self._body(person, key)
            if self._nemesis.strikes(Hazard.AMOUNT_AT_LIMIT):
                cents = self._nemesis.choose(Hazard.AMOUNT_AT_LIMIT, self._limits_cents)
                body = {**body, "amount_cents": cents, "currency": "USD"}
                await self._ask_beyond(person, body)
            self.promises.asked[key] = body
            if self._nemesis.strikes(Hazard.BAD_REQUEST):
                await self._ask_badly(person, body)
            taps = 1 + (self._chance.randint(1, 2) if self._nemesis.strikes(Hazard.DOUBLE_TAP) else 0)
            answers = await asyncio.gather(*(self._ask(person, body) for _ in range(taps)))
            ids = {str(_object(answer)["id"]) for answer in answers if answer is not None}
            if self._nemesis.strikes(Hazard.OTHER_BODY) and ids:
                await self._ask_otherwise(person, body)
            for transaction_id in sorted(ids):
                await self._watch(person, transaction_id)

    def _body(self, person: Person, key: str) -> dict[str, object]:
        if self._chance.randrange(3):
            amount, currency = self._chance.randint(200, 9_000), "USD"
        else:
            amount, currency = self._chance.randint(300, 9_000) * 100, "KES"
        return {
            "amount_cents": amount,
            "currency": currency,
            "deriv_login_id": person.login_id,
            "idempotency_key": key,
        }

    async def _ask(self, person: Person, body: Mapping[str, object]) -> bytes | None:
        """Ask until there is an answer; always under the same key, as the user's app would."""
        key = str(body["idempotency_key"])
        for _ in range(_TRIES):
            begun_us = self._oracle.now_us()
            try:
                answer = await self._post(person, body)
            except httpx.TransportError:
                self._notes.reach("user repeats after silence")
                await asyncio.sleep(self._chance.randint(1, 30))
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                first = self.promises.accepted.setdefault(key, answer.content)
                if first != answer.content:
                    self.promises.broken.append(f"I12: two answers under {key}")
                return answer.content
            code = _object(answer.content).get("code")
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or code == "in_progress":
                self._notes.reach(f"user is told {code}")
                if code == "fx_unavailable":
                    self._oracle.rates.refused.append((begun_us, self._oracle.now_us()))
                    self._notes.reach(f"fault {Hazard.RATE_STALE}")
                elif code not in {"overloaded", "in_progress", "commit_unresolved", "not_ready"}:
                    self.promises.broken.append(f"a request was answered {answer.status_code} {code}")
                await asyncio.sleep(self._chance.randint(1, 10))
                continue
            self._notes.reach(f"user is refused {code}")
            if code == _OUT_OF_RANGE:
                self.promises.broken.append(f"I12: {body['amount_cents']} {body['currency']} cents are out of range")
            return None
        return None

    async def _ask_badly(self, person: Person, body: Mapping[str, object]) -> None:
        bad = self._chance.choice(_BAD)
        spoilt = {**body, "idempotency_key": f"{body['idempotency_key']}-bad", **bad}
        try:
            answer = await self._post(person, spoilt)
        except httpx.TransportError:
            return
        if answer.status_code < httpx.codes.BAD_REQUEST:
            self.promises.broken.append(f"I12: a request with {bad} was accepted")

    async def _ask_beyond(self, person: Person, body: Mapping[str, object]) -> None:
        """Ask for a cent less than the least or more than the most, which must be refused for that."""
        least, most = self._limits_cents
        cents = self._nemesis.choose(Hazard.AMOUNT_AT_LIMIT, (least - 1, most + 1))
        beyond = {**body, "idempotency_key": f"{body['idempotency_key']}-beyond", "amount_cents": cents}
        try:
            answer = await self._post(person, beyond)
        except httpx.TransportError:
            return
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            return
        if (code := _object(answer.content).get("code")) != _OUT_OF_RANGE:
            self.promises.broken.append(f"I12: {cents} USD cents were answered {answer.status_code} {code}")

    async def _ask_otherwise(self, person: Person, body: Mapping[str, object]) -> None:
        other = {**body, "amount_cents": int(str(body["amount_cents"])) + 100}
        try:
            answer = await self._post(person, other)
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.ACCEPTED:
            self.promises.broken.append("I12: another body under a used key was accepted")

    async def _watch(self, person: Person, transaction_id: str) -> None:
        if self._script is not None:
            for _ in range(LOOKS):
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                await self.look(person, transaction_id)
            return
        for _ in range(self._chance.randint(2, 12)):
            await asyncio.sleep(self._chance.randint(1, 15))
            await self.look(person, transaction_id)
            if self.promises.transactions.get(transaction_id) in _ENDED:
                return

    async def look(self, person: Person, transaction_id: str) -> None:
        """See how far a deposit is; it must not have gone back."""
        try:
            answer = await self.ask_about(person, transaction_id)
        except httpx.TransportError:
            return
        if answer.status_code != httpx.codes.OK:
            return
        status = str(_object(answer.content)["status"])
        before = self.promises.transactions.get(transaction_id, "PENDING")
        sent_on = before == "IN_REVIEW" and status == "AWAITING_DERIV_CONFIRMATION" and self._has_staff
        is_over = before in _ENDED and status != before and not self._is_reopened(transaction_id)
        if (_RANK[status] < _RANK[before] and not sent_on and before not in _ENDED) or is_over:
            self.promises.broken.append(f"I12: {transaction_id} was {before} and is {status}")
        self.promises.transactions[transaction_id] = status

    async def ask_about(self, person: Person, transaction_id: str) -> httpx.Response:
        """What a person is shown of a deposit. Raises httpx's transport errors."""
        return await self._client.get(f"{API}/api/v1/transactions/{transaction_id}", headers=_credential(person))

    async def _post(self, person: Person, body: Mapping[str, object]) -> httpx.Response:
        return await self._client.post(f"{API}/api/v1/deposits", json=dict(body), headers=_credential(person))


def _credential(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.api_key}"}


def _object(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content, parse_float=Decimal)
    return found


async def answer_prompts(
    phone: SimulatedPhone,
    *,
    chance: random.Random,
    nemesis: Nemesis,
    oracle: Oracle,
    notes: Notes,
    script: Script | None = None,
) -> None:
    """The owner of a handset: pays what it asks for, mostly. Told what was paid, she tells the oracle."""
    while True:
        prompt = await phone.next_prompt()
        oracle.shown(prompt)
        await asyncio.sleep(chance.randint(200, 9_000) / 1_000)
        doing = "pays" if script is None else script.payer
        if nemesis.strikes(Hazard.CARELESS_PAYER):
            doing = chance.choice(("cancels", "errs", "sleeps"))
        notes.trace(f"{phone.number.msisdn} {doing} {prompt.account_reference}")
        notes.reach(f"payer {doing}")
        if doing == "sleeps":
            continue
        asked_on = oracle.today
        try:
            if doing == "cancels":
                await phone.cancel()
                continue
            result = await phone.give_pin(PIN if doing == "pays" else "9999")
        except (NoPrompt, DomainError):
            continue
        notes.trace(f"{phone.number.msisdn} is told {result.code} of {prompt.account_reference}")
        notes.reach(f"payer is told {result.code}")
        if result.code == "0":
            oracle.paid(prompt, phone.number.msisdn)
        elif result.code == ABOVE_DAILY_LIMIT.code:
            notes.reach(f"fault {Hazard.DAILY_LIMIT}")
            oracle.barred(prompt, phone.number.msisdn, asked_on)


class Forger:
    """Somebody who has learned the address of a callback and posts what he likes there."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        chance: random.Random,
        profile: Profile,
        oracle: Oracle,
        notes: Notes,
        prompts: Callable[[], list[tuple[Prompt, str]]],
    ) -> None:
        self._client = client
        self._chance = chance
        self._level = profile.level(Hazard.FORGER)
        self._oracle = oracle
        self._notes = notes
        self._prompts = prompts

    async def live(self) -> None:
        """Forge until cancelled."""
        while self._level is not Level.OFF:
            await asyncio.sleep(self._chance.randint(500, 20_000 // self._level) / 1_000)
            if self._oracle.tokens:
                self._notes.reach("fault forger")
                await self._forge(self._chance.choice(self._oracle.tokens))

    async def _forge(self, url: str) -> None:
        prompts = self._prompts()
        checkout = f"ws_CO_{self._chance.randrange(10**12)}"
        cents, msisdn = self._chance.choice((100, 100_000, 700_000)), "254712000001"
        if prompts and self._chance.randrange(4):
            prompt, msisdn = self._chance.choice(prompts)
            checkout = prompt.checkout_request_id
            cents = prompt.amount.cents if self._chance.randrange(2) else cents
        receipt = f"FORGED{self._chance.randrange(10_000):04d}"
        if self._oracle.receipts and self._chance.randrange(3) == 0:
            receipt = self._chance.choice(self._oracle.receipts)
        callback: dict[str, object] = {
            "MerchantRequestID": "29115-34620561-1",
            "CheckoutRequestID": checkout,
            "ResultCode": self._chance.choice((0, 0, 0, 1032, 1037, 1, "0", 9999)),
            "ResultDesc": FORGED,
            "CallbackMetadata": {
                "Item": [
                    {"Name": "Amount", "Value": cents // 100},
                    {"Name": "MpesaReceiptNumber", "Value": receipt},
                    {"Name": "TransactionDate", "Value": 20260101090000},
                    {"Name": "PhoneNumber", "Value": int(msisdn)},
                ]
            },
        }
        tampered = self._chance.randrange(8) == 0
        try:
            await self._client.post(url + "A" if tampered else url, json={"Body": {"stkCallback": callback}})
        except httpx.TransportError:
            return
