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
from penpay.simulation.mutants.sending import SENDING
from penpay.simulation.mutants.serving import SERVING
from penpay.simulation.mutants.telling import TELLING
from penpay.simulation.mutants.withdrawing import WITHDRAWING

MUTANTS: Final[tuple[Mutant, ...]] = (
    *SENDING,
    *BELIEVING,
    *BOOKING,
    *COMMITTING,
    *ENDURING,
    *TELLING,
    *OPERATING,
)
"""Those on the page."""
BY_NAME: Final = MappingProxyType(
    {mutant.name: mutant for mutant in (*MUTANTS, *IDENTITY, *SERVING, *COLLECTING, *WITHDRAWING)}
)
"""Every bug that can be planted. The last four are not on the page yet, which takes three hunts of each."""
