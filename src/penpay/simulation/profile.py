"""The swarm: what can go wrong in one seed, and how badly. Every seed draws its own.

Most seeds have most faults off, some mild, a few extreme. A seed in which everything goes wrong a little never comes
far enough to meet what lies behind; one in which a single thing goes wrong all the time does.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
    ENDURING = "enduring"
    """The world stays broken for a while after people have stopped asking."""
    OWN_OUTAGE = "own_outage"
    """None of our processes runs, for ten minutes to several hours."""
    DISK_FULL = "disk_full"
    DATABASE_LOST = "database_lost"
    """The connection breaks in the middle of a transaction, or of a question."""
    HALF_OPEN = "half_open"
    """A session with Deriv that never answers again and never ends."""
    HANG_UP = "hang_up"
    """Whoever calls us hangs up in the middle of the request."""
    FOREIGN_ADDRESS = "foreign_address"
    """Callbacks that come from an address we do not take them from."""
    MANGLED_ANSWER = "mangled_answer"
    """Answers of providers that are cut, miss fields, or hold something of another type; or fields nobody knows."""
    STATEMENT_UNREADABLE = "statement_unreadable"
    """No page of Deriv's statement can be read for a while."""
    AGENT_EMPTY = "agent_empty"
    """Our account at Deriv has too little for any transfer for a while."""
    RATE_LEAPS = "rate_leaps"
    """A new exchange rate is further from the last one than may be approved without another look."""
    RATE_STALE = "rate_stale"
    """The exchange rate grows too old, and a new one is agreed on only after a while."""
    AMOUNT_AT_LIMIT = "amount_at_limit"
    """Users ask for the least and the most they may, and for a cent beyond."""
    DAILY_LIMIT = "daily_limit"
    """Subscribers have paid so much today that the operator lets them pay little more."""
    MOBILE_MONEY = "mobile_money"
    """Agents, subscribers and merchants use an operator over its own interface; no fault, but a place for some."""
    OPERATOR_CRASH = "operator_crash"
    OPERATOR_PAUSE = "operator_pause"
    OPERATOR_COMMIT_LOST = "operator_commit_lost"
    OPERATOR_BUSY = "operator_busy"
    """The operator's database is."""
    OPERATOR_DATABASE_LOST = "operator_database_lost"
    OPERATOR_DISK_FULL = "operator_disk_full"
    OPERATOR_REQUEST_LOST = "operator_request_lost"
    OPERATOR_REPLY_LOST = "operator_reply_lost"
    OPERATOR_SLOW_NETWORK = "operator_slow_network"
    OPERATOR_HANG_UP = "operator_hang_up"
    NO_LIST = "no_list"
    """M-Pesa lists no payments to our number: nobody has registered it for that."""
    MERCHANT = "merchant"
    """Another merchant uses the rest of Daraja, at a sandbox of its own; no fault, but a place for some."""
    MERCHANT_CRASH = "merchant_crash"
    """That sandbox does."""
    MERCHANT_REQUEST_LOST = "merchant_request_lost"
    MERCHANT_REPLY_LOST = "merchant_reply_lost"
    MERCHANT_SPOILT = "merchant_spoilt"
    """The answer to a call is rubbish; done or not."""
    MERCHANT_TOLD_LOST = "merchant_told_lost"
    """Results, confirmations and notices are never sent."""
    MERCHANT_TOLD_TWICE = "merchant_told_twice"
    MERCHANT_TOLD_LATE = "merchant_told_late"
    MERCHANT_TOLD_FIRST = "merchant_told_first"
    """A Result comes before the answer to its call."""
    MERCHANT_QUEUED = "merchant_queued"
    """Requests wait too long, and are carried out all the same."""
    COLLECTIONS = "collections"
    """A business bills, sells and is paid at its PayBill; no fault, but a place for most of those above."""
    WITHDRAWALS = "withdrawals"
    """Users withdraw, refused deposits are paid back, and staff decides reviews; a place for most of those above."""
    PAYOUT_REFUSED = "payout_refused"
    """The answer to a payout is rubbish, and nothing happened."""
    PAYOUT_SPOILT = "payout_spoilt"
    """The answer to a payout is rubbish, and it is made all the same."""
    PAYOUT_FAILED = "payout_failed"
    """M-Pesa takes a payout on and does not make it, as for a wallet that would hold too much."""
    PAYOUT_QUEUED = "payout_queued"
    """A payout waits too long, we are told so, and it is made all the same."""
    PAYOUT_FLOAT = "payout_float"
    """Our account at M-Pesa has too little for some payouts."""
    STATUS_SPOILT = "status_spoilt"
    """The answer to a question about a payout is rubbish."""
    FORGED_RESULT = "forged_result"
    """Somebody who has learned the address of a payout's Result posts there what he likes."""


DRAWN_LAST: Final = frozenset(
    list(Hazard)[list(Hazard).index(Hazard.ENDURING) : list(Hazard).index(Hazard.COLLECTIONS)]
)
"""They are drawn after everything else and from chance of their own, so that they move no other draw."""
_ALL: Final = tuple(Hazard)
PAYOUTS: Final = frozenset(_ALL[_ALL.index(Hazard.WITHDRAWALS) :])
"""What happens where users withdraw or a business gives back, and that they withdraw; drawn last of all."""
OPERATORS: Final = frozenset(_ALL[_ALL.index(Hazard.MOBILE_MONEY) : _ALL.index(Hazard.NO_LIST)])
"""What happens at the operator of mobile money, where it is used at all."""
_WITHDRAWALS_IN: Final = 5
"""In one of so many seeds users withdraw."""
_BUSINESS_IN: Final = 16
"""In one of so many seeds there is a business; it takes as long as several deposits."""
MERCHANTS: Final = frozenset(_ALL[_ALL.index(Hazard.MERCHANT) : _ALL.index(Hazard.COLLECTIONS)])
"""What happens to another merchant, where there is one."""
_PERMILLE: Final[Mapping[Level, int]] = {Level.OFF: 0, Level.MILD: 120, Level.EXTREME: 600}


_DAYS: Final = tuple(
    datetime(*day, tzinfo=UTC)
    for day in ((2026, 1, 1), (2026, 4, 30), (2026, 12, 31), (2027, 2, 28), (2028, 2, 28), (2028, 2, 29), (2029, 7, 15))
)
_MORNING: Final = timedelta(hours=6)
_BEFORE_MIDNIGHT: Final = timedelta(hours=20)
"""Nairobi is three hours ahead of UTC."""


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


def beginning_of(seed: int) -> datetime:
    """When this seed's world begins: often shortly before midnight in Nairobi, and at the end of months and years."""
    chance = random.Random(f"{seed}/beginning")  # noqa: S311  (repeatable on purpose)
    day = chance.choice(_DAYS)
    return day + chance.choice((_MORNING, _BEFORE_MIDNIGHT + timedelta(minutes=chance.randint(0, 59))))


def draw_profile(chance: random.Random) -> Profile:
    """The world of a seed."""
    share = chance.choice((1, 2, 4, 6))
    hazards: dict[Hazard, Level] = {}

    def draw(candidates: Iterable[Hazard]) -> None:
        for hazard in candidates:
            if chance.randrange(12) < share:
                hazards[hazard] = Level.EXTREME if chance.randrange(4) == 0 else Level.MILD

    later = DRAWN_LAST | PAYOUTS | {Hazard.COLLECTIONS}
    draw(hazard for hazard in Hazard if hazard not in later)
    profile = Profile(
        users=chance.randint(1, 3),
        deposits=chance.randint(1, 2),
        processes=chance.choice((1, 1, 2)),
        hazards=hazards,
        old_pending_style=chance.randrange(4) == 0,
        strict_tokens=chance.randrange(4) == 0,
        limited_queries=chance.randrange(6) == 0,
    )
    draw(hazard for hazard in Hazard if hazard in DRAWN_LAST)
    for place, there in ((Hazard.MOBILE_MONEY, OPERATORS), (Hazard.MERCHANT, MERCHANTS)):
        if place not in hazards:
            for hazard in there & hazards.keys():
                del hazards[hazard]
    if chance.randrange(_BUSINESS_IN) == 0:
        hazards[Hazard.COLLECTIONS] = Level.EXTREME if chance.randrange(4) == 0 else Level.MILD
    if chance.randrange(_WITHDRAWALS_IN) == 0:
        hazards[Hazard.WITHDRAWALS] = Level.EXTREME if chance.randrange(4) == 0 else Level.MILD
    if Hazard.WITHDRAWALS in hazards or (Hazard.COLLECTIONS in hazards and chance.randrange(2)):
        draw(hazard for hazard in Hazard if hazard in PAYOUTS - {Hazard.WITHDRAWALS})
    return profile
