"""Every planted bug."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from penpay.simulation.mutants.believing import BELIEVING, IDENTITY
from penpay.simulation.mutants.booking import BOOKING
from penpay.simulation.mutants.collecting import COLLECTING
from penpay.simulation.mutants.committing import COMMITTING
from penpay.simulation.mutants.enduring import ENDURING
from penpay.simulation.mutants.operating import OPERATING
from penpay.simulation.mutants.planting import Mutant
from penpay.simulation.mutants.refuting import REFUTING
from penpay.simulation.mutants.sending import SENDING
from penpay.simulation.mutants.serving import SERVING
from penpay.simulation.mutants.telling import TELLING
from penpay.simulation.mutants.trading import TRADING
from penpay.simulation.mutants.withdrawing import WITHDRAWING

_EVERY: Final = (
    *SENDING,
    *BELIEVING,
    *BOOKING,
    *COMMITTING,
    *ENDURING,
    *TELLING,
    *OPERATING,
    *SERVING,
    *COLLECTING,
    *TRADING,
    *WITHDRAWING,
    *REFUTING,
    *IDENTITY,
)
_BY_NAME_ONLY: Final = frozenset({"refund_approved_by_proposer", "stale_look_up_accepted", "till_push_sent_again"})
"""Those that escaped, which the page does not take; docs/simulation.md says why."""
MUTANTS: Final[tuple[Mutant, ...]] = tuple(mutant for mutant in _EVERY if mutant.name not in _BY_NAME_ONLY)
"""Those on the page, in its order."""
BY_NAME: Final = MappingProxyType({mutant.name: mutant for mutant in _EVERY})
"""Every bug that can be planted."""
