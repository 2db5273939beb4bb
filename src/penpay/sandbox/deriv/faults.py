"""The fault plan: what goes wrong, on which call, for whom, how often; the same seed strikes the same calls."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from penpay.application.shared.ports import Random

ALWAYS = 1_000_000
"""`chance_ppm` of a rule that strikes every time it applies."""


@dataclass(frozen=True, slots=True)
class DropBeforeCommit:
    """The socket goes down before anything happened."""


@dataclass(frozen=True, slots=True)
class DropAfterCommit:
    """The socket goes down after the call was carried out and before it was answered."""


@dataclass(frozen=True, slots=True)
class AnswerAfter:
    """The call is carried out at once and answered late; other answers may overtake it."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class WrongResponse:
    """The answer that says nothing (deriv.md §1.4), with or without the effect."""

    committed: bool


@dataclass(frozen=True, slots=True)
class OutputValidationFailed:
    """The call is carried out, and its answer broke Deriv's own schema."""


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The call is refused for its frequency."""


@dataclass(frozen=True, slots=True)
class TokenRevoked:
    """The token stops being valid in the middle of the session, which is then no longer authorised."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A business refusal in Deriv's words."""

    message: str
    code: str = "PaymentAgentTransferError"


@dataclass(frozen=True, slots=True)
class StatementLag:
    """Rows younger than this are not in the statement yet."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class DuplicatePush:
    """A stream message is told twice."""


@dataclass(frozen=True, slots=True)
class LosePush:
    """A stream message is never told; on the balance stream without end, that is a stalled balance."""


CallFault = (
    DropBeforeCommit
    | DropAfterCommit
    | AnswerAfter
    | WrongResponse
    | OutputValidationFailed
    | RateLimited
    | TokenRevoked
    | Refuse
    | StatementLag
)
PushFault = DuplicatePush | LosePush


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault and when it strikes; what is left None applies to all."""

    fault: CallFault | PushFault
    call: str = "paymentagent_transfer"
    """Name of the call; for a push, of the stream: balance or transaction."""
    login_id: str | None = None
    """One of the parties: the caller, or who is paid."""
    amount_cents: int | None = None
    times: int | None = 1
    """How many strikes before the rule is used up; None: never."""
    chance_ppm: int = ALWAYS
    """Chance of a strike in millionths, drawn each time the rule applies."""
    on_dry_run: bool = False
    """Strike dry runs, and only those."""


class FaultPlan:
    """The rules in force, in the order they were added; rules may be added and cleared while the simulator runs."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rules: list[FaultRule] = []
        self._left: list[int | None] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule into force from the next call on."""
        self._rules.append(rule)
        self._left.append(rule.times)

    def clear(self) -> None:
        """Let everything work again."""
        self._rules.clear()
        self._left.clear()

    def strike_call(
        self, call: str, *, parties: Collection[str], amount_cents: int | None, dry_run: bool
    ) -> list[CallFault]:
        """The faults that strike this call; each one found is used up once."""
        struck = self._strike(call, parties, amount_cents, dry_run=dry_run, push=False)
        return [fault for fault in struck if not isinstance(fault, PushFault)]

    def strike_push(self, stream: str, *, login_id: str, amount_cents: int) -> list[PushFault]:
        """The faults that strike this stream message; each one found is used up once."""
        struck = self._strike(stream, (login_id,), amount_cents, dry_run=False, push=True)
        return [fault for fault in struck if isinstance(fault, PushFault)]

    def _strike(
        self, call: str, parties: Collection[str], amount_cents: int | None, *, dry_run: bool, push: bool
    ) -> list[CallFault | PushFault]:
        struck: list[CallFault | PushFault] = []
        for place, rule in enumerate(self._rules):
            left = self._left[place]
            applies = (
                left != 0
                and rule.call == call
                and rule.on_dry_run == dry_run
                and isinstance(rule.fault, PushFault) == push
                and (rule.login_id is None or rule.login_id in parties)
                and (rule.amount_cents is None or rule.amount_cents == amount_cents)
            )
            if applies and (rule.chance_ppm >= ALWAYS or self._random.below(ALWAYS) < rule.chance_ppm):
                self._left[place] = None if left is None else left - 1
                struck.append(rule.fault)
        return struck
