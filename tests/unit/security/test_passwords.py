"""The staff's passwords as they are stored: salted, peppered, and compared one at a time."""

from __future__ import annotations

import asyncio

import pytest

from penpay.domain.shared.errors import Overloaded
from penpay.infrastructure.security.passwords import Argon2Passwords
from tests.support.ports import SeededRandom


def passwords(pepper: bytes = b"p" * 32) -> Argon2Passwords:
    return Argon2Passwords(pepper=pepper, random=SeededRandom())


async def test_a_password_matches_what_was_made_of_it() -> None:
    """Two hashes of one password differ, both match it, and nothing else does."""
    keeper = passwords()
    first, second = await keeper.hash("correct horse"), await keeper.hash("correct horse")

    assert first != second
    assert [True, True, False] == [
        await keeper.matches(text, stored)
        for text, stored in (("correct horse", first), ("correct horse", second), ("correct hors", first))
    ]


async def test_without_the_pepper_nothing_matches() -> None:
    """Whoever has the database alone cannot even tell a right guess."""
    stored = await passwords().hash("correct horse")

    assert not await passwords(b"q" * 32).matches("correct horse", stored)


@pytest.mark.parametrize("stored", [None, "", "nonsense", "scrypt$14$a$b"])
async def test_nobodys_password_matches_nothing(stored: str | None) -> None:
    """Neither that of somebody who does not exist, nor a text that no hash is."""
    assert not await passwords().matches("", stored)


async def test_too_many_at_once_are_told_to_come_again() -> None:
    """A flood of guesses takes neither the memory nor the loop."""
    keeper = passwords()
    results = await asyncio.gather(*(keeper.matches("x", None) for _ in range(34)), return_exceptions=True)

    assert [Overloaded] * 2 == [type(one) for one in results if isinstance(one, BaseException)]


def test_a_pepper_has_its_length() -> None:
    """A short one is a mistake in the settings."""
    with pytest.raises(ValueError, match="32 bytes"):
        passwords(b"short")
