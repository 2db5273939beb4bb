"""The shape of the code, held by a test: that the tree keeps each rule, and that each rule can be broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

import pytest

from tests.architecture import rules
from tests.architecture.source import Source, length, package_sources, python_sources, repository_texts

Rule = Callable[[Source], Iterator[str]]
Row = tuple[Rule, str, str, str]

_DRIVER = "a driver, which has a thread and its own patience; a simulation has another driver in its place"
EXCEPTIONS = {
    # What gives a port its reality has to touch the real thing.
    ("infrastructure/system.py", "datetime.datetime.now"): "SystemClock is the machine's time",
    ("infrastructure/system.py", "time.monotonic_ns"): "SystemClock is the machine's time",
    ("infrastructure/system.py", "asyncio.sleep"): "SystemClock is the machine's time",
    ("infrastructure/system.py", "asyncio.to_thread"): "in_thread is the machine's threads",
    ("infrastructure/system.py", "secrets.randbelow"): "SystemRandom is the machine's chance",
    ("infrastructure/system.py", "secrets.token_bytes"): "SystemRandom is the machine's chance",
    ("infrastructure/sql/embedded.py", "asyncio.sleep"): _DRIVER,
    ("infrastructure/sql/embedded.py", "concurrent.futures.Future"): _DRIVER,
    ("infrastructure/sql/embedded.py", "concurrent.futures.ThreadPoolExecutor"): _DRIVER,
    ("infrastructure/sql/embedded.py", "time.monotonic_ns"): _DRIVER,
    (
        "infrastructure/security/passwords.py",
        "asyncio.to_thread",
    ): "a password takes so long that the loop would stand still; no order of events depends on the thread",
    ("bootstrap/ports.py", "asyncio.create_task"): "Tasks.spawn is how every other module starts a task",
    # What stands in for the outside while a seed runs; all chance there comes from the seed, all time from the loop.
    ("simulation/*.py", "random.Random"): "it is made from the seed, or another rule would find it",
    ("simulation/*.py", "asyncio.sleep"): "on the simulation's own loop it takes virtual time",
    ("simulation/loop.py", ".create_task"): "it is the loop",
    ("simulation/database.py", ".call_later"): "a transaction outlives its connection for a while",
    ("simulation/escapes.py", "random.getstate"): "it keeps the module's generator, which libraries use, as it was",
    ("simulation/escapes.py", "random.setstate"): "as above",
    ("simulation/escapes.py", "random.seed"): "libraries draw what the seed says",
    ("simulation/escapes.py", "threading.Thread"): "it is where starting one is made to fail",
    (
        "simulation/search.py",
        "multiprocessing.*",
    ): "seeds run on several processes, each a world of its own",
}
"""(module, finding) → why this one is right; both may be patterns."""


def findings(rule: Rule) -> list[str]:
    return [finding for source in package_sources() for finding in rule(source) if not _excepting(finding)]


def _excepting(finding: str) -> set[tuple[str, str]]:
    """The exceptions that cover a finding."""
    path, _, message = finding.split(":", 2)
    return {one for one in EXCEPTIONS if fnmatchcase(path, one[0]) and fnmatchcase(message.strip(), one[1])}


# Each rule with a path, a text that breaks it and a text that keeps it.
RULES: list[Row] = [
    (rules.docstring, "domain/x.py", "x = 1", '"""What it is for."""'),
    (rules.module_length, "domain/x.py", "x = 1\n" * 401, "x = 1\n" * 400),
    (rules.function_length, "domain/x.py", "def f():\n" + " x = 1\n" * 70, "def f():\n" + " x = 1\n" * 69),
    (rules.floats, "sandbox/x.py", "x = 1.0", "x = 1"),
    (rules.floats, "sandbox/x.py", "x = float(y)", "x = Decimal(y)"),
    (rules.floats, "sandbox/x.py", "def f(x: float): ...", "def f(x: int): ..."),
    (rules.floats, "domain/x.py", "x = y / 2", "x = y // 2"),
    (rules.floats, "application/x.py", "x /= 2", "x //= 2"),
    (rules.floats, "sandbox/x.py", "import json\njson.loads(x)", "import json\njson.loads(x, parse_float=str)"),
    (rules.floats, "sandbox/x.py", "from json import load as l\nl(x)", "from json import dumps\ndumps(x)"),
    (rules.floats, "sandbox/x.py", "import orjson\norjson.loads(x)", "import orjson\norjson.dumps(x)"),
    (rules.floats, "sandbox/x.py", "answer.json()", "answer.json(parse_float=Decimal)"),
    (rules.nondeterminism, "x.py", "from datetime import datetime as d\nd.now(UTC)", "clock.now()"),
    (rules.nondeterminism, "x.py", "import datetime\ndatetime.date.today()", "import datetime\ndatetime.date(1, 1, 1)"),
    (rules.nondeterminism, "x.py", "import time\nf(clock=time.monotonic)", "from datetime import time\ntime(1)"),
    (rules.nondeterminism, "x.py", "from time import sleep as s\ns(1)", "clock.sleep(1)"),
    (rules.nondeterminism, "x.py", "import uuid\nuuid.uuid4()", "import uuid\nuuid.UUID(x)"),
    (rules.nondeterminism, "x.py", "from uuid import uuid7\nuuid7()", "ids.new()"),
    (rules.nondeterminism, "x.py", "import random\nrandom.Random(1)", "random.below(2)"),
    (rules.nondeterminism, "x.py", "from secrets import token_hex\ntoken_hex()", "random.token_bytes(2)"),
    (rules.nondeterminism, "x.py", "import os\nos.urandom(8)", "import os\nos.fspath(x)"),
    (rules.nondeterminism, "x.py", "import asyncio\nasyncio.create_task(f())", "spawn(f())"),
    (rules.nondeterminism, "x.py", "import asyncio\nasyncio.sleep(0)", "import asyncio\nasyncio.timeout(1)"),
    (rules.nondeterminism, "x.py", "loop.create_task(f())", "loop.create_future()"),
    (rules.nondeterminism, "x.py", "from threading import Lock\nLock()", "from asyncio import Lock\nLock()"),
    (rules.unseeded, "x.py", "import random\nrandom.Random()", "import random\nrandom.Random(1)"),
    (rules.module_name, "infrastructure/utils.py", "", ""),
    (rules.module_name, "domain/helpers/money.py", "", ""),
    (rules.unfinished, "x.py", "# " + "TO" + "DO: later", "# 2547XXXXXXXX"),
    (rules.unfinished, "x.py", "raise " + "NotImplemented" + "Error", "return NotImplemented"),
    (rules.module_state, "x.py", "X = {}", "X: Mapping[str, int] = {}"),
    (rules.module_state, "x.py", "X: Final = [1]", "X: Final = (1,)"),
    (rules.module_state, "x.py", "X: Final[dict[str, int]] = {}", "X: Final[Mapping[str, int]] = {}"),
    (rules.module_state, "x.py", "X = {n for n in y}", "X = frozenset({1})"),
    (rules.module_state, "x.py", "from collections import deque\nX = deque()", "def f():\n X = {}"),
    (rules.module_state, "x.py", "class A:\n seen = set()", "class A:\n def f(self):\n  self.seen = set()"),
    (rules.module_state, "x.py", "def f():\n global X\n X = 1", '__all__ = ["f"]'),
    (rules.module_state, "x.py", "import functools\n@functools.cache\ndef f(): ...", "X = MappingProxyType({})"),
    (rules.domain_imports, "domain/x.py", "import sqlalchemy", "import decimal"),
    (rules.domain_imports, "domain/x.py", "from penpay.application import shared", "from penpay.domain import shared"),
    (rules.domain_imports, "domain/x.py", "import os", "from uuid import UUID"),
    (rules.unexplained, "x.py", "f()  # " + "noqa", "f()  # " + "noqa: S101 -- asserts are the point"),
    (rules.unexplained, "x.py", "f()  # " + "noqa: S101", "# Asserts are the point.\nf()  # " + "noqa: S101"),
    (rules.unexplained, "x.py", "f()  # " + "type: ignore[misc]", "f()  # " + "type: ignore[misc]  # untyped driver"),
]


EVERYWHERE = list(dict.fromkeys(row[0] for row in RULES))
"""Each rule once."""


def _names(rows: list[Row]) -> list[str]:
    return [f"{row[0].__name__}-{number}" for number, row in enumerate(rows)]


@pytest.mark.parametrize(("rule", "path", "bad", "_good"), RULES, ids=_names(RULES))
def test_each_rule_can_be_broken(rule: Rule, path: str, bad: str, _good: str) -> None:
    """A rule that finds nothing anywhere would pass over everything."""
    assert list(rule(Source(path, bad))) != []


KEPT = [row for row in RULES if row[3]]


@pytest.mark.parametrize(("rule", "path", "_bad", "good"), KEPT, ids=_names(KEPT))
def test_each_rule_can_be_kept(rule: Rule, path: str, _bad: str, good: str) -> None:
    """The proper way to write the same thing is not found fault with."""
    assert list(rule(Source(path, good))) == []


@pytest.mark.parametrize("rule", EVERYWHERE)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    """No module of the package breaks the rule, but for the exceptions listed above."""
    found = findings(rule)

    assert not found, "\n".join(found)


def test_no_module_outside_the_package_is_too_long() -> None:
    """Tests and benchmarks too are split along their stories before they grow too long to be read."""
    found = [finding for source in python_sources() for finding in rules.module_length(source)]

    assert not found, "\n".join(found)


def test_every_exception_is_needed() -> None:
    """An exception whose cause is gone is removed, or it would cover the next one."""
    needed = [_excepting(finding) for source in package_sources() for rule in EVERYWHERE for finding in rule(source)]

    assert set(EXCEPTIONS) - set().union(*needed) == set()


def test_every_linter_exception_has_a_reason() -> None:
    """In tests and benchmarks too, whoever switches a check off says why."""
    found = [finding for source in python_sources() for finding in rules.unexplained(source)]

    assert not found, "\n".join(found)


def test_long_functions_stay_rare() -> None:
    """At most three in a hundred functions are longer than fifty lines."""
    lengths = {
        f"{source.path}:{function.lineno} {function.name}": length(function)
        for source in package_sources()
        for function in source.functions()
    }
    long = {name: lines for name, lines in lengths.items() if lines > rules.FUNCTION_LINES_USUAL}

    assert len(long) * 100 <= len(lengths) * 3, long


def test_the_repository_names_no_machine_and_no_registry() -> None:
    """Paths of one machine and addresses of package registries stay out of the repository."""
    found = [finding for name, text in repository_texts() for finding in rules.foreign_addresses(name, text)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "home/user_one/penpay",
        "cd=/" + "root/x",
        "https://files.pypi" + ".org/simple",
        "docker" + ".io/postgres",
    ],
)
def test_a_foreign_address_is_found(text: str) -> None:
    """The rule on addresses can be broken."""
    assert list(rules.foreign_addresses("README.md", text)) != []


@pytest.mark.parametrize(
    "text", ["GET /mpesa/" + "work/now", "https://example.com/" + "home/x", "src/penpay/" + "root/x"]
)
def test_an_ordinary_path_is_not_a_foreign_address(text: str) -> None:
    """Paths of URLs and of the repository itself are no places on a machine."""
    assert list(rules.foreign_addresses("README.md", text)) == []


def test_requirements_are_exact_hashed_and_without_addresses() -> None:
    """What is installed is what was reviewed, wherever it is fetched from."""
    locked = {name: text for name, text in repository_texts() if re.fullmatch(r"requirements/[\w-]+\.txt", name)}

    assert {f"requirements/{name}.txt" for name in ("build", "dev", "lock", "runtime", "third-party")} == set(locked)
    assert [finding for name, text in locked.items() for finding in rules.unlocked(name, text)] == []


HASH = " --hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    "line",
    ["anyio==4.16.0", "anyio>=4" + HASH, "anyio @ https://x/anyio.whl" + HASH, "--index-url https://x", "-e ."],
)
def test_a_loose_requirement_is_found(line: str) -> None:
    """The rule on requirements can be broken."""
    assert list(rules.unlocked("requirements/runtime.txt", line)) != []


def test_a_locked_requirement_is_accepted() -> None:
    """One exact version with its hashes, over several lines and with a marker, is what the rule wants."""
    text = f"uvloop==0.23.0 ; sys_platform != 'win32' \\\n   {HASH} \\\n   {HASH}\nanyio[x]==4.16.0 \\\n   {HASH}\n"

    assert list(rules.unlocked("requirements/runtime.txt", text)) == []
