"""What the providers do wrong in one seed, as rules for the sandbox's own fault plans."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from penpay.sandbox.deriv import faults as deriv
from penpay.sandbox.faults import (
    AlteredCallback,
    CallbackFirst,
    DarajaCall,
    Fault,
    FaultPlan,
    FaultRule,
    ForcedResult,
    LateCallback,
    LostCallback,
    RepeatedCallback,
    SlowReply,
    Spoilt,
    SpoiltReply,
    StuckPending,
)
from penpay.simulation.nemesis import Notes
from penpay.simulation.profile import Hazard, Profile

_ANY: Final = tuple(Spoilt)
AFTERWARDS: Final = (
    Spoilt.CUT,
    Spoilt.ERROR_500,
    Spoilt.HTML_200,
    Spoilt.HTML_503,
    Spoilt.EMPTY_200,
    Spoilt.EMPTY_500,
)
"""What can come back although the call was carried out; a refusal by the gateway in front cannot."""
_MINUTE_MS: Final = 60_000
_FORCED: Final = (
    ("1037", "No response from user."),
    ("1", "The balance is insufficient."),
    ("1025", "An error occurred."),
)
_TRANSFER: Final = "paymentagent_transfer"
_EMPTY: Final = "Your account balance is insufficient for this transaction."
_REFUSALS: Final = (
    "You cannot transfer to account CR0, as their cashier is locked.",
    "Your cashier is locked.",
    _EMPTY,
    "This is a sentence nobody has listed.",
)


def break_daraja(
    plan: FaultPlan, profile: Profile, chance: random.Random, notes: Notes, *, comes_late: Callable[[int], None]
) -> None:
    """Put the profile's faults of Daraja into force; `comes_late` is told in how many ms a callback is to come."""

    def some(kinds: tuple[Spoilt, ...]) -> list[Spoilt]:
        return chance.sample(kinds, 2)

    menu: dict[Hazard, list[Fault]] = {
        Hazard.PUSH_REFUSED: [SpoiltReply(call=DarajaCall.PUSH, reply=one) for one in some(_ANY)],
        Hazard.PUSH_SPOILT: [SpoiltReply(call=DarajaCall.PUSH, reply=one, done=True) for one in some(AFTERWARDS)],
        Hazard.QUERY_SPOILT: [SpoiltReply(call=DarajaCall.QUERY, reply=one) for one in some(_ANY)],
        Hazard.TOKEN_SPOILT: [SpoiltReply(call=DarajaCall.TOKEN, reply=one) for one in some(AFTERWARDS)],
        Hazard.SLOW_REPLY: [
            SlowReply(call=call, milliseconds=chance.randint(1_000, 2 * _MINUTE_MS))
            for call in (DarajaCall.PUSH, DarajaCall.QUERY)
        ],
        Hazard.CALLBACK_FIRST: [CallbackFirst(at_most_ms=25_000)],
        Hazard.CALLBACK_LOST: [LostCallback()],
        Hazard.CALLBACK_REPEATED: [RepeatedCallback(times=chance.randint(2, 3))],
        Hazard.CALLBACK_LATE: [LateCallback(milliseconds=chance.choice((5, 60, 300)) * _MINUTE_MS)],
        Hazard.CALLBACK_ALTERED: [
            AlteredCallback(amount_cents=chance.randint(1, 9_000) * 100),
            AlteredCallback(msisdn="254712999999"),
        ],
        Hazard.STUCK_PENDING: [StuckPending()],
        Hazard.FORCED_RESULT: [
            ForcedResult(code=code, text=text, after_ms=chance.randint(0, 30_000)) for code, text in _FORCED
        ],
    }
    for hazard, faults in menu.items():
        for fault in faults:
            if profile.permille(hazard):
                share = max(1, profile.permille(hazard) // len(faults))
                plan.add(FaultRule(fault=fault, times=None, permille=share))
    causes = [(fault, hazard) for hazard, faults in menu.items() for fault in faults]
    take = noted(plan.take, causes, notes)

    def taking(*arguments: Any, **options: Any) -> Any:
        struck = take(*arguments, **options)
        if isinstance(struck, LateCallback):
            comes_late(struck.milliseconds)
        return struck

    plan.take = taking  # type: ignore[method-assign]  # the same, and it is noted


def break_deriv(
    plan: deriv.FaultPlan, profile: Profile, chance: random.Random, notes: Notes, *, is_agent_empty: Callable[[], bool]
) -> None:
    """Put the profile's faults of Deriv into force; while `is_agent_empty` our account there can pay nobody."""
    menu: dict[Hazard, list[tuple[str, deriv.CallFault | deriv.PushFault]]] = {
        Hazard.DERIV_DROP_BEFORE: [(_TRANSFER, deriv.DropBeforeCommit())],
        Hazard.DERIV_DROP_AFTER: [(_TRANSFER, deriv.DropAfterCommit())],
        Hazard.DERIV_WRONG_ANSWER: [
            (_TRANSFER, deriv.WrongResponse(committed=True)),
            (_TRANSFER, deriv.WrongResponse(committed=False)),
            (_TRANSFER, deriv.OutputValidationFailed()),
            ("statement", deriv.WrongResponse(committed=False)),
        ],
        Hazard.DERIV_LATE_ANSWER: [
            (_TRANSFER, deriv.AnswerAfter(chance.randint(100, 60_000))),
            ("statement", deriv.AnswerAfter(chance.randint(100, 60_000))),
        ],
        Hazard.DERIV_RATE_LIMITED: [
            (_TRANSFER, deriv.RateLimited()),
            ("statement", deriv.RateLimited()),
        ],
        Hazard.DERIV_TOKEN_REVOKED: [(_TRANSFER, deriv.TokenRevoked())],
        Hazard.DERIV_REFUSES: [
            (_TRANSFER, deriv.Refuse(chance.choice(_REFUSALS))),
            (_TRANSFER, deriv.Refuse("Request too frequent. Please try again later.")),
        ],
        Hazard.DERIV_STATEMENT_LAG: [("statement", deriv.StatementLag(chance.choice((5, 60, 400)) * 1_000))],
        Hazard.DERIV_PUSHES: [("transaction", deriv.DuplicatePush()), ("transaction", deriv.LosePush())],
    }
    for hazard, faults in menu.items():
        for call, fault in faults:
            if profile.permille(hazard):
                share = max(1, profile.permille(hazard) // len(faults)) * 1_000
                plan.add(deriv.FaultRule(fault=fault, call=call, times=None, chance_ppm=share))
                if call == _TRANSFER:
                    plan.add(
                        deriv.FaultRule(fault=fault, call=call, times=None, chance_ppm=share // 4, on_dry_run=True)
                    )
    causes = [(fault, hazard) for hazard, faults in menu.items() for _, fault in faults]
    strike = noted(plan.strike_call, causes, notes)

    def striking(call: str, **options: Any) -> Any:
        if call == _TRANSFER and is_agent_empty():
            notes.reach(f"fault {Hazard.AGENT_EMPTY}")
            return [deriv.Refuse(_EMPTY)]
        return strike(call, **options)

    plan.strike_call = striking  # type: ignore[method-assign]  # as above
    plan.strike_push = noted(plan.strike_push, causes, notes)  # type: ignore[method-assign]  # as above


def noted(strike: Callable[..., Any], causes: Sequence[tuple[Any, Hazard]], notes: Notes) -> Callable[..., Any]:
    """The same draw from a plan, which also counts what struck.

    Two hazards may hold equal faults, so it is the very fault that tells; and all of them are kept alive for that.
    """

    def noting(*arguments: Any, **options: Any) -> Any:
        struck = strike(*arguments, **options)
        for one in struck if isinstance(struck, list) else [struck]:
            for hazard in (hazard for fault, hazard in causes if fault is one):
                notes.reach(f"fault {hazard}")
        return struck

    return noting
