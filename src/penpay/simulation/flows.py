"""The courses a deposit or a withdrawal can take that have crash points of their own, each as a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penpay.sandbox.deriv import faults as deriv
from penpay.sandbox.faults import (
    AlteredCallback,
    CallbackFirst,
    DarajaCall,
    Fault,
    FaultRule,
    ForcedResult,
    LateCallback,
    LostCallback,
    RepeatedCallback,
    Spoilt,
    SpoiltReply,
    StuckPending,
)
from penpay.simulation.profile import Hazard
from penpay.simulation.script import Rule, Script

_LATE_MS: Final = 60_000
_ALTERED_CENTS: Final = 12_300


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One course of a deposit or a withdrawal."""

    name: str
    story: str
    """What happens when nothing crashes, in one sentence."""
    script: Script
    in_pairs: bool = False
    """Whether it is also run with every pair of its first crash points."""
    only: str | None = None
    """Strike at this place alone, because all others are another flow's over and over; None: everywhere."""


def _at_daraja(hazard: Hazard, fault: Fault, *, times: int | None = 1) -> tuple[Hazard, Rule]:
    return hazard, FaultRule(fault=fault, times=times)


def _at_deriv(hazard: Hazard, fault: deriv.CallFault) -> tuple[Hazard, Rule]:
    return hazard, deriv.FaultRule(fault=fault)


_LOCKED: Final = deriv.Refuse("You cannot transfer to account CR0, as their cashier is locked.")
_WALLET_FULL: Final = _at_daraja(
    Hazard.PAYOUT_FAILED,
    ForcedResult(code="8", text="Declined due to limit rule: would exceed the maximum balance."),
)
_CALLBACK_LOST: Final = _at_daraja(Hazard.CALLBACK_LOST, LostCallback())
_PUSH_ANSWER_LOST: Final = _at_daraja(
    Hazard.PUSH_SPOILT, SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.CUT, done=True)
)

FLOWS: Final = (
    Flow(
        name="paid by callback",
        story="The payer pays, M-Pesa's callback says so, our question confirms it, and Deriv is funded.",
        script=Script(),
        in_pairs=True,
    ),
    Flow(
        name="callback lost",
        story="The payer pays and no callback comes; our question learns of the payment.",
        script=Script(faults=(_CALLBACK_LOST,)),
        in_pairs=True,
    ),
    Flow(
        name="callback late",
        story="Our question learns of the payment; the callback comes a minute later and only adds the receipt.",
        script=Script(faults=(_at_daraja(Hazard.CALLBACK_LATE, LateCallback(milliseconds=_LATE_MS)),)),
    ),
    Flow(
        name="callback twice",
        story="The callback comes twice.",
        script=Script(faults=(_at_daraja(Hazard.CALLBACK_REPEATED, RepeatedCallback(times=2)),)),
    ),
    Flow(
        name="callback before the answer",
        story="The callback comes before the answer to the push.",
        script=Script(faults=(_at_daraja(Hazard.CALLBACK_FIRST, CallbackFirst(at_most_ms=25_000)),)),
    ),
    Flow(
        name="callback with another amount",
        story="The callback tells another amount; our question confirms the payment: suspense and review.",
        script=Script(
            faults=(_at_daraja(Hazard.CALLBACK_ALTERED, AlteredCallback(amount_cents=_ALTERED_CENTS)),),
        ),
    ),
    Flow(
        name="cancelled",
        story="The payer cancels the prompt.",
        script=Script(payer="cancels"),
    ),
    Flow(
        name="wrong PIN",
        story="The payer enters a wrong PIN.",
        script=Script(payer="errs"),
    ),
    Flow(
        name="unanswered",
        story="Nobody answers the prompt, and no callback says so; our questions learn that it has ended.",
        script=Script(payer="sleeps", faults=(_CALLBACK_LOST,)),
    ),
    Flow(
        name="no prompt",
        story="M-Pesa takes the push on and then cannot reach the phone.",
        script=Script(
            faults=(
                _at_daraja(Hazard.FORCED_RESULT, ForcedResult(code="1037", text="DS timeout user cannot be reached")),
            )
        ),
    ),
    Flow(
        name="push turned away",
        story="Daraja is busy and takes the push on at the second try.",
        script=Script(
            faults=(_at_daraja(Hazard.PUSH_REFUSED, SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.SYSTEM_BUSY)),)
        ),
    ),
    Flow(
        name="push never taken on",
        only="commit mpesa_request.expired",
        story="Daraja turns the push away until the rate has expired.",
        script=Script(
            faults=(
                _at_daraja(
                    Hazard.PUSH_REFUSED, SpoiltReply(call=DarajaCall.PUSH, reply=Spoilt.SYSTEM_BUSY), times=None
                ),
            )
        ),
    ),
    Flow(
        name="answer to the push lost",
        story="The prompt is out and the answer to the push is lost; the callback tells how it ended.",
        script=Script(faults=(_PUSH_ANSWER_LOST,)),
        in_pairs=True,
    ),
    Flow(
        name="no word at all",
        story="The answer to the push is lost, and so is the callback; people decide after two days.",
        script=Script(faults=(_PUSH_ANSWER_LOST, _CALLBACK_LOST)),
    ),
    Flow(
        name="answer to the question pending",
        story="M-Pesa has confirmed by callback and says at first that the payment is still under way.",
        script=Script(faults=(_at_daraja(Hazard.STUCK_PENDING, StuckPending()),)),
    ),
    Flow(
        name="Deriv hangs up after the transfer",
        story="Deriv executes the transfer and hangs up; it is found in the statement.",
        script=Script(faults=(_at_deriv(Hazard.DERIV_DROP_AFTER, deriv.DropAfterCommit()),)),
        in_pairs=True,
    ),
    Flow(
        name="Deriv hangs up before the transfer",
        story="Deriv hangs up and has executed nothing; the statement stays empty and people decide.",
        script=Script(faults=(_at_deriv(Hazard.DERIV_DROP_BEFORE, deriv.DropBeforeCommit()),)),
    ),
    Flow(
        name="Deriv says later",
        story="Deriv turns the transfer away for its frequency and executes it at the second try.",
        script=Script(faults=(_at_deriv(Hazard.DERIV_RATE_LIMITED, deriv.RateLimited()),)),
    ),
    Flow(
        name="Deriv refuses",
        story="Deriv refuses the transfer for good; the dollars return to the wallet and people decide.",
        script=Script(
            faults=(
                _at_deriv(
                    Hazard.DERIV_REFUSES,
                    _LOCKED,
                ),
            )
        ),
    ),
    Flow(
        name="withdrawal",
        story="Deriv mails the code, gives up the dollars, M-Pesa pays the shillings, and our question confirms it.",
        script=Script(withdraws=True),
    ),
    Flow(
        name="withdrawal refused",
        story="M-Pesa refuses the shillings; our question confirms it, and the dollars go back to Deriv.",
        script=Script(withdraws=True, faults=(_WALLET_FULL,)),
    ),
    Flow(
        name="deposit refunded",
        story="Deriv refuses the transfer for good, and M-Pesa pays the payer back.",
        script=Script(pays_out=True, faults=(_at_deriv(Hazard.DERIV_REFUSES, _LOCKED),)),
    ),
    Flow(
        name="review carried out",
        story="M-Pesa refuses the shillings and Deriv the dollars; two people have them returned once more.",
        script=Script(withdraws=True, faults=(_WALLET_FULL, _at_deriv(Hazard.DERIV_REFUSES, _LOCKED))),
    ),
)
