"""One simulator for all tests of a process: its databases are migrated and seeded once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penpay.simulation.run import Simulator
from penpay.simulation.search import simulation_folder


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    simulator = Simulator(simulation_folder())
    yield simulator
    simulator.close()
