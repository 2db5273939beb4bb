"""How far a long command is: a bar where somebody watches standard error, a line now and then where nobody does."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from penpay.infrastructure.system import SystemClock

_EVERY_MS: Final = 20_000


class Progress:
    """Counts seeds, or other runs, for a `with` block; everything it shows goes to standard error."""

    def __init__(self, total: int, what: str = "seeds") -> None:
        self._total = total
        self._what = what
        self._clock = SystemClock()
        self._began_ms = self._clock.monotonic_ms()
        self._said_ms = self._began_ms
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True) if sys.stderr.isatty() else None
        self._task = self._bar.add_task("", total=total, told="") if self._bar is not None else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def elapsed_ms(self) -> int:
        """Real milliseconds since the beginning."""
        return max(1, self._clock.monotonic_ms() - self._began_ms)

    def show(self, done: int, broken: int) -> None:
        """So many are done, and so many of them have broken something."""
        told = f"{done * 1000 / self.elapsed_ms:.1f} {self._what}/s, {broken} broken"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, told=told)
        elif (now_ms := self._clock.monotonic_ms()) - self._said_ms >= _EVERY_MS:
            self._said_ms = now_ms
            typer.echo(f"{done}/{self._total} {self._what}, {told}", err=True)

    def say(self, line: str) -> None:
        """Something that takes its time begins now."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            typer.echo(line, err=True)
