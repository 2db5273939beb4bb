"""`penpay simulate --crash-points`: the process killed at every commit and external call of every flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer

from penpay.cli.output import show_json
from penpay.cli.progress import Progress
from penpay.cli.session import fail
from penpay.simulation import crash_points
from penpay.simulation.crash_point_table import page, plain
from penpay.simulation.crash_points import Row, carry_out, number
from penpay.simulation.flows import FLOWS
from penpay.simulation.run import Outcome
from penpay.simulation.search import Run, Workers


def crash_everywhere(jobs: int, *, pairs: bool, as_json: bool) -> bool:
    """Kill at every point, show the page or the plain values; whether every invariant held."""
    with Workers(jobs) as workers:
        numbered = number(FLOWS, workers.run)
        once = _crashed(crash_points.singles(FLOWS, numbered), workers)
        if crash_points.astray(numbered, once):
            fail("program_changed", "The program was changed while it ran; run it again.")
        twice = _crashed(crash_points.pairs(FLOWS, once), workers) if pairs else []
        rows = [*numbered, *once, *twice]
    if as_json:
        show_json(plain(rows))
    else:
        typer.echo(page(rows), nl=False)
    return not any(row.broken for row in rows)


def _crashed(runs: list[Run], workers: Workers) -> list[Row]:
    with Progress(len(runs), "runs") as progress:

        def watched(waiting: Iterable[Run]) -> Iterator[Outcome]:
            broken = 0
            for done, outcome in enumerate(workers.run(waiting), start=1):
                broken += bool(outcome.broken)
                progress.show(done, broken)
                yield outcome

        return carry_out(runs, watched)
