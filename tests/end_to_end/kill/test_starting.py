"""Starting `penpay serve` and `penpay sandbox` where something stands in the way."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.end_to_end.kill.databases import SqliteDatabase
from tests.end_to_end.kill.program import Program, run_to_end
from tests.end_to_end.kill.stage import Stage, until

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path, SqliteDatabase(tmp_path / "penpay.db"), ())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("command", "setting"),
    [("serve", "MPESA_CALLBACK_URL"), ("sandbox", "MPESA_BASE_URL"), ("sandbox", "DERIV_ENDPOINT")],
)
def test_a_taken_port_is_told_in_one_line(stage: Stage, command: str, setting: str) -> None:
    """Exit status 1 and the address, for each of the three ports; no traceback."""
    port = urlsplit(stage.environment[setting]).port
    with closing(socket.create_server(("127.0.0.1", port or 0))):
        ended = run_to_end(command, environment=stage.environment, folder=stage.folder, name=command)
    assert 1 == ended.exit_status(0)
    assert f"error: port_taken: Another program listens on 127.0.0.1:{port}." == ended.complaints.splitlines()[-1]
    assert "Traceback" not in ended.complaints


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "x" * 70])
def test_an_address_of_another_machine_is_told_in_one_line(stage: Stage, host: str) -> None:
    """PENPAY_HTTP_HOST that is not this machine, unknown, or no name at all is named as what is wrong."""
    environment = {**stage.environment, "PENPAY_HTTP_HOST": host}
    ended = run_to_end("serve", environment=environment, folder=stage.folder, name="serve")
    assert 1 == ended.exit_status(0)
    told = "error: address_unusable: PENPAY_HTTP_HOST and PENPAY_HTTP_PORT cannot be listened at: "
    assert ended.complaints.splitlines()[-1].startswith(told)
    assert "Traceback" not in ended.complaints


def test_port_zero_takes_a_free_one_and_tells_which(stage: Stage) -> None:
    """With PENPAY_HTTP_PORT=0 the line on standard output names the port that was taken."""
    serve = stage.serve = Program(
        "serve", environment={**stage.environment, "PENPAY_HTTP_PORT": "0"}, folder=stage.folder, name="serve"
    )
    until("it says where it serves", lambda: "PenPay serves" in serve.output, serve)
    told = re.search(r"http://127\.0\.0\.1:([0-9]+) ", serve.output)
    assert told is not None
    assert 200 == httpx.get(f"http://127.0.0.1:{told[1]}/healthz", timeout=5).status_code
    serve.send(signal.SIGTERM)
    assert 0 == serve.exit_status(10)
