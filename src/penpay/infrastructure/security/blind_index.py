"""Search for equality over sealed fields: a keyed digest of the value stands beside it in an indexed column."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import Final

from penpay.infrastructure.security.keys import KEY_BYTES

_SEPARATOR: Final = b"\x00"


class BlindIndex:
    """HMAC-SHA256 over normalised values. It tells who holds the database only which values are equal.

    Phone numbers are few (10**9), so without the key secret the digest would be no protection at all.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"A blind index key has {KEY_BYTES} bytes.")
        self._key = key

    def digest(self, value: str, *, field: str) -> str:
        """64 hex digits for `value` in `field`, the same whatever its case, outer blanks or Unicode composition.

        Two fields give unrelated digests. Phone numbers are given as E.164 and e-mail addresses as typed.
        """
        normal = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).strip()
        message = field.encode() + _SEPARATOR + normal.encode(errors="surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()
