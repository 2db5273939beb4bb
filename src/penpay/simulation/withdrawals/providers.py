"""What M-Pesa does wrong with payouts, and Deriv with the calls that take a client's dollars."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Final

from penpay.sandbox.deriv import faults as deriv
from penpay.sandbox.faults import (
    DarajaCall,
    Fault,
    FaultPlan,
    FaultRule,
    ForcedResult,
    QueuedTooLong,
    Spoilt,
    SpoiltReply,
)
from penpay.simulation.nemesis import Nemesis, Notes
from penpay.simulation.profile import Hazard, Profile
from penpay.simulation.provider_faults import AFTERWARDS, noted

WITHDRAW: Final = "paymentagent_withdraw"
MAIL: Final = "verify_email"
_FAILURES: Final = (
    ("8", "Declined due to limit rule: would exceed the maximum balance."),
    ("2040", "Credit Party customer type can't be supported by the service."),
    ("17", "System internal error."),
    ("26", "System busy. The service request is rejected."),
    ("1", "The balance is insufficient for the transaction."),
)
_REFUSALS: Final = (
    "Your cashier is locked.",
    "Request too frequent. Please try again later.",
    "This is a sentence nobody has listed.",
)


def break_payouts(plan: FaultPlan, profile: Profile, chance: random.Random, nemesis: Nemesis, notes: Notes) -> None:
    """Put the profile's faults of payouts into force, behind those that are there."""
    menu: dict[Hazard, list[Fault]] = {
        Hazard.PAYOUT_REFUSED: [SpoiltReply(call=DarajaCall.B2C, reply=one) for one in chance.sample(tuple(Spoilt), 2)],
        Hazard.PAYOUT_SPOILT: [
            SpoiltReply(call=DarajaCall.B2C, reply=one, done=True) for one in chance.sample(AFTERWARDS, 2)
        ],
        Hazard.PAYOUT_QUEUED: [QueuedTooLong(milliseconds=chance.randint(0, 30_000))],
        Hazard.STATUS_SPOILT: [
            SpoiltReply(call=DarajaCall.STATUS, reply=chance.choice(AFTERWARDS), done=done) for done in (True, False)
        ],
    }
    for hazard, faults in menu.items():
        for fault in faults:
            if permille := profile.permille(hazard):
                plan.add(FaultRule(fault=fault, times=None, permille=max(1, permille // len(faults))))
    causes = [(fault, hazard) for hazard, faults in menu.items() for fault in faults]
    plan.take = _failing(noted(plan.take, causes, notes), nemesis)  # type: ignore[method-assign]  # the same, and noted


def _failing(take: Any, nemesis: Nemesis) -> Any:
    """The same draw, and some payouts are not made; a rule cannot say that pushes are not meant.

    Whether a payout is to fail is asked right after whether it waits too long, which is asked of nothing else.
    """
    asked: list[bool] = [False]

    def taking(kind: Any, **about: Any) -> Any:
        struck = take(kind, **about)
        is_payout, asked[0] = asked[0], kind is QueuedTooLong and about.get("msisdn") is not None
        if kind is not ForcedResult or struck is not None or not is_payout:
            return struck
        if not nemesis.strikes(Hazard.PAYOUT_FAILED):
            return None
        code, text = nemesis.choose(Hazard.PAYOUT_FAILED, _FAILURES)
        return ForcedResult(code=code, text=text, after_ms=nemesis.choose(Hazard.PAYOUT_FAILED, (0, 5_000, 30_000)))

    return taking


def break_debits(plan: deriv.FaultPlan, profile: Profile, chance: random.Random, notes: Notes) -> None:
    """Put the profile's faults of Deriv into force for a client's own session too."""
    refusal = deriv.Refuse(chance.choice(_REFUSALS), code="PaymentAgentWithdrawError")
    menu: dict[Hazard, list[tuple[str, deriv.CallFault]]] = {
        Hazard.DERIV_DROP_BEFORE: [(WITHDRAW, deriv.DropBeforeCommit()), (MAIL, deriv.DropBeforeCommit())],
        Hazard.DERIV_DROP_AFTER: [(WITHDRAW, deriv.DropAfterCommit()), (MAIL, deriv.DropAfterCommit())],
        Hazard.DERIV_WRONG_ANSWER: [
            (WITHDRAW, deriv.WrongResponse(committed=True)),
            (WITHDRAW, deriv.WrongResponse(committed=False)),
            (WITHDRAW, deriv.OutputValidationFailed()),
        ],
        Hazard.DERIV_LATE_ANSWER: [(WITHDRAW, deriv.AnswerAfter(chance.randint(100, 60_000)))],
        Hazard.DERIV_RATE_LIMITED: [(WITHDRAW, deriv.RateLimited()), (MAIL, deriv.RateLimited())],
        Hazard.DERIV_TOKEN_REVOKED: [(WITHDRAW, deriv.TokenRevoked())],
        Hazard.DERIV_REFUSES: [(WITHDRAW, refusal), (WITHDRAW, replace(refusal, message=_REFUSALS[-1]))],
    }
    for hazard, faults in menu.items():
        for call, fault in faults:
            if permille := profile.permille(hazard):
                share = max(1, permille // len(faults)) * 1_000
                plan.add(deriv.FaultRule(fault=fault, call=call, times=None, chance_ppm=share))
                plan.add(deriv.FaultRule(fault=fault, call=call, times=None, chance_ppm=share // 4, on_dry_run=True))
    causes = [(fault, hazard) for hazard, faults in menu.items() for _, fault in faults]
    plan.strike_call = noted(plan.strike_call, causes, notes)  # type: ignore[method-assign]  # as above
