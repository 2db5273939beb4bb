"""Callback tokens: who made them, for what, and why they spell no forbidden word."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from uuid import UUID

import pytest

from penpay.infrastructure.security.path_tokens import PathTokens

KEY = bytes(range(32))
SUBJECT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_a_token_names_its_subject_and_fits_a_path() -> None:
    """Pinned by the formula: callbacks in flight across a deployment must still be recognised."""
    tag = hmac.new(KEY, b"stk\x00" + SUBJECT.bytes, hashlib.sha256).hexdigest()[:32]
    token = PathTokens(KEY).sign("stk", SUBJECT)

    assert "01890a5dac96774bbcceb302099a8057" + tag == token
    assert SUBJECT == PathTokens(KEY).verify("stk", token)


def test_a_token_serves_one_purpose_and_one_key() -> None:
    """A token for one endpoint, or of another installation, opens nothing here."""
    token = PathTokens(KEY).sign("stk", SUBJECT)

    assert PathTokens(KEY).verify("b2c", token) is None
    assert PathTokens(KEY[::-1]).verify("stk", token) is None


def test_every_changed_digit_is_refused() -> None:
    """Neither the subject nor the tag can be altered anywhere."""
    tokens = PathTokens(KEY)
    token = tokens.sign("stk", SUBJECT)

    for at, digit in enumerate(token):
        other = "0" if digit != "0" else "1"
        assert tokens.verify("stk", token[:at] + other + token[at + 1 :]) is None


@pytest.mark.parametrize("change", [str.upper, lambda t: t[:-1], lambda t: t + "0", lambda t: t + "\n", lambda _: ""])
def test_other_spellings_are_refused(change: Callable[[str], str]) -> None:
    """One row has one token, so that an exact match can be logged by its digest."""
    tokens = PathTokens(KEY)
    assert tokens.verify("stk", change(tokens.sign("stk", SUBJECT))) is None


@pytest.mark.parametrize("junk", ["é" * 64, "\u0660" * 64, "g" * 64, "../" * 21 + "x", "\x00" * 64])
def test_junk_is_refused_without_a_crash(junk: str) -> None:
    """The path comes from anybody."""
    assert PathTokens(KEY).verify("stk", junk) is None


def test_a_short_key_is_refused() -> None:
    """A guessable key would let anybody report a payment."""
    with pytest.raises(ValueError, match="32 bytes"):
        PathTokens(b"")
