"""The rules themselves: each takes one source text and returns its findings, one line each."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from fnmatch import fnmatchcase

from tests.architecture.source import Source, length

FUNCTION_LINES = 70
FUNCTION_LINES_USUAL = 50
MODULE_LINES = 400

PURE = ("domain/", "application/")
"""Where money is computed: not even a division that could yield a float."""

DETERMINISM = (
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "time.*",
    "uuid.uuid[1-8]",
    "random.*",
    "secrets.*",
    "os.urandom",
    "os.getrandom",
    "asyncio.create_task",
    "asyncio.ensure_future",
    "asyncio.sleep",
    "asyncio.to_thread",
    "asyncio.TaskGroup",
    "threading.*",
    "multiprocessing.*",
    "concurrent.futures.*",
)
"""Time, identity, chance and concurrency, which come in through ports (patterns of full dotted names)."""

LOOP_METHODS = ("create_task", "call_later", "call_at", "run_in_executor")
"""The same through the event loop, whatever the loop is called."""

JSON_PARSERS = frozenset({"json.load", "json.loads", "orjson.loads", "pydantic_core.from_json"})
"""The last two cannot keep floats out at all."""

VAGUE_NAMES = frozenset({"util", "utils", "helper", "helpers", "misc", "common", "stuff"})

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")

MUTABLE_MAKERS = frozenset(
    {
        *("list", "dict", "set", "bytearray"),
        *("collections.defaultdict", "collections.deque", "collections.OrderedDict", "collections.Counter"),
        *("itertools.count", "itertools.cycle"),
        *("asyncio.Lock", "asyncio.Event", "asyncio.Queue", "asyncio.Semaphore", "asyncio.Condition"),
    }
)
CACHES = frozenset({"functools.cache", "functools.lru_cache"})
READ_ONLY_TYPES = frozenset({"Mapping", "Sequence", "Collection", "Set", "AbstractSet", "Iterable"})

OUTSIDE = frozenset(
    {"asyncio", "http", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3", "ssl"}
    | {"subprocess", "sys", "tempfile", "threading", "time", "urllib"}
)


EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?P<rules>:\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*|\[[a-z, -]+\])?")
MACHINE_PATH = re.compile(r"(?<![\w.~$}{:/-])/(?:home|root|Users|work|mnt)/[\w.-]+")
REGISTRY = re.compile(
    r"(?:pypi|npmjs|pythonhosted)\.(?:org|com)|(?:docker|ghcr|quay)\.io|[/.](?:artifactory|devpi|nexus|pypi)[/.:]"
)
LOCKED = re.compile(r"[\w.-]+(?:\[[\w,-]+\])?==[\w.!+-]+(?: ; [^#]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*")


def docstring(source: Source) -> Iterator[str]:
    """Every module says what it is for."""
    if not ast.get_docstring(source.tree):
        yield source.at(1, "no module docstring")


def module_length(source: Source) -> Iterator[str]:
    """A module is read in one sitting."""
    lines = len(source.text.splitlines())
    if lines > MODULE_LINES:
        yield source.at(1, f"{lines} lines, more than {MODULE_LINES}")


def function_length(source: Source) -> Iterator[str]:
    """A function is seen whole on one screen."""
    for function in source.functions():
        if length(function) > FUNCTION_LINES:
            yield source.at(
                function.lineno, f"{function.name} has {length(function)} lines, more than {FUNCTION_LINES}"
            )


def floats(source: Source) -> Iterator[str]:
    """No float is written, made, or let in by a division or a JSON parser."""
    pure = source.path.startswith(PURE)
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield source.at(node.lineno, f"float literal {node.value}")
        elif isinstance(node, ast.Name) and node.id == "float":
            yield source.at(node.lineno, "float")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and pure:
            yield source.at(node.lineno, "true division")
        elif isinstance(node, ast.Call) and _parses_json_with_floats(source, node):
            yield source.at(node.lineno, "JSON parsed without parse_float")


def _parses_json_with_floats(source: Source, call: ast.Call) -> bool:
    """Whether a call is one of the parsers, or `.json()` of an HTTP request or response, and leaves floats in."""
    if any(keyword.arg == "parse_float" for keyword in call.keywords):
        return False
    if source.origin(call.func) in JSON_PARSERS:
        return True
    return isinstance(call.func, ast.Attribute) and call.func.attr == "json"


def nondeterminism(source: Source) -> Iterator[str]:
    """Time, ids, chance, tasks and threads are asked from ports; even handing the function on counts as use."""
    for node in source.nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            name = source.origin(node)
            if name and any(fnmatchcase(name, pattern) for pattern in DETERMINISM):
                yield source.at(node.lineno, name)
            elif isinstance(node, ast.Attribute) and node.attr in LOOP_METHODS:
                yield source.at(node.lineno, f".{node.attr}")


def unseeded(source: Source) -> Iterator[str]:
    """Where chance is made to be repeated, it is made from something."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and source.origin(node.func) == "random.Random" and not node.args:
            yield source.at(node.lineno, "random.Random of nothing")


def module_name(source: Source) -> Iterator[str]:
    """A module is named for a thing, not for being useful."""
    for part in source.path.removesuffix(".py").split("/"):
        if part.strip("_") in VAGUE_NAMES:
            yield source.at(1, f"'{part}' says nothing")


def unfinished(source: Source) -> Iterator[str]:
    """What is in the tree is finished."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := UNFINISHED.search(line):
            yield source.at(number, found[0])


def module_state(source: Source) -> Iterator[str]:
    """Nothing a module or class holds can change after import: two Systems in one interpreter would share it.

    A literal may stand there under a read-only type (`TABLE: Final[Mapping[str, int]] = {...}`), which makes mypy
    refuse to change it, or inside tuple, frozenset or MappingProxyType.
    """
    for statement in _shared_statements(source):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and _is_mutable(source, statement.value):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            annotation = statement.annotation if isinstance(statement, ast.AnnAssign) else None
            if ast.unparse(target) != "__all__" and not _is_read_only(annotation):
                yield source.at(statement.lineno, f"{ast.unparse(target)} can be changed")
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield source.at(node.lineno, f"global {', '.join(node.names)}")
        elif isinstance(node, ast.Name | ast.Attribute) and source.origin(node) in CACHES:
            yield source.at(node.lineno, f"{source.origin(node)} keeps a cache in the module")


def _shared_statements(source: Source) -> Iterator[ast.stmt]:
    """What runs once, at import: the statements of the module and of its classes."""
    yield from source.tree.body
    for node in source.nodes:
        if isinstance(node, ast.ClassDef):
            yield from node.body


def _is_mutable(source: Source, value: ast.expr | None) -> bool:
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    if isinstance(value, ast.Call):
        name = source.origin(value.func) or (value.func.id if isinstance(value.func, ast.Name) else "")
        return name in MUTABLE_MAKERS
    return False


def _is_read_only(annotation: ast.expr | None) -> bool:
    """Whether an annotation, looked at through Final[...], is an abstract type without a way to change it."""
    if isinstance(annotation, ast.Subscript):
        if ast.unparse(annotation.value) in {"Final", "typing.Final"}:
            return _is_read_only(annotation.slice)
        annotation = annotation.value
    return annotation is not None and ast.unparse(annotation).rpartition(".")[2] in READ_ONLY_TYPES


def domain_imports(source: Source) -> Iterator[str]:
    """The domain knows itself and the standard library, and of that nothing that reaches outside."""
    if not source.path.startswith("domain/"):
        return
    for node in source.nodes:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "."]
        else:
            continue
        for module in modules:
            top = module.partition(".")[0]
            if not module.startswith("penpay.domain") and (top not in sys.stdlib_module_names or top in OUTSIDE):
                yield source.at(node.lineno, f"imports {module}")


def unexplained(source: Source) -> Iterator[str]:
    """An exception to a linter names the rule, and says why behind it or in a comment on the line above."""
    comments = {
        token.start[0]: token.string
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline)
        if token.type == tokenize.COMMENT
    }
    for line, comment in comments.items():
        if found := EXCEPTION.search(comment):
            explained = EXCEPTION.sub("", comment).strip(" #-—:")
            above = comments.get(line - 1, "")
            if not found["rules"] or not (explained or (above and not EXCEPTION.search(above))):
                yield source.at(line, "an exception without its rule or its reason")


def foreign_addresses(path: str, text: str) -> Iterator[str]:
    """A file of the repository names no place on one machine and no package registry."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern in (MACHINE_PATH, REGISTRY):
            if found := pattern.search(line):
                yield f"{path}:{number}: {found[0]}"


def unlocked(path: str, text: str) -> Iterator[str]:
    """Every line of a requirements file is one exact version with hashes, and none is an address or an option."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not LOCKED.fullmatch(line):
            yield f"{path}: {line.strip()[:80]}"
