"""`penpay demo` as a newcomer runs it: a process of its own, on ports of this machine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from penpay.cli import build_app
from tests.end_to_end.kill.program import Program
from tests.servers.process import free_port

pytestmark = pytest.mark.slow

PORTS = ("--api-port", "--daraja-port", "--deriv-port")
STORIES = {
    "deposit": ("COMPLETED", None, None),
    "wrong_pin": ("FAILED", "wrong_pin", None),
    "cancelled": ("FAILED", "cancelled_by_user", None),
    "insufficient_funds": ("FAILED", "insufficient_funds", None),
    "callback_lost": ("COMPLETED", None, "stk_query"),
    "withdrawal": ("COMPLETED", None, None),
    "payout_refused": ("REVERSED", "payout_failed", None),
}
HAPPY = [
    "TransactionCreated",
    "DepositInitiated",
    "MpesaPromptAccepted",
    "MpesaCallbackReceived",
    "MpesaPaymentReceived",
    "MpesaPaymentVerified",
    "DerivTransferInitiated",
    "TransactionCompleted",
]


@contextmanager
def demo(folder: Path, *options: str, taken: dict[str, int] | None = None) -> Iterator[tuple[Program, dict[str, int]]]:
    """The demo on free ports, `taken` ones excepted; killed at the end if it still runs."""
    ports = {option: free_port() for option in PORTS} | (taken or {})
    arguments = [text for option, port in ports.items() for text in (option, str(port))]
    program = Program("demo", *options, *arguments, "--folder", "demo", environment={}, folder=folder, name="demo")
    try:
        yield program, ports
    finally:
        program.kill()


def test_the_stories_are_told_once_and_every_book_agrees(tmp_path: Path) -> None:
    """`penpay demo --once --json` exits with 0 and ends with the outcome as one line of JSON."""
    with demo(tmp_path, "--once", "--json") as (program, _):
        assert 0 == program.exit_status(60), program.complaints
        found = json.loads(program.output.rstrip("\n").splitlines()[-1], parse_float=Decimal)
        assert {"transactions", "ledger_balanced", "books_agree"} == set(found)
        assert (True, True) == (found["ledger_balanced"], found["books_agree"])
        told = {
            one["story"]: (one["status"], one["failure_code"], one["recovered_by"]) for one in found["transactions"]
        }
        assert STORIES == told
        assert list(STORIES) == [one["story"] for one in found["transactions"]]
        fields = {"id", "story", "status", "failure_code", "recovered_by", "timeline"}
        assert [fields] * len(STORIES) == [set(one) for one in found["transactions"]]
        assert HAPPY == [line["event"] for line in found["transactions"][0]["timeline"]]
        assert "Traceback" not in program.complaints


@pytest.mark.parametrize("option", PORTS)
def test_a_taken_port_is_told_and_nothing_is_left_running(tmp_path: Path, option: str) -> None:
    """Where another program listens already, the demo says so in one line, without a traceback."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with demo(tmp_path, "--once", taken={option: port}) as (program, _):
            assert 1 == program.exit_status(30)
            expected = (
                f"error: port_taken: Another program listens on 127.0.0.1:{port}; "
                "stop it, or choose other ports (see --help).\n"
            )
            assert expected == program.complaints


def test_it_keeps_serving_until_it_is_interrupted(tmp_path: Path) -> None:
    """Without --once the demo serves on; Ctrl-C ends it within five seconds, quietly and with exit status 0."""
    with demo(tmp_path) as (program, ports):
        _wait_for(program, "Still serving.")
        health = httpx.get(f"http://127.0.0.1:{ports['--api-port']}/healthz", timeout=5)
        assert 200 == health.status_code
        program.send(signal.SIGINT)
        assert 0 == program.exit_status(5)
        assert "" == program.complaints


def test_a_second_demo_leaves_the_first_ones_databases_alone(tmp_path: Path) -> None:
    """While a demo runs, another in the same folder is refused in one line, whatever ports it would take."""
    with demo(tmp_path) as (first, _):
        _wait_for(first, "POST /api/v1/deposits")
        before = {path.name: path.stat().st_ino for path in (tmp_path / "demo").glob("*.db")}
        with demo(tmp_path, "--once") as (second, _):
            assert 1 == second.exit_status(30)
            expected = (
                "error: folder_in_use: A demo runs in demo; stop it, or choose another --folder and other ports.\n"
            )
            assert expected == second.complaints
        assert {"penpay.db", "operator.db", "deriv.db"} == set(before)
        assert before == {path.name: path.stat().st_ino for path in (tmp_path / "demo").glob("*.db")}


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--api-port", "99999"), 2, "Invalid value"),
        (
            ("--folder", "/proc/nope"),
            1,
            "error: folder_unusable: /proc/nope cannot be used: ",
        ),
    ],
)
def test_an_option_that_cannot_be_is_told(options: tuple[str, ...], status: int, told: str) -> None:
    """A port above 65,535 is bad usage; a folder nobody can make is one line."""
    refused = CliRunner().invoke(build_app(), ["demo", "--once", *options])

    assert status == refused.exit_code
    assert told in refused.stderr


def test_an_interrupted_telling_is_no_success(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a story ends the demo at once, without a traceback and not with exit status 0."""
    with demo(tmp_path, "--once", "--json") as (program, _):
        _wait_for(program, "POST /api/v1/deposits")
        program.send(signal.SIGINT)
        assert 1 == program.exit_status(5)
        assert "error: interrupted: The demo was interrupted before its end.\n" == program.complaints


def _wait_for(program: Program, text: str) -> None:
    for _ in range(300):
        if text in program.output:
            return
        try:
            program.exit_status(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"it never said {text!r}: {program.output}{program.complaints}")
