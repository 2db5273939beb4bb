"""E-mail addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penpay.domain.shared.errors import InvalidEmail

_LONGEST_EMAIL = 254
_EMAIL = re.compile(
    r"(?P<local>[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])",
    re.ASCII,
)
_LONGEST_LOCAL_PART = 64


@dataclass(frozen=True, slots=True)
class Email:
    """An address in lower case, so that one mailbox is one user. `repr` shows the domain alone."""

    address: str

    def __post_init__(self) -> None:
        match = _EMAIL.fullmatch(self.address)
        if match is None or len(self.address) > _LONGEST_EMAIL or len(match["local"]) > _LONGEST_LOCAL_PART:
            raise InvalidEmail

    @classmethod
    def parse(cls, text: str) -> Email:
        """Read an address in any case; raises InvalidEmail, also for blanks around it and for non-ASCII letters."""
        if not text.isascii():
            raise InvalidEmail
        return cls(text.lower())

    @property
    def masked(self) -> str:
        """The form shown to people: a***@example.com."""
        local, _, domain = self.address.partition("@")
        return f"{local[0]}***@{domain}"

    def __repr__(self) -> str:
        return f"Email(…{self.address[self.address.index('@') :]})"
