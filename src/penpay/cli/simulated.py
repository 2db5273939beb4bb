"""What a simulation came to, as one object for machines and as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

import typer

from penpay.cli.output import show_table
from penpay.simulation.coverage import universe
from penpay.simulation.replay import Narrowing, narrowing_to, replay_line
from penpay.simulation.run import Outcome
from penpay.simulation.search import Tally

_MINUTE_MS: Final = 60_000
_PASSED: Final = "point "
_STRUCK: Final = "crash "


class Reduced(TypedDict):
    """A failure made small."""

    first: str
    profile: str
    replay: str


class Failure(TypedDict):
    """A seed that broke something."""

    seed: int
    first: str
    broken: list[str]
    replay: str
    reduced: Reduced | None


class Summary(TypedDict):
    """What is printed as JSON; the tables tell the same."""

    seeds: str
    ran: int
    took_ms: int
    seeds_per_minute: int
    steps: int
    final_states: dict[str, int]
    reached: dict[str, dict[str, int]]
    never_reached: dict[str, list[str]]
    crash_points: dict[str, dict[str, int]]
    missing_work: list[str]
    failures: list[Failure]


def summary(span: range, narrowing: Narrowing, tally: Tally, took_ms: int, reduced: Mapping[int, Outcome]) -> Summary:
    """Everything there is to tell; failures by seed."""
    times = {kind: {what: tally.reached[f"{kind} {what}"] for what in whats} for kind, whats in universe().items()}
    points = {what.removeprefix(_PASSED) for what in tally.reached if what.startswith(_PASSED)}
    return Summary(
        seeds=f"{span[0]}..{span[-1]}",
        ran=tally.seeds,
        took_ms=took_ms,
        seeds_per_minute=tally.seeds * _MINUTE_MS // took_ms,
        steps=tally.steps,
        final_states=dict(sorted(tally.final_states.items())),
        reached={kind: {what: often for what, often in whats.items() if often} for kind, whats in times.items()},
        never_reached={kind: [what for what, often in whats.items() if not often] for kind, whats in times.items()},
        crash_points={
            point: {"passed": tally.reached[_PASSED + point], "struck": tally.reached[_STRUCK + point]}
            for point in sorted(points)
        },
        missing_work=tally.missing_work(),
        failures=[
            _failure(outcome, narrowing, reduced.get(outcome.seed))
            for outcome in sorted(tally.broken, key=lambda one: one.seed)
        ],
    )


def _failure(outcome: Outcome, narrowing: Narrowing, smaller: Outcome | None) -> Failure:
    return Failure(
        seed=outcome.seed,
        first=outcome.broken[0],
        broken=list(outcome.broken),
        replay=replay_line(outcome.seed, narrowing),
        reduced=None
        if smaller is None
        else Reduced(
            first=smaller.broken[0],
            profile=smaller.profile.describe(),
            replay=replay_line(smaller.seed, narrowing_to(smaller.profile)),
        ),
    )


def found(told: Summary) -> bool:
    """Whether anything is wrong: with a seed, or with the run as a whole."""
    return bool(told["failures"] or told["missing_work"])


def show_summary(told: Summary) -> None:
    """Tell it to people: coverage first, so that what is broken stands last."""
    show_table(
        ("reached", "how often"),
        [(f"{kind} {len(counts)}", _counted(counts)) for kind, counts in told["reached"].items()],
    )
    show_table(
        ("never reached", ""),
        [(f"{kind} {len(missing)}", ", ".join(missing)) for kind, missing in told["never_reached"].items() if missing],
    )
    points = told["crash_points"]
    spared = [point for point, times in points.items() if not times["struck"]]
    # Chance decides which commands share a commit, so that not every mixture can be expected to be struck.
    alone = [point for point in spared if "+" not in point]
    show_table(
        ("seeds", told["seeds"]),
        [
            ("seeds/min", str(told["seeds_per_minute"])),
            ("final states", _counted(told["final_states"])),
            ("crash points", f"{len(points)} passed, {len(points) - len(spared)} of them struck"),
            ("never struck", ", ".join(alone)),
            ("broken", str(len(told["failures"]))),
        ],
    )
    for failure in told["failures"]:
        _show_failure(failure)
    if told["missing_work"]:
        typer.echo(f"error: no_work: The run has shown nothing: {', '.join(told['missing_work'])}.", err=True)


def _show_failure(failure: Failure) -> None:
    typer.echo(f"seed {failure['seed']} broke {failure['first']}")
    typer.echo(f"  {failure['replay']}")
    reduced = failure["reduced"]
    if reduced is not None:
        typer.echo(f"  reduced to {reduced['profile']}: {reduced['first']}")
        typer.echo(f"  {reduced['replay']}")


def _counted(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{what} {times}" for what, times in counts.items())
