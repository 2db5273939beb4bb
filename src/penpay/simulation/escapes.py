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
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from penpay.simulation.loop import MICROSECONDS, Escape, SimLoop

_OURS: Final = "penpay."
_SIMULATION: Final = "penpay.simulation"
_PASS_ON: Final = frozenset({"random", "secrets", "uuid"})
"""They draw for whoever calls them."""
_DRAWS: Final[Mapping[str, Callable[..., Any]]] = {
    name: right for name, right in vars(random).items() if isinstance(getattr(right, "__self__", None), random.Random)
}
"""The functions of the module `random`, which share one generator."""
_FORMATS: Final = "time.strftime"
"""`datetime.strftime` calls it too."""


@contextmanager
def sealed(loop: SimLoop, chance: random.Random) -> Iterator[None]:
    """The block runs without an outside; `chance` serves the libraries that draw."""
    began_us = int(loop.begins_at.timestamp()) * MICROSECONDS

    def now_us() -> int:
        return began_us + loop.now_us

    right = {name: getattr(time, name) for name in ("gmtime", "localtime", "ctime", "strftime")}
    clocks: dict[str, Callable[..., Any]] = {
        "time": lambda: now_us() / MICROSECONDS,
        "time_ns": lambda: now_us() * 1_000,
        "monotonic": lambda: loop.now_us / MICROSECONDS,
        "monotonic_ns": lambda: loop.now_us * 1_000,
        "perf_counter": lambda: loop.now_us / MICROSECONDS,
        "perf_counter_ns": lambda: loop.now_us * 1_000,
        "sleep": lambda seconds: loop.skip(int(seconds * MICROSECONDS)),
        **{name: _at_virtual_time(right[name], now_us) for name in ("gmtime", "localtime", "ctime")},
        "strftime": lambda form, *at: right["strftime"](form, *(at or (right["gmtime"](now_us() / MICROSECONDS),))),
    }
    state = random.getstate()
    random.seed(chance.getrandbits(64))
    try:
        with ExitStack() as closed:
            for name, read in clocks.items():
                closed.enter_context(patch.object(time, name, _for_libraries(f"time.{name}", read)))
            for name, function in _DRAWS.items():
                closed.enter_context(patch.object(random, name, _for_libraries(f"random.{name}", function)))
            one = _for_libraries("uuid.uuid1", lambda *_: uuid.UUID(bytes=chance.randbytes(16), version=1))
            closed.enter_context(patch.object(uuid, "uuid1", one))
            kernel = _for_libraries("os.getrandom", lambda size, flags=0: chance.randbytes(size))  # noqa: ARG005  (os's)
            closed.enter_context(patch.object(os, "getrandom", kernel))
            draw = _for_libraries("os.urandom", chance.randbytes)
            closed.enter_context(patch.object(os, "urandom", draw))
            closed.enter_context(patch.object(random, "_urandom", draw))
            closed.enter_context(patch.object(threading.Thread, "start", _refuse("a thread")))
            closed.enter_context(patch.object(socket.socket, "__init__", _refuse("a socket")))
            yield
    finally:
        random.setstate(state)


def _at_virtual_time(right: Callable[[Any], Any], now_us: Callable[[], int]) -> Callable[..., Any]:
    """The same for the moment that is given, or for the virtual one."""
    return lambda seconds=None: right(now_us() / MICROSECONDS if seconds is None else seconds)


def _for_libraries(what: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*arguments: Any, **named: Any) -> Any:
        frame = sys._getframe(1)  # noqa: SLF001  (who is asking decides)
        while frame.f_globals.get("__name__") in _PASS_ON and frame.f_back is not None:
            frame = frame.f_back
        asker = frame.f_globals.get("__name__", "")
        is_harmless = what == _FORMATS and len(arguments) > 1  # a moment that is given is only put into words
        if asker.startswith(_OURS) and not asker.startswith(_SIMULATION) and not is_harmless:
            raise Escape(f"{asker} called {what}")
        return answer(*arguments, **named)

    return asked


def _refuse(what: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        raise Escape(what)

    return refused
