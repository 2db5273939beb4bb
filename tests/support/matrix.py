"""What became of each fault at each step of the two sagas: the table at the end of a run, told by its stories.

A story says with the marker `path` which cell it is and how it ends. The stages of deposits and withdrawals look into
the books when the story is over: a story that ended in another way, or left money nobody accounts for, fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pytest

STEPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "deposit": ("quote", "prompt", "callback", "question", "transfer", "refund", "process"),
        "withdrawal": ("quote", "code", "debit", "credit", "payout", "result", "return", "process"),
    }
)
"""The steps of each saga, in their order; `process` is the program itself."""
OUTCOMES: Final = ("COMPLETED", "FAILED", "REVERSED", "IN_REVIEW", "REFUSED")
"""How a story can end: as its newest transaction did, or refused before there was one."""
_CELL: Final = "path"
_FOUND: Final = "path_found"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault at one step, and what must become of it."""

    saga: str
    step: str
    fault: str
    outcome: str

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it stands in the table."""
        return list(STEPS).index(self.saga), STEPS[self.saga].index(self.step), self.fault


def cell_of(item: pytest.Item) -> Cell | None:
    """The cell a story says it is; None where it says nothing. Raises UsageError for one that no table has."""
    marker = item.get_closest_marker("path")
    if marker is None:
        return None
    cell = Cell(**marker.kwargs)
    if cell.step not in STEPS.get(cell.saga, ()) or cell.outcome not in OUTCOMES:
        raise pytest.UsageError(f"{item.nodeid}: {cell} has no place in the table")
    return cell


def note(items: Iterable[pytest.Item]) -> None:
    """Let the report of each story carry its cell, from whatever process runs it."""
    for item in items:
        cell = cell_of(item)
        if cell is not None:
            item.user_properties.append((_CELL, (cell.saga, cell.step, cell.fault, cell.outcome)))


def found(item: pytest.Item, how: str) -> None:
    """What the books told of the story's end, in more words than its outcome."""
    item.user_properties.append((_FOUND, how))


def table(stats: Mapping[str, Sequence[object]]) -> list[str]:
    """The lines of the table; none when the run told no such story. A cell whose story failed says so."""
    reports = [one for several in stats.values() for one in several if isinstance(one, pytest.TestReport)]
    bad = {report.nodeid for report in reports if report.failed}
    rows: dict[Cell, set[str]] = {}
    for report in reports:
        told: dict[str, Any] = dict(report.user_properties)
        if report.when != "teardown" or _CELL not in told or report.skipped:
            continue
        how = "DID NOT END SO" if report.nodeid in bad else str(told.get(_FOUND, ""))
        rows.setdefault(Cell(*told[_CELL]), set()).add(how)
    if not rows:
        return []
    lines = [("saga", "step", "fault", "outcome")]
    lines += [
        (cell.saga, cell.step, cell.fault, " / ".join([cell.outcome, *sorted(filter(None, hows))]))
        for cell, hows in sorted(rows.items(), key=lambda row: row[0].place)
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[3]]) for line in lines
    ]
