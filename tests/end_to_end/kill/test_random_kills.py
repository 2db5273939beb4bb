"""`penpay serve` dies ten times at moments nobody chose, under twenty deposits; no shilling and no dollar is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from penpay.demo.world import PIN
from tests.end_to_end.kill.books import Outside, compare, outside, state_of
from tests.end_to_end.kill.databases import SqliteDatabase
from tests.end_to_end.kill.stage import Stage, clients, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 10
DEPOSITS = 20
SEED = 254


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path, SqliteDatabase(tmp_path / "penpay.db"), clients(DEPOSITS))
    try:
        made.seed()
        made.start()
        yield made
    finally:
        made.close()


class Round:
    """How often the process has died; users ask when their round has come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0

    def next(self) -> None:
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._number >= number)


def test_ten_deaths_under_twenty_deposits_lose_and_double_nothing(stage: Stage) -> None:
    """Each deposit completes, or is openly in doubt where nobody could know; the three books agree on all of them."""
    chance = random.Random(SEED)
    for client in stage.people:
        habit = {"habit": "ENTER_PIN", "pin": PIN, "after_ms": chance.randrange(100, 3_000)}
        path = f"/sandbox/phones/{client.phone.msisdn}/standing-answer"
        assert 204 == stage.daraja.put(path, json={"answer": habit}).status_code
    rounds = Round()
    with ThreadPoolExecutor(DEPOSITS) as users:
        asked = [users.submit(_ask_until_answered, stage, number, rounds) for number in range(DEPOSITS)]
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.05, 1.0))
                stage.kill_serve()
                rounds.next()
                stage.start_serve()
        finally:
            for _ in range(KILLS):
                rounds.next()  # nobody waits any more, whatever happened
        deposits = [answer.result(60) for answer in asked]
    assert DEPOSITS == len(set(deposits))
    assert [(str(DEPOSITS),)] == stage.database.query("SELECT count(*) FROM transactions")
    until(
        "every deposit is settled", lambda: all(_is_settled(stage, one) for one in deposits), stage.serve, pause_s=0.5
    )
    unseen, unsent = _doubts(stage, deposits)
    print(f"{KILLS} kills (seed {SEED}): payments unseen {len(unseen)}, transfers in doubt {len(unsent)}")  # noqa: T201  (what chance hit belongs to the result)
    compare(stage, unseen_kes=sum(unseen), unsent_usd=sum(unsent))
    assert (0, "The books are sound.\n", "") == stage.command("ledger", "verify")
    assert len(deposits) - len(unseen) - len(unsent) >= DEPOSITS // 2


def _ask_until_answered(stage: Stage, number: int, rounds: Round) -> str:
    """Ask as a patient app does: the same request under the same key, until there is an answer."""
    rounds.wait_for(number * KILLS // DEPOSITS)
    client = stage.people[number]
    body = {
        "amount_cents": 1_000 + number,
        "currency": "USD",
        "deriv_login_id": client.login_id,
        "idempotency_key": f"random-kills-{number:02}",
    }
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            response = stage.api.post("/api/v1/deposits", json=body, headers=client.headers)
        except httpx.HTTPError:
            time.sleep(0.05)
            continue
        assert response.status_code in {202, 503}, response.text
        if response.status_code == 202:
            return str(response.json()["id"])
    raise AssertionError(f"deposit {number} was never answered")


def _is_settled(stage: Stage, deposit: str) -> bool:
    return _status(stage, deposit) == "COMPLETED" or _is_in_doubt(stage, deposit)


def _is_in_doubt(stage: Stage, deposit: str) -> bool:
    """Killed between the licence to send and the answer: never sent again, so nobody but people or time can tell."""
    _, push, transfer = state_of(stage, deposit)
    done = outside(stage, deposit)
    if transfer:
        return transfer == "UNKNOWN" and done.transfers == 0
    (known,) = stage.database.query(
        f"SELECT checkout_sealed IS NOT NULL FROM mpesa_requests WHERE subject_id = {stage.database.literal(deposit)}"
    ) or [("",)]
    return push == "UNKNOWN" and known == ("0",) and done.pushes == done.payments


def _doubts(stage: Stage, deposits: list[str]) -> tuple[list[int], list[int]]:
    """What M-Pesa took without our knowing (KES cents), and what is in flight and not at Deriv (USD cents)."""
    unseen, unsent = [], []
    for deposit in deposits:
        done = outside(stage, deposit)
        if _status(stage, deposit) == "COMPLETED":
            assert Outside(1, 1, 1) == done
            continue
        ((kes, usd),) = stage.database.query(
            f"SELECT kes_charged_cents, usd_cents FROM transactions WHERE id = {stage.database.literal(deposit)}"
        )
        if state_of(stage, deposit)[2]:
            assert Outside(1, 1, 0) == done
            unsent.append(int(usd))
        else:
            assert done in {Outside(0, 0, 0), Outside(1, 1, 0)}
            unseen.append(int(kes) * done.payments)
    return unseen, unsent


def _status(stage: Stage, deposit: str) -> str:
    ((status,),) = stage.database.query(f"SELECT status FROM transactions WHERE id = {stage.database.literal(deposit)}")
    return status
