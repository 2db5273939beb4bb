"""The staff's passwords as they are stored: Argon2id (RFC 9106), salted and peppered."""

from __future__ import annotations

import asyncio
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from penpay.application.shared.ports import Random
from penpay.domain.shared.errors import Overloaded
from penpay.infrastructure.security.keys import KEY_BYTES

_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_KIB: Final = 19 * 1024
_PASSES: Final = 2
_MOST_WAITING: Final = 32
"""Some seconds of work; whoever comes after that is told to come again."""


class Argon2Passwords:
    """`application.identity.staff_access.Passwords`: 19 MiB and two passes, some tens of milliseconds.

    They are spent on a thread, one password at a time: on the loop nobody else would be answered meanwhile, and many
    at once would take the memory of the process. The cost stands in what is stored, so it can be raised later. The
    pepper is not in the database: whoever has only that cannot even begin to guess.
    """

    def __init__(self, *, pepper: bytes, random: Random) -> None:
        if len(pepper) != KEY_BYTES:
            raise ValueError(f"A pepper has {KEY_BYTES} bytes.")
        self._pepper = pepper
        self._random = random
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._in_turn(password, None)

    async def matches(self, password: str, stored: str | None) -> bool:
        """A text that `hash` did not make matches nothing."""
        if stored is None:
            await self._in_turn(password, None)
            return False
        return bool(await self._in_turn(password, stored))

    async def _in_turn(self, password: str, stored: str | None) -> str:
        """A new hash, or the stored one if it matches, else nothing."""
        if self._waiting >= _MOST_WAITING:
            raise Overloaded
        self._waiting += 1
        try:
            async with self._turn:
                salt = self._random.token_bytes(_SALT_BYTES)
                return await asyncio.to_thread(self._work, password.encode(errors="surrogatepass"), stored, salt)
        finally:
            self._waiting -= 1

    def _work(self, password: bytes, stored: str | None, salt: bytes) -> str:
        if stored is None:
            algorithm = Argon2id(
                salt=salt,
                length=_DIGEST_BYTES,
                iterations=_PASSES,
                lanes=1,
                memory_cost=_KIB,
                secret=self._pepper,
            )
            return algorithm.derive_phc_encoded(password)
        try:
            Argon2id.verify_phc_encoded(password, stored, self._pepper)
        except InvalidKey:
            return ""
        return stored
