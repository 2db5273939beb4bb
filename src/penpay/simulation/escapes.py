"""No way out: while a seed runs, the machine's clock, chance, threads and sockets are closed or replaced.

Our own code has ports for all of them, so its reaching past a port is a bug and raises Escape. Libraries may ask what
time it is or draw a boundary or a salt: they get virtual time and seeded bytes.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from penpay.simulation.loop import MICROSECONDS, Escape, SimLoop

_OURS: Final = "penpay."
_SIMULATION: Final = "penpay.simulation"
_PASS_ON: Final = frozenset({"random", "secrets", "uuid"})
"""They draw for whoever calls them."""
_EPOCH_US: Final = 1_767_225_600 * MICROSECONDS
"""2026-01-01T00:00:00Z, where virtual time begins."""


@contextmanager
def sealed(loop: SimLoop, chance: random.Random) -> Iterator[None]:
    """The block runs without an outside; `chance` serves the libraries that draw."""

    def now_us() -> int:
        return _EPOCH_US + loop.now_us

    clocks: dict[str, Callable[[], Any]] = {
        "time": lambda: now_us() / MICROSECONDS,
        "time_ns": lambda: now_us() * 1_000,
        "monotonic": lambda: loop.now_us / MICROSECONDS,
        "monotonic_ns": lambda: loop.now_us * 1_000,
        "perf_counter": lambda: loop.now_us / MICROSECONDS,
        "perf_counter_ns": lambda: loop.now_us * 1_000,
    }
    state = random.getstate()
    random.seed(chance.getrandbits(64))
    try:
        with ExitStack() as closed:
            for name, read in clocks.items():
                closed.enter_context(patch.object(time, name, _for_libraries(f"time.{name}", read)))
            draw = _for_libraries("os.urandom", chance.randbytes)
            closed.enter_context(patch.object(os, "urandom", draw))
            closed.enter_context(patch.object(random, "_urandom", draw))
            closed.enter_context(patch.object(threading.Thread, "start", _refuse("a thread")))
            closed.enter_context(patch.object(socket.socket, "__init__", _refuse("a socket")))
            yield
    finally:
        random.setstate(state)


def _for_libraries(what: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*arguments: Any) -> Any:
        frame = sys._getframe(1)  # noqa: SLF001  (who is asking decides)
        while frame.f_globals.get("__name__") in _PASS_ON and frame.f_back is not None:
            frame = frame.f_back
        asker = frame.f_globals.get("__name__", "")
        if asker.startswith(_OURS) and not asker.startswith(_SIMULATION):
            raise Escape(f"{asker} called {what}")
        return answer(*arguments)

    return asked


def _refuse(what: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        raise Escape(what)

    return refused
