"""Stopping in good order: SIGTERM to `penpay serve`, idle, starting, under load, and held up by a slow caller."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.end_to_end.kill.databases import SqliteDatabase
from tests.end_to_end.kill.program import Program
from tests.end_to_end.kill.stage import Stage, clients

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CALLERS = 8


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stop")
    made = Stage(folder, SqliteDatabase(folder / "penpay.db"), clients(CALLERS))
    try:
        made.seed()
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def serve(stage: Stage) -> Iterator[Program]:
    """A running `penpay serve` of this stage."""
    if stage.serve is None or stage.serve.has_ended:
        stage.start_serve()
    assert stage.serve is not None
    yield stage.serve
    stage.kill_serve()


def test_under_load_every_request_is_answered_or_can_be_repeated(stage: Stage, serve: Program) -> None:
    """SIGTERM amid requests: exit status 0, no traceback, and every answer that was given is in the database."""
    stopping, answers = threading.Event(), threading.Semaphore(0)
    with ThreadPoolExecutor(CALLERS) as callers:
        told = [callers.submit(_keep_asking, stage, number, stopping, answers) for number in range(CALLERS)]
        try:
            assert all(answers.acquire(timeout=10) for _ in range(4 * CALLERS))
            serve.send(signal.SIGTERM)
            assert 0 == serve.exit_status(10)
        finally:
            stopping.set()
        accepted = {transaction for one in told for transaction in one.result(20)}
    assert "Traceback" not in serve.complaints
    stored = {row[0] for row in stage.database.query("SELECT id FROM transactions")}
    assert set() == accepted - stored
    assert len(stored - accepted) <= CALLERS  # at most the one each caller was cut off from
    assert [] == stage.ledger_findings()


def test_a_caller_who_never_finishes_cannot_keep_it_running(stage: Stage, serve: Program) -> None:
    """SIGTERM while somebody uploads a body byte by byte: cut off with a 503 after the time of grace."""
    with socket.create_connection(("127.0.0.1", stage.port)) as slow:
        headers = (
            f"POST /api/v1/deposits HTTP/1.1\r\nHost: penpay\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {stage.people[0].api_key}\r\nContent-Length: 100\r\n\r\n{{"
        )
        slow.sendall(headers.encode())
        time.sleep(0.3)
        serve.send(signal.SIGTERM)
        slow.settimeout(8)
        answer = b"".join(iter(lambda: slow.recv(65_536), b""))
        assert 0 == serve.exit_status(8)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"code": "overloaded"' in answer
    assert "Traceback" not in serve.complaints


@pytest.mark.parametrize("after_s", [0.7, 1.4])
def test_interrupted_while_it_starts_it_leaves_no_traceback(stage: Stage, after_s: float) -> None:
    """A SIGTERM at any moment of the start ends it, at worst as the kernel does before Python has looked at it."""
    stage.kill_serve()
    starting = Program("serve", environment=stage.environment, folder=stage.folder, name="starting")
    try:
        time.sleep(after_s)
        starting.send(signal.SIGTERM)
        assert starting.exit_status(10) in {0, -signal.SIGTERM}
        assert "Traceback" not in starting.complaints
    finally:
        starting.kill()


def test_what_it_logs_is_one_json_object_a_line(stage: Stage, serve: Program) -> None:
    """Start, a stray message from Deriv's side and the stop: every line on standard error is JSON."""
    serve.send(signal.SIGINT)
    assert 0 == serve.exit_status(10)
    lines = [json.loads(line, parse_float=str) for line in serve.complaints.splitlines()]
    assert lines
    assert all({"message", "level", "logger", "timestamp"} <= set(line) for line in lines)


def _keep_asking(stage: Stage, number: int, stopping: threading.Event, answers: threading.Semaphore) -> list[str]:
    """Ask for deposits one after another, each on a connection of its own; the ids that were answered."""
    accepted: list[str] = []
    client = stage.people[number]
    body = {"amount_cents": 1_000, "currency": "USD", "deriv_login_id": client.login_id}
    with httpx.Client(base_url=stage.api.base_url, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        while not stopping.is_set():
            key = f"load-{number}-{len(accepted):04}"
            try:
                response = http.post("/api/v1/deposits", json={**body, "idempotency_key": key}, headers=client.headers)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            assert response.status_code in {202, 503}, response.text
            if response.status_code == 202:
                accepted.append(str(response.json()["id"]))
                answers.release()
    return accepted
