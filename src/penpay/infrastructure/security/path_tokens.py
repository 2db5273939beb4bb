"""Signed tokens for the last segment of a callback URL: they name our row and cannot be guessed or made by others."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final
from uuid import UUID

from penpay.infrastructure.security.keys import KEY_BYTES

_TAG_BYTES: Final = 16
_SUBJECT_DIGITS: Final = 32
_TOKEN: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SEPARATOR: Final = b"\x00"


class PathTokens:
    """Tokens of 64 lower-case hex digits: the subject's UUID, then 128 bits of HMAC-SHA256 over purpose and subject.

    Hex and not base64: Safaricom refuses callback URLs that hold words such as "exe", "cmd" or "sql" (daraja.md §3.1),
    and about one random base64 token in 180 would spell one of them.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"A path token key has {KEY_BYTES} bytes.")
        self._key = key

    def sign(self, purpose: str, subject: UUID) -> str:
        """The token of `subject` for `purpose`; always the same one. It is a secret: never log it."""
        return subject.hex + self._tag(purpose, subject).hex()

    def verify(self, purpose: str, token: str) -> UUID | None:
        """The subject, if this token was signed here for this purpose; else None. Takes no longer for a near miss."""
        if not _TOKEN.fullmatch(token):
            return None
        subject = UUID(hex=token[:_SUBJECT_DIGITS])
        genuine = hmac.compare_digest(self._tag(purpose, subject), bytes.fromhex(token[_SUBJECT_DIGITS:]))
        return subject if genuine else None

    def _tag(self, purpose: str, subject: UUID) -> bytes:
        message = purpose.encode() + _SEPARATOR + subject.bytes
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_TAG_BYTES]
