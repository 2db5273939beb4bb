"""`penpay simulate`: the whole system under faults, as many seeds as wanted, or one of them told step by step."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import rmtree
from typing import Annotated, Final

import typer

from penpay.cli.crash_points import crash_everywhere
from penpay.cli.mutants import hunt_mutants, mutants_called
from penpay.cli.output import AsJson, show_json
from penpay.cli.progress import Progress
from penpay.cli.session import FAILED, fail
from penpay.cli.simulated import found, show_summary, summary
from penpay.simulation.profile import profile_of
from penpay.simulation.reduction import kind_of, reduce
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.search import Run, Tally, Workers, simulation_folder

_REDUCED_AT_MOST: Final = 5
"""Kinds of failure that are made small in one call; more of them are not understood at once anyway."""


def simulate(  # noqa: PLR0917  (typer gives options by name)
    seeds: Annotated[str | None, typer.Option(metavar="A..B", help="Run these seeds.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Run this seed.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes run seeds.")] = os.cpu_count() or 1,
    trace: Annotated[bool, typer.Option("--trace", help="Tell everything that happens in the one seed.")] = False,  # noqa: FBT002  (a flag)
    users: Annotated[int | None, typer.Option(min=1, max=3, help="Not as drawn, but so many users.")] = None,
    deposits: Annotated[int | None, typer.Option(min=1, max=9, help="So many deposits a user.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=4, help="So many processes.")] = None,
    only: Annotated[str | None, typer.Option(metavar="FAULTS", help="Only these: crash,pause+ or nothing.")] = None,
    crash_points: Annotated[bool, typer.Option("--crash-points", help="Crash at every point of every flow.")] = False,  # noqa: FBT002  (a flag)
    pairs: Annotated[bool, typer.Option("--pairs", help="With --crash-points: also at pairs of points.")] = False,  # noqa: FBT002  (a flag)
    mutants: Annotated[bool, typer.Option("--mutants", help="Plant every known bug, and find it.")] = False,  # noqa: FBT002  (a flag)
    mutant: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Plant this bug, and find it.")] = None,
    as_json: AsJson = False,  # noqa: FBT002  (a flag)
) -> None:
    """Run the whole system under faults drawn from seeds; exit status 1 when any invariant breaks.

    A seed decides everything that happens, so that whatever it finds can be looked at again. With --only, a fault with
    `+` behind it happens as often as can be, and all that are not named never happen.
    """
    narrowing = Narrowing(users=users, deposits=deposits, processes=processes, only=only)
    if crash_points or pairs:
        if not crash_points or trace or (seeds, seed, narrowing) != (None, None, Narrowing()):
            raise typer.BadParameter("It goes with --jobs, --pairs and --json only.", param_hint="--crash-points")
        _end(lambda: crash_everywhere(jobs, pairs=pairs, as_json=as_json))
        return
    if mutants or mutant:
        if trace or (seeds, seed, narrowing) != (None, None, Narrowing()):
            raise typer.BadParameter("They go with --jobs and --json only.", param_hint="--mutants")
        chosen = mutants_called(mutant or [])
        _end(lambda: hunt_mutants(chosen, jobs, as_json=as_json))
        return
    span = _span(seeds, seed)
    try:
        narrowing.of(profile_of(span[0]))
    except ValueError as unknown:
        raise typer.BadParameter(str(unknown), param_hint="--only") from None
    if trace and (seed is None or as_json):
        raise typer.BadParameter("It tells of one --seed, and not as JSON.", param_hint="--trace")
    _end(lambda: _tell(span[0], narrowing) if trace else _search(span, narrowing, jobs, as_json=as_json))


def _end(work: Callable[[], bool]) -> None:
    """Do it; exit status 1 when it finds something, or is interrupted."""
    try:
        with _terminated_as_interrupted():
            good = work()
    except KeyboardInterrupt:
        fail("interrupted", "The simulation was interrupted before its end.")
    if not good:
        raise typer.Exit(FAILED)


def _span(seeds: str | None, seed: int | None) -> range:
    if (seeds is None) == (seed is None):
        raise typer.BadParameter("Give either --seeds A..B or --seed N.", param_hint="--seeds")
    if seed is not None:
        return range(seed, seed + 1)
    given = re.fullmatch(r"([0-9]{1,12})\.\.([0-9]{1,12})", seeds or "")
    if given is None or int(given[1]) > int(given[2]):
        raise typer.BadParameter("Seeds are given as 1..300, the smaller one first.", param_hint="--seeds")
    return range(int(given[1]), int(given[2]) + 1)


def _tell(seed: int, narrowing: Narrowing) -> bool:
    """Tell one seed on standard output: the same bytes every time."""
    folder = simulation_folder()
    try:
        outcome = Simulator(folder).run(seed, profile=narrowing.of(profile_of(seed)), keep_trace=True)
    finally:
        rmtree(folder, ignore_errors=True)
    typer.echo(f"seed {seed}: {outcome.profile.describe()}")
    for line in outcome.lines:
        typer.echo(line)
    typer.echo(f"{outcome.steps} steps, trace {outcome.trace_hash}")
    typer.echo(f"ended as {', '.join(outcome.states) or 'nothing'}")
    for finding in outcome.broken:
        typer.echo(f"broken: {finding}")
    return not outcome.broken


def _search(span: range, narrowing: Narrowing, jobs: int, *, as_json: bool) -> bool:
    tally = Tally()
    with Progress(len(span)) as progress, Workers(min(jobs, len(span))) as workers:
        for outcome in workers.run(Run(seed, narrowing.of(profile_of(seed))) for seed in span):
            tally.add(outcome)
            progress.show(tally.seeds, len(tally.broken))
        took_ms = progress.elapsed_ms
        reduced = _reduced(tally, workers, progress)
    told = summary(span, narrowing, tally, took_ms, reduced)
    if as_json:
        show_json(told)
    else:
        show_summary(told)
    return not found(told)


def _reduced(tally: Tally, workers: Workers, progress: Progress) -> dict[int, Outcome]:
    """By seed, the smallest run found of one failure of each kind: the one that takes the fewest steps."""
    chosen: dict[str, Outcome] = {}
    for outcome in sorted(tally.broken, key=lambda one: (one.steps, one.seed)):
        if outcome.steps:
            chosen.setdefault(kind_of(outcome), outcome)
    reduced = {}
    for failing in list(chosen.values())[:_REDUCED_AT_MOST]:
        progress.say(f"reducing seed {failing.seed}: {failing.broken[0]}")
        reduced[failing.seed] = reduce(failing, lambda profile, seed=failing.seed: workers.one(Run(seed, profile)))  # type: ignore[misc]  # bound now
    return reduced


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Being terminated is taken like Ctrl-C, so that processes and folders are cleared away."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
