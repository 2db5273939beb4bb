"""A second terminal: a handset, payments, switches and faults, over the sandbox's HTTP routes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.sandbox_cli.pushing import PAYER, push
from tests.support.sandbox_program import SandboxProgram

pytestmark = pytest.mark.slow

PHONE = PAYER.phone.msisdn


def test_a_piped_pin_pays(sandbox: SandboxProgram) -> None:
    """The prompt is shown, the PIN is taken from standard input, and her message comes."""
    push(sandbox, 10)
    said = sandbox.penpay("sim", "--phone", f"0{PHONE[3:]}", typed=f"{PAYER.pin}\n")
    assert "Pay KES 10.00 to PENPAY" in said
    assert "Account ORDER-1" in said
    assert "✔ The service request is processed successfully." in said
    assert "SMS" in said
    assert "Ksh10.00 sent to PENPAY" in said


def test_a_prompt_expires_by_a_step_of_the_clock(sandbox: SandboxProgram) -> None:
    """The time stands still where it was set, moves on by what is typed, and runs as this machine's again."""
    assert "2026-11-20 12:00:00 in Nairobi, standing still." in sandbox.penpay("clock", "2026-11-20T09:00:00Z")
    push(sandbox, 10)
    assert "2026-11-20 12:01:01 in Nairobi" in sandbox.penpay("clock", "--step", "61s")
    sandbox.wait_for(lambda: sandbox.ask("GET", f"/sandbox/phones/{PHONE}")["prompt"] is None, "the end of the prompt")
    assert "7200000 ms from this machine's time" in sandbox.penpay("clock", "+2h")
    assert "as this machine's." in sandbox.penpay("clock", "real")
    assert "A span is a whole number" in sandbox.penpay("clock", "+2 hours", status=2, width=200)
    assert "error: moment_out_of_range" in sandbox.penpay("clock", "+9999d", status=1)


def test_a_seed_is_sown_and_taken_away(sandbox: SandboxProgram) -> None:
    """And shown."""
    assert "Drawn from seed 7." in sandbox.penpay("seed", "7")
    assert {"seed": 7} == json.loads(sandbox.penpay("seed", "--json"))
    assert "A seed is a whole number, or none." in sandbox.penpay("seed", "seven", status=2, width=200)
    assert "Drawn anew every time." in sandbox.penpay("seed", "none")


def test_an_empty_line_cancels_and_a_wrong_pin_is_told(sandbox: SandboxProgram) -> None:
    """Each prompt takes the next line; what is no PIN at all leaves the prompt for the line after."""
    push(sandbox, 10)
    assert "✘ 1032: " in sandbox.penpay("sim", "--phone", PHONE, typed="\n")
    push(sandbox, 10)
    said = sandbox.penpay("sim", "--phone", PHONE, typed="12\n9999\n")
    assert said.index("four digits") < said.index("✘ 2001: ")
    push(sandbox, 10)
    assert "✔" in sandbox.penpay("sim", "--phone", PHONE, typed=f"{PAYER.pin}\n")


def test_at_a_terminal_the_pin_is_not_shown(sandbox: SandboxProgram) -> None:
    """Typed at a real terminal the PIN pays and is never echoed, and Ctrl-C ends it."""
    push(sandbox, 15)
    controller, terminal = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  (our own program, no shell)
        [sys.executable, "-m", "penpay", "sandbox", "sim", "--phone", PHONE, "--port", sandbox.port],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=sandbox.folder,
        start_new_session=True,
    )
    os.close(terminal)
    said = _until(controller, "cancels.")
    os.write(controller, f"{PAYER.pin}\n".encode())
    said += _until(controller, "Ksh15.00 sent")
    process.send_signal(signal.SIGINT)
    assert 0 == process.wait(10)
    os.close(controller)
    assert "✔" in said
    assert PAYER.pin not in said.replace(PHONE, "").replace("\r", "")


def _until(controller: int, text: str) -> str:
    said, deadline = b"", time.monotonic() + 30
    while text not in said.decode(errors="ignore"):
        assert time.monotonic() < deadline, said
        said += os.read(controller, 4096)
    return said.decode()


def test_a_phone_without_a_wallet_is_refused(sandbox: SandboxProgram) -> None:
    """Nobody has a handset for a number the operator does not know, or for what is no number."""
    assert sandbox.penpay("sim", "--phone", "0799999999", status=1).startswith("error: customer_not_found: ")
    assert sandbox.penpay("sim", "--phone", "12", status=1).startswith("error: invalid_phone_number: ")


def test_faults_are_added_listed_and_cleared(sandbox: SandboxProgram) -> None:
    """A rule is written in words, strikes as told, and goes."""
    try:
        added = sandbox.penpay("faults", "add", "forced-result", "code=1037", "text=Gone", "--phone", PHONE)
        assert "Added: forced-result code=1037 text=Gone after_ms=0." in added
        sandbox.penpay(
            *("faults", "add", "spoilt-reply", "call=PUSH", "reply=HTML_503", "done=yes", "--amount", "77"),
            *("--always", "--permille", "125"),
        )
        rules = json.loads(sandbox.penpay("faults", "list", "--json"))
        assert [PHONE, None] == [rule["msisdn"] for rule in rules]
        assert [(1, 1000), (None, 125)] == [(rule["times"], rule["permille"]) for rule in rules]
        assert {"kind": "spoilt_reply", "call": "PUSH", "reply": "HTML_503", "done": True} == rules[1]["fault"]
        listed = sandbox.penpay("faults", "list", width=120)
        assert "KES 77.00" in listed
        assert "12.5 %" in listed
        checkout = push(sandbox, 10)["CheckoutRequestID"]
        sandbox.wait_for(
            lambda: [one for one in sandbox.log() if checkout in str(one["request"]) and "1037" in str(one["request"])],
            "forced result",
        )
    finally:
        assert "Nothing is set to go wrong." in sandbox.penpay("faults", "clear")
    assert "Nothing is set to go wrong." in sandbox.penpay("faults", "list")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nonsense",), "there are spoilt-reply"),
        (("late-callback", "hours=1"), "takes milliseconds, not hours"),
        (("late-callback", "milliseconds=soon"), "milliseconds: "),
        (("spoilt-reply", "call=PUSH", "reply=NONSENSE"), "'HTML_503'"),
        (("late-callback",), "milliseconds: "),
    ],
)
def test_a_fault_that_makes_no_sense_is_explained(
    sandbox: SandboxProgram, arguments: tuple[str, ...], named: str
) -> None:
    """The refusal names what there is, and nothing is added."""
    said = sandbox.penpay("faults", "add", *arguments, status=1)
    assert said.startswith("error: invalid_fault: ")
    assert named in said
    assert [] == sandbox.ask("GET", "/sandbox/faults")


def test_a_fault_that_denies_what_was_done_is_refused(sandbox: SandboxProgram) -> None:
    """By a code of its own, here and over HTTP."""
    said = sandbox.penpay("faults", "add", "spoilt-reply", "call=B2C", "reply=SYSTEM_BUSY", "done=yes", status=1)
    assert said.startswith("error: contradictory_fault: ")
    assert [] == sandbox.ask("GET", "/sandbox/faults")


def test_nobody_there_is_told_in_one_line(sandbox: SandboxProgram) -> None:
    """A port where no sandbox listens: one line that says what to do, for each command."""
    nobody = SandboxProgram(sandbox.folder)
    nobody.url = "http://127.0.0.1:1"
    for arguments in (("log",), ("sim", "--phone", PHONE), ("faults", "list"), ("switches",)):
        said = nobody.penpay(*arguments, status=1)
        assert said.startswith("error: sandbox_unreachable: No sandbox answers at http://127.0.0.1:1")
        assert 1 == said.count("\n")
