"""Reminders of a simulated business's invoices: whoever carries short messages, and what must hold of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs
from uuid import UUID

from pydantic import SecretStr

from penpay.config import Settings
from penpay.domain.collections.reminder import LATE_DAYS
from penpay.domain.shared.nairobi import nairobi_day
from penpay.simulation.books import Books, Row, identifier
from penpay.simulation.loop import Process
from penpay.simulation.network import Host

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from penpay.simulation.world import World

LEVELS: Final = (-2, 0, 1)
_PORT: Final = 6900
_AWAY_US: Final = (0, 0, 1_200_000_000)
"""How long nobody takes messages after the first one has come."""
_UNDER_WAY_US: Final = 500_000_000
"""Longer than a process can stand still between the licence to send and sending."""
_MIDNIGHT: Final = timedelta(minutes=30)
"""Within so long of it nobody can say on which day the last look was."""
_OPEN: Final = "SELECT i.id FROM invoices i WHERE i.balance > 0 AND i.status <> 'VOID'"
_OWED: Final = """SELECT i.id, i.invoice_number, i.due_on FROM invoices i JOIN customers c ON c.id = i.customer_id
    WHERE i.balance > 0 AND i.status <> 'VOID' AND c.credit_cents < i.balance
    AND c.id NOT IN (SELECT customer_id FROM reminder_opt_outs) ORDER BY i.id"""
_LEFT_OUT: Final = """SELECT r.title FROM invoice_reminders r JOIN customers c ON c.id = r.customer_id
    WHERE c.customer_number = ?"""


def settings_of(settings: Settings) -> Settings:
    """The same settings with somebody who carries short messages."""
    given = {
        "sms_url": f"http://127.0.0.1:{_PORT}/messages",
        "sms_username": "business",
        "sms_api_key": SecretStr("of nobody"),
    }
    return settings.model_copy(update=given)


@dataclass(frozen=True, slots=True)
class _Message:
    """One that was taken, the first time that it came."""

    to: str
    text: str

    @property
    def is_reminder(self) -> bool:
        """Whether it tells how an invoice is paid; the others tell users of their money."""
        return "PayBill" in self.text


class Gateway:
    """Takes short messages, now and then after a while only; what it has taken under one id it takes no second time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("business/messages")
        self._away_us = self._chance.choice(_AWAY_US)
        self._first_us: int | None = None
        self._closed_us: dict[str, int] = {}
        """By invoice: when it was first seen that nothing is open on it."""
        self.taken: dict[str, _Message] = {}
        """By our own id of it."""
        self.broken: list[str] = []
        world.settings = settings_of(world.settings)

    def begin(self) -> None:
        """Be there."""
        process = Process("messages", may_crash=False)
        self._world.network.hosts["127.0.0.1", _PORT] = Host([(process, self)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message, as the gateway's interface has it."""
        request = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        form = parse_qs(request["body"].decode())
        status, answer = self._answer(headers["idempotency-key"], form["to"][0], form["message"][0])
        content = json.dumps(answer).encode()
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, id_: str, to: str, text: str) -> tuple[int, dict[str, Any]]:
        now_us = self._world.loop.now_us
        self.see(id_)
        self._first_us = now_us if self._first_us is None else self._first_us
        if now_us < self._first_us + self._away_us or (id_ not in self.taken and self._chance.randrange(6) == 0):
            return 503, {}
        message = _Message(to, text)
        if self.taken.setdefault(id_, message) != message:
            self.broken.append(f"K14: {id_} is sent again as another message")
        recipient = {"statusCode": 101, "number": to, "messageId": f"ATX{len(self.taken)}", "cost": "KES 0.8000"}
        return 201, {"SMSMessageData": {"Message": "Sent", "Recipients": [recipient]}}

    def see(self, id_: str | None = None) -> None:
        """Look which invoices are open; a message that comes now must not be about one that has long been closed."""
        now_us = self._world.loop.now_us
        still_open = {identifier(row[0]) for row in self._world.books.ours(_OPEN)}
        for row in self._world.books.ours("SELECT id FROM invoices"):
            invoice = identifier(row[0])
            if invoice in still_open:
                self._closed_us.pop(invoice, None)
            else:
                self._closed_us.setdefault(invoice, now_us)
        about = None if id_ is None else id_.partition(".")[0]
        if about in self._closed_us and now_us - self._closed_us[about] > _UNDER_WAY_US:
            self.broken.append(
                f"K14: {id_} comes {(now_us - self._closed_us[about]) // 1_000_000} s after all was paid"
            )


def reminded(gateway: Gateway, left_out: list[str], world: World, books: Books) -> Iterator[str]:
    """K14: each invoice and step is told once, where something is owed, to its customer, in the words that are kept."""
    yield from gateway.broken
    rows = books.ours("SELECT * FROM invoice_reminders ORDER BY invoice_id, level_days")
    ids = {_id_of(row): row for row in rows}
    yield from _as_taken(gateway, ids)
    yield from _as_kept(gateway, ids, books)
    yield from _against_her_will(left_out, books)
    yield from _forgotten(rows, world, books)


def _as_taken(gateway: Gateway, ids: dict[str, Row]) -> Iterator[str]:
    for id_, message in gateway.taken.items():
        row = ids.get(id_)
        if row is None and message.is_reminder:
            yield f"K14: {id_} was sent, and no reminder is kept under it"
        if row is not None and (row["text"] != message.text or row["state"] not in {"SENT", "GIVEN_UP"}):
            yield f"K14: {id_} was sent, and is {row['state']} with other words or none"
    told = [(message.to, message.text) for message in gateway.taken.values() if message.is_reminder]
    for to, text in sorted({one for one in told if told.count(one) > 1}):
        yield f"K14: {to} was told twice: {text}"


def _as_kept(gateway: Gateway, ids: dict[str, Row], books: Books) -> Iterator[str]:
    given_up = {row[0] for row in books.ours("SELECT subject_id FROM audit_logs WHERE action = 'reminder.given_up'")}
    for id_, row in ids.items():
        if row["state"] == "WAITING" or row["lease_until"] is not None:
            yield f"K14: {id_} is not decided"
        if row["state"] == "SENT" and id_ not in gateway.taken:
            yield f"K14: {id_} counts as sent, and nobody has taken it"
        if row["state"] == "GIVEN_UP" and id_ not in given_up:
            yield f"K14: {id_} was given up with {row['code']}, and no audit row says so"


def _against_her_will(left_out: list[str], books: Books) -> Iterator[str]:
    for number in left_out:
        for row in books.ours(_LEFT_OUT, number):
            yield f"K14: {number} was left out, and is reminded of {row['title']}"


def _forgotten(rows: list[Row], world: World, books: Books) -> Iterator[str]:
    """Of each open invoice the step is told that it has come to, by rules that are written here once more."""
    policy = next(iter(books.ours("SELECT * FROM reminder_policies")), None)
    now = world.loop.begins_at + timedelta(microseconds=world.loop.now_us)
    today = nairobi_day(now)
    if policy is None or not policy["is_on"] or nairobi_day(now - _MIDNIGHT) != today:
        return
    since = date.fromisoformat(policy["since_day"])
    there = {(identifier(row["invoice_id"]), row["level_days"]) for row in rows}
    for row in books.ours(_OWED):
        due = date.fromisoformat(row["due_on"])
        come = [level for level in LEVELS if due + timedelta(days=level) <= today]
        day = due + timedelta(days=come[-1]) if come else None
        if day is None or day < max(since, today - timedelta(days=LATE_DAYS)):
            continue
        if (identifier(row["id"]), come[-1]) not in there:
            yield f"K14: {row['invoice_number']} has come to step {come[-1]}, and nobody is told"


def _id_of(row: Row) -> str:
    level = str(row["level_days"]).replace("-", "b")
    return f"{UUID(identifier(row['invoice_id']))}.{level}.{row['channel'].lower()}"


def day_of(world: World) -> date:
    """The day on which the world begins, in Nairobi."""
    return nairobi_day(datetime.astimezone(world.loop.begins_at, UTC))
