"""A `penpay` command running as a process of its own, which can be killed as hard as a machine can die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Program:
    """One command, alone in its process group; what it writes is kept in a file."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], folder: Path, name: str) -> None:
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self._skip = out.tell(), err.tell()
            self._process = subprocess.Popen(  # noqa: S603  (our own program, no shell)
                [sys.executable, "-m", "penpay", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={"PATH": os.environ.get("PATH", ""), "COLUMNS": "120", **environment},
                cwd=folder,  # no .env of a developer is read, and nothing is left in the checkout
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def output(self) -> str:
        """Standard output so far."""
        return self._out.read_bytes()[self._skip[0] :].decode()

    @property
    def complaints(self) -> str:
        """Standard error so far."""
        return self._err.read_bytes()[self._skip[1] :].decode()

    def send(self, number: signal.Signals) -> None:
        """Send the whole process group a signal."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL to the process group, as when the power goes; a repeat does nothing."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def exit_status(self, within_s: float) -> int:
        """Wait for its end and return the status; raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout=within_s)


def run_to_end(*arguments: str, environment: Mapping[str, str], folder: Path, name: str) -> Program:
    """Run one command to its end, at most a minute."""
    program = Program(*arguments, environment=environment, folder=folder, name=name)
    try:
        program.exit_status(60)
    finally:
        program.kill()
    return program
