"""The same seed is the same run: again, in another process, and however the process hashes text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penpay.simulation.run import Simulator

SEEDS = (3, 14, 21)
"""With crashes, two processes and forged callbacks among them."""


def told(seed: int, hash_seed: str, folder: Path) -> bytes:
    """Everything a process of its own, elsewhere, tells of a seed."""
    done = subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, "-m", "penpay", "simulate", "--seed", str(seed), "--trace"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_is_the_same_run_every_time(simulator: Simulator, seed: int, tmp_path: Path) -> None:
    """Two runs in one process have one trace, and three processes that hash otherwise tell it byte for byte."""
    first, second = simulator.run(seed), simulator.run(seed, keep_trace=True)
    elsewhere = {told(seed, hash_seed, tmp_path) for hash_seed in ("0", "1", "random")}

    assert first.trace_hash == second.trace_hash
    assert (first.reached, first.steps) == (second.reached, second.steps)
    (trace,) = elsewhere
    assert list(second.lines) == trace.decode().splitlines()[1 : len(second.lines) + 1]
    assert f"trace {first.trace_hash}" in trace.decode()


def test_other_seeds_are_other_runs(simulator: Simulator) -> None:
    """A trace that never changed would prove nothing."""
    assert len({simulator.run(seed).trace_hash for seed in SEEDS}) == len(SEEDS)
