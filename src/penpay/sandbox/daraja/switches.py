"""How this Daraja behaves where the real one is known to behave in more than one way (daraja.md §8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from penpay.sandbox.faults import DarajaCall


class PendingStyle(StrEnum):
    """What a query says of a push that is not over yet (daraja.md §2.4)."""

    CODE_4999 = "4999"
    ERROR_500 = "500"


class AfterTimeout(StrEnum):
    """What becomes of a request that was sent back because it waited too long (daraja.md §4.5)."""

    CARRIED_OUT = "CARRIED_OUT"
    """Later, and its result is told."""
    DROPPED = "DROPPED"


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
    after_timeout: AfterTimeout = AfterTimeout.CARRIED_OUT
    check_security_credentials: bool = False
    """Refuse what was not encrypted for this sandbox. Clients of the real one carry a certificate whose private key
    nobody here has, so by default what cannot be opened passes if it has the right form."""
    result_parameters_as_object: bool = False
    """A result with one parameter tells it as an object, not as a list, and a failure tells one (daraja.md §4.4)."""


@dataclass(frozen=True, slots=True)
class Initiator:
    """In whose name a merchant moves money without a customer."""

    name: str
    password: str
    short_code: str | None = None
    """None: of every merchant."""
    calls: frozenset[DarajaCall] | None = None
    """What it may ask for; None: everything."""

    def __repr__(self) -> str:
        return f"Initiator({self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaCredentials:
    """One registered application and the passkeys of the short codes that go live with it."""

    consumer_key: str
    consumer_secret: str
    passkeys: Mapping[str, str]
    """By short code."""
    initiators: tuple[Initiator, ...] = (Initiator("testapi", "Safaricom999!*!"),)
    """The published one of the real sandbox (daraja.md §6.6)."""

    def __repr__(self) -> str:
        return f"DarajaCredentials(short_codes={sorted(self.passkeys)})"
