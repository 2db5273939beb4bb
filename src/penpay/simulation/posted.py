"""What was posted to us against what is kept of it: each callback we took, byte for byte, and each that we refused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import httpx
from sqlalchemy import select

from penpay.application.collections.till_pushing import TILL_SOURCE
from penpay.application.payments.callbacks import STK_SOURCE
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import reading
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.tables import webhook_logs
from penpay.simulation.books import Books, identifier
from penpay.simulation.network import FOREIGN, Delivered

if TYPE_CHECKING:
    from penpay.simulation.world import World

_STRAY_BYTES: Final = 512
"""What is kept of a message under an address we never gave out."""
_TAKEN: Final = "taken"
_PUSHES: Final = """SELECT id, account_reference FROM mpesa_requests
    UNION ALL SELECT id, account_reference FROM till_pushes"""
_DURABLE: Final = frozenset({httpx.codes.OK, httpx.codes.NOT_FOUND})
"""Answers that are given once the message is stored: taken, or refused."""


class _Posted(NamedTuple):
    fate: str
    """Taken, or why it was refused."""
    push: str | None
    """By whose address it came, None for an address that is none of ours."""
    source: str
    body: bytes


async def as_posted(world: World, books: Books) -> list[str]:
    """I9: each callback answered with 200 is kept as it came, each refused one is kept as refused, and nothing else is.

    What was delivered and not answered, by a server that died or for too long, may have been kept or not.
    """
    ids = {row["account_reference"]: identifier(row["id"]) for row in books.ours(_PUSHES)}
    delivered, answered = Counter[_Posted](), Counter[_Posted]()
    broken = []
    for message, status in world.oracle.posted:
        key = _as_it_must_be_kept(message, world.oracle.reference_of(message.path), ids)
        if status is None:
            delivered[key] += 1
        elif status in _DURABLE:
            answered[key] += 1
            if (status == httpx.codes.OK) is not (key.fate == _TAKEN):
                broken.append(f"I9: a callback was answered with {status}, and ought to be {key.fate}")
    return [*broken, *_compared(await _kept(world), delivered, answered)]


def _as_it_must_be_kept(message: Delivered, reference: str | None, ids: Mapping[str, str]) -> _Posted:
    if reference is None:
        return _Posted(WebhookOutcome.REFUSED_TOKEN, None, message.address, message.body[:_STRAY_BYTES])
    fate = WebhookOutcome.REFUSED_SOURCE if message.address == FOREIGN else _TAKEN
    return _Posted(fate, ids.get(reference, reference), message.address, message.body)


def _compared(kept: Counter[_Posted], delivered: Counter[_Posted], answered: Counter[_Posted]) -> Iterator[str]:
    for key in kept.keys() | answered.keys():
        where = "at no address of ours" if key.push is None else "to a push"
        what = f"a callback of {len(key.body)} bytes {where} from {key.source}, {key.fate},"
        if kept[key] < answered[key]:
            yield f"I9: {what} was answered {answered[key]} times and is kept {kept[key]} times"
        if kept[key] > delivered[key]:
            yield f"I9: {what} was posted {delivered[key]} times and is kept {kept[key]} times"


async def _kept(world: World) -> Counter[_Posted]:
    """What our books hold of callbacks, opened."""
    life = world.lives[0]
    repository = WebhookRepository(FieldCipher(world.settings.key_ring, life.system.random))
    async with reading(life.system.engine).connect() as connection:
        told = webhook_logs.c.source.in_((STK_SOURCE, TILL_SOURCE))
        rows = (await connection.execute(select(webhook_logs).where(told))).all()
    kept = Counter[_Posted]()
    for row in rows:
        body = repository.body(row)
        is_whole = hashlib.sha256(body).hexdigest() == row.body_hash
        fate = row.outcome if row.outcome.startswith("REFUSED") else _TAKEN
        push = None if row.subject_id is None else str(UUID(bytes=row.subject_id.bytes))
        shown = body if is_whole else b"kept under the hash of other bytes"
        kept[_Posted(fate, push, row.remote_address, shown)] += 1
    return kept
