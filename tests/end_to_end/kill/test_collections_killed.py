"""`penpay` is killed while it takes payments to the PayBill: each is booked once in the end, and none is missing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from penpay.demo.world import SHORT_CODE
from tests.end_to_end.kill.databases import Hold, SqliteDatabase
from tests.end_to_end.kill.program import Program
from tests.end_to_end.kill.stage import Stage, clients, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LEASE_S = 3
"""A little longer than the stage's PENPAY_LEASE_SECONDS."""
STATEMENT = (
    "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
    "QGK12XYZ1,03-02-2026 12:00:01,Pay Bill Acc. x,Completed,100,,1100\n"
    "QGK12XYZ2,03-02-2026 12:00:02,Pay Bill Acc. x,Completed,200,,1300\n"
    "QGK12XYZ2,03-02-2026 12:00:03,Pay Bill Charge,Completed,,5,1295\n"
    "QGK12XYZ3,03-02-2026 12:00:04,Pay Bill Acc. x,Completed,300,,1595\n"
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A business on SQLite; each test starts and kills its programs itself."""
    database = SqliteDatabase(tmp_path / "penpay.db")
    made = Stage(tmp_path, database, clients(1))
    try:
        made.seed()
        yield made
    finally:
        made.close()


def booked(receipt: str) -> Hold:
    """The commit that would book this receipt."""
    return Hold("INSERT", "payments", "mpesa_receipt_number", receipt)


def payments(stage: Stage) -> list[tuple[str, str]]:
    """Receipts and cents, in the order of the receipts."""
    statement = "SELECT mpesa_receipt_number, amount_cents FROM payments ORDER BY mpesa_receipt_number"
    return [(receipt, cents) for receipt, cents in stage.database.query(statement)]


def outcomes(stage: Stage) -> list[str]:
    return [row[0] for row in stage.database.query("SELECT outcome FROM webhook_logs ORDER BY created_at, id")]


def proven(stage: Stage, cents: int) -> None:
    """The books hold rule by rule, and M-Pesa Cash holds what was paid."""
    exit_status, output, _ = stage.command("collections", "verify", "--json")
    assert (0, {"isValid": True, "errors": []}) == (exit_status, json.loads(output))
    assert [(str(cents),)] == list(
        stage.database.query("SELECT balance_cents FROM ledger_accounts WHERE code = '1010'")
    )


def test_a_message_killed_between_its_record_and_its_booking_is_booked_after_the_restart(stage: Stage) -> None:
    """It was answered, so M-Pesa tells it no more: what is stored is all there is, and it is booked once."""
    message = {"TransID": "QGK12XYZ9", "TransAmount": "5000.00", "BillRefNumber": "nobody"}
    stage.start()
    # The first attempt fails, so that the message is recorded alone; the worker's attempt is held in mid-commit.
    with closing(sqlite3.connect(stage.folder / "penpay.db", isolation_level=None, timeout=10)) as connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON payments BEGIN SELECT RAISE(ABORT, 'not this time'); END"
        )
        answer = stage.api.post("/api/webhooks/mpesa", json=message)
        assert (200, ["RECEIVED"], []) == (answer.status_code, outcomes(stage), payments(stage))
        connection.execute("DROP TRIGGER refused")
    stage.kill_serve()
    assert (["RECEIVED"], []) == (outcomes(stage), payments(stage))

    stage.database.hold(booked("QGK12XYZ9"))
    stage.start_serve()
    try:
        until("the worker is held", lambda: held(stage), stage.serve)
    finally:
        stage.kill_serve()
        stage.database.release()
    assert (["RECEIVED"], []) == (outcomes(stage), payments(stage))

    stage.start_serve()
    until("it is booked", lambda: outcomes(stage) == ["APPLIED"], stage.serve)
    assert 200 == stage.api.post("/api/webhooks/mpesa", json=message).status_code
    assert ["APPLIED", "REPEATED"] == outcomes(stage)
    assert [("QGK12XYZ9", "500000")] == payments(stage)
    proven(stage, 500_000)


def test_a_statement_whose_import_was_killed_is_imported_again(stage: Stage) -> None:
    """Killed between two of its rows: those before are booked, and the second import books the others and no more."""
    (stage.folder / "statement.csv").write_text(STATEMENT)
    import_ = ("collections", "import-statement", "statement.csv")
    stage.database.hold(booked("QGK12XYZ3"))
    program = Program(*import_, environment=stage.environment, folder=stage.folder, name="import")
    try:
        until("the third payment is held", lambda: held(stage), program)
    finally:
        program.kill()
        stage.database.release()
    assert [("QGK12XYZ1", "10000"), ("QGK12XYZ2", "20000")] == payments(stage)
    proven(stage, 30_000)  # what left is booked after all that came

    for count in (1, 0):
        exit_status, output, _ = stage.command(*import_, "--json")
        told = json.loads(output)
        assert (0, count, count) == (exit_status, told["booked"], told["charges_booked"])
    assert 3 == len(payments(stage))
    proven(stage, 59_500)


def test_a_pull_that_was_killed_is_read_again_to_its_end(stage: Stage) -> None:
    """Killed between two payments of M-Pesa's list: whoever pulls next books the rest, each once."""
    stage.environment["MPESA_PULL"] = "on"
    stage.start_sandbox()
    (client,) = stage.people
    receipts = []
    for shillings in (100, 200, 300):
        body = {
            "phone": client.phone.msisdn,
            "short_code": SHORT_CODE,
            "account": "x",
            "amount_cents": shillings * 100,
        }
        receipts.append(stage.daraja.post("/sandbox/c2b", json=body).json()["receipt"])
    stage.database.hold(booked(receipts[1]))
    stage.start_serve()
    try:
        until("the second payment is held", lambda: held(stage), stage.serve)
    finally:
        stage.kill_serve()
        stage.database.release()
    assert receipts[1] not in dict(payments(stage))
    time.sleep(LEASE_S)  # whoever looks sooner finds the list taken, and looks again after a minute

    stage.start_serve()
    until("the list is read", lambda: len(payments(stage)) == 3, stage.serve)
    assert sorted(zip(receipts, ("10000", "20000", "30000"), strict=True)) == payments(stage)
    proven(stage, 60_000)


def held(stage: Stage) -> bool:
    """Whether somebody is in the middle of a write: another one cannot begin."""
    with closing(sqlite3.connect(stage.folder / "penpay.db", isolation_level=None, timeout=1)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False
