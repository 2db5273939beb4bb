"""Every planted bug."""

from __future__ import annotations

from typing import Final

from penpay.simulation.mutants.believing import BELIEVING
from penpay.simulation.mutants.booking import BOOKING
from penpay.simulation.mutants.committing import COMMITTING
from penpay.simulation.mutants.enduring import ENDURING
from penpay.simulation.mutants.operating import OPERATING
from penpay.simulation.mutants.planting import Mutant
from penpay.simulation.mutants.sending import SENDING
from penpay.simulation.mutants.telling import TELLING

MUTANTS: Final[tuple[Mutant, ...]] = (*SENDING, *BELIEVING, *BOOKING, *COMMITTING, *ENDURING, *TELLING, *OPERATING)
