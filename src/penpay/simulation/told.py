"""What users were told must be what they asked for, and what stands in the books: each figure, status and moment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import httpx

from penpay.simulation.books import Books, Payment, Row

if TYPE_CHECKING:
    from penpay.simulation.world import World

_MISSING: Final = "missing"
_ASKED: Final = ("deriv_login_id", "currency", "amount_cents")
_AT_FIRST: Final[Mapping[str, object]] = {
    "status": "PENDING",
    "receipt": None,
    "failure_code": None,
    "recovered_by": None,
}
"""What cannot be known yet when a deposit is accepted."""
_EVENTS: Final = """SELECT recorded_at, name, payload ->> 'status' status FROM domain_events
    WHERE aggregate_id = ? ORDER BY sequence"""


def as_asked(world: World, books: Books) -> Iterator[str]:
    """I12: every deposit in the books is one that somebody asked for, and was told of in the same words."""
    promises = world.users.promises
    payments = {payment.id: payment for payment in books.deposits()}
    unclaimed = Counter(_named(body) for body in promises.asked.values())
    unclaimed.subtract(_named(dict(payment.transaction)) for payment in payments.values())
    for (login_id, currency, cents), left in unclaimed.items():
        if left < 0:
            yield f"I12: a deposit of {cents} {currency} cents for {login_id} that nobody asked for"
    for key, answer in promises.accepted.items():
        told = _object(answer)
        payment = payments.get(str(told["id"]))
        if payment is None:
            yield f"I12: {told['id']} was accepted and is not there"
            continue
        if _named(told) != _named(promises.asked[key]):
            yield f"I12: {_named(promises.asked[key])} was asked for, and {_named(told)} accepted"
        first = {**_expected(payment.transaction), **_AT_FIRST, "updated_at": told["created_at"]}
        yield from _differences(f"{key} was accepted", told, first)


async def shown(world: World, books: Books) -> list[str]:
    """I12: asked over HTTP, a deposit is shown to its user, in every field, as it stands in the books."""
    broken = []
    people = {person.login_id: person for person in world.template.people}
    for payment in list(books.deposits()):
        user = people.get(payment.transaction["deriv_login_id"])
        if user is None:
            broken.append(f"I12: {payment.id} is for an account at Deriv that no user has")
            continue
        try:
            answer = await world.users.ask_about(user, payment.id)
        except httpx.TransportError as fault:
            broken.append(f"I12: nobody shows {payment.id}: {type(fault).__name__}")
            continue
        if answer.status_code != httpx.codes.OK:
            broken.append(f"I12: {payment.id} is shown to its user as {answer.status_code}")
            continue
        broken.extend(_differences(f"{payment.id} is shown", told_of(answer.content), expected_of(books, payment)))
    return broken


def told_of(content: bytes) -> dict[str, Any]:
    """What a user is told of a transaction, with its rate as a number."""
    told = _object(content)
    return {**told, "rate": Fraction(str(told.get("rate")))}


def expected_of(books: Books, payment: Payment) -> dict[str, object]:
    """What she is to be told, read from the books past the product."""
    return {**_expected(payment.transaction), "timeline": _timeline(books, payment)}


def _expected(t: Row) -> dict[str, object]:
    """What is to be told of a transaction, read from its row past the product."""
    margin = t["rate_spread_bps"] if t["type"] == "DEPOSIT" else -t["rate_spread_bps"]
    rate = Fraction(t["rate_mid_e8"] * (10_000 + margin), 10**12)
    as_it_stands = ("type", "status", *_ASKED, "usd_cents", "receipt", "failure_code", "recovered_by")
    return {
        **{name: t[name] for name in as_it_stands},
        "id": Payment(t, (), (), ()).id,
        "kes_cents": t["kes_charged_cents"],
        "rate": rate,
        **{name: _moment(t[name]) for name in ("rate_expires_at", "created_at", "updated_at")},
    }


def _timeline(books: Books, payment: Payment) -> list[dict[str, object]]:
    told, status = [], "PENDING"
    for event in books.ours(_EVENTS, payment.transaction["id"]):
        status = event["status"] or status  # an event that moved nothing names none
        told.append({"at": _moment(event["recorded_at"]), "event": event["name"], "status": status})
    return told


def _differences(what: str, told: Mapping[str, object], expected: Mapping[str, object]) -> Iterator[str]:
    said = {**told, "rate": Fraction(str(told.get("rate")))}
    for name in sorted(said.keys() | expected.keys()):
        if said.get(name, _MISSING) != expected.get(name, _MISSING):
            yield f"I12: {what} with {name} {said.get(name, _MISSING)}, and it is {expected.get(name, _MISSING)}"


def _named(body: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(body[name] for name in _ASKED)


def _moment(stored: str) -> str:
    """As the table holds it, in the form that is promised: RFC 3339 with microseconds."""
    return stored.replace(" ", "T") + "Z"


def _object(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content, parse_float=Decimal)
    return found
