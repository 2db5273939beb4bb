"""`penpay simulate` at a terminal: what it prints, what it ends with, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from penpay.cli import build_app
from penpay.cli.simulated import found, show_summary, summary
from penpay.simulation.profile import Hazard, Level, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Outcome
from penpay.simulation.search import Tally

CALM = ("--users", "1", "--deposits", "1", "--processes", "1", "--only", "nothing")


def simulate(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(build_app(), ("simulate", *arguments))
    assert status == result.exit_code, result.output
    return result


@pytest.mark.slow
def test_a_clean_search_is_summed_up() -> None:
    """People are told what was run, what was reached and what was not."""
    result = simulate("--seeds", "1..3", "--jobs", "2", *CALM)

    told = " ".join(result.stdout.split())
    assert "seeds 1..3" in told
    assert "final states COMPLETED 3" in told
    assert "broken 0" in told
    assert "status 11 PENDING 3, PROCESSING 3" in told
    assert f"fault {len(Hazard)} {Hazard.PUSH_REFUSED}, " in told
    assert "never struck after call GET /oauth/v1/generate, " in told


@pytest.mark.slow
def test_a_search_is_one_json_object() -> None:
    """Scripts read the same from one line on standard output."""
    (line,) = simulate("--seeds", "5..6", "--jobs", "1", *CALM, "--json").stdout.splitlines()
    told = json.loads(line, parse_float=str)

    assert ("5..6", 2, [], []) == (told["seeds"], told["ran"], told["failures"], told["missing_work"])
    assert {"COMPLETED": 2} == told["final_states"]
    assert {"passed": 2, "struck": 0} == told["crash_points"]["before commit deposit.created"]
    assert (2, 0) == (told["reached"]["status"]["COMPLETED"], len(told["reached"]["fault"]))
    assert "REVERSED" in told["never_reached"]["status"]
    assert told["seeds_per_minute"] > 0


@pytest.mark.slow
def test_a_search_in_which_no_money_moves_fails() -> None:
    """A clean run that did no work has exit status 1, and says what it lacks."""
    result = simulate("--seed", "1", "--jobs", "1", *CALM[:-1], "push_refused+", "--json", status=1)

    told = json.loads(result.stdout, parse_float=str)
    assert ([], ["no money moved"]) == (told["failures"], told["missing_work"])


def test_a_seed_is_told_with_the_world_it_was_given() -> None:
    """A trace says what world it is of, what happened in it, and how it ended."""
    first, *lines = simulate("--seed", "3", *CALM, "--trace").stdout.splitlines()

    assert "seed 3: 1 users × 1 deposits, 1 processes; nothing wrong" == first
    assert any(line.endswith("commit deposit.created") for line in lines)
    assert "ended as COMPLETED" == lines[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--seeds", "1..3", "--seed", "1"),
        ("--seeds", "3..1"),
        ("--seeds", "3"),
        ("--seeds", "1..3", "--trace"),
        ("--seed", "1", "--trace", "--json"),
        ("--seed", "-1"),
        ("--seed", "1", "--only", "crush"),
        ("--seed", "1", "--users", "0"),
        ("--seed", "1", "--jobs", "0"),
    ],
)
def test_what_is_not_understood_ends_with_2(arguments: tuple[str, ...]) -> None:
    """Bad usage is told before anything is run."""
    simulate(*arguments, status=2)


def broke(seed: int, *findings: str, profile: Any = None) -> Outcome:
    return Outcome(
        seed=seed,
        profile=profile or profile_of(seed),
        broken=findings,
        reached=Counter({"point after commit x": 1, "journal deposit_paid": 1}),
        states=("COMPLETED",),
        steps=10,
    )


def test_a_failure_is_told_with_the_line_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The first broken invariant, how to see it again, and the smallest world in which it still fails."""
    tally = Tally()
    for outcome in (broke(9, "I7: not decided", "I2: missing"), broke(4, "I2: 100 missing"), broke(5)):
        tally.add(outcome)
    small = Narrowing(users=1, deposits=1, processes=1, only="crash+").of(profile_of(4))
    assert {Hazard.CRASH: Level.EXTREME} == small.hazards

    told = summary(range(4, 10), Narrowing(), tally, 60_000, {4: broke(4, "I2: 70 missing", profile=small)})
    show_summary(told)

    assert found(told)
    assert 3 == told["seeds_per_minute"]
    assert [
        "seed 4 broke I2: 100 missing",
        "  penpay simulate --seed 4 --trace",
        "  reduced to 1 users × 1 deposits, 1 processes; crash+ wrong: I2: 70 missing",
        "  penpay simulate --seed 4 --users 1 --deposits 1 --processes 1 --only crash+ --trace",
        "seed 9 broke I7: not decided",
        "  penpay simulate --seed 9 --trace",
    ] == capsys.readouterr().out.splitlines()[-6:]


def children(process: int) -> list[int]:
    """The processes a process has started."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(number) for number in listed.split()]


def simulation_folders(process: int) -> set[Path]:
    """The folders of simulations in which a process has files open."""
    found = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:
            continue  # closed since
        found |= {folder for folder in target.parents if folder.name.startswith("penpay-simulation-")}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_leaves_nothing_behind(how: signal.Signals) -> None:
    """However it is stopped: one line, exit status 1, no process and no database."""
    with subprocess.Popen(
        [sys.executable, "-m", "penpay", "simulate", "--seeds", "1..100000", "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as search:
        workers, folders = list[int](), set[Path]()
        while not folders:
            assert search.poll() is None
            time.sleep(0.05)
            workers = children(search.pid)
            folders = {folder for worker in workers for folder in simulation_folders(worker)}
        search.send_signal(how)
        stdout, stderr = search.communicate(timeout=30)

    assert (1, "") == (search.returncode, stdout)
    assert "error: interrupted: The simulation was interrupted before its end.\n" == stderr
    assert [] == [folder for folder in folders if folder.exists()]
    until = time.monotonic() + 10
    while any(_runs(worker) for worker in workers):  # one, which multiprocessing starts, ends on its own just after
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
