"""PINs are stored so that neither the database nor its thief can read them."""

from __future__ import annotations

import random

import pytest

from penpay.application.mobile_money.secret_hasher import SecretHasher
from penpay.infrastructure.system import at_once


class Seeded:
    """A Random port whose draws repeat."""

    def __init__(self) -> None:
        self._source = random.Random(1)

    def below(self, limit: int) -> int:
        return self._source.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._source.randbytes(count)


def a_hasher(pepper: bytes = b"k" * 32, log2_cost: int = 4) -> SecretHasher:
    return SecretHasher(pepper=pepper, random=Seeded(), aside=at_once, log2_cost=log2_cost)


async def test_only_the_right_pin_matches() -> None:
    """Of five hundred PINs one is right."""
    stored = await a_hasher().hash("0420")
    matching = [pin for pin in (f"{n:04d}" for n in range(500)) if await a_hasher(log2_cost=1).matches(pin, stored)]
    assert ["0420"] == matching


async def test_two_owners_of_one_pin_do_not_look_alike() -> None:
    """Each hash has a salt of its own, and none shows the PIN."""
    hasher = a_hasher()
    first, second = await hasher.hash("1234"), await hasher.hash("1234")
    assert first != second
    assert await hasher.matches("1234", first)
    assert await hasher.matches("1234", second)
    assert "1234" not in first


async def test_without_the_pepper_the_right_pin_does_not_match() -> None:
    """Who has the database but not the key learns nothing from trying all PINs."""
    stored = await a_hasher(pepper=b"k" * 32).hash("1234")
    assert not await a_hasher(pepper=b"x" * 32).matches("1234", stored)


async def test_a_pin_stored_at_another_cost_still_matches() -> None:
    """The cost is read from what was stored."""
    assert await a_hasher(log2_cost=6).matches("1234", await a_hasher(log2_cost=3).hash("1234"))


async def test_a_foreign_scheme_is_refused_loudly() -> None:
    """What this code did not make is not silently wrong."""
    with pytest.raises(ValueError, match="no scheme"):
        await a_hasher().matches("1234", "argon2$1$c2FsdA==$aGFzaA==")
