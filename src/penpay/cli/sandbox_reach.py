"""Reaching a running sandbox over its HTTP routes, from a second terminal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import httpx
import typer

from penpay.cli.session import fail
from penpay.config import environment

Port = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="Where the sandbox listens, if not where MPESA_BASE_URL says or at 6700."),
]
_USUAL_PORT: Final = 6700
_REFUSED: Final = 400
_TIMEOUT: Final = httpx.Timeout(60, connect=5)


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    message: str


class Reached:
    """A sandbox that somebody has started."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON, None without one. A refusal ends the command with the code the sandbox gave."""
        found = await self._send(method, path, body)
        if isinstance(found, _Refusal):
            fail(found.code, found.message)
        return found

    async def try_to(self, method: str, path: str, body: object = None) -> Any:
        """As `ask`, but a refusal is returned as the text that says why."""
        found = await self._send(method, path, body)
        return found.message if isinstance(found, _Refusal) else found

    async def _send(self, method: str, path: str, body: object) -> Any:
        try:
            content = None if body is None else json.dumps(body).encode()
            answered = await self._client.request(
                method, path, content=content, headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            fail(
                "sandbox_unreachable",
                f"No sandbox answers at {self._client.base_url} ({type(error).__name__}): "
                "start one with `penpay sandbox`, or name its --port.",
            )
        try:
            found = json.loads(answered.content, parse_float=Decimal) if answered.content else None
        except ValueError:
            found = None
        if answered.status_code < _REFUSED:
            return found
        if isinstance(found, dict) and "code" in found:
            more = "".join(f" {error}." for error in found.get("errors", ()))
            return _Refusal(str(found["code"]), f"{found.get('message', '')}{more}")
        told = f"This sandbox does not offer {method} {path.partition('?')[0]} (status {answered.status_code})."
        return _Refusal("not_offered", told)


@asynccontextmanager
async def reached(port: int | None) -> AsyncIterator[Reached]:
    """The sandbox on this port of this machine, or else where MPESA_BASE_URL points if that is this machine."""
    url = f"http://127.0.0.1:{port or _set_port() or _USUAL_PORT}"
    # Not through a proxy of the environment: it is this machine.
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
        yield Reached(client)


def _set_port() -> int | None:
    with suppress(ValueError):
        parts = urlsplit(environment().get("MPESA_BASE_URL", ""))
        if parts.hostname in ("127.0.0.1", "localhost"):
            return parts.port
    return None
