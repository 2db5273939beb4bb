"""Keys that clients give: what is a key, what makes two requests the same, and what a repeat is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from penpay.application.shared.idempotency import IdempotencyKey, render
from penpay.domain.shared.errors import IdempotencyConflict, InvalidIdempotencyKey
from tests.support.ports import MORNING

SECRET = b"s" * 32
FIELDS: dict[str, object] = {"amount": "10.00", "currency": "USD", "phone": "+254712345678"}


def keyed(
    key: str = "order-2026-0001",
    *,
    caller: str = "u1",
    route: str = "POST /api/v1/deposits",
    secret: bytes = SECRET,
    fields: dict[str, object] = FIELDS,
) -> IdempotencyKey:
    return IdempotencyKey.of(secret, caller=caller, route=route, key=key, fields=fields)


def replayed(first: dict[str, object], second: dict[str, object]) -> str:
    """What the second body is answered after the first was answered `{"id":1}`."""
    return keyed(fields=second).replay(keyed(fields=first).answered('{"id":1}', 201, MORNING))


@pytest.mark.parametrize("key", ["12345678", "!~!~!~!~", "k" * 128, "7f9c24e8-3b12-4fef-91e0-56a2d5a9b2a1"])
def test_8_to_128_printable_characters_are_a_key(key: str) -> None:
    """A UUID, an order number, or anything a client makes up."""
    assert 64 == len(keyed(key).key_hash)


@pytest.mark.parametrize(
    "key", ["", "1234567", "k" * 129, "1234 5678", " 12345678", "12345678\n", "1234567\x7f", "1234567\x00", "clé-12345"]
)
def test_anything_else_is_no_key(key: str) -> None:
    """Blanks, control characters and other scripts do not survive every proxy, so they are refused."""
    with pytest.raises(InvalidIdempotencyKey):
        keyed(key)


def test_a_key_belongs_to_its_caller_and_route() -> None:
    """The same text from somebody else, or for something else, is another key."""
    keys = {
        keyed().key_hash,
        keyed("order-2026-0002").key_hash,
        keyed(caller="u2").key_hash,
        keyed(route="POST /api/v1/withdrawals").key_hash,
        keyed(secret=b"t" * 32).key_hash,
    }

    assert 5 == len(keys)


def test_caller_route_and_key_do_not_run_into_each_other() -> None:
    """Where one ends and the next begins is part of the scope."""
    assert keyed(caller="u1", route="POST /a").key_hash != keyed(caller="u1P", route="OST /a").key_hash
    assert keyed("1-order-2026", route="POST /a").key_hash != keyed("-order-2026", route="POST /a1").key_hash


def test_what_is_kept_says_nothing_about_key_or_body() -> None:
    """A stolen table tells neither the key nor a phone number."""
    record = keyed().answered("{}", 201, MORNING)
    kept = repr(record)

    assert "order-2026-0001" not in kept
    assert not any(str(value) in kept for value in FIELDS.values())
    assert record.field_digests != keyed(secret=b"t" * 32).field_digests
    assert record.field_digests["phone"] != keyed("order-2026-0002").field_digests["phone"]


@pytest.mark.parametrize(
    ("second", "fields"),
    [
        (FIELDS | {"amount": "10.01"}, ["amount"]),
        (FIELDS | {"amount": 10}, ["amount"]),
        (FIELDS | {"amount": "20.00", "phone": None}, ["amount", "phone"]),
        (FIELDS | {"note": "x"}, ["note"]),
        ({"amount": "10.00", "currency": "USD"}, ["phone"]),
        ({}, ["amount", "currency", "phone"]),
    ],
)
def test_another_body_under_the_key_is_refused_by_field(second: dict[str, object], fields: list[str]) -> None:
    """The client learns which fields differ: changed, of another type, added or left out."""
    with pytest.raises(IdempotencyConflict) as refused:
        replayed(FIELDS, second)
    assert {"fields": fields} == refused.value.details


def test_the_order_of_fields_is_not_part_of_a_request() -> None:
    """JSON objects have no order, at any depth."""
    assert '{"id":1}' == replayed(
        {"a": 1, "b": {"x": 1, "y": [1, 2]}},
        {"b": {"y": [1, 2], "x": 1}, "a": 1},
    )


def test_a_replay_is_the_text_that_was_answered() -> None:
    """Byte for byte, not parsed and written again."""
    stored = keyed().answered('{ "odd":  "spacing" }', 201, MORNING)

    assert '{ "odd":  "spacing" }' == keyed().replay(stored)
    assert (201, MORNING, MORNING + timedelta(hours=24)) == (stored.status, stored.created_at, stored.expires_at)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({}, "{}"),
        ({"b": 1, "a": [True, None, "é"]}, '{"b":1,"a":[true,null,"é"]}'),
        ({"cents": 10**15}, '{"cents":1000000000000000}'),
    ],
)
def test_an_answer_is_rendered_in_one_way(answer: dict[str, Any], text: str) -> None:
    """Fields in the order they were given, no blanks, no escapes that are not needed."""
    assert text == render(answer)
    assert text.encode() == render(dict(answer)).encode()
