"""Key texts from the settings, and the keys derived from the master."""

from __future__ import annotations

import base64

import pytest

from penpay.infrastructure.security.keys import (
    InvalidKeyText,
    KeyPurpose,
    KeyRing,
    derive_key,
    parse_key,
    parse_key_ring,
)

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()
OTHER_TEXT = base64.b64encode(bytes(32)).decode()


def test_the_first_key_of_the_ring_is_the_active_one() -> None:
    """Rotating means putting a new key in front."""
    ring = parse_key_ring(f"k2:{TEXT}, k1:{OTHER_TEXT}")

    assert "k2" == ring.active_id
    assert {"k2": KEY, "k1": bytes(32)} == dict(ring.keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Entry 1 of the key ring is not of the form"),
        (TEXT, "Entry 1 of the key ring is not of the form"),
        (f"k1:{TEXT},", "Entry 2 of the key ring is not of the form"),
        (f":{TEXT}", "The id of entry 1"),
        (f"{TEXT}:k1", "The id of entry 1"),
        (f"K1:{TEXT}", "The id of entry 1"),
        (f"k1:{TEXT},k1:{OTHER_TEXT}", "The id of entry 2 stands twice"),
        ("k1:", "entry 1 .* has 0 bytes instead of 32"),
        (f"k1:{base64.b64encode(KEY[:16]).decode()}", "entry 1 .* has 16 bytes instead of 32"),
        (f"k1:{TEXT[:-1]}", "entry 1 .* is not base64"),
        (f"k1:{TEXT[:20]} {TEXT[20:]}", "entry 1 .* is not base64"),
        (f"k1:{TEXT[:20]}é{TEXT[20:]}", "entry 1 .* is not base64"),
    ],
)
def test_a_bad_key_ring_is_explained_without_showing_it(text: str, said: str) -> None:
    """The operator learns which entry to mend; the log learns nothing."""
    with pytest.raises(InvalidKeyText, match=said) as refused:
        parse_key_ring(text)

    assert TEXT[:12] not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_single_key_is_named_in_its_error() -> None:
    """Several secrets are read at start; the message says which one."""
    assert KEY == parse_key(TEXT, name="the master")
    with pytest.raises(InvalidKeyText, match="The key of the master has 3 bytes"):
        parse_key("AAAA", name="the master")


def test_a_ring_does_not_show_its_keys() -> None:
    """A ring that reaches a log shows only which key is active."""
    assert "KeyRing(active_id='k1')" == repr(KeyRing("k1", {"k1": KEY}))


@pytest.mark.parametrize(
    ("active", "keys"), [("k2", {"k1": KEY}), ("k1", {"k1": KEY[:31]}), ("k1", {"k1": KEY, "é": KEY}), ("k1", {})]
)
def test_a_ring_that_cannot_work_is_not_made(active: str, keys: dict[str, bytes]) -> None:
    """A missing active key would be found at the first sealed row otherwise."""
    with pytest.raises(InvalidKeyText):
        KeyRing(active, keys)


def test_each_purpose_has_a_key_of_its_own() -> None:
    """The derivation is pinned: other bytes would orphan every index and every token in flight."""
    derived = {purpose: derive_key(KEY, purpose) for purpose in KeyPurpose}

    assert len(KeyPurpose) == len(set(derived.values()) - {KEY})
    assert "05a0444aaed915889cb4007c4642d73ec781158cc2e5d16a62d5d400affab508" == derived[KeyPurpose.BLIND_INDEX].hex()
    assert "717136394afa228fa91690a938f8f8d52190975ca629bdcc42620576f80cda32" == derived[KeyPurpose.PATH_TOKEN].hex()
    assert "5c310de3acf45a390f95bc4f1df38a068482a77ad5c79dc355c456d871f24524" == derived[KeyPurpose.DIGEST].hex()
    with pytest.raises(InvalidKeyText):
        derive_key(KEY[:31], KeyPurpose.DIGEST)
