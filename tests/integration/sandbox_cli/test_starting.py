"""`penpay sandbox` without any setting: what it says works as printed, and a restart changes nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from penpay.cli.sandbox import COMMANDS, commands
from penpay.sandbox.seeds import NUMBERS, PASSKEY, SHORT_CODE, SUBSCRIBERS
from tests.integration.sandbox_cli.pushing import PAYER, push
from tests.support.sandbox_program import SandboxProgram

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SandboxProgram]:
    """A sandbox that the test starts, with whatever it wants."""
    made = SandboxProgram(tmp_path)
    yield made
    made.kill()


def balances(sandbox: SandboxProgram) -> dict[str, int]:
    found = sandbox.ask("GET", "/sandbox/balances")
    people = {one["phone"]: one["cents"] for one in found["subscribers"]}
    return people | {one["short_code"]: one["cents"] for one in found["merchants"]}


def opening() -> dict[str, int]:
    people = {one.phone.msisdn: one.opening.cents for one in SUBSCRIBERS}
    return people | {one.short_code: one.opening.cents for one in NUMBERS} | {SHORT_CODE: 0}


def typed_as_printed(sandbox: SandboxProgram, **environment: str) -> str:
    """What a shell prints for the two lines of the welcome."""
    lines = sandbox.output.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("TOKEN="))
    return subprocess.run(  # noqa: S603  (what the program itself tells people to type)
        ["/bin/sh", "-c", "\n".join(lines[first : first + 2])],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": os.environ["PATH"], **environment},
    ).stdout


def test_the_two_lines_it_prints_push_as_printed(sandbox: SandboxProgram) -> None:
    """Copied into a shell they show a prompt on the first test number's handset."""
    assert '"ResponseCode":"0"' in typed_as_printed(sandbox)
    shown = sandbox.ask("GET", f"/sandbox/phones/{PAYER.phone.msisdn}")["prompt"]
    assert (1_000, "PENPAY", "FIRST") == (shown["amount_cents"], shown["merchant"], shown["account_reference"])
    sandbox.ask("POST", f"/sandbox/phones/{PAYER.phone.msisdn}/cancel")


def test_what_it_says_can_be_read_at_eighty_columns(sandbox: SandboxProgram) -> None:
    """Everything a first payment needs is said, and nothing but lines to be copied is wider than the terminal."""
    wide = [line for line in sandbox.output.splitlines() if len(line) > 80]
    assert ["TOKEN=", "curl -"] == [line[:6] for line in wide]
    for said in (PASSKEY, "testapi", *opening(), "penpay sandbox sim --phone", "penpay sandbox log --follow"):
        assert said in sandbox.output
    assert "Traceback" not in sandbox.complaints
    assert "alembic" not in sandbox.complaints


def test_a_restart_keeps_the_books_and_the_keys(own: SandboxProgram) -> None:
    """What was paid stays paid, nobody gets her opening money twice, and the same key and secret open the door."""
    own.start()
    assert opening() == balances(own)
    push(own, 250)
    own.ask("POST", f"/sandbox/phones/{PAYER.phone.msisdn}/pin", {"pin": PAYER.pin})
    paid = opening() | {PAYER.phone.msisdn: PAYER.opening.cents - 25_000, SHORT_CODE: 25_000}
    assert paid == balances(own)
    credentials = own.told("Consumer key"), own.told("Consumer secret")
    own.stop()
    own.start()
    assert paid == balances(own)
    assert credentials == (own.told("Consumer key"), own.told("Consumer secret"))
    assert "Drew" not in own.complaints


def test_what_it_keeps_is_its_owners(own: SandboxProgram) -> None:
    """Keys and log stand beside the database, for nobody else to read; the operator's own database is left alone."""
    own.start()
    made = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (own.folder / "var").iterdir()}
    assert (0o600, 0o600) == (made["sandbox.db.keys"], made["sandbox.db.log"])
    assert {"deriv.db", "sandbox.db"} == {name for name in made if name.endswith(".db")}


def test_secrets_that_are_set_are_used_and_not_repeated(own: SandboxProgram) -> None:
    """A passkey, key and secret from the environment open the door, and are nowhere in what it says."""
    given = {"MPESA_CONSUMER_KEY": "key-given", "MPESA_CONSUMER_SECRET": "secret-given", "MPESA_PASSKEY": "pass-given"}
    own.start(**given)
    assert not [value for value in given.values() if value in own.output + own.complaints]
    assert "as" == own.told("Consumer secret")
    assert '"ResponseCode":"0"' in typed_as_printed(own, **given)


def test_any_pay_bill_may_push(own: SandboxProgram) -> None:
    """The further PayBills push under the same passkey, and their money is theirs; a till's push is not permitted."""
    own.start()
    number = NUMBERS[0]
    assert "0" == push(own, 70, short_code=number.short_code)["ResponseCode"]
    own.ask("POST", f"/sandbox/phones/{PAYER.phone.msisdn}/pin", {"pin": PAYER.pin})
    assert number.opening.cents + 7_000 == balances(own)[number.short_code]


def test_production_and_servers_draw_no_keys(own: SandboxProgram) -> None:
    """Where secrets must be given, what is missing is named and nothing is made up."""
    encrypted = {"MPESA_BASE_URL": "https://127.0.0.1", "DERIV_ENDPOINT": "wss://127.0.0.1"}
    for environment in (
        {"APP_ENV": "production", **encrypted},
        {"OPERATOR_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x"},
    ):
        with pytest.raises(AssertionError, match="MPESA_CONSUMER_KEY: is missing"):
            own.start(**environment)
    assert [] == list(own.folder.glob("var/*.keys"))


def test_the_help_of_each_command_is_its_own() -> None:
    """The list of commands is written without importing them, and does not go its own way."""
    group: Any = get_command(commands())
    for name, _, told in COMMANDS:
        assert told == " ".join(group.commands[name].loaded.help.partition("\n\n")[0].split())


def test_a_time_and_a_seed_are_there_from_the_start(own: SandboxProgram) -> None:
    """Its clock stands still at the moment that was asked for; what is no moment is bad usage."""
    own.start("--seed", "7", "--clock", "2026-11-20T12:00:00+03:00")

    assert (True, "2026-11-20T09:00:00+00:00") == (
        own.ask("GET", "/sandbox/clock")["is_fixed"],
        own.ask("GET", "/sandbox/clock")["now"],
    )
    assert {"seed": 7} == own.ask("GET", "/sandbox/seed")
    assert '"CheckoutRequestID":"ws_CO_20112026120000' in typed_as_printed(own)
    own.stop()
