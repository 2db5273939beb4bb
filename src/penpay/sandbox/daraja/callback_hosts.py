"""Callback hosts that this machine serves itself: an https address of the merchant's leads to a local port."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx

_RULE = re.compile(r"([a-z0-9.-]{1,253})=([a-z0-9.-]{1,253}):([1-9][0-9]{0,4})", re.ASCII)
_HIGHEST_PORT = 65_535


def parse_hosts(text: str) -> Mapping[str, tuple[str, int]]:
    """Where each host is served, of "shop.example=127.0.0.1:8080,…". Raises ValueError for anything else."""
    found: dict[str, tuple[str, int]] = {}
    for rule in text.split(",") if text else []:
        match = _RULE.fullmatch(rule.strip().lower())
        if match is None or int(match[3]) > _HIGHEST_PORT:
            raise ValueError(f"A callback host is written host=address:port, not {rule.strip()!r}.")
        found[match[1]] = (match[2], int(match[3]))
    return found


def led_home(url: str, hosts: Mapping[str, tuple[str, int]]) -> tuple[httpx.URL, Mapping[str, str]]:
    """Where a callback really goes, and the headers that tell the receiver whom it was for. Raises httpx.InvalidURL."""
    meant = httpx.URL(url)
    home = hosts.get(meant.host)
    if home is None:
        return meant, {}
    address, port = home
    return meant.copy_with(scheme="http", host=address, port=port), {"Host": meant.netloc.decode("ascii")}
