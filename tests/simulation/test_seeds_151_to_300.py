"""The second half of the three hundred seeds is clean; a module of its own, so that two processes share them."""

from __future__ import annotations

import pytest

from penpay.simulation.run import Simulator
from tests.simulation.runs import findings, named, shares


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", shares(range(151, 301)), ids=named)
def test_seeds_are_clean(simulator: Simulator, seeds: range) -> None:
    """Whatever these seeds do to the system, no invariant breaks and money moves."""
    assert [] == findings(simulator, seeds)
