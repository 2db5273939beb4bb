"""How this Daraja behaves where the real one is known to behave in more than one way (daraja.md §8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from penpay.sandbox.daraja.callback_hosts import parse_hosts
from penpay.sandbox.faults import DarajaCall

_Milliseconds: TypeAlias = Annotated[int, Field(ge=0)]


class PendingStyle(StrEnum):
    """What a query says of a push that is not over yet (daraja.md §2.4)."""

    CODE_4999 = "4999"
    ERROR_500 = "500"


class AfterTimeout(StrEnum):
    """What becomes of a request that was sent back because it waited too long (daraja.md §4.5)."""

    CARRIED_OUT = "CARRIED_OUT"
    """Later, and its result is told."""
    DROPPED = "DROPPED"


class CallbackOrder(StrEnum):
    """When the callbacks of a call may go. Faults can say otherwise for one call."""

    WITH = "WITH"
    """As soon as there is something to tell, whatever has become of the answer."""
    BEFORE = "BEFORE"
    """The answer waits for them, at most `callback_before_at_most_ms`."""
    AFTER = "AFTER"
    """Not before the answer has left."""


class BalanceItem(StrEnum):
    """The item `Balance` of a push's callback (daraja.md §2.2)."""

    VALUELESS = "VALUELESS"
    ABSENT = "ABSENT"


class ExpiryStyle(StrEnum):
    """How `expires_in` of a token is written (daraja.md §1.2)."""

    STRING = "STRING"
    NUMBER = "NUMBER"


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaSwitches:
    """The defaults are what was last seen of the real service, with its rate limit off."""

    prompt_timeout_ms: _Milliseconds = 60_000
    """Silence this long ends a push."""
    sweep_every_ms: _Milliseconds = 500
    """How often silence is looked for."""
    pending_style: PendingStyle = PendingStyle.CODE_4999
    callback_delay_ms: _Milliseconds = 0
    """Between what a callback tells and the callback."""
    callback_order: CallbackOrder = CallbackOrder.WITH
    """Of a push's callback and of a simulated payment; the confirmation of a push comes when it comes."""
    callback_before_at_most_ms: _Milliseconds = 5_000
    callback_times: Annotated[int, Field(ge=1)] = 1
    """How often a callback is sent, whatever the receiver answers."""
    callback_dropped_permille: Annotated[int, Field(ge=0, le=1000)] = 0
    """The chance of a callback to be lost; 1000: none is ever sent."""
    callback_tries: Annotated[int, Field(ge=1)] = 1
    """How often a callback is sent until HTTP 200 comes back; the real one tries once (daraja.md §6.2)."""
    callback_retry_after_ms: _Milliseconds = 1_000
    callback_hosts: str = ""
    """Hosts that are served on this machine, as in "shop.example=127.0.0.1:8080,…": what is sent there goes by http."""
    new_token_revokes_old: bool = False
    token_expiry: ExpiryStyle = ExpiryStyle.STRING
    limit_queries: bool = False
    """At most five queries a minute, one at a time."""
    strict_callback_urls: bool = False
    """Refuse http and loopback callback URLs, and registered ones with words that M-Pesa forbids (daraja.md §3.1)."""
    after_timeout: AfterTimeout = AfterTimeout.CARRIED_OUT
    check_security_credentials: bool = False
    """Refuse what was not encrypted for this sandbox. Clients of the real one carry a certificate whose private key
    nobody here has, so by default what cannot be opened passes if it has the right form."""
    result_parameters_as_object: bool = False
    """A result with one parameter tells it as an object, not as a list, and a failure tells one (daraja.md §4.4)."""
    balance_item: BalanceItem = BalanceItem.VALUELESS
    masked_push_phone: bool = False
    """Whether a push's callback masks the payer's number (daraja.md §6.8)."""
    register_once: bool = False
    """Whether a number registers its C2B addresses once, as in production, or may do so again."""
    external_validation: bool = False
    """Whether merchants are asked before a payment to them moves (daraja.md §3.3). Before a push they are not: its
    merchant asked for it, and no result of a push is known that would tell of a rejection."""
    validation_timeout_ms: _Milliseconds = 8_000
    push_confirmation: bool = True
    """Whether a push that was paid is also told to the registered address."""
    plain_c2b_phone: bool = False
    """Whether validation and confirmation tell the payer's number as it is."""
    confirm_every_ms: Annotated[int, Field(ge=1)] = 100
    """How often payments are looked for that a merchant is to be told."""

    def __post_init__(self) -> None:
        parse_hosts(self.callback_hosts)


class SwitchBoard:
    """The switches in force, changed while the sandbox runs."""

    def __init__(self, switches: DarajaSwitches) -> None:
        self.now = switches


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


PUBLISHED_INITIATORS: Final = (Initiator("testapi", "Safaricom999!*!"),)
"""The one of the real sandbox, of every merchant (daraja.md §6.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaCredentials:
    """One registered application and the passkeys of the short codes that go live with it."""

    consumer_key: str
    consumer_secret: str
    passkeys: Mapping[str, str]
    """By short code."""
    initiators: tuple[Initiator, ...] = PUBLISHED_INITIATORS
    """The first one that fits counts."""

    def __repr__(self) -> str:
        return f"DarajaCredentials(short_codes={sorted(self.passkeys)})"
