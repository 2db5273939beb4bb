"""Where a request comes from, as far as that can be known through proxies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

UNKNOWN = "unknown"
"""The peer of a connection without an address; no allow-list holds it."""


def remote_address(
    peer: str | None, forwarded_for: Sequence[str], trusted_proxies: Collection[IPv4Network | IPv6Network]
) -> str:
    """The nearest address that is not one of our proxies: the peer, or the right-most untrusted X-Forwarded-For.

    Whatever stands left of that anybody may have written, so it is not read.
    """
    nearest = _address(peer or "")
    if nearest is None:
        return UNKNOWN
    hops = [hop.strip() for header in forwarded_for for hop in header.split(",")]
    while hops and any(nearest in network for network in trusted_proxies):
        before = _address(hops.pop())
        if before is None:
            break
        nearest = before
    return str(nearest)


def arrived_by_tls(scope: Scope, peer: str | None, trusted_proxies: Collection[IPv4Network | IPv6Network]) -> bool:
    """Whether a request came encrypted: to ourselves, or to the proxy of ours that passed it on and says so."""
    if scope["scheme"] == "https":
        return True
    nearest = _address(peer or "")
    told = Headers(scope=scope).getlist("x-forwarded-proto")
    by_us = nearest is not None and any(nearest in network for network in trusted_proxies)
    return by_us and bool(told) and told[-1].rsplit(",", 1)[-1].strip().lower() == "https"


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
