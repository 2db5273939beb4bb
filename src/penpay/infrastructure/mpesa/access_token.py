"""Daraja's OAuth bearer token: one per credential pair, shared by all calls and renewed by one caller at a time."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field
from typing import Final

import httpx

from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.verdicts_errors import CREDENTIALS_REFUSED, CREDENTIALS_RETRY_MS, RATE_LIMIT_RETRY_MS
from penpay.domain.mpesa.wire import UnreadableJson, code_text, read_object
from penpay.infrastructure.mpesa.exchange import Answer, AnswerLost, NothingSent, exchange

_PATH: Final = "/oauth/v1/generate?grant_type=client_credentials"
_TOKEN: Final = re.compile(r"[!-~]{1,4096}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_DOCUMENTED_LIFETIME_SECONDS: Final = 3600
_EARLY_SECONDS: Final = 60
_OK: Final = 200
_CREDENTIAL_STATUSES: Final = frozenset({400, 401})


class TokenUnavailable(Exception):
    """No bearer token could be had, so the call that needed one was never made; trying it again later is safe.

    `code` is `daraja_credentials` where the key or secret is wrong (people must cure it), else
    `daraja_token_unavailable`. The message holds no credential.
    """

    def __init__(self, code: str, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    renew_at_ms: int


@dataclass(frozen=True, slots=True)
class _Failure:
    code: str
    message: str
    retry_after_ms: int


class AccessTokens:
    """Keeps one token and renews it 60 s before it ends (daraja.md §1.2: a new token may invalidate the previous).

    Whoever comes while a renewal is under way shares its result, a failure included.
    """

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        base_url: str,
        consumer_key: str,
        consumer_secret: str,
        deadline_seconds: int,
    ) -> None:
        self._http = http
        self._clock = clock
        self._url = base_url.rstrip("/") + _PATH
        self._basic = base64.b64encode(f"{consumer_key}:{consumer_secret}".encode()).decode("ascii")
        self._deadline_seconds = deadline_seconds
        self._renewing = asyncio.Lock()
        self._renewals = 0
        self._latest: _Token | _Failure | None = None

    async def current(self) -> str:
        """The token to use now, renewed first if it is about to end. Raises TokenUnavailable."""
        return self._usable() or await self._renewed()

    async def replace(self, rejected: str) -> str:
        """The token to use instead of `rejected`, which Daraja did not take. Raises TokenUnavailable.

        However many calls were rejected with one token, it is renewed once.
        """
        usable = self._usable()
        return usable if usable is not None and usable != rejected else await self._renewed()

    def _usable(self) -> str | None:
        latest = self._latest
        if isinstance(latest, _Token) and self._clock.monotonic_ms() < latest.renew_at_ms:
            return latest.text
        return None

    async def _renewed(self) -> str:
        renewals_seen = self._renewals
        async with self._renewing:
            latest = self._latest
            # A renewal that ended while we waited is ours too. A cancelled one was never counted: we do it again.
            if latest is None or self._renewals == renewals_seen:
                latest = self._latest = await self._request()
                self._renewals += 1
        if isinstance(latest, _Failure):
            raise TokenUnavailable(latest.code, latest.message, latest.retry_after_ms)
        return latest.text

    async def _request(self) -> _Token | _Failure:
        asked_at_ms = self._clock.monotonic_ms()
        try:
            answer = await exchange(
                self._http,
                "GET",
                self._url,
                headers={"Authorization": f"Basic {self._basic}"},
                deadline_seconds=self._deadline_seconds,
            )
        except NothingSent as error:
            return _unavailable(f"Daraja's OAuth could not be reached ({error}).")
        except AnswerLost as lost:
            return _unavailable(f"Daraja's OAuth gave no answer ({lost.reason}).")
        return _read_token(answer, asked_at_ms)


def _unavailable(message: str) -> _Failure:
    return _Failure("daraja_token_unavailable", message, RATE_LIMIT_RETRY_MS)


def _read_token(answer: Answer, asked_at_ms: int) -> _Token | _Failure:
    """Read the OAuth answer (daraja.md §1.2): a wrong key or secret is HTTP 400 with an empty body."""
    try:
        payload = read_object(answer.body)
    except UnreadableJson:
        if answer.status in _CREDENTIAL_STATUSES and not answer.body.strip():
            return _refused(f"HTTP {answer.status} without a body: the consumer key or secret is wrong.")
        return _unavailable(f"Daraja's OAuth answered HTTP {answer.status} and no JSON.")
    token = payload.get("access_token")
    if answer.status == _OK and isinstance(token, str) and _TOKEN.fullmatch(token):
        lifetime = _lifetime_seconds(payload.get("expires_in"))
        # A lifetime too short for the full margin is used up to its half, rather than renewed on every call.
        usable_seconds = max(lifetime - _EARLY_SECONDS, lifetime // 2)
        return _Token(token, asked_at_ms + usable_seconds * 1000)
    code = code_text(payload.get("errorCode"))
    if answer.status in _CREDENTIAL_STATUSES and code is not None:
        return _refused(f"Daraja's OAuth refused the credentials: {code}.")
    return _unavailable(f"Daraja's OAuth answered HTTP {answer.status} without a token.")


def _refused(message: str) -> _Failure:
    return _Failure(CREDENTIALS_REFUSED, message, CREDENTIALS_RETRY_MS)


def _lifetime_seconds(expires_in: object) -> int:
    """`expires_in` comes as text or as a number (daraja.md §1.2); unreadable, the documented hour stands."""
    text = code_text(expires_in)
    return int(text) if text is not None and _SECONDS.fullmatch(text) else _DOCUMENTED_LIFETIME_SECONDS
