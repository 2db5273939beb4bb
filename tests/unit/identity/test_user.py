"""E-mail addresses and API keys as values."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penpay.domain.identity.credential import api_key_hash, api_key_text
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import InvalidEmail, Unauthorized


@pytest.mark.parametrize(
    "text",
    ["user_one@example.com", "w.a+tag@mail.example.co.ke", "o'brien@example.org", "x@a-b.example", "1@2.example"],
)
def test_an_ordinary_address_is_taken(text: str) -> None:
    """What people have as an address passes."""
    assert text == Email.parse(text).address


def test_one_mailbox_is_one_address() -> None:
    """An address in capitals is the same address."""
    assert Email.parse("user_one@example.com") == Email.parse("User_One@Example.COM")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user_one",
        "@example.com",
        "user_one@",
        "user_one@example",
        "user_one@example.c",
        "user_one@@example.com",
        " user_one@example.com",
        "user_one@example.com\n",
        "wan jiku@example.com",
        ".user_one@example.com",
        "wan..jiku@example.com",
        "user_one@-example.com",
        "user_one@example..com",
        "user_one@192.0.2.1",
        "user_one@example.com\r\nBcc: x@example.com",
        "wanj\u0131ku@example.com",
        "user_one@ex\u0430mple.com",
        "\uff57anjiku@example.com",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 20}.com",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Blanks, line ends, look-alike letters and malformed domains are no address."""
    with pytest.raises(InvalidEmail):
        Email.parse(text)


def test_an_address_does_not_reach_a_log_whole() -> None:
    """Shown for debugging, an address keeps its person to itself."""
    assert "Email(…@example.com)" == repr(Email.parse("user_one@example.com"))


@given(st.binary(min_size=32, max_size=32))
def test_every_key_is_recognised_by_its_hash(chance: bytes) -> None:
    """A key of any 32 bytes is 52 plain characters, stored as their SHA-256."""
    text = api_key_text(chance)

    assert 52 == len(text)
    assert hashlib.sha256(text.encode()).hexdigest() == api_key_hash(text)


@pytest.mark.parametrize(
    "text", ["", "A" * 51, "A" * 53, "a" * 52, "1" * 52, "A" * 51 + "=", "\uff21" * 52, "A" * 52 + "\n"]
)
def test_what_is_no_key_is_not_even_looked_for(text: str) -> None:
    """A credential of another form is refused without asking the database."""
    with pytest.raises(Unauthorized):
        api_key_hash(text)


def test_a_key_is_never_made_of_less() -> None:
    """Fewer bytes than promised are a bug, not a weaker key."""
    with pytest.raises(ValueError, match="32 bytes"):
        api_key_text(b"short")
