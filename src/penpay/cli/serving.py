"""What the commands that serve have in common; each imports only what it serves itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from penpay.cli.session import fail, run
from penpay.presentation.http.serving import PortTaken


@contextmanager
def address_told(setting: str) -> Iterator[None]:
    """An address that this machine does not have, does not know or may not use becomes one line."""
    try:
        yield
    except (OSError, UnicodeError) as refused:
        why = refused.strerror if isinstance(refused, OSError) else "it is no name of a machine"
        fail("address_unusable", f"{setting} cannot be listened at: {why}.")


def run_until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    """Serve until SIGINT or SIGTERM, at whatever moment it comes; then stop in good order, with exit status 0."""
    try:
        run(_interruptible(work))
    except PortTaken as taken:
        fail("port_taken", f"Another program listens on {taken}.")


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a coroutine runs in a task")
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    with suppress(asyncio.CancelledError):
        await work
