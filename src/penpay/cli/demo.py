"""`penpay demo`: the whole system on this machine, told as it happens."""

from __future__ import annotations

import errno
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop
from rich.console import Console

from penpay.cli.session import FAILED, fail
from penpay.demo.telling import run_demo
from penpay.demo.world import FolderInUse, fresh_folder
from penpay.infrastructure.telemetry.logs import log_as_json
from penpay.presentation.http.serving import PortTaken

_FOLDER = Path("var/demo")


def demo(  # noqa: PLR0917  (typer gives options by name)
    once: Annotated[bool, typer.Option("--once", help="Tell the stories and exit: 0 if all ended as told.")] = False,  # noqa: FBT002  (a flag)
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, as the last line.")] = False,  # noqa: FBT002  (a flag)
    api_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where our API listens.")] = 8000,
    daraja_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where the M-Pesa sandbox listens.")] = 6700,
    deriv_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where the Deriv simulator listens.")] = 6800,
    folder: Annotated[
        Path, typer.Option(help="Where the demo keeps its databases and its log; replaced at the start.")
    ] = _FOLDER,
) -> None:
    """Run deposits and withdrawals end to end on embedded SQLite, then keep serving."""
    with ExitStack() as stack:
        try:
            stack.enter_context(fresh_folder(folder))
            # Beside the story it would only be noise: what the programs note when they are cut off, for instance.
            log_as_json(stack.enter_context((folder / "demo.log").open("w", encoding="utf-8")))
        except FolderInUse:
            fail("folder_in_use", f"A demo runs in {folder}; stop it, or choose another --folder and other ports.")
        except OSError as refused:
            fail("folder_unusable", f"{folder} cannot be used: {refused.strerror}.")
        good = _told(
            run_demo(
                Console(),
                folder=folder,
                api_port=api_port,
                daraja_port=daraja_port,
                deriv_port=deriv_port,
                once=once,
                as_json=as_json,
            ),
            deriv_port,
        )
    if not good:
        raise typer.Exit(FAILED)


def _told(work: Coroutine[Any, Any, bool], deriv_port: int) -> bool:
    try:
        return uvloop.run(work)
    except PortTaken as taken:
        _port_taken(str(taken))
    except TimeoutError:
        fail("story_stuck", "A story did not come to its end in time.")
    except OSError as refused:
        if refused.errno != errno.EADDRINUSE:
            raise
        _port_taken(f"127.0.0.1:{deriv_port}")
    except KeyboardInterrupt:
        fail("interrupted", "The demo was interrupted before its end.")


def _port_taken(address: str) -> NoReturn:
    fail("port_taken", f"Another program listens on {address}; stop it, or choose other ports (see --help).")
