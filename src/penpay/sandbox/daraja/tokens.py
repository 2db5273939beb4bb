"""Access tokens: given for a consumer key and secret, asked for by every other call (daraja.md §1.2)."""

from __future__ import annotations

import base64
import binascii
import hmac

from penpay.application.shared.ports import Clock, Random
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_token
from penpay.sandbox.daraja.switches import DarajaCredentials, ExpiryStyle, SwitchBoard
from penpay.sandbox.daraja.wire import access_token
from penpay.sandbox.faults import DarajaCall

_LIFETIME_MS = 3_600_000
_TOLD_SECONDS = 3599


class WrongConsumer(Exception):
    """Key or secret is wrong; Daraja answers with an empty body."""


class TokenDesk:
    """Tokens live in memory: after a restart every old token is refused, as clients must expect anyway."""

    def __init__(self, *, credentials: DarajaCredentials, switches: SwitchBoard, clock: Clock, random: Random) -> None:
        self._credentials = credentials
        self._switches = switches
        self._clock = clock
        self._random = random
        self._expiry_ms: dict[str, int] = {}

    def issue(self, authorization: str, grant_type: str | None) -> dict[str, str | int]:
        """A new token; `expires_in` is a string, as observed, or a number. Raises DarajaRefusal, WrongConsumer."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic" or not encoded:
            raise DarajaRefusal(400, "400.008.01", "Invalid Authentication passed")
        if grant_type != "client_credentials":
            raise DarajaRefusal(400, "400.008.02", "Invalid grant type passed")
        expected = f"{self._credentials.consumer_key}:{self._credentials.consumer_secret}".encode()
        if not hmac.compare_digest(_decoded(encoded.strip()), expected):
            raise WrongConsumer
        self._forget_expired()
        if self._switches.now.new_token_revokes_old:
            self._expiry_ms.clear()
        token = access_token(self._random)
        self._expiry_ms[token] = self._clock.monotonic_ms() + _LIFETIME_MS
        number = self._switches.now.token_expiry is ExpiryStyle.NUMBER
        return {"access_token": token, "expires_in": _TOLD_SECONDS if number else str(_TOLD_SECONDS)}

    def require(self, authorization: str, call: DarajaCall = DarajaCall.PUSH) -> None:
        """Let a call pass that carries a living token. Raises DarajaRefusal, in the words of that call."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise DarajaRefusal(404, "404.001.04", "Invalid Authentication Header")
        if self._expiry_ms.get(token.strip(), 0) <= self._clock.monotonic_ms():
            raise invalid_token(call, token.strip())

    def revoke_all(self) -> None:
        """Every token given so far is refused from now on."""
        self._expiry_ms.clear()

    def _forget_expired(self) -> None:
        now = self._clock.monotonic_ms()
        self._expiry_ms = {token: expiry for token, expiry in self._expiry_ms.items() if expiry > now}


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
