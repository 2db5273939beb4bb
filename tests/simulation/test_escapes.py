"""Nobody leaves: what our own code may not reach past its ports, and what libraries get instead."""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from penpay.simulation.escapes import sealed
from penpay.simulation.loop import Escape, SimLoop

REACHES = (
    "time.time()",
    "time.time_ns()",
    "time.monotonic()",
    "time.monotonic_ns()",
    "time.perf_counter()",
    "time.perf_counter_ns()",
    "os.urandom(8)",
    "secrets.token_bytes(8)",
    "secrets.randbelow(9)",
    "uuid.uuid1()",
    "uuid.uuid4()",
    "time.gmtime()",
    "time.localtime()",
    "time.ctime()",
    "time.strftime('%F %T')",
    "os.getrandom(8)",
    "random.random()",
    "random.choice('abcdefgh')",
    "random.randint(1, 10**9)",
    "random.shuffle([1, 2, 3])",
    "random.SystemRandom().random()",
)
REAL_YEARS = range(2025, 2100)


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    loop = SimLoop(random.Random(1))
    yield loop
    loop.close()


def said_by(module: str, expression: str) -> Any:
    """What the expression comes to where a module of this name asks."""
    scope = {"__name__": module} | {one.__name__: one for one in (os, random, secrets, socket, threading, time, uuid)}
    return eval(expression, scope)  # noqa: S307  (one of the expressions above)


@pytest.mark.parametrize("expression", REACHES)
def test_our_own_code_may_not_reach_out(loop: SimLoop, expression: str) -> None:
    """A clock or chance that did not come through a port would make two runs of one seed differ."""
    with sealed(loop, random.Random(1)), pytest.raises(Escape, match=r"penpay\.application\.sly called"):
        said_by("penpay.application.sly", expression)


@pytest.mark.parametrize("module", ["penpay.application.sly", "httpx"])
@pytest.mark.parametrize(
    ("expression", "what"), [("threading.Thread(target=len).start()", "a thread"), ("socket.socket()", "a socket")]
)
def test_nobody_gets_a_thread_or_a_socket(loop: SimLoop, module: str, expression: str, what: str) -> None:
    """Neither we nor a library: there is nothing for them to run or to reach."""
    with sealed(loop, random.Random(1)), pytest.raises(Escape, match=what):
        said_by(module, expression)


def test_a_library_is_told_virtual_time(loop: SimLoop) -> None:
    """Its clocks agree with each other and move with the loop alone."""
    with sealed(loop, random.Random(1)):
        loop.skip(1_500_000)

        assert 1_500_000_000 == said_by("httpx", "time.monotonic_ns()")
        assert 1.5 == said_by("httpx", "time.perf_counter()")
        assert 1_767_247_201_500_000_000 == said_by("httpx", "time.time_ns()")
        assert 1_767_247_201.5 == said_by("httpx", "time.time()")


def test_a_moment_that_is_known_may_be_put_into_words(loop: SimLoop) -> None:
    """Formatting a datetime goes by `time.strftime`, and asks for no time."""
    with sealed(loop, random.Random(1)):
        assert "1970" == said_by("penpay.application.sly", "time.strftime('%Y', (1970, 1, 1, 0, 0, 0, 3, 1, 0))")


def test_a_library_sleeps_in_virtual_time(loop: SimLoop) -> None:
    """Its sleep takes nobody's time, and calendars say the date at which the world is."""
    with sealed(loop, random.Random(1)):
        said_by("httpx", "time.sleep(1.5)")

        assert 1_500_000 == loop.now_us
        assert "2026-01-01 06:00:01" == said_by("httpx", "time.strftime('%F %T')")
        assert (2026, 1, 1, 6) == said_by("httpx", "time.gmtime()")[:4]
        assert (1970, 1, 1) == said_by("httpx", "time.gmtime(0)")[:3]
    with sealed(loop, random.Random(1)), pytest.raises(Escape, match=r"time\.sleep"):
        said_by("penpay.application.sly", "time.sleep(1)")


@pytest.mark.parametrize("expression", REACHES)
def test_a_library_gets_the_same_from_the_same_seed(expression: str) -> None:
    """Two runs of one seed give a library the same, draw for draw."""
    told = []
    for _ in range(2):
        loop = SimLoop(random.Random(1))
        with sealed(loop, random.Random("7/libraries")):
            told.append([said_by("httpx", expression), said_by("httpx", "random.random()")])
        loop.close()

    assert told[0] == told[1]


def test_the_machine_is_given_back(loop: SimLoop) -> None:
    """After a seed clocks, chance, threads and sockets are the machine's again, and its own chance is undisturbed."""
    before = random.getstate()
    with sealed(loop, random.Random(1)):
        random.random()

    thread = threading.Thread(target=len, args=("",))
    thread.start()
    thread.join()
    socket.socket().close()
    assert before == random.getstate()
    assert time.gmtime(said_by("penpay.application.sly", "time.time()")).tm_year in REAL_YEARS
    assert said_by("penpay.application.sly", "os.urandom(8)") != said_by("penpay.application.sly", "os.urandom(8)")
