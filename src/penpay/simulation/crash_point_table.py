"""What the crash points came to, as the page docs/crash_points.md and as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from penpay.simulation.crash_points import POINTS_IN_PAIRS, Row
from penpay.simulation.endings import Ending
from penpay.simulation.flows import FLOWS, Flow

_NOTHING_WRITTEN: Final = "commit of nothing: the schema is up to date"
_INTRODUCTION: Final = """# Crash points

Made by `make crash-points`; do not edit. What it shows is explained in `src/penpay/simulation/crash_points.py`.

Each flow is one deposit or withdrawal of one user, served by one process, in the deterministic simulation. At every
commit that writes and at every external call the process is killed once before it and once after it, with no last
word; another process starts within 12 s. After a commit means: it is done, and nobody was told. After a call means:
the other side has answered or hung up, and nothing is recorded. When everything is decided, all invariants are
checked.

A cell reads: status with its failure code and the reasons of its reviews, decided or not · state of the M-Pesa request,
or of the call that debits Deriv / states of payouts by M-Pesa and of Deriv transfers · virtual seconds from the start
of the world until that status. The lease is 200 s: what was being sent at the crash is `UNKNOWN` when it lapses, and
is asked about, never sent again."""


def page(rows: Sequence[Row]) -> str:
    """The whole page, the same bytes for the same rows."""
    by_flow = {flow.name: own for flow in FLOWS if (own := [row for row in rows if row.flow == flow.name])}
    parts = [_INTRODUCTION, _verdict(rows), _overview(by_flow)]
    parts += [section(flow, by_flow[flow.name]) for flow in FLOWS if flow.name in by_flow]
    return "\n\n".join(parts) + "\n"


def section(flow: Flow, rows: Sequence[Row]) -> str:
    """One flow: a line for every commit and call, and what its pairs came to."""
    first = next(row for row in rows if not row.planned)
    lines = [
        f"## {flow.name[0].upper()}{flow.name[1:]}",
        "",
        flow.story,
        "",
        "| points | commit or call | crash before it | crash after it |",
        "| --- | --- | --- | --- |",
        f"| | no crash | {cell(first)} | |",
        *table_lines(first, [row for row in rows if len(row.planned) == 1]),
    ]
    lines += _pair_lines([row for row in rows if len(row.planned) > 1])
    return "\n".join(lines)


def table_lines(first: Row, singles: Sequence[Row]) -> Iterator[str]:
    """A line for every commit and call that was struck: its two points and what a crash at each came to."""
    by_number = {row.planned[0]: row for row in singles}
    for before, after in sides(first.points):
        struck = [by_number.get(number) for number in (before, after)]
        if any(struck):
            cells = [cell(row) if row is not None else "" for row in struck]
            yield f"| {before}, {after} | {place_of(first.points[before - 1])} | {cells[0]} | {cells[1]} |"


def place_of(point: str) -> str:
    """Which commit or call a point belongs to, in words."""
    place = point.split(" ", 1)[1]
    return _NOTHING_WRITTEN if place == "commit " else place


def _pair_lines(pairs: Sequence[Row]) -> list[str]:
    """How often two crashes came to which end; nothing where there were none."""
    if not pairs:
        return []
    slowest: dict[str, int] = {}
    for row in pairs:
        slowest[_without_time(row)] = max(_seconds(row), slowest.get(_without_time(row), 0))
    counts = Counter(_without_time(row) for row in pairs)
    return [
        "",
        f"Two crashes, each at any of the first {POINTS_IN_PAIRS} points of the deposit's own that its process passes:",
        "",
        "| runs | end | slowest |",
        "| --- | --- | --- |",
        *(f"| {count} | {end} | {slowest[end]} s |" for end, count in _by_count(counts)),
    ]


def sides(points: Sequence[str]) -> list[tuple[int, int]]:
    """The numbers of the point before and the point after each commit and call, in the order they began.

    Raises ValueError when one side of a place is missing.
    """
    open_places: list[tuple[int, str]] = []
    found = []
    for number, point in enumerate(points, start=1):
        side, place = point.split(" ", 1)
        if side == "before":
            open_places.append((number, place))
            continue
        begun = next((one for one in open_places if one[1] == place), None)
        if begun is None:
            raise ValueError(f"point {number}, {point}, has no side before it")
        open_places.remove(begun)
        found.append((begun[0], number))
    if open_places:
        raise ValueError(f"point {open_places[0][0]}, {open_places[0][1]}, has no side after it")
    return sorted(found)


def cell(row: Row) -> str:
    """How one run ended, in one cell."""
    return f"{_without_time(row)} · {_seconds(row)} s"


def plain(rows: Sequence[Row]) -> dict[str, object]:
    """The same as plain values, for machines."""
    return {
        "runs": len(rows),
        "broken": sum(bool(row.broken) for row in rows),
        "rows": [
            {
                "flow": row.flow,
                "points": list(row.planned),
                "struck": list(row.struck),
                "end": _without_time(row),
                "settled_ms": max((ending.settled_ms for ending in row.endings), default=0),
                "broken": list(row.broken),
            }
            for row in rows
        ],
    }


def _verdict(rows: Sequence[Row]) -> str:
    crashed = [row for row in rows if row.planned]
    broken = [row for row in rows if row.broken]
    lines = [f"{len(crashed)} runs with crashes; {len(broken) or 'none'} of them broke an invariant."]
    for row in broken:
        lines += ["", f"- {row.flow}, points {', '.join(map(str, row.planned)) or 'none'}: {row.broken[0]}"]
    return "\n".join(lines)


def _overview(by_flow: dict[str, list[Row]]) -> str:
    lines = ["| flow | crashes | ends |", "| --- | --- | --- |"]
    for name, rows in by_flow.items():
        singles = [row for row in rows if len(row.planned) == 1]
        ends = Counter(_status(row) for row in singles)
        told = ", ".join(f"{count} {end}" for end, count in _by_count(ends))
        lines.append(f"| {name} | {len(singles)} | {told} |")
    return "\n".join(lines)


def _by_count(ends: Counter[str]) -> list[tuple[str, int]]:
    """The commonest first."""
    return sorted(ends.items(), key=lambda one: (-one[1], one[0]))


def _status(row: Row) -> str:
    return " and ".join(_status_of(ending) for ending in row.endings) or "no deposit"


def _status_of(ending: Ending) -> str:
    return " ".join(filter(None, (ending.status, ending.failure_code, *ending.reasons)))


def _without_time(row: Row) -> str:
    ends = [
        f"{_status_of(ending)} · {'+'.join(ending.requests) or '–'} / {'+'.join(ending.transfers) or '–'}"
        for ending in row.endings
    ]
    told = " and ".join(ends) or "no deposit"
    return f"**BROKEN** {told}" if row.broken else told


def _seconds(row: Row) -> int:
    """Whole virtual seconds until the last deposit was settled."""
    return max((ending.settled_ms for ending in row.endings), default=0) // 1_000
