"""Building programs: the only package that knows every layer.

`build` makes one process's worth of PenPay, `Sandbox` one of the sandbox. Several of each can live in one interpreter,
so nothing here or below keeps state in a module. Nothing runs before `start`.
"""

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
