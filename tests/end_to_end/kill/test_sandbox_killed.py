"""M-Pesa and Deriv die instead of us: the deposit waits for them and is finished when they are back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.kill.books import Outside, compare, outside, state_of
from tests.end_to_end.kill.databases import SqliteDatabase
from tests.end_to_end.kill.stage import Stage, clients, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("sandbox-killed")
    made = Stage(folder, SqliteDatabase(folder / "penpay.db"), clients(1))
    try:
        made.seed()
        made.start()
        yield made
    finally:
        made.close()


def test_a_payment_whose_callback_died_with_mpesa_is_found_by_asking(stage: Stage) -> None:
    """M-Pesa is killed after it took the money and before it told us; back again, it is asked and the deposit ends."""
    (client,) = stage.people
    late = {"fault": {"kind": "late_callback", "milliseconds": 600_000}, "msisdn": client.phone.msisdn}
    assert 204 == stage.daraja.post("/sandbox/faults", json=late).status_code
    # Silent to questions too, or ours would be faster than the kill.
    stuck = {"fault": {"kind": "stuck_pending"}, "msisdn": client.phone.msisdn, "times": None}
    assert 204 == stage.daraja.post("/sandbox/faults", json=stuck).status_code
    deposit = stage.ask_for_deposit(client, 900, "sandbox-killed")
    stage.give_pin(client)
    stage.kill_sandbox()
    assert ("MpesaPromptAccepted", "ACCEPTED", "") == state_of(stage, deposit)
    assert Outside(1, 1, 0) == outside(stage, deposit)
    stage.start_sandbox()
    assert "stk_query" == stage.completed(client, deposit)["recovered_by"]
    assert Outside(1, 1, 1) == outside(stage, deposit)
    compare(stage)


def test_a_prompt_on_a_handset_outlives_mpesa(stage: Stage) -> None:
    """M-Pesa is killed while the prompt waits for the PIN; the prompt is there again, and the deposit ends."""
    (client,) = stage.people
    deposit = stage.ask_for_deposit(client, 901, "sandbox-killed-2")
    until("the prompt is accepted", lambda: state_of(stage, deposit)[0] == "MpesaPromptAccepted", stage.serve)
    stage.kill_sandbox()
    stage.start_sandbox()
    stage.give_pin(client)
    stage.completed(client, deposit)
    assert Outside(1, 1, 1) == outside(stage, deposit)
    compare(stage)
