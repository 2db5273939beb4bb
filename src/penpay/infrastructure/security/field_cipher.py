"""Single database fields sealed with AES-256-GCM, each bound to the row and column it stands in."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penpay.application.shared.ports import Random
from penpay.infrastructure.security.keys import KeyRing

_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_FIXED_HEADER_BYTES: Final = 2


class UnopenableField(Exception):
    """A sealed field cannot be opened: our data or our keys are not what they were. Never the caller's fault."""


class UnknownFieldKey(UnopenableField):
    """The field was sealed with a key that is not in the ring."""


class TamperedField(UnopenableField):
    """The bytes are not what was sealed, or were sealed for another place."""


class FieldCipher:
    """Seals and opens single fields.

    Layout: version (1 byte), length of the key id (1), key id, nonce (12), ciphertext with tag. Everything before the
    nonce and the context are authenticated too, so a sealed value opens only where it was sealed for. The nonce is
    random: one key serves at most 2**32 values (NIST SP 800-38D), then a new one goes first in the ring.
    """

    def __init__(self, ring: KeyRing, random: Random) -> None:
        self._random = random
        self._active_id = ring.active_id
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ring.keys.items()}

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Seal for the place `context` names, "table.column:row-id". Two seals of one plaintext differ."""
        key_id = self._active_id.encode("ascii")
        header = bytes((_VERSION, len(key_id))) + key_id
        nonce = self._random.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._active_id].encrypt(nonce, plaintext, header + context.encode())
        return header + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """The plaintext sealed for `context`. Raises UnknownFieldKey or TamperedField, both UnopenableField."""
        if len(sealed) < _FIXED_HEADER_BYTES or sealed[0] != _VERSION:
            raise TamperedField("The field is not in a layout this version knows.")
        header_bytes = _FIXED_HEADER_BYTES + sealed[1]
        body_at = header_bytes + _NONCE_BYTES
        if len(sealed) < body_at + _TAG_BYTES:
            raise TamperedField("The field is cut short.")
        header, nonce, body = sealed[:header_bytes], sealed[header_bytes:body_at], sealed[body_at:]
        cipher = self._ciphers.get(header[_FIXED_HEADER_BYTES:].decode("ascii", errors="replace"))
        if cipher is None:
            raise UnknownFieldKey("The field was sealed with a key that is not in the ring.")
        try:
            return cipher.decrypt(nonce, body, header + context.encode())
        except InvalidTag:
            raise TamperedField("The field was changed, or sealed for another place.") from None
