"""Running seeds and saying of each how to see it again."""

from __future__ import annotations

from collections.abc import Iterable

from penpay.simulation.run import Simulator


def clean(simulator: Simulator, seeds: Iterable[int]) -> None:
    """Run them; every one must end clean, and together they must have done something."""
    ended = 0
    for seed in seeds:
        outcome = simulator.run(seed)
        assert () == outcome.broken, f"penpay simulate --seed {seed} --trace"
        ended += sum(state.startswith("COMPLETED") for state in outcome.states)
    assert ended > 0, "no deposit was completed"
