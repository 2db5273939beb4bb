"""The fault plan of the sandbox operator: what goes wrong, for whom, how often.

A rule holds one fault and says which phone and which amount it strikes (none named: all), how many times, and with
what chance. Rules are tried in the order they were added, the first that strikes is used up once. With the same seed
and the same calls the same faults strike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, TypeVar

from penpay.application.shared.ports import Random
from penpay.domain.shared.errors import DomainError


class DarajaCall(StrEnum):
    """A call that Daraja answers."""

    TOKEN = "TOKEN"  # noqa: S105  (the name of a call, not a credential)
    PUSH = "PUSH"
    QUERY = "QUERY"
    C2B_REGISTER = "C2B_REGISTER"
    C2B_SIMULATE = "C2B_SIMULATE"
    B2C = "B2C"
    B2B = "B2B"
    STATUS = "STATUS"
    BALANCE = "BALANCE"
    REVERSAL = "REVERSAL"
    PULL = "PULL"
    QR = "QR"


class Spoilt(StrEnum):
    """What comes back instead of the answer (daraja.md §1.3, §1.4)."""

    CUT = "CUT"
    """The connection closes before the body."""
    ERROR_500 = "ERROR_500"
    HTML_200 = "HTML_200"
    HTML_503 = "HTML_503"
    EMPTY_200 = "EMPTY_200"
    EMPTY_500 = "EMPTY_500"
    SYSTEM_BUSY = "SYSTEM_BUSY"
    RATE_LIMITED = "RATE_LIMITED"
    """HTTP 429 in Apigee's envelope."""
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105  (a kind of answer, not a credential)


_NOTHING_DONE: Final = frozenset({Spoilt.SYSTEM_BUSY, Spoilt.RATE_LIMITED, Spoilt.INVALID_TOKEN})
"""What says that nothing was done: the gateway in front gives it, before anything reads the call."""


class ContradictoryFault(DomainError):
    code = "contradictory_fault"
    title = "That answer denies what was done, as no M-Pesa does: no client could pay once and only once."


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoiltReply:
    """The answer of a call is replaced. `done`: the call has taken effect all the same.

    Raises ContradictoryFault for a call that was done and an answer that says it was not.
    """

    call: DarajaCall
    reply: Spoilt
    done: bool = False
    kind: Literal["spoilt_reply"] = "spoilt_reply"

    def __post_init__(self) -> None:
        if self.done and self.reply in _NOTHING_DONE:
            raise ContradictoryFault(reply=self.reply.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowReply:
    """The answer of a call that has taken effect is held back."""

    call: DarajaCall
    milliseconds: int
    kind: Literal["slow_reply"] = "slow_reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFirst:
    """The answer to a push or a request is held back until its callback was sent, or at most this long."""

    at_most_ms: int
    kind: Literal["callback_first"] = "callback_first"


@dataclass(frozen=True, slots=True, kw_only=True)
class LostCallback:
    """The callback is never sent."""

    kind: Literal["lost_callback"] = "lost_callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedCallback:
    """The callback is sent so many times in all, one after another, whatever the receiver answers."""

    times: int
    kind: Literal["repeated_callback"] = "repeated_callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCallback:
    """The callback waits so long before it is sent."""

    milliseconds: int
    kind: Literal["late_callback"] = "late_callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredCallback:
    """The callback tells another amount or another phone than was paid."""

    amount_cents: int | None = None
    msisdn: str | None = None
    kind: Literal["altered_callback"] = "altered_callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckPending:
    """A query says "still under processing", whatever became of the push."""

    kind: Literal["stuck_pending"] = "stuck_pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedResult:
    """The push, or the request of an initiator, ends with this code after a while; no money moves."""

    code: str
    text: str
    after_ms: int = 0
    kind: Literal["forced_result"] = "forced_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTooLong:
    """Instead of a result an initiator's request is sent back to its QueueTimeOutURL (daraja.md §4.5).

    Whether it is carried out all the same, so long after, is a switch.
    """

    milliseconds: int = 0
    kind: Literal["queued_too_long"] = "queued_too_long"


Fault: TypeAlias = (
    SpoiltReply
    | SlowReply
    | CallbackFirst
    | LostCallback
    | RepeatedCallback
    | LateCallback
    | AlteredCallback
    | StuckPending
    | ForcedResult
    | QueuedTooLong
)

_F = TypeVar("_F", bound=Fault)

_CERTAIN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault and whom it strikes."""

    fault: Fault
    msisdn: str | None = None
    amount_cents: int | None = None
    times: int | None = 1
    """How often it strikes; None: always."""
    permille: int = _CERTAIN
    """The chance of striking where it could."""

    def concerns(self, msisdn: str | None, amount_cents: int | None) -> bool:
        return self.msisdn in (None, msisdn) and self.amount_cents in (None, amount_cents)


class FaultPlan:
    """The rules in force; changed while the sandbox runs."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rules: list[tuple[FaultRule, int | None]] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule behind those in force."""
        self._rules.append((rule, rule.times))

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self._rules.clear()

    def rules(self) -> tuple[FaultRule, ...]:
        """The rules that can still strike, oldest first."""
        return tuple(rule for rule, _ in self._rules)

    def take(
        self,
        kind: type[_F],
        *,
        msisdn: str | None = None,
        amount_cents: int | None = None,
        where: Callable[[_F], bool] | None = None,
    ) -> _F | None:
        """The fault of this kind that strikes now, used up once; None if nothing goes wrong."""
        for index, (rule, left) in enumerate(self._rules):
            fault = rule.fault
            if not isinstance(fault, kind) or not rule.concerns(msisdn, amount_cents):
                continue
            if where is not None and not where(fault):
                continue
            if rule.permille < _CERTAIN and self._random.below(_CERTAIN) >= rule.permille:
                continue
            if left == 1:
                del self._rules[index]
            elif left is not None:
                self._rules[index] = (rule, left - 1)
            return fault
        return None
