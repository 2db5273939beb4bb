"""An environment of its own for other people's clients: made once, again when what is pinned has changed."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import ROOT
from tests.servers.process import Unavailable

REQUIREMENTS = ROOT / "requirements" / "third-party.txt"
PLACE = ROOT / ".venv" / "third-party"
PATIENCE_S = 300


def python() -> Path:
    """The interpreter that has the clients. Raises Unavailable where they cannot be installed."""
    PLACE.parent.mkdir(exist_ok=True)
    pinned = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp, program = PLACE / "pinned", PLACE / "bin" / "python"
    # Several workers of one run, or several runs, may want it at the same moment.
    with PLACE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == pinned):
            shutil.rmtree(PLACE, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(PLACE))
            pip = (str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            _run(*pip, "--require-hashes", "--requirement", str(REQUIREMENTS))
            stamp.write_text(pinned)
    return program


def _run(*command: str) -> None:
    try:
        ended = subprocess.run(  # noqa: S603  (our own interpreter, no shell)
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("installing requirements/third-party.txt takes too long") from None
    if ended.returncode:
        # Not what pip wrote: it names addresses of this machine.
        raise Unavailable("requirements/third-party.txt cannot be installed here")
