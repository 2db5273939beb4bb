"""`penpay serve` is killed at each recorded step of a deposit, and finishes the deposit after its restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.end_to_end.kill.books import Outside, compare, licences, outside, state_of
from tests.end_to_end.kill.databases import Hold, MysqlDatabase, PostgresqlDatabase, SqliteDatabase, event
from tests.end_to_end.kill.stage import Client, Stage, clients, until
from tests.support.engines import SERVERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A moment at which everything that is recorded is known exactly."""

    name: str
    recorded: tuple[str, str, str]
    """The newest event, the push's state, the transfer's state."""
    outside: Outside
    """What the simulators have done by then."""
    before: Hold | None
    """The write that is not allowed to finish; None where the deposit waits by itself for the phone."""
    pin_given: bool
    """Whether the phone is answered before the kill, or after the restart."""
    recovered_by: frozenset[str | None] = frozenset({None, "stk_query"})
    """Who may have told us the outcome; M-Pesa's answer to a question can overtake its callback."""


def _sending(table: str) -> Hold:
    return Hold("UPDATE", table, "state", "SENDING")


STEPS = (
    Step(
        name="TransactionCreated",
        recorded=("TransactionCreated", "", ""),
        outside=Outside(0, 0, 0),
        before=event("DepositInitiated"),
        pin_given=False,
    ),
    Step(
        name="DepositInitiated",
        recorded=("DepositInitiated", "INTENDED", ""),
        outside=Outside(0, 0, 0),
        before=_sending("mpesa_requests"),
        pin_given=False,
    ),
    Step(
        # M-Pesa has the push and we do not have its CheckoutRequestID: only the callback can bring it.
        name="push SENDING",
        recorded=("DepositInitiated", "SENDING", ""),
        outside=Outside(1, 0, 0),
        before=event("MpesaPromptAccepted"),
        pin_given=False,
        recovered_by=frozenset({None}),
    ),
    Step(
        name="MpesaPromptAccepted",
        recorded=("MpesaPromptAccepted", "ACCEPTED", ""),
        outside=Outside(1, 0, 0),
        before=None,
        pin_given=False,
    ),
    Step(
        # The callback is never answered and never sent again: only our own question can bring the payment.
        name="callback in mid-commit",
        recorded=("MpesaPromptAccepted", "ACCEPTED", ""),
        outside=Outside(1, 1, 0),
        before=event("MpesaCallbackReceived"),
        pin_given=True,
        recovered_by=frozenset({"stk_query"}),
    ),
    Step(
        name="MpesaCallbackReceived, MpesaPaymentReceived",
        recorded=("MpesaPaymentReceived", "CONFIRMED", ""),
        outside=Outside(1, 1, 0),
        before=event("MpesaPaymentVerified"),
        pin_given=True,
    ),
    Step(
        name="MpesaPaymentVerified",
        recorded=("MpesaPaymentVerified", "CONFIRMED", ""),
        outside=Outside(1, 1, 0),
        before=event("DerivTransferInitiated"),
        pin_given=True,
    ),
    Step(
        name="DerivTransferInitiated",
        recorded=("DerivTransferInitiated", "CONFIRMED", "INTENDED"),
        outside=Outside(1, 1, 0),
        before=_sending("deriv_transfers"),
        pin_given=True,
    ),
    Step(
        # Deriv has moved the money and we do not know: only the statement can tell, and it is never sent again.
        name="transfer SENDING",
        recorded=("DerivTransferInitiated", "CONFIRMED", "SENDING"),
        outside=Outside(1, 1, 1),
        before=event("TransactionCompleted"),
        pin_given=True,
        recovered_by=frozenset({"deriv_statement"}),
    ),
)


EVIDENCE = ("mpesa_request", "deriv_transfer")
DEATHS = {"TransactionCreated", "push SENDING", "MpesaPaymentVerified", "transfer SENDING"}
"""Some that one deposit can meet one after another: asking, asked, paid, and given away."""


def _killed(number: int, name: str) -> Any:
    """A step's number, with its cell in the table of faults."""
    cell = pytest.mark.path(saga="deposit", step="process", fault=f"kill -9 at: {name}", outcome="COMPLETED")
    return pytest.param(number, id=name, marks=cell)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One sandbox for all steps, and our own database; each test starts and kills `penpay serve` itself."""
    folder = tmp_path_factory.mktemp("kill")
    made = Stage(folder, SqliteDatabase(folder / "penpay.db"), clients(len(STEPS)))
    try:
        made.seed()
        made.start()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("number", [_killed(number, step.name) for number, step in enumerate(STEPS)])
def test_a_deposit_killed_at_this_step_is_finished_after_the_restart(stage: Stage, number: int) -> None:
    """Killed with exactly this much recorded, it completes with one push, one payment and one transfer."""
    step, client = STEPS[number], stage.people[number]
    if step.before is not None:
        stage.database.hold(step.before)
    try:
        deposit = stage.ask_for_deposit(client, 500 + number, f"kill-{number:04}")
        if step.pin_given:
            stage.give_pin(client)
        _kill_at(stage, step, deposit)
    finally:
        stage.kill_serve()
        stage.database.release()
    sent = [kind for kind, state in zip(EVIDENCE, step.recorded[1:], strict=True) if state == "SENDING"]
    licensed = {kind: licences(stage, deposit, kind) for kind in sent}
    stage.start_serve()
    if step.recorded[1] == "SENDING":
        until("the push is in doubt", lambda: state_of(stage, deposit)[1] == "UNKNOWN", stage.serve)
    if not step.pin_given:
        stage.give_pin(client)
    ended = stage.completed(client, deposit)
    assert ended["recovered_by"] in step.recovered_by
    assert Outside(1, 1, 1) == outside(stage, deposit)
    assert licensed == {kind: licences(stage, deposit, kind) for kind in sent}  # nobody may send it again
    compare(stage)


def test_after_all_these_deaths_the_ledger_is_sound(stage: Stage) -> None:
    """`penpay ledger verify` agrees, as an operator would ask it."""
    assert (0, "The books are sound.\n", "") == stage.command("ledger", "verify")


@pytest.mark.parametrize("engine", SERVERS)
def test_one_deposit_on_a_server_survives_a_kill_at_step_after_step(
    engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On each server one deposit dies four deaths, and still completes with one push and one transfer."""
    folder = tmp_path_factory.mktemp(f"kill-{engine}")
    server = request.getfixturevalue(f"{engine}_server")
    name = server.create_database()
    database = PostgresqlDatabase if engine == "postgresql" else MysqlDatabase
    stage = Stage(folder, database(server, name), clients(1))
    (client,) = stage.people
    try:
        stage.seed()
        stage.start()
        deposit = _through_every_death(stage, client, [step for step in STEPS if step.name in DEATHS])
        stage.completed(client, deposit)
        assert Outside(1, 1, 1) == outside(stage, deposit)
        compare(stage)
    finally:
        stage.close()
        server.drop_database(name)


def _through_every_death(stage: Stage, client: Client, steps: list[Step]) -> str:
    """One deposit, killed at each of these steps in turn; running again at the end."""
    deposit, answered = "", False
    for step in steps:
        assert step.before is not None
        stage.database.hold(step.before)
        if not deposit:
            deposit = stage.ask_for_deposit(client, 700, "kill-server")
        elif stage.serve is None or stage.serve.has_ended:
            stage.start_serve()
        if step.pin_given and not answered:
            stage.give_pin(client)
            answered = True
        _kill_at(stage, step, deposit)
        stage.database.release()
    stage.start_serve()
    return deposit


def _kill_at(stage: Stage, step: Step, deposit: str) -> None:
    """Wait for the step, kill, and make sure that nothing more was recorded than the step."""
    until(
        f"the deposit has come to {step.name}: {step.recorded}",
        lambda: (step.recorded, step.outside) == (state_of(stage, deposit), outside(stage, deposit)),
        stage.serve,
    )
    stage.kill_serve()
    assert step.recorded == state_of(stage, deposit)
    print(f"killed exactly at: {step.name}")  # noqa: T201  (which steps were hit belongs to the result)
