"""Blind indexes: equal values meet, and nothing else can be learned without the key."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from penpay.infrastructure.security.blind_index import BlindIndex

KEY = bytes(range(32))


def test_the_digest_is_a_keyed_hash_of_field_and_value() -> None:
    """Pinned by the formula: stored digests must be found again for years."""
    expected = hmac.new(KEY, b"users.phone\x00+254712345678", hashlib.sha256).hexdigest()
    assert expected == BlindIndex(KEY).digest("+254712345678", field="users.phone")


@pytest.mark.parametrize(
    "typed", ["mailbox@example.com", "Mailbox@Example.COM", " mailbox@example.com\t", "ma\u0131lbox"]
)
def test_spellings_of_one_value_meet_and_others_do_not(typed: str) -> None:
    """Case and outer blanks are how people type; a dotless i is another letter."""
    index = BlindIndex(KEY)
    same = index.digest("mailbox@example.com", field="users.email") == index.digest(typed, field="users.email")
    assert ("@" in typed) is same


def test_composed_and_decomposed_letters_meet() -> None:
    """A keyboard may send é as one character or as two."""
    index = BlindIndex(KEY)
    assert index.digest("caf\u00e9", field="n") == index.digest("cafe\u0301", field="n")


def test_fields_and_keys_give_unrelated_digests() -> None:
    """Equal values in two columns, or in two installations, do not show that they are equal."""
    digests = {
        BlindIndex(KEY).digest("x", field="users.phone"),
        BlindIndex(KEY).digest("x", field="customers.phone"),
        BlindIndex(KEY[::-1]).digest("x", field="users.phone"),
    }
    assert 3 == len(digests)


def test_text_that_is_no_valid_unicode_still_has_a_digest() -> None:
    """A lone surrogate from JSON finds nothing, rather than crashing a search."""
    assert 64 == len(BlindIndex(KEY).digest("\ud800", field="n"))


def test_a_short_key_is_refused() -> None:
    """The phone space is small; the key is everything."""
    with pytest.raises(ValueError, match="32 bytes"):
        BlindIndex(KEY[:31])
