"""Source files as the rules read them: parsed once, with every name traced back to the module it was imported from."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "penpay"


@dataclass(frozen=True)
class Source:
    """One module; `path` is relative to the package, such as domain/shared/money.py."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for: {"dt": "datetime", "now": "time.time"}."""
        names = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def origin(self, node: ast.expr) -> str | None:
        """The full dotted name an expression refers to, if it starts from an import: "datetime.datetime.now"."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.origin(node.value)
            return base and f"{base}.{node.attr}"
        return None

    def at(self, line: int, message: str) -> str:
        """One finding, written so that a terminal can jump to it."""
        return f"{self.path}:{line}: {message}"

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the last statement, docstring and comments included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


@cache
def package_sources() -> tuple[Source, ...]:
    """Every module of the package."""
    return tuple(
        Source(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    )


@cache
def python_sources() -> tuple[Source, ...]:
    """Every Python file of the repository, by its path there."""
    return tuple(Source(name, text) for name, text in repository_texts() if name.endswith(".py"))


@cache
def repository_texts() -> tuple[tuple[str, str], ...]:
    """Path and text of every text file that is in the repository or would be added to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 -- git of the PATH
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = sorted(filter(None, listed.stdout.decode().split("\0")))
    texts = ((name, _text(ROOT / name)) for name in names)
    return tuple((name, text) for name, text in texts if text is not None)


def _text(path: Path) -> str | None:
    """The text of a file; None if it has been deleted or is a picture."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
