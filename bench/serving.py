"""What the benches over HTTP share: a program that serves, its database, and a process that asks it."""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from bench.postings import MEASURED_SECONDS, WARM_UP_SECONDS, Round
from penpay.bootstrap import OperatorProcess, operator_policy, real_ports
from penpay.config import load_operator_settings
from penpay.infrastructure.security.keys import KEY_BYTES

CONNECTIONS: Final = 64
_ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class HttpRound:
    """What one round came to."""

    measured: Round
    answers: Sequence[str]
    """The id in each answer."""
    load_cpu: float
    """The part of one core that the asking took."""


def ask(
    port: int,
    requests: Sequence[str],
    *,
    once: bool,
    answer: Sequence[str],
    connections: int = CONNECTIONS,
    status: int = 200,
) -> HttpRound:
    """Measure for a while, after a warm-up. Exits when anything but `status` is answered.

    `once`: each request is sent once at most, and there must be enough of them; otherwise they are drawn.
    `answer`: the keys that lead to the id in an answer.
    """
    task = {
        "port": port,
        "connections": connections,
        "status": status,
        "warm_up_seconds": WARM_UP_SECONDS,
        "measured_seconds": MEASURED_SECONDS,
        "requests": requests,
        "once": once,
        "answer": answer,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=orjson.dumps(task),
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        check=True,
        timeout=60 + WARM_UP_SECONDS + MEASURED_SECONDS,
    )
    found = orjson.loads(done.stdout)
    if found["refused"]:
        sys.exit("Requests were refused:\n" + "\n\n".join(found["refusals"]))
    return HttpRound(Round(found["per_second"], found["p50_ms"], found["p99_ms"]), found["answers"], found["cpu"])


def environment(url: str) -> Mapping[str, str]:
    """The settings of an operator on this database, with keys of its own."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return {
        "OPERATOR_DATABASE_URL": url,
        "PENPAY_OPERATOR_HTTP_PORT": "0",
        "PENPAY_OPERATOR_RULES": "open",
        "PENPAY_FIELD_KEYS": f"bench:{key}",
        "PENPAY_MASTER_KEY": key,
    }


@asynccontextmanager
async def opened(environment: Mapping[str, str]) -> AsyncIterator[OperatorProcess]:
    """The operator in this process, on the same database."""
    settings = load_operator_settings(environment)
    process = OperatorProcess(settings, real_ports(), policy=operator_policy(settings))
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


@contextmanager
def served(environment: Mapping[str, str], *command: str, told: re.Pattern[str]) -> Iterator[int]:
    """`penpay` with this command, as anybody would run it; gives the port in the line that says where it serves."""
    with tempfile.TemporaryDirectory() as directory:  # without anybody's .env
        server = subprocess.Popen(  # noqa: S603  (our own program, no shell)
            [sys.executable, "-m", "penpay", *command],
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={"PATH": os.defpath, **environment},
        )
        try:
            found = next(filter(None, map(told.search, server.stdout or ())), None)
            if found is None:
                sys.exit("The program does not serve.")
            yield int(found[1])
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate()
    if server.returncode:
        sys.exit(f"The program ended with status {server.returncode}.")
