"""The key pair of checkpoints: who can sign, and who can only verify."""

from __future__ import annotations

import pytest

from penpay.infrastructure.security.checkpoint_keys import CheckpointKey, CheckpointPublicKey
from penpay.infrastructure.security.keys import InvalidKeyText, KeyPurpose, derive_key

KEY = CheckpointKey(derive_key(bytes(range(32)), KeyPurpose.AUDIT_CHECKPOINT))
PUBLIC = CheckpointPublicKey.parse(KEY.public_key.hex())


def test_the_key_is_pinned() -> None:
    """Another derivation would make every checkpoint there is look forged."""
    assert "b776b54b0c3a10f8b87043a59dd031a8e196f0b712055440b15a959c04e180a7" == KEY.public_key.hex()
    assert KEY.key_id == PUBLIC.key_id


def test_only_the_message_that_was_signed_is_valid() -> None:
    """A changed message, a changed signature, another key and no signature at all are refused."""
    signature = KEY.sign(b"message")
    other = CheckpointKey(bytes(32))

    assert PUBLIC.is_valid(b"message", signature)
    assert not PUBLIC.is_valid(b"massage", signature)
    assert not PUBLIC.is_valid(b"message", "00" + signature[2:])
    assert not PUBLIC.is_valid(b"message", other.sign(b"message"))
    assert not PUBLIC.is_valid(b"message", "")
    assert not PUBLIC.is_valid(b"message", "not hex")
    assert other.key_id != KEY.key_id


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, KEY.public_key.hex() + "00"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    """A mistyped key is told as such."""
    with pytest.raises(InvalidKeyText, match="64 hex digits"):
        CheckpointPublicKey.parse(text)
