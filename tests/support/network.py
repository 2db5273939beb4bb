"""A fence around the sockets of the test process: loopback at most, and none at all for unit tests.

It stands in Python's own socket class, which is the way out of everything we use but uvloop and child processes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, Protocol

Allows = Callable[[object], bool]
"""Whether an address, as the socket module writes it, may be used."""


class Patch(Protocol):
    """The part of pytest's MonkeyPatch the fence needs."""

    def setattr(self, target: object, name: str, value: object) -> None: ...


class NetworkRefused(AssertionError):
    """A test tried to leave the machine, or a unit test to open a connection at all."""


def nothing(_address: object) -> bool:
    """No address: unit tests."""
    return False


def loopback(address: object) -> bool:
    """Addresses of this machine: loopback by number or name, and sockets in the file system."""
    if isinstance(address, str | bytes):
        return True
    host = address[0] if isinstance(address, tuple) and address else None
    return is_loopback_host(host)


def is_loopback_host(host: object) -> bool:
    """Whether a host name or number means this machine without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def fence(patch: Patch, allows: Allows) -> None:
    """Refuse to connect, bind, send to or look up whatever `allows` does not, for as long as `patch` lasts."""

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, *arguments: Any) -> Any:
            # The address is the last argument of each of these calls.
            if not allows(arguments[-1]):
                raise NetworkRefused(f"{original.__name__} to {arguments[-1]!r}")
            return original(self, *arguments)

        return call

    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if not allows((host,)):
            raise NetworkRefused(f"look-up of {host!r}")
        return resolve(host, *arguments, **options)

    for name in ("connect", "connect_ex", "bind", "sendto"):
        patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
    patch.setattr(socket, "getaddrinfo", getaddrinfo)
