"""`penpay simulate --mutants`: bugs planted on purpose, and how many seeds it takes until each is found."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from penpay.cli.output import show_json
from penpay.cli.progress import Progress
from penpay.simulation.mutants.catalogue import BY_NAME, MUTANTS
from penpay.simulation.mutants.hunting import hunt
from penpay.simulation.mutants.planting import Mutant
from penpay.simulation.mutants.table import page, plain
from penpay.simulation.search import Workers


def mutants_called(names: Sequence[str]) -> list[Mutant]:
    """These, or all of the page where none is named. Raises BadParameter for a name that is none."""
    if unknown := sorted(set(names) - set(BY_NAME)):
        raise typer.BadParameter(f"There is no {', '.join(unknown)}; there are {', '.join(BY_NAME)}.")
    return [mutant for mutant in BY_NAME.values() if mutant.name in names] if names else list(MUTANTS)


def hunt_mutants(mutants: Sequence[Mutant], jobs: int, *, as_json: bool) -> bool:
    """Hunt them one after another, show the page or the plain values; whether none escaped."""
    catches = []
    with Progress(len(mutants), "bugs") as progress, Workers(jobs) as workers:
        for mutant in mutants:
            progress.say(f"hunting {mutant.name}: {mutant.bug}")
            catches.append(catch := hunt(mutant, workers.run))
            progress.say(f"  {'escaped' if catch.escaped else 'found'}: seeds {catch.needed}, {catch.finding}")
            progress.show(len(catches), sum(catch.escaped for catch in catches))
    if as_json:
        show_json(plain(catches))
    else:
        typer.echo(page(catches), nl=False)
    return not any(catch.escaped for catch in catches)
