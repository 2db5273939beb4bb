"""Building programs: the only package that knows every layer.

`build` makes one process's worth of PenPay, `Sandbox` one of the sandbox. Several of each can live in one interpreter,
so nothing here or below keeps state in a module. Nothing runs before `start`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penpay.bootstrap.databases import make_folder
    from penpay.bootstrap.operator import OperatorProcess, kenyan_policy, operator_policy
    from penpay.bootstrap.ports import Ports, real_ports
    from penpay.bootstrap.sandbox import Sandbox, kept_certificate
    from penpay.bootstrap.system import System, build

__all__ = [
    "OperatorProcess",
    "Ports",
    "Sandbox",
    "System",
    "build",
    "kenyan_policy",
    "kept_certificate",
    "make_folder",
    "operator_policy",
    "real_ports",
]


def __getattr__(name: str) -> Any:
    """Each when it is first asked for: no program needs all of them, and importing one may take half a second."""
    match name:
        case "make_folder":
            where = "databases"
        case "OperatorProcess" | "kenyan_policy" | "operator_policy":
            where = "operator"
        case "Ports" | "real_ports":
            where = "ports"
        case "Sandbox" | "kept_certificate":
            where = "sandbox"
        case "System" | "build":
            where = "system"
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{where}"), name)
