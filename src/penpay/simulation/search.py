"""Running many seeds on several processes, and adding up what they came to.

A process that runs seeds is replaced after some hundred of them, so that memory stays flat however long the search
goes on, and killed when one seed takes longer than any should; that seed counts as broken.
"""

from __future__ import annotations

import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from shutil import rmtree
from typing import Final, Self

from penpay.infrastructure.system import SystemClock
from penpay.simulation.profile import Profile, profile_of
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.script import Script

SEEDS_PER_PROCESS: Final = 250
SEED_MS_AT_MOST: Final = 180_000
"""Real time; a usual seed takes less than a second."""
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (only a folder of a random name is made there)


def simulation_folder() -> Path:
    """A new folder for databases, in memory where there is such a place."""
    return Path(tempfile.mkdtemp(prefix="penpay-simulation-", dir=_MEMORY if _MEMORY.is_dir() else None))


@dataclass(frozen=True, slots=True)
class Run:
    """A seed to run, with the profile it draws or with this one."""

    seed: int
    profile: Profile | None = None
    planned: tuple[int, ...] = ()
    """Crash points to strike, by number."""
    script: Script | None = None

    def live(self, simulator: Simulator) -> Outcome:
        """Run it here."""
        return simulator.run(self.seed, profile=self.profile, planned=self.planned, script=self.script)

    def lost(self, why: str) -> Outcome:
        """What is told of a run that told nothing itself."""
        return Outcome(
            seed=self.seed,
            profile=self.profile or profile_of(self.seed),
            broken=(why,),
            planned=self.planned,
            script=self.script,
        )


@dataclass(slots=True)
class _Worker:
    """A process that runs one seed at a time."""

    process: SpawnProcess
    pipe: Connection
    seeds_left: int
    run: Run | None = None
    until_ms: int = 0


class Workers:
    """Processes that run seeds, for a `with` block, at whose end they and all they have written are gone."""

    def __init__(self, jobs: int, *, seed_ms_at_most: int = SEED_MS_AT_MOST) -> None:
        self._jobs = jobs
        self._seed_ms_at_most = seed_ms_at_most
        self._clock = SystemClock()
        # Not forked: whoever searches may have threads, such as a progress bar's.
        self._processes = get_context("spawn")
        self._started = 0
        self._workers: list[_Worker] = []
        self._folder: Path

    def __enter__(self) -> Self:
        self._folder = simulation_folder()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._workers):
            self._end(worker)
        rmtree(self._folder, ignore_errors=True)

    def run(self, runs: Iterable[Run]) -> Iterator[Outcome]:
        """Run them all; the outcomes come as they are ready."""
        waiting = iter(runs)
        while True:
            self._hand_out(waiting)
            busy = [worker for worker in self._workers if worker.run is not None]
            if not busy:
                return
            until_ms = min(worker.until_ms for worker in busy)
            left_ms = max(0, until_ms - self._clock.monotonic_ms())
            ready = wait([worker.pipe for worker in busy], left_ms / 1_000)
            now_ms = self._clock.monotonic_ms()
            for worker in busy:
                if worker.pipe in ready:
                    yield self._take(worker)
                elif worker.until_ms <= now_ms and worker.run is not None:
                    run = worker.run
                    self._end(worker)
                    yield run.lost(f"time: no end within {self._seed_ms_at_most // 1_000} s of real time")

    def one(self, run: Run) -> Outcome:
        """Run one seed and wait for it."""
        (outcome,) = self.run([run])
        return outcome

    def _hand_out(self, waiting: Iterator[Run]) -> None:
        """Give every idle worker something to do; replace those that have done enough."""
        for worker in list(self._workers):
            if worker.run is None and not worker.seeds_left:
                self._end(worker)
        while idle := next((worker for worker in self._workers if worker.run is None), None) or self._new():
            run = next(waiting, None)
            if run is None:
                return
            idle.run = run
            idle.seeds_left -= 1
            idle.until_ms = self._clock.monotonic_ms() + self._seed_ms_at_most
            with suppress(BrokenPipeError):  # it has died; reading from it will say so
                idle.pipe.send(run)

    def _new(self) -> _Worker | None:
        """One more process, unless there are as many as there may be."""
        if len(self._workers) >= self._jobs:
            return None
        self._started += 1
        ours, theirs = self._processes.Pipe()
        process = self._processes.Process(
            target=_serve, args=(theirs, self._folder / f"worker-{self._started}"), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours, SEEDS_PER_PROCESS)
        self._workers.append(worker)
        return worker

    def _take(self, worker: _Worker) -> Outcome:
        """The outcome a worker has ready, or what is to be said if it died over its seed."""
        run, worker.run = worker.run, None
        try:
            outcome: Outcome = worker.pipe.recv()
        except (EOFError, ConnectionError):
            self._end(worker)
            if run is None:
                raise
            return run.lost("process: it ended without an answer")
        return outcome

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


def _serve(pipe: Connection, folder: Path) -> None:
    """What a process does: run what it is sent until it is killed, or until nobody is there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever searches, who then ends this
    simulator = Simulator(folder)
    try:
        while True:
            run: Run = pipe.recv()
            try:
                outcome = run.live(simulator)
            except Exception as fault:  # noqa: BLE001  (the simulation's own fault must be seen, and the rest go on)
                outcome = run.lost(f"simulation: {type(fault).__name__}: {fault}")
            pipe.send(outcome)
    except (EOFError, ConnectionError):
        simulator.close()
        with suppress(OSError):  # others may still be at work there
            folder.parent.rmdir()


@dataclass(slots=True)
class Tally:
    """What many seeds came to."""

    seeds: int = 0
    broken: list[Outcome] = field(default_factory=list)
    final_states: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    steps: int = 0

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.final_states.update(outcome.states)
        self.reached.update(outcome.reached)
        self.steps += outcome.steps
        if outcome.broken:
            self.broken.append(outcome)

    def missing_work(self) -> list[str]:
        """What was not done at all; a run without it has shown nothing."""
        done = {
            "no transaction": sum(self.final_states.values()),
            "no commit": sum(times for what, times in self.reached.items() if what.startswith("point after commit ")),
            "no money moved": sum(times for what, times in self.reached.items() if what.startswith("journal ")),
        }
        return [what for what, times in done.items() if not times]
