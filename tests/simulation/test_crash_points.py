"""A process that dies at any commit or call: the next one brings the deposit to its end, and the page says to which.

The flow that is paid by callback is run with every single crash, the others with every twentieth, which is about a
minute of one core; `make crash-points` runs them all, and the pairs. A page that no longer holds is made anew by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from penpay.domain.payments.evidence import DerivTransfer, EvidenceState
from penpay.simulation.crash_point_table import cell, page, place_of, sides
from penpay.simulation.crash_points import POINTS_IN_PAIRS, SEED, Row, astray, carry_out, number, pairs, singles
from penpay.simulation.endings import Ending
from penpay.simulation.flows import FLOWS, Flow
from penpay.simulation.run import Outcome, Simulator
from penpay.simulation.search import Run

PAGE = Path(__file__).parents[2] / "docs" / "crash_points.md"
BY_NAME = {flow.name: flow for flow in FLOWS}
PAID, *OTHERS = FLOWS
EVERY = 20
PUSH = "call POST /mpesa/stkpush/v1/processrequest"
TRANSFER = "call paymentagent_transfer"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("crash-points") / "databases")
    yield simulator
    simulator.close()


def carried_out(simulator: Simulator, runs: Iterable[Run]) -> Iterator[Outcome]:
    for run in runs:
        yield simulator.run(run.seed, profile=run.profile, planned=run.planned, script=run.script)


@pytest.fixture(scope="module")
def first_runs(simulator: Simulator) -> dict[str, Row]:
    """Every flow without a crash, by name."""
    return {row.flow: row for row in number(FLOWS, lambda runs: carried_out(simulator, runs))}


def crashed(simulator: Simulator, first_runs: dict[str, Row], name: str, point: str) -> Outcome:
    """The flow with a crash when it first comes to this point."""
    script = BY_NAME[name].script
    place = first_runs[name].points.index(point) + 1
    return simulator.run(SEED, profile=script.profile(crashes=True), planned=(place,), script=script)


def untimed(end: str) -> str:
    """What came of a crash, without how long it took: that hangs on how often the simulated world looks around."""
    return end.rpartition(" · ")[0]


def shown(flow: Flow) -> dict[int, tuple[str, str]]:
    """What the page shows of a flow: by the number of the point, which place it is and what came of a crash there."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(f"## {flow.name[0].upper()}{flow.name[1:]}\n")
    found: dict[int, tuple[str, str]] = {}
    for line in after.partition("\n## ")[0].splitlines():
        numbers, place, *ends = [one.strip() for one in line.split("|")[1:-1]] or ["", ""]
        if ", " in numbers:
            found.update(zip(map(int, numbers.split(", ")), [(place, untimed(end)) for end in ends], strict=True))
    return found


def told(first: Row, rows: list[Row]) -> dict[int, tuple[str, str]]:
    """The same of rows that were run now."""
    return {row.planned[0]: (place_of(first.points[row.planned[0] - 1]), untimed(cell(row))) for row in rows}


def check(first: Row, rows: list[Row]) -> None:
    """Every crash happened where it was planned, and nothing was broken by it."""
    assert [row.broken for row in (first, *rows)] == [()] * (len(rows) + 1)
    assert astray([first], rows) == []


def test_every_point_of_a_paid_deposit_is_survived_as_the_page_says(
    simulator: Simulator, first_runs: dict[str, Row]
) -> None:
    """A deposit is completed wherever its process dies, once, or waits for people where the transfer is in doubt."""
    first = first_runs[PAID.name]

    rows = carry_out(singles([PAID], [first]), lambda runs: carried_out(simulator, runs))

    check(first, rows)
    assert len(rows) == len(first.points) > 0
    assert told(first, rows) == shown(PAID), "run `make crash-points`"


@pytest.mark.parametrize("flow", OTHERS, ids=lambda flow: flow.name)
def test_points_of_every_flow_are_survived_as_the_page_says(
    simulator: Simulator, first_runs: dict[str, Row], flow: Flow
) -> None:
    """Whatever has gone wrong already, a crash on top of it breaks nothing and ends as the page says."""
    first = first_runs[flow.name]
    runs = singles([flow], [first])
    offset = FLOWS.index(flow) % min(EVERY, len(runs))

    rows = carry_out(runs[offset::EVERY], lambda some: carried_out(simulator, some))

    check(first, rows)
    assert rows
    assert told(first, rows).items() <= shown(flow).items(), "run `make crash-points`"


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_commit_and_call_has_both_its_sides(first_runs: dict[str, Row], flow: Flow) -> None:
    """Each place where a process can die is there twice: before what it does, and after."""
    points = first_runs[flow.name].points

    assert len(sides(points)) * 2 == len(points) > 0


def test_a_push_that_may_have_left_is_not_sent_again(simulator: Simulator, first_runs: dict[str, Row]) -> None:
    """The process dies with the answer to its push in hand: the request becomes unknown, and one prompt was shown."""
    outcome = crashed(simulator, first_runs, "no word at all", f"after {PUSH}")

    assert outcome.points.count(f"before {PUSH}") == 1
    assert outcome.reached["evidence SENDING → UNKNOWN"] == 1
    assert [(one.status, one.reasons) for one in outcome.endings] == [("IN_REVIEW", ("PAYMENT_UNRESOLVED",))]
    assert outcome.broken == ()


def test_a_licence_not_used_is_not_used_later(simulator: Simulator, first_runs: dict[str, Row]) -> None:
    """The process dies between taking the licence and sending: nobody can tell, so nothing is sent after it."""
    outcome = crashed(simulator, first_runs, "paid by callback", "after commit mpesa_request.claimed")

    assert outcome.points.count(f"before {PUSH}") == 0
    assert outcome.reached["evidence SENDING → UNKNOWN"] == 1
    assert outcome.broken == ()


def test_an_intent_is_sent_by_the_next_process(simulator: Simulator, first_runs: dict[str, Row]) -> None:
    """The process dies before it has the licence: the next one sends the push, once, and the deposit is completed."""
    outcome = crashed(simulator, first_runs, "paid by callback", "before commit mpesa_request.claimed")

    assert outcome.points.count(f"before {PUSH}") == 1
    assert [one.status for one in outcome.endings] == ["COMPLETED"]
    assert outcome.broken == ()


def test_a_transfer_that_was_executed_is_found_and_not_sent_again(
    simulator: Simulator, first_runs: dict[str, Row]
) -> None:
    """The process dies with Deriv's answer in hand: the next one finds the transfer in the statement."""
    outcome = crashed(simulator, first_runs, "paid by callback", f"after {TRANSFER}")

    assert outcome.points.count(f"before {TRANSFER}") == 1
    assert outcome.reached["evidence SENDING → UNKNOWN"] == 1
    assert [one.status for one in outcome.endings] == ["COMPLETED"]
    assert outcome.broken == ()


def test_a_transfer_sent_twice_is_found_out(
    simulator: Simulator, first_runs: dict[str, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that sends again what lapsed while being sent pays twice, and the run says so."""

    def sent_again(transfer: DerivTransfer, at: datetime, lease: timedelta) -> DerivTransfer:
        assert transfer.due_at is not None
        return replace(
            transfer,
            state=EvidenceState.SENDING,
            fence=transfer.fence + 1,
            lease_until=at + lease,
            sent_at=at,
            version=transfer.version + 1,
        )

    monkeypatch.setattr(DerivTransfer, "claimed", sent_again)

    outcome = crashed(simulator, first_runs, "paid by callback", f"after {TRANSFER}")

    assert any(finding.startswith("I3") for finding in outcome.broken)


def test_two_crashes_are_survived(simulator: Simulator, first_runs: dict[str, Row]) -> None:
    """The second process dies too, at a point that only it passes."""
    first = first_runs[PAID.name]
    place = first.points.index(f"after {PUSH}") + 1
    once = carry_out([singles([PAID], [first])[place - 1]], lambda some: carried_out(simulator, some))

    runs = pairs([PAID], once)
    rows = carry_out(runs[::EVERY], lambda some: carried_out(simulator, some))

    assert 0 < len(runs) <= POINTS_IN_PAIRS
    assert [len(row.struck) for row in rows] == [2] * len(rows)
    assert [row.broken for row in rows] == [()] * len(rows)


def test_a_point_without_its_other_side_is_refused() -> None:
    """A list of points in which a side is missing cannot be told as a table."""
    with pytest.raises(ValueError, match=r"point 2, commit b, has no side after it"):
        sides(["before commit a", "before commit b", "after commit a"])
    with pytest.raises(ValueError, match=r"point 1, after commit a, has no side before it"):
        sides(["after commit a"])


def test_a_crash_elsewhere_is_told() -> None:
    """A crash at another point than the one of its number does not count as that one's."""
    first = Row(flow=PAID.name, planned=(), points=("before commit a", "after commit a"), endings=(), broken=())
    there = replace(first, planned=(2,))
    elsewhere = replace(there, points=("before commit b", "after commit b"))

    assert astray([first], [there, elsewhere]) == [elsewhere]


def test_a_broken_run_stands_on_the_page() -> None:
    """What broke is told at the top with the points that replay it, and in its cell."""
    ending = Ending(
        status="COMPLETED",
        failure_code=None,
        reasons=(),
        requests=("CONFIRMED",),
        transfers=("CONFIRMED",),
        settled_ms=8_999,
    )
    points = ("before commit a", "after commit a")
    row = Row(flow=PAID.name, planned=(), points=points, endings=(ending,), broken=())

    text = page([row, replace(row, planned=(2,), broken=("I3: 2 payments",))])

    assert "1 runs with crashes; 1 of them broke an invariant." in text
    assert f"- {PAID.name}, points 2: I3: 2 payments" in text
    assert "| 1, 2 | commit a |  | **BROKEN** COMPLETED · CONFIRMED / CONFIRMED · 8 s |" in text
