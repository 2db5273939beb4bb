"""Sealed fields: what opens, where, with which key, and what never opens."""

from __future__ import annotations

import random

import pytest

from penpay.infrastructure.security.field_cipher import FieldCipher, TamperedField, UnknownFieldKey, UnopenableField
from penpay.infrastructure.security.keys import KeyRing

OLD_KEY, NEW_KEY = bytes(range(32)), bytes(range(32, 64))
HERE = "webhooks.raw:01890a5d-ac96-774b-bcce-b302099a8057"


class SeededRandom:
    """The Random port, repeatable."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def cipher(active: str = "new", **keys: bytes) -> FieldCipher:
    return FieldCipher(KeyRing(active, keys or {"new": NEW_KEY, "old": OLD_KEY}), SeededRandom(1))


@pytest.mark.parametrize("plaintext", [b"", b"+254712345678", b"\x00" * 100_000])
def test_what_was_sealed_opens_in_its_place(plaintext: bytes) -> None:
    """Any bytes, empty ones included."""
    field_cipher = cipher()
    assert plaintext == field_cipher.open(field_cipher.seal(plaintext, HERE), HERE)


def test_the_layout_is_version_key_id_nonce_and_ciphertext() -> None:
    """Rows written today must open for years, so the bytes are pinned."""
    expected_nonce = SeededRandom(1).token_bytes(12)
    sealed = cipher().seal(b"User One", HERE)

    assert b"\x01\x03new" + expected_nonce == sealed[:17]
    assert 5 + 12 + len(b"User One") + 16 == len(sealed)
    assert b"User One" not in sealed


def test_two_seals_of_one_value_differ() -> None:
    """Equal rows do not show that they are equal."""
    field_cipher = cipher()
    assert field_cipher.seal(b"same", HERE) != field_cipher.seal(b"same", HERE)


def test_a_value_moved_to_another_row_does_not_open() -> None:
    """Swapping two sealed columns is tampering, though each is genuine."""
    field_cipher = cipher()
    sealed = field_cipher.seal(b"+254712345678", HERE)

    with pytest.raises(TamperedField):
        field_cipher.open(sealed, HERE.replace("webhooks", "users"))


def test_rotation_keeps_old_values_readable() -> None:
    """The first key seals; the old one still opens; without it the error says which kind of trouble it is."""
    sealed_before = cipher("old", old=OLD_KEY).seal(b"before", HERE)

    assert b"before" == cipher("new", new=NEW_KEY, old=OLD_KEY).open(sealed_before, HERE)
    with pytest.raises(UnknownFieldKey):
        cipher("new", new=NEW_KEY).open(sealed_before, HERE)


def test_another_key_under_the_same_id_does_not_open() -> None:
    """A key id is a name, not a proof."""
    sealed = cipher("new", new=NEW_KEY).seal(b"before", HERE)
    with pytest.raises(TamperedField):
        cipher("new", new=OLD_KEY).open(sealed, HERE)


def test_every_cut_of_a_sealed_value_is_refused() -> None:
    """A column too short for what it held cannot yield half a secret."""
    field_cipher = cipher()
    sealed = field_cipher.seal(b"secret", HERE)

    for length in range(len(sealed)):
        with pytest.raises(UnopenableField):
            field_cipher.open(sealed[:length], HERE)
