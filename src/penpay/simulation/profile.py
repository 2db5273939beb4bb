"""The swarm: what can go wrong in one seed, and how badly. Every seed draws its own.

Most seeds have most faults off, some mild, a few extreme. A seed in which everything goes wrong a little never comes
far enough to meet what lies behind; one in which a single thing goes wrong all the time does.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final


class Level(IntEnum):
    """How badly."""

    OFF = 0
    MILD = 1
    EXTREME = 2


class Hazard(StrEnum):
    """What can go wrong."""

    PUSH_REFUSED = "push_refused"
    """The answer to a push is rubbish, and nothing happened."""
    PUSH_SPOILT = "push_spoilt"
    """The answer to a push is rubbish, and the prompt is out all the same."""
    QUERY_SPOILT = "query_spoilt"
    TOKEN_SPOILT = "token_spoilt"  # noqa: S105  (a hazard, not a credential)
    SLOW_REPLY = "slow_reply"
    CALLBACK_FIRST = "callback_first"
    CALLBACK_LOST = "callback_lost"
    CALLBACK_REPEATED = "callback_repeated"
    CALLBACK_LATE = "callback_late"
    CALLBACK_ALTERED = "callback_altered"
    STUCK_PENDING = "stuck_pending"
    FORCED_RESULT = "forced_result"
    DERIV_DROP_BEFORE = "deriv_drop_before"
    DERIV_DROP_AFTER = "deriv_drop_after"
    DERIV_WRONG_ANSWER = "deriv_wrong_answer"
    DERIV_LATE_ANSWER = "deriv_late_answer"
    DERIV_RATE_LIMITED = "deriv_rate_limited"
    DERIV_TOKEN_REVOKED = "deriv_token_revoked"  # noqa: S105  (as above)
    DERIV_REFUSES = "deriv_refuses"
    DERIV_STATEMENT_LAG = "deriv_statement_lag"
    DERIV_PUSHES = "deriv_pushes"
    """Stream messages doubled and missed."""
    STRANGE_CREDIT = "strange_credit"
    """Somebody pays our agent account without being asked."""
    REQUEST_LOST = "request_lost"
    REPLY_LOST = "reply_lost"
    REQUEST_DOUBLED = "request_doubled"
    SLOW_NETWORK = "slow_network"
    DARAJA_DOWN = "daraja_down"
    DERIV_DOWN = "deriv_down"
    CRASH = "crash"
    PAUSE = "pause"
    COMMIT_LOST = "commit_lost"
    DATABASE_BUSY = "database_busy"
    CLOCK_SKEW = "clock_skew"
    CLOCK_JUMP = "clock_jump"
    FORGER = "forger"
    DOUBLE_TAP = "double_tap"
    OTHER_BODY = "other_body"
    BAD_REQUEST = "bad_request"
    CARELESS_PAYER = "careless_payer"
    """Wrong PINs, cancelled prompts, prompts nobody answers."""
    RATE_MOVES = "rate_moves"
    """New exchange rates are entered and approved while deposits are under way."""
    PENDING_FOR_EVER = "pending_for_ever"
    """M-Pesa never tells what became of some prompts, not even when everything else is repaired."""


_PERMILLE: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 120, Level.EXTREME: 600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One seed's world."""

    users: int
    deposits: int
    """How many each user asks for."""
    processes: int
    hazards: Mapping[Hazard, Level]
    old_pending_style: bool
    strict_tokens: bool
    """A new Daraja token ends the one before."""
    limited_queries: bool

    def level(self, hazard: Hazard) -> Level:
        return self.hazards.get(hazard, Level.OFF)

    def permille(self, hazard: Hazard) -> int:
        """The chance of one stroke, in thousandths."""
        return _PERMILLE[self.level(hazard)]

    def without(self, hazard: Hazard) -> Profile:
        """The same world in which this never happens."""
        return replace(self, hazards={one: level for one, level in self.hazards.items() if one is not hazard})

    def with_hazards(self, hazards: Mapping[Hazard, Level]) -> Profile:
        """The same world in which these are so likely as well."""
        return replace(self, hazards={**self.hazards, **hazards})

    def describe(self) -> str:
        """One line, for people."""
        wrong = ", ".join(f"{one}{'+' if level is Level.EXTREME else ''}" for one, level in self.hazards.items())
        return f"{self.users} users × {self.deposits} deposits, {self.processes} processes; {wrong or 'nothing'} wrong"


def profile_of(seed: int) -> Profile:
    """The world this seed draws."""
    return draw_profile(random.Random(f"{seed}/profile"))  # noqa: S311  (repeatable on purpose)


def draw_profile(chance: random.Random) -> Profile:
    """The world of a seed."""
    share = chance.choice((1, 2, 4, 6))
    hazards = {}
    for hazard in Hazard:
        if chance.randrange(12) < share:
            hazards[hazard] = Level.EXTREME if chance.randrange(4) == 0 else Level.MILD
    return Profile(
        users=chance.randint(1, 3),
        deposits=chance.randint(1, 2),
        processes=chance.choice((1, 1, 2)),
        hazards=hazards,
        old_pending_style=chance.randrange(4) == 0,
        strict_tokens=chance.randrange(4) == 0,
        limited_queries=chance.randrange(6) == 0,
    )
