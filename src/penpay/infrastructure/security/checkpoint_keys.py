"""The key pair of audit checkpoints: Ed25519 (RFC 8032), the private half derived from the master key.

Whoever can write the database cannot sign; whoever has the public half can verify without being able to sign.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from penpay.infrastructure.security.keys import InvalidKeyText


def _key_id(public_key: bytes) -> str:
    """The first 16 hex digits of the public key's SHA-256: names the key, shows nothing of it."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class CheckpointKey:
    """Signs checkpoints; `seed` is the derived key of KeyPurpose.AUDIT_CHECKPOINT."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()
        self.key_id = _key_id(self.public_key)

    def sign(self, message: bytes) -> str:
        """The signature, in hex; one message always has the same."""
        return self._private.sign(message).hex()


class CheckpointPublicKey:
    """Verifies checkpoints."""

    def __init__(self, public_key: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(public_key)
        self.key_id = _key_id(public_key)

    @classmethod
    def parse(cls, text: str) -> CheckpointPublicKey:
        """Read the 64 hex digits that `penpay audit key` prints. Raises InvalidKeyText."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise InvalidKeyText("A public key of checkpoints has 64 hex digits.") from None

    def is_valid(self, message: bytes, signature: str) -> bool:
        """Whether the signature was made of exactly this message with the private half."""
        try:
            self._public.verify(bytes.fromhex(signature), message)
        except (ValueError, InvalidSignature):
            return False
        return True
