"""A world laid down instead of drawn: what the providers do wrong and what the payer does, the same in every run.

With a script the nemesis draws nothing. What remains of chance is the order of steps and the length of waits, and both
come from the seed; so a run differs from another of the same script and seed by the planned crashes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from penpay.sandbox.deriv import faults as deriv
from penpay.sandbox.faults import FaultPlan, FaultRule
from penpay.simulation.profile import Hazard, Level, Profile

LOOKS: Final = 5
LOOK_EVERY_SECONDS: Final = 20
"""How often the user of a script looks at her deposit: for longer than any prompt of a script takes to be answered."""
Rule: TypeAlias = FaultRule | deriv.FaultRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One user, one deposit or withdrawal, one process."""

    withdraws: bool = False
    """Whether she withdraws instead of depositing."""
    pays_out: bool = False
    """Whether M-Pesa pays out in our name, so that refused deposits go back; it does if she withdraws."""
    payer: str = "pays"
    """What the owner of the handset does with a prompt: pays, cancels, errs or sleeps."""
    faults: tuple[tuple[Hazard, Rule], ...] = ()
    """What goes wrong at the providers, in the order the plans try it, and which hazard that is.

    It stays in force when the world is healed: what is laid down ends by itself.
    """

    def lay_down(self, daraja: FaultPlan, at_deriv: deriv.FaultPlan) -> None:
        """Put the faults into force."""
        for _, rule in self.faults:
            if isinstance(rule, FaultRule):
                daraja.add(rule)
            else:
                at_deriv.add(rule)

    def profile(self, *, crashes: bool) -> Profile:
        """The profile that owns up to what happens here, for the invariants: a review needs a cause."""
        hazards = dict.fromkeys((hazard for hazard, _ in self.faults), Level.MILD)
        if self.withdraws or self.pays_out:
            hazards[Hazard.WITHDRAWALS] = Level.MILD
        if crashes:
            hazards[Hazard.CRASH] = Level.MILD
        return Profile(
            users=1,
            deposits=0 if self.withdraws else 1,
            processes=1,
            hazards=hazards,
            old_pending_style=False,
            strict_tokens=False,
            limited_queries=False,
        )
