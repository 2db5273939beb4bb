"""`penpay serve` is killed at each recorded step of a withdrawal, and finishes the withdrawal after its restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.end_to_end.kill.databases import (
    Hold,
    MysqlDatabase,
    PostgresqlDatabase,
    SqliteDatabase,
    audited,
    event,
)
from tests.end_to_end.kill.stage import Client, clients, until
from tests.end_to_end.kill.withdrawals import Outside, Recorded, WithdrawalStage
from tests.support.engines import SERVERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A moment at which everything that is recorded is known exactly."""

    name: str
    recorded: frozenset[Recorded]
    """One of these; Deriv's row and its answer, and M-Pesa's Result and its answer, may come in either order."""
    outside: Outside
    before: Hold
    """The write that is not allowed to finish."""
    code_given: bool
    """Whether the mailed code is handed over before the kill, or after the restart."""


def _sending(table: str) -> Hold:
    return Hold("UPDATE", table, "state", "SENDING")


def _answered(table: str) -> Hold:
    return Hold("UPDATE", table, "state", "SENDING", leaving=True)


def _one(name: str, debit: str, payout: str = "") -> frozenset[Recorded]:
    return frozenset({Recorded(name, debit, payout)})


STEPS = (
    Step(
        name="TransactionCreated",
        recorded=_one("TransactionCreated", "INTENDED"),
        outside=Outside(0, 0, 0),
        before=Hold("UPDATE", "deriv_withdrawals", "fence", "1"),
        code_given=False,
    ),
    Step(
        # Deriv has mailed the code and we do not know; it mails another one, and the first is good no more.
        name="code mailed, not recorded",
        recorded=_one("TransactionCreated", "INTENDED"),
        outside=Outside(1, 0, 0),
        before=audited("deriv_withdrawal.code_asked"),
        code_given=False,
    ),
    Step(
        name="WithdrawalConfirmed",
        recorded=_one("WithdrawalConfirmed", "INTENDED"),
        outside=Outside(1, 0, 0),
        before=_sending("deriv_withdrawals"),
        code_given=True,
    ),
    Step(
        # Deriv has taken the dollars and we do not know: only the credit can tell, and it is never asked for again.
        name="debit SENDING",
        recorded=_one("WithdrawalConfirmed", "SENDING"),
        outside=Outside(1, 1, 0),
        before=_answered("deriv_withdrawals"),
        code_given=True,
    ),
    Step(
        name="credit in mid-commit",
        recorded=_one("WithdrawalConfirmed", "SENDING") | _one("DerivWithdrawalAccepted", "ACCEPTED"),
        outside=Outside(1, 1, 0),
        before=event("DerivDebited"),
        code_given=True,
    ),
    Step(
        name="DerivDebited",
        recorded=_one("DerivDebited", "CONFIRMED"),
        outside=Outside(1, 1, 0),
        before=event("MpesaDisbursementInitiated"),
        code_given=True,
    ),
    Step(
        name="MpesaDisbursementInitiated",
        recorded=_one("MpesaDisbursementInitiated", "CONFIRMED", "INTENDED"),
        outside=Outside(1, 1, 0),
        before=_sending("mpesa_disbursements"),
        code_given=True,
    ),
    Step(
        # M-Pesa has paid the phone and we do not know: it is asked by our own id, and nothing is sent again.
        name="payout SENDING",
        recorded=_one("MpesaDisbursementInitiated", "CONFIRMED", "SENDING"),
        outside=Outside(1, 1, 1),
        before=_answered("mpesa_disbursements"),
        code_given=True,
    ),
    Step(
        # The Result is never answered and never posted again.
        name="Result in mid-commit",
        recorded=_one("MpesaDisbursementInitiated", "CONFIRMED", "SENDING")
        | _one("MpesaDisbursementInitiated", "CONFIRMED", "ACCEPTED"),
        outside=Outside(1, 1, 1),
        before=event("MpesaDisbursementCompleted"),
        code_given=True,
    ),
    Step(
        name="our question asked",
        recorded=_one("TransactionCompleted", "CONFIRMED", "CONFIRMED"),
        outside=Outside(1, 1, 1),
        before=audited("mpesa_disbursement.asked"),
        code_given=True,
    ),
    Step(
        name="its answer in mid-commit",
        recorded=_one("TransactionCompleted", "CONFIRMED", "CONFIRMED"),
        outside=Outside(1, 1, 1),
        before=audited("mpesa_disbursement.status"),
        code_given=True,
    ),
)
DEATHS = {"WithdrawalConfirmed", "credit in mid-commit", "DerivDebited", "payout SENDING"}
"""Some that one withdrawal can meet one after another: given, taken, here, and sent."""


def _killed(number: int, name: str) -> Any:
    """A step's number, with its cell in the table of faults."""
    cell = pytest.mark.path(saga="withdrawal", step="process", fault=f"kill -9 at: {name}", outcome="COMPLETED")
    return pytest.param(number, id=name, marks=cell)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithdrawalStage]:
    """One sandbox for all steps, and our own database; each test starts and kills `penpay serve` itself."""
    folder = tmp_path_factory.mktemp("kill-withdrawal")
    made = WithdrawalStage(folder, SqliteDatabase(folder / "penpay.db"), clients(len(STEPS)))
    try:
        made.seed()
        made.start()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("number", [_killed(number, step.name) for number, step in enumerate(STEPS)])
def test_a_withdrawal_killed_at_this_step_is_finished_after_the_restart(stage: WithdrawalStage, number: int) -> None:
    """Killed with exactly this much recorded, it completes with one debit and one payout, and is verified."""
    step, client = STEPS[number], stage.people[number]
    stage.database.hold(step.before)
    try:
        withdrawal = stage.ask_for_withdrawal(client, 500 + number, f"kill-{number:04}")
        if step.code_given:
            stage.give_code(client, withdrawal)
        _kill_at(stage, client, step, withdrawal)
    finally:
        stage.kill_serve()
        stage.database.release()
    stage.start_serve()
    if not step.code_given:
        until("the code is on record", lambda: _is_mailed(stage, withdrawal), stage.serve)
        stage.give_code(client, withdrawal)
    _finished(stage, client, withdrawal, mails=2 if step.name == "code mailed, not recorded" else 1)


def test_after_all_these_deaths_the_ledger_is_sound(stage: WithdrawalStage) -> None:
    """`penpay ledger verify` agrees, as an operator would ask it."""
    assert (0, "The books are sound.\n", "") == stage.command("ledger", "verify")


@pytest.mark.parametrize("engine", SERVERS)
def test_one_withdrawal_on_a_server_survives_a_kill_at_step_after_step(
    engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On each server one withdrawal dies four deaths, and still completes with one debit and one payout."""
    folder = tmp_path_factory.mktemp(f"kill-withdrawal-{engine}")
    server = request.getfixturevalue(f"{engine}_server")
    name = server.create_database()
    database = PostgresqlDatabase if engine == "postgresql" else MysqlDatabase
    stage = WithdrawalStage(folder, database(server, name), clients(1))
    (client,) = stage.people
    withdrawal = ""
    try:
        stage.seed()
        stage.start()
        for step in (step for step in STEPS if step.name in DEATHS):
            stage.database.hold(step.before)
            if withdrawal:
                stage.start_serve()
            else:
                withdrawal = stage.ask_for_withdrawal(client, 700, "kill-server")
                stage.give_code(client, withdrawal)
            _kill_at(stage, client, step, withdrawal)
            stage.database.release()
        stage.start_serve()
        _finished(stage, client, withdrawal, mails=1)
    finally:
        stage.close()
        server.drop_database(name)


def _kill_at(stage: WithdrawalStage, client: Client, step: Step, withdrawal: str) -> None:
    """Wait for the step, kill, and make sure that nothing more was recorded than the step."""
    until(
        f"the withdrawal has come to {step.name}: {step.recorded}",
        lambda: stage.recorded(withdrawal) in step.recorded and step.outside == stage.outside(client, withdrawal),
        stage.serve,
    )
    stage.kill_serve()
    assert stage.recorded(withdrawal) in step.recorded
    print(f"killed exactly at: {step.name}")  # noqa: T201  (which steps were hit belongs to the result)


def _finished(stage: WithdrawalStage, client: Client, withdrawal: str, *, mails: int) -> None:
    stage.completed(client, withdrawal)
    until("our question has verified it", lambda: stage.is_verified(withdrawal), stage.serve)
    assert Outside(mails, 1, 1) == stage.outside(client, withdrawal)
    stage.compare()


def _is_mailed(stage: WithdrawalStage, withdrawal: str) -> bool:
    ((moment,),) = stage.database.query(
        f"SELECT code_asked_at FROM deriv_withdrawals WHERE id = {stage.database.literal(withdrawal)}"
    )
    return moment not in {"", "None"}
