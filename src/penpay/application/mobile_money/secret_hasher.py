"""PINs and passwords as they are stored: salted, peppered, slow to guess.

A PIN has only ten thousand values, so no hash alone protects it from someone who holds the database: it is first
keyed with a secret that is not there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import partial
from typing import Final

from penpay.application.shared.ports import Aside, Random

_SALT_BYTES: Final = 16
_BLOCK: Final = 8
_LABEL: Final = b"penpay/operator-pin/1\x00"
"""Of what it first was for; another one would make every stored hash worthless."""


class SecretHasher:
    """scrypt (RFC 7914) over an HMAC of the secret. The cost stands in what is stored, so it can be raised later.

    `log2_cost` 14 takes 16 MiB and some tens of milliseconds, spent `aside`; hash and compare outside the unit of work.
    """

    def __init__(self, *, pepper: bytes, random: Random, aside: Aside, log2_cost: int = 14) -> None:
        self._pepper = pepper
        self._random = random
        self._aside = aside
        self._log2_cost = log2_cost

    async def hash(self, secret: str) -> str:
        """What to store; two hashes of one secret differ."""
        salt = self._random.token_bytes(_SALT_BYTES)
        digest = await self._aside(partial(self._digest, secret, salt, self._log2_cost))
        return f"scrypt${self._log2_cost}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"

    async def matches(self, secret: str, stored: str) -> bool:
        """Whether this is what was stored. Raises ValueError for a text that `hash` did not make."""
        scheme, log2_cost, salt, digest = stored.split("$")
        if scheme != "scrypt":
            raise ValueError("What is stored is in no scheme this version knows.")
        its_salt = base64.b64decode(salt, validate=True)
        found = await self._aside(partial(self._digest, secret, its_salt, int(log2_cost)))
        return hmac.compare_digest(found, base64.b64decode(digest, validate=True))

    def _digest(self, secret: str, salt: bytes, log2_cost: int) -> bytes:
        keyed = hmac.digest(self._pepper, _LABEL + secret.encode(), hashlib.sha256)
        cost = 1 << log2_cost
        return hashlib.scrypt(keyed, salt=salt, n=cost, r=_BLOCK, p=1, maxmem=2 * 128 * _BLOCK * cost, dklen=32)
