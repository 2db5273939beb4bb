"""What a caller sends, as a form or as JSON: flat fields, read strictly and each in one way.

Whole numbers come as JSON integers or as text of ASCII digits. An empty text is a field that was not given, as forms
have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.message import Message as Headers
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.requests import Request

from penpay.application.mobile_money.rows import Address, UserType
from penpay.domain.shared.errors import InvalidAmount, InvalidRequest, UnsupportedMediaType
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.http.body import read_json

E = TypeVar("E", bound=StrEnum)

MAX_FIELDS: Final = 32
LARGEST_SHILLINGS: Final = 10**12
LARGEST_CENTS: Final = 10**12
"""Of a fee."""
_FORM: Final = "application/x-www-form-urlencoded"
_DIGITS: Final = re.compile(r"[0-9]{1,13}", re.ASCII)
_NAME_LETTERS: Final = 64
_TEXT_LETTERS: Final = 200
_PAGE: Final = 200
_UNREADABLE: Final = object()
"""Stands for a number that is not an integer of at most 18 digits; whoever wants a number refuses it."""


class Fields:
    """The fields of one request, by name. Every reading refuses what it cannot take, naming the field alone."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None and value != ""}

    def only(self, *names: str) -> Fields:
        """These fields, if there are no others; raises InvalidRequest."""
        strange = sorted(name[:_NAME_LETTERS] for name in self.values.keys() - set(names))
        if strange:
            raise _invalid(dict.fromkeys(strange, "is not a field of this request"))
        return self

    def text(self, name: str, longest: int = _TEXT_LETTERS) -> str:
        """One line of printable text."""
        found = self.optional_text(name, longest)
        if found is None:
            raise _invalid({name: "is required"})
        return found

    def optional_text(self, name: str, longest: int = _TEXT_LETTERS) -> str | None:
        """The same, or None where it was not given."""
        found = self.values.get(name)
        if found is None:
            return None
        if not isinstance(found, str):
            raise _invalid({name: "must be text"})
        if len(found) > longest or not found.isprintable() or not found.strip():
            raise _invalid({name: f"must be one line of at most {longest} characters"})
        return found

    def secret(self, name: str) -> str:
        """A password or PIN, with whatever characters."""
        found = self.optional_secret(name)
        if found is None:
            raise _invalid({name: "is required"})
        return found

    def optional_secret(self, name: str) -> str | None:
        """The same, or None where it was not given."""
        found = self.values.get(name)
        if found is not None and not isinstance(found, str):
            raise _invalid({name: "must be text"})
        return found

    def address(self, name: str, user_type: UserType) -> Address:
        """An e-mail address, a phone number or a merchant's number, which may come as a number."""
        found = self.values.get(name)
        text = str(found) if type(found) is int else self.text(name)
        return Address.parse(text, user_type)

    def shillings(self, name: str = "amount") -> Money:
        """A whole number of shillings from 1 to 10^12; raises InvalidAmount for anything else."""
        return Money(self._amount(name, 1, LARGEST_SHILLINGS) * 100, Currency.KES)

    def cents(self, name: str = "amount") -> Money:
        """A whole number of cents from 0 to 10^12; raises InvalidAmount for anything else."""
        return Money(self._amount(name, 0, LARGEST_CENTS), Currency.KES)

    def _amount(self, name: str, smallest: int, largest: int) -> int:
        found = _whole(self.values.get(name))
        if found is None or not smallest <= found <= largest:
            reason = f"must be a whole number from {smallest} to {largest}"
            raise InvalidAmount(f"{name} {reason}.", fields=[name], reasons={name: reason})
        return found

    def limit(self, usual: int) -> int:
        """How many rows a page has, at most 200."""
        if "limit" not in self.values:
            return usual
        found = _whole(self.values["limit"])
        if found is None or not 1 <= found <= _PAGE:
            raise _invalid({"limit": f"must be a whole number from 1 to {_PAGE}"})
        return found

    def optional_whole(self, name: str) -> int | None:
        """A whole number that is not negative, or None where it was not given."""
        if name not in self.values:
            return None
        found = _whole(self.values[name])
        if found is None or found < 0:
            raise _invalid({name: "must be a whole number"})
        return found

    def optional_flag(self, name: str) -> bool | None:
        """True or false, also as text; None where it was not given."""
        found = self.values.get(name)
        if isinstance(found, str):
            found = {"true": True, "false": False}.get(found, found)
        if found is None or isinstance(found, bool):
            return found
        raise _invalid({name: "must be true or false"})

    def choice(self, name: str, kind: type[E]) -> E:
        """One word of a list, in any case."""
        found = self.optional_choice(name, kind)
        if found is None:
            raise _invalid({name: "is required"})
        return found

    def optional_choice(self, name: str, kind: type[E]) -> E | None:
        """The same, or None where it was not given."""
        text = self.optional_text(name)
        if text is None:
            return None
        found = next((member for member in kind if member.value == text.upper()), None)
        if found is None:
            raise _invalid({name: f"must be one of {', '.join(member.value.lower() for member in kind)}"})
        return found

    def optional_id(self, name: str) -> UUID | None:
        """A UUID, or None where it was not given."""
        text = self.optional_text(name)
        if text is None:
            return None
        found = identifier(text)
        if found is None:
            raise _invalid({name: "must be a UUID"})
        return found


def identifier(text: str) -> UUID | None:
    """The UUID that is written so in its usual form, or None."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


async def body_of(request: Request) -> Fields:
    """The fields of the body: none where it is empty.

    Raises InvalidRequest for what cannot be read, UnsupportedMediaType for what is neither a form nor JSON.
    """
    raw = await request.body()
    if not raw:
        return Fields({})
    media_type = _media_type(request)
    if media_type == _FORM:
        return Fields(_form(raw, "The body"))
    value = read_json(raw, other_number=lambda _: _UNREADABLE)
    if not isinstance(value, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return Fields(value)


async def json_of(request: Request) -> bytes:
    """The body of a request that takes JSON alone; raises UnsupportedMediaType."""
    raw = await request.body()
    if _media_type(request) == _FORM:
        raise UnsupportedMediaType
    return raw


def query_of(request: Request, *names: str) -> Fields:
    """The fields after the question mark, of which there are only these; raises InvalidRequest."""
    raw = request.scope["query_string"]
    return Fields(_form(raw, "The query") if raw else {}).only(*names)


def _media_type(request: Request) -> str:
    headers = Headers()
    headers["content-type"] = request.headers.get("content-type", "")
    media_type = headers.get_content_type()
    if media_type not in {_FORM, "application/json"} or headers.get_content_charset("utf-8") != "utf-8":
        raise UnsupportedMediaType(f"This endpoint takes application/json and {_FORM}, in UTF-8.")
    return media_type


def _form(raw: bytes, place: str) -> dict[str, str]:
    """Fields in the encoding of forms, in UTF-8, each once; raises InvalidRequest."""
    pairs: Sequence[tuple[str, str]]
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise InvalidRequest(f"{place} is not a form of at most {MAX_FIELDS} fields in UTF-8.") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidRequest(f"{place} names a field twice.")
    return found


def _whole(value: object) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return None


def _invalid(reasons: Mapping[str, str]) -> InvalidRequest:
    detail = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    return InvalidRequest(f"{detail}.", fields=sorted(reasons), reasons=dict(reasons))
