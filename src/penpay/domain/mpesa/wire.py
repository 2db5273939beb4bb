"""Daraja's JSON read exactly (no float, no repeated key, no surprise from depth), and its text made fit to be shown."""

from __future__ import annotations

import codecs
import json
import re
from decimal import Decimal
from typing import Final, NoReturn

_CODE = re.compile(r"[!-~]{1,40}", re.ASCII)
_OPAQUE_ID = re.compile(r"[!-~]{1,64}", re.ASCII)

_ECHOED_TOKEN = re.compile(r"(access token\s*-\s*)[^\s\"<>]{12,}", re.ASCII | re.IGNORECASE)
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_.~-]{20,}=*", re.ASCII)
_PHONE_LIKE = re.compile(r"\+?[0-9](?:[ -]?[0-9]){8,}", re.ASCII)
_SHOWN_CHARACTERS = 200
_READ_CHARACTERS = 4_000


class UnreadableJson(ValueError):
    """The bytes are not one JSON object that can be read in exactly one way."""


class UnreadableMessage(Exception):
    """What was posted to us is not the message it should be. Keep `raw` and ask M-Pesa instead.

    `raw` is everything, as it came, and may hold a SecurityCredential: it is no part of the text or of `repr`.
    """

    def __init__(self, message: str, raw: bytes) -> None:
        super().__init__(message)
        self.raw = raw


def _reject_constant(_: str) -> NoReturn:
    raise UnreadableJson("NaN and Infinity are not JSON.")


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise UnreadableJson("A key stands twice in one object.")
    return read


_STRICT: Final = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_reject_constant, object_pairs_hook=_object_without_repeats
)


def read_object(raw: bytes) -> dict[str, object]:
    """Read one JSON object in UTF-8; fractions become Decimal. Raises UnreadableJson and nothing else.

    A repeated key is refused, because two readers could take two different amounts from the same bytes.
    """
    try:
        read = _STRICT.decode(raw.removeprefix(codecs.BOM_UTF8).decode())
    except UnreadableJson:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        # ArithmeticError: an exponent beyond what Decimal holds. RecursionError: nesting beyond any real message.
        raise UnreadableJson(f"Not readable as JSON ({type(error).__name__}).") from None
    if not isinstance(read, dict):
        raise UnreadableJson("Not a JSON object.")
    return read


def code_text(value: object) -> str | None:
    """A result or error code as text: Daraja sends numbers and strings for the same field (daraja.md §0.1 fact 11).

    None for what is not a code: absent, null, a truth value, a fraction, blanks, over-long text.
    """
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def opaque_id(value: object) -> str | None:
    """A request id as Daraja made it, at most 64 visible ASCII characters (daraja.md §2.1); else None."""
    return value if isinstance(value, str) and _OPAQUE_ID.fullmatch(value) else None


def _unless_a_word(run: re.Match[str]) -> str:
    return "[redacted]" if any(character.isdigit() for character in run[0]) else run[0]


def shown_text(text: object) -> str:
    """At most 200 printable characters for people, without tokens, ids that hold a phone number, or phone numbers.

    Daraja echoes the bearer token in 401.002.01 (daraja.md §1.3), so nothing it says is shown as it came.
    """
    if not isinstance(text, str):
        return ""
    printable = "".join(character if character.isprintable() else " " for character in text[:_READ_CHARACTERS])
    without_token = _ECHOED_TOKEN.sub(r"\1[redacted]", printable)
    without_secrets = _LONG_RUN.sub(_unless_a_word, without_token)
    return " ".join(_PHONE_LIKE.sub("[redacted]", without_secrets).split())[:_SHOWN_CHARACTERS]
