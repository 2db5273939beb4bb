"""What lives in a world: processes of the program, and others beside them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from penpay.bootstrap import System
from penpay.simulation.loop import Process
from penpay.simulation.ports import SimClock


@dataclass(slots=True)
class Life:
    """One running process of the program."""

    slot: int
    process: Process
    clock: SimClock
    system: System
    started_us: int
    is_serving: bool = False


class Beside(Protocol):
    """Something with a life of its own in the same world."""

    def begin(self) -> list[asyncio.Task[None]]:
        """Start it; the tasks that are to be waited for."""
        ...

    def heal(self) -> None:
        """Everything works again."""
        ...

    async def finish(self) -> None:
        """What is left to do as soon as everything works."""
        ...
