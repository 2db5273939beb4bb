"""Every seed that ever found something, and the first half of the three hundred, are clean."""

from __future__ import annotations

import pytest

from penpay.simulation.run import Simulator
from tests.simulation.runs import findings, named, regressions, shares


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "found"), regressions(), ids=lambda value: str(value)[:60])
def test_what_was_once_found_stays_mended(simulator: Simulator, seed: int, found: str) -> None:
    """A seed that once broke an invariant breaks none."""
    assert () == simulator.run(seed).broken, f"it once found that {found}"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", shares(range(1, 151)), ids=named)
def test_seeds_are_clean(simulator: Simulator, seeds: range) -> None:
    """Whatever these seeds do to the system, no invariant breaks and money moves."""
    assert [] == findings(simulator, seeds)
