"""API keys: shown once when made, and kept only as what recognises them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.ids import ApiKeyId, UserId

API_KEY_BYTES: Final = 32
_API_KEY: Final = re.compile(r"[A-Z2-7]{52}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A machine's credential for acting as a user, valid until it is revoked."""

    id: ApiKeyId
    user_id: UserId
    key_hash: str
    created_at: datetime
    revoked_at: datetime | None = None


def api_key_text(chance: bytes) -> str:
    """The key as its holder gets it: 52 characters of base32 for 32 bytes that nobody can guess."""
    if len(chance) != API_KEY_BYTES:
        raise ValueError(f"An API key is made of {API_KEY_BYTES} bytes.")
    return base64.b32encode(chance).decode("ascii").rstrip("=")


def api_key_hash(text: str) -> str:
    """What is stored of a key: 64 hex digits of SHA-256. Raises Unauthorized for a text that is no API key.

    A fast hash without salt is right here, unlike for passwords: nobody guesses 256 random bits, however fast, and the
    digest must be found by equality.
    """
    if not _API_KEY.fullmatch(text):
        raise Unauthorized
    return hashlib.sha256(text.encode("ascii")).hexdigest()
