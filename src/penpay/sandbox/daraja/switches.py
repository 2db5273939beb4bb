"""How this Daraja behaves where the real one is known to behave in more than one way (daraja.md §8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class PendingStyle(StrEnum):
    """What a query says of a push that is not over yet (daraja.md §2.4)."""

    CODE_4999 = "4999"
    ERROR_500 = "500"


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaSwitches:
    """The defaults are what was last seen of the real service, with its rate limit off."""

    prompt_timeout_ms: int = 60_000
    """Silence this long ends a push."""
    sweep_every_ms: int = 500
    """How often silence is looked for."""
    pending_style: PendingStyle = PendingStyle.CODE_4999
    callback_delay_ms: int = 0
    """Between the end of a push and its callback."""
    callback_tries: int = 1
    """How often a callback is sent until HTTP 200 comes back; the real one tries once (daraja.md §6.2)."""
    callback_retry_after_ms: int = 1_000
    new_token_revokes_old: bool = False
    limit_queries: bool = False
    """At most five queries a minute, one at a time."""
    strict_callback_urls: bool = False
    """Refuse http and loopback callback URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaCredentials:
    """One registered application and the passkeys of the short codes that go live with it."""

    consumer_key: str
    consumer_secret: str
    passkeys: Mapping[str, str]
    """By short code."""

    def __repr__(self) -> str:
        return f"DarajaCredentials(short_codes={sorted(self.passkeys)})"
