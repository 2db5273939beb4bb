"""What every throw-away server has in common: finding its programs, an account to run as, a port, a sure end."""

from __future__ import annotations

import atexit
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final


class Unavailable(Exception):
    """This machine cannot run the server; the message completes the sentence "not run, because ..."."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system account a server runs as; without ids it is our own."""

    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """None keeps our groups; another account gets none of them."""
        return None if self.uid is None else []


OURSELVES = Account()
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (directories of names of their own are made in it)
_ROOM: Final = 1 << 30


def unprivileged_account(preferred: str) -> Account:
    """Return our own account or, for root, `preferred` or else nobody: database servers refuse to run as root.

    Raises Unavailable when root finds neither.
    """
    if os.geteuid() != 0:
        return OURSELVES
    for name in (preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise Unavailable(f"we are root, and there is neither an account {preferred!r} nor 'nobody' to run it as")


def directory_with(programs: Sequence[str], candidates: Iterable[Path]) -> Path | None:
    """Return the first of `candidates` that holds every one of `programs`."""
    for directory in candidates:
        if all(os.access(directory / program, os.X_OK) for program in programs):
            return directory
    return None


def search_path() -> list[Path]:
    """The directories of PATH, in order."""
    return [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]


def install_debian_package(package: str) -> None:
    """Install a Debian package if we are root on Debian; raises Unavailable if we are not, or if apt fails.

    A file lock makes parallel test workers take turns; to the later ones apt answers at once that nothing is missing.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(f"its programs are not installed, and only root on Debian can install {package!r} by itself")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with (Path(tempfile.gettempdir()) / "penpay-apt.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            done = run(["apt-get", "-qq", *arguments], environment=quiet)
            if done.returncode != 0:
                raise Unavailable(f"'apt-get {' '.join(arguments)}' failed: {tail(done.stdout)}")


def run(
    command: Sequence[str], *, environment: Mapping[str, str], account: Account = OURSELVES
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, stdout and stderr together in `stdout`."""
    return subprocess.run(  # noqa: S603 -- fixed programs, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=environment,
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=account.extra_groups,
    )


def tail(text: str, lines: int = 15) -> str:
    """The last lines of a program's output, where the reason usually stands."""
    return "\n".join(text.strip().splitlines()[-lines:])


def free_port() -> int:
    """A loopback port nobody listened on a moment ago; the caller tries another if it was taken since."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def in_memory() -> Path | None:
    """A directory in memory with room for a throw-away server, or None where there is none or too little."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    return _MEMORY if roomy else None


class Home:
    """A server's own temporary directory, owned by its account and removed by `close`."""

    def __init__(self, name: str, account: Account, *, within: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"penpay-{name}-", dir=within))
        if account.uid is not None and account.gid is not None:
            os.chown(self.path, account.uid, account.gid)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class ServerProcess:
    """A running server, ended by `stop`, at interpreter exit, or by the kernel should this process be killed."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        account: Account,
        log: Path,
        environment: Mapping[str, str],
        stop_signal: signal.Signals,
    ) -> None:
        self._stop_signal = stop_signal
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- fixed programs, no shell
                [*_dying_with_parent(stop_signal), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # Ctrl-C reaches us alone: tests that are just ending still find their server.
                start_new_session=True,
                cwd="/",
                user=account.uid,
                group=account.gid,
                extra_groups=account.extra_groups,
            )
        atexit.register(self.stop)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def log_tail(self) -> str:
        return tail(self._log.read_text(errors="replace"))

    def stop(self) -> None:
        """End the server and wait for it, by SIGKILL if it has not obeyed after 20 s; a repeat does nothing."""
        atexit.unregister(self.stop)
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _dying_with_parent(stop_signal: signal.Signals) -> list[str]:
    """A command prefix that asks the Linux kernel to stop the server when we die without a chance to."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", stop_signal.name, "--"] if setpriv else []
