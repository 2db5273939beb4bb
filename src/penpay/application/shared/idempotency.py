"""Idempotency: one business action once for each key a client gives, and the first answer for every repeat.

The row is written in the commit that does the work, so there is never a key without its effect or an effect without
its key. Keys and field values are stored only as keyed digests; refusals store nothing, so a refused request may be
corrected and sent again under its key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson

from penpay.application.shared.unit_of_work import Kind
from penpay.domain.shared.errors import IdempotencyConflict, InvalidIdempotencyKey

KEPT_FOR = timedelta(hours=24)
_KEY = re.compile(r"[!-~]{8,128}", re.ASCII)

Answer = Mapping[str, object]
"""A JSON object whose rendering is the answer."""


class IdempotencyRecord(NamedTuple):
    """What is kept of an answered request."""

    key_hash: str
    caller: str
    route: str
    field_digests: Mapping[str, str]
    status: int
    answer: str
    """The JSON text that was answered; replayed byte for byte."""
    created_at: datetime
    expires_at: datetime


IDEMPOTENCY_KEYS: Kind[str, IdempotencyRecord] = Kind("idempotency_keys")


class IdempotencyKey(NamedTuple):
    """A client's key for one request, bound to the caller, the route and each field of the body."""

    key_hash: str
    caller: str
    route: str
    field_digests: Mapping[str, str]

    @classmethod
    def of(cls, secret: bytes, *, caller: str, route: str, key: str, fields: Mapping[str, object]) -> IdempotencyKey:
        """Bind a key (8 to 128 printable characters) to a request; raises InvalidIdempotencyKey.

        `secret` has at most 64 bytes.
        """
        if not _KEY.fullmatch(key):
            raise InvalidIdempotencyKey
        scope = _keyed_digest(secret, orjson.dumps([caller, route, key]), 32)
        digests = {name: _digest(secret, scope, name, value) for name, value in sorted(fields.items())}
        return cls(scope, caller, route, digests)

    def replay(self, stored: IdempotencyRecord) -> str:
        """The stored answer; raises IdempotencyConflict naming the fields that differ from the first request."""
        names = self.field_digests.keys() | stored.field_digests.keys()
        differing = sorted(n for n in names if self.field_digests.get(n) != stored.field_digests.get(n))
        if differing:
            raise IdempotencyConflict(fields=differing)
        return stored.answer

    def answered(self, answer: str, status: int, at: datetime) -> IdempotencyRecord:
        return IdempotencyRecord(
            self.key_hash, self.caller, self.route, self.field_digests, status, answer, at, at + KEPT_FOR
        )


def render(answer: Answer) -> str:
    """The one way an answer becomes JSON text, so that a replay is byte-equal to the first answer."""
    return orjson.dumps(answer, default=_identifier).decode()


def _identifier(value: object) -> str:
    """An id of a driver's subclass of UUID, which orjson leaves to us."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _digest(secret: bytes, scope: str, name: str, value: object) -> str:
    text = orjson.dumps([scope, name, value], option=orjson.OPT_SORT_KEYS)
    return _keyed_digest(secret, text, 16)


def _keyed_digest(secret: bytes, text: bytes, size: int) -> str:
    """Keyed BLAKE2b (RFC 7693): a quarter of HMAC's time, and every field of every request takes one."""
    return hashlib.blake2b(text, key=secret, digest_size=size).hexdigest()
