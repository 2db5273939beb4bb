"""Commands that are imported when they are run, so that the help of `penpay` and its light commands start at once."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command


class LazyCommand(TyperCommand):
    """Stands in its group's help for a command that is not imported yet, and gives way to it when it is run."""

    @property
    def loaded(self) -> Any:
        """The command or group it stands for, imported now."""
        load: Any = self.callback
        # What is imported stays: the cycle collector would walk it again and again, for a sixth of the time it takes.
        gc.disable()
        try:
            return load()
        finally:
            gc.freeze()
            gc.enable()

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command it stands for, which is what is run, or asked for its own help."""
        return self.loaded.make_context(info_name, args, parent, **extra)


def add_lazily(app: typer.Typer, name: str, where: str, told: str) -> None:
    """Add a command: `where` is "module:function", or a module whose `commands()` is a group; `told` is its help."""

    def load() -> Any:
        module, _, function = where.partition(":")
        alone = typer.Typer(add_completion=False)
        if function:
            alone.command(name)(getattr(import_module(module), function))
            return get_command(alone)
        alone.add_typer(import_module(module).commands(), name=name)
        parent: Any = get_command(alone)
        return parent.commands[name]

    app.command(name, cls=LazyCommand, help=told)(load)
