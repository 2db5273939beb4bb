"""`penpay sandbox` as a process of its own, without any setting, in a folder that is empty at first."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.kill.program import Program

PATIENCE_S = 60


class SandboxProgram:
    """One sandbox; `start` it, and again after `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self._program: Program | None = None

    def start(self, *options: str, columns: str = "120", **environment: str) -> None:
        """Serve on free ports and wait for the welcome."""
        self._program = Program(
            *("sandbox", "--port", "0", "--deriv-port", "0", *options),
            environment={"COLUMNS": columns, **environment},
            folder=self.folder,
            name="sandbox",
        )
        self.wait_for(lambda: "its books stay" in self.output, "its welcome")
        (self.url,) = re.findall(r"^M-Pesa sandbox on (\S+)$", self.output, re.MULTILINE)

    def stop(self) -> None:
        """End it in good order; it must do so with status 0."""
        if self._program is not None:
            self._program.send(signal.SIGTERM)
            assert 0 == self._program.exit_status(PATIENCE_S)

    def kill(self) -> None:
        """End it however; a repeat does nothing."""
        if self._program is not None:
            self._program.kill()

    @property
    def output(self) -> str:
        return "" if self._program is None else self._program.output

    @property
    def complaints(self) -> str:
        return "" if self._program is None else self._program.complaints

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def told(self, name: str) -> str:
        """A line of the welcome: `Consumer key`, for instance."""
        (value,) = re.findall(rf"^{name} +(\S+)", self.output, re.MULTILINE)
        return str(value)

    def penpay(self, *arguments: str, typed: str = "", status: int = 0, width: int = 80) -> str:
        """Run a command of a second terminal to its end and return what it printed; refusals go there too."""
        ended = subprocess.run(  # noqa: S603  (our own program, no shell)
            [sys.executable, "-m", "penpay", "sandbox", *arguments, "--port", self.port],
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=PATIENCE_S,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "COLUMNS": str(width)},
            check=False,
        )
        assert status == ended.returncode, ended.stdout
        return ended.stdout

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One of the sandbox's own routes."""
        answered = httpx.request(method, self.url + path, json=body, timeout=30)
        assert answered.status_code < 300, answered.text
        return json.loads(answered.content, parse_float=Decimal) if answered.content else None

    def log(self) -> list[dict[str, Any]]:
        """What the request log holds."""
        found: list[dict[str, Any]] = self.ask("GET", "/sandbox/log")["entries"]
        return found

    def wait_for(self, holds: Any, what: str) -> None:
        """Look again and again until it holds; fails after a minute, or when the sandbox has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            ended = self._program is not None and self._program.has_ended
            assert not ended, f"The sandbox ended before {what}: {self.complaints}"
            assert time.monotonic() < deadline, f"No {what}: {self.complaints}"
            time.sleep(0.05)
