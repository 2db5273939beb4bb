"""Secrets as text in the settings, turned into keys: a ring for sealing fields, and one master for everything else.

Two secrets, because they change differently. Field keys rotate: each sealed value names its key, and old keys stay in
the ring to open old values. Blind indexes, path tokens and digests name no key, so theirs come from one master that
stays; HKDF-SHA256 gives each purpose a key of its own, so that a digest can never serve as a token.
No error here ever shows key material.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
_KEY_ID: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


class InvalidKeyText(ValueError):
    """The key text of a setting cannot be used; the message says which entry and why, never what it holds."""


class KeyPurpose(StrEnum):
    """What a derived key is for. The value goes into the derivation: changing it changes the key."""

    BLIND_INDEX = "penpay/blind-index/1"
    PATH_TOKEN = "penpay/path-token/1"  # noqa: S105  (a label that goes into the derivation, no secret)
    DIGEST = "penpay/digest/1"
    AUDIT_CHECKPOINT = "penpay/audit-checkpoint/1"
    STAFF_PASSWORD = "penpay/staff-password/1"  # noqa: S105  (as above)
    OPERATOR_TOKEN = "penpay/operator-token/1"  # noqa: S105  (as above)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Field keys by id: `active_id` seals, all of them open."""

    active_id: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.active_id not in self.keys:
            raise InvalidKeyText("The active key is not in the key ring.")
        if not all(_KEY_ID.fullmatch(key_id) for key_id in self.keys):
            raise InvalidKeyText("A key id has 1 to 32 lower-case letters, digits or hyphens.")
        if any(len(key) != KEY_BYTES for key in self.keys.values()):
            raise InvalidKeyText(f"A field key has {KEY_BYTES} bytes.")
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))


def parse_key_ring(text: str) -> KeyRing:
    """Read "id:base64,id2:base64": the first key seals, the others only open what they sealed before.

    Raises InvalidKeyText.
    """
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(","), start=1):
        key_id, colon, encoded = entry.strip().partition(":")
        if not colon:
            raise InvalidKeyText(f"Entry {number} of the key ring is not of the form id:base64.")
        if not _KEY_ID.fullmatch(key_id):
            raise InvalidKeyText(f"The id of entry {number} is not 1 to 32 lower-case letters, digits or hyphens.")
        if key_id in keys:
            raise InvalidKeyText(f"The id of entry {number} stands twice in the key ring.")
        keys[key_id] = parse_key(encoded, name=f"entry {number} of the key ring")
    return KeyRing(next(iter(keys)), keys)


def parse_key(text: str, *, name: str) -> bytes:
    """Read one key of exactly 32 bytes from base64; `name` says in the error which key it was.

    Raises InvalidKeyText.
    """
    try:
        key = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        # Without the cause: a decoding error quotes what it could not decode.
        raise InvalidKeyText(f"The key of {name} is not base64.") from None
    if len(key) != KEY_BYTES:
        raise InvalidKeyText(f"The key of {name} has {len(key)} bytes instead of {KEY_BYTES}.")
    return key


def derive_key(master: bytes, purpose: KeyPurpose) -> bytes:
    """The 32-byte key of one purpose (HKDF-SHA256, RFC 5869); the same master and purpose give the same key.

    No salt: the master is already uniformly random, and every process must come to the same key.
    """
    if len(master) != KEY_BYTES:
        raise InvalidKeyText(f"The master key has {KEY_BYTES} bytes.")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.value.encode("ascii")).derive(master)
