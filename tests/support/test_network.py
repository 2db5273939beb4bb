"""The fence around the test process's sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support import network


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("127.8.9.1", 1), ("::1", 1, 0, 0), ("localhost", 1), "/run/x"])
def test_loopback_is_inside(address: object) -> None:
    """Addresses of this machine are allowed, by number, by name, and as a file."""
    assert network.loopback(address)


@pytest.mark.parametrize(
    "address", [("192.0.2.1", 1), ("0.0.0.0", 1), ("", 1), ("2001:db8::1", 1, 0, 0), ("example.org", 1), (None, 1), ()]
)
def test_everything_else_is_outside(address: object) -> None:
    """Other machines, and listening on every interface, are refused; so is what cannot be judged."""
    assert not network.loopback(address)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
def test_a_test_cannot_leave_the_machine(host: str) -> None:
    """Neither a number nor a name leads out: not even the look-up is made."""
    with pytest.raises(network.NetworkRefused):
        socket.create_connection((host, 80), timeout=1)


async def test_asyncio_cannot_leave_the_machine() -> None:
    """The event loop's connections go through the same fence."""
    with pytest.raises(network.NetworkRefused):
        await asyncio.open_connection("example.org", 80)


def test_a_datagram_cannot_leave_the_machine() -> None:
    """UDP needs no connection and is fenced as well."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(network.NetworkRefused):
        sender.sendto(b"x", ("192.0.2.1", 53))


def test_loopback_works() -> None:
    """A server and a client of the same test reach each other."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")


def test_a_unit_test_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below tests/unit not even loopback can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        network.fence(monkeypatch, network.nothing)
        with pytest.raises(network.NetworkRefused):
            socket.create_connection(server.getsockname())


def test_an_event_loop_runs_inside_the_unit_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pair of sockets with which asyncio wakes itself is no way out and is left alone."""
    network.fence(monkeypatch, network.nothing)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
