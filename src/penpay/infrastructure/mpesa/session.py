"""Calls to Daraja under one app's credentials: token, limit, one repeat for a dead token, and no secret let through."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import httpx

from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.gateway import CallAnswer, CallOutcome
from penpay.domain.mpesa.verdicts_errors import CREDENTIALS_REFUSED, RATE_LIMIT_RETRY_MS, Api, is_invalid_token
from penpay.infrastructure.mpesa.access_token import AccessTokens, TokenUnavailable
from penpay.infrastructure.mpesa.exchange import Answer, AnswerLost, NothingSent, exchange
from penpay.infrastructure.mpesa.rate_limit import HeldBack, RateLimit, RateLimiter

NOT_CONNECTED: Final = "not_connected"
HELD_BACK: Final = "held_back"
"""Our word for a call that our own limit kept from being made."""
SAFARICOM_SANDBOX: Final = "sandbox.safaricom.co.ke"

_SHORTEST_SECRET: Final = 8
_SECRET_FIELDS: Final = ("Password", "SecurityCredential")
_SPELLINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/": r"(?:/|\\/|\\u002[Ff]|%2[Ff]|&#x2[Ff];|&#47;)",
        "+": r"(?:\+|\\u002[Bb]|%2[Bb]|&#x2[Bb];|&#43;)",
        "=": r"(?:=|\\u003[Dd]|%3[Dd]|&#x3[Dd];|&#61;)",
    }
)
"""How a character of base64 may look in an echo: plain, escaped in JSON, in an address or in HTML."""

Fields = Mapping[str, str | int | None]


class DarajaSession:
    """One app's credentials at one address. Everything that calls with them shares this object, and so one token.

    One call makes at most four exchanges (token, call, new token, call again), each within the deadline. A POST goes
    out a second time only after the gateway turned the first away for its token, before anything read it.
    """

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        base_url: str,
        consumer_key: str,
        consumer_secret: str,
        exchange_deadline_seconds: int = 45,
        limit: RateLimit | None = None,
    ) -> None:
        self.clock = clock
        self.host = httpx.URL(base_url).host
        """In lower case, without credentials or port."""
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._deadline_seconds = exchange_deadline_seconds
        self._limiter = None if limit is None else RateLimiter(limit, clock)
        self._secrets = (consumer_key, consumer_secret)
        self._tokens = AccessTokens(
            http=http,
            clock=clock,
            base_url=base_url,
            consumer_key=consumer_key,
            consumer_secret=consumer_secret,
            deadline_seconds=exchange_deadline_seconds,
        )

    async def call(
        self,
        path: str,
        fields: Fields,
        api: Api,
        verdict: Callable[[int, bytes], CallAnswer],
        *,
        secrets: tuple[str, ...] = (),
    ) -> CallAnswer:
        """POST once and tell the ending, whatever it is; `verdict` reads the answer, if one came whole."""
        answer = await self.attempt(path, fields, api, secrets=secrets)
        return answer if isinstance(answer, CallAnswer) else verdict(answer.status, answer.body)

    async def attempt(
        self, path: str, fields: Fields, api: Api, *, secrets: tuple[str, ...] = ()
    ) -> Answer | CallAnswer:
        """POST once: the answer as it came, or what it means that none came."""
        try:
            return await self.post(path, fields, api, secrets=secrets)
        except HeldBack as held:
            return _not_made(HELD_BACK, held_back_message(), held.retry_after_ms)
        except TokenUnavailable as error:
            return _not_made(error.code, error.message, error.retry_after_ms)
        except NothingSent as error:
            return _not_made(NOT_CONNECTED, not_connected_message(error), RATE_LIMIT_RETRY_MS)
        except AnswerLost as lost:
            return CallAnswer(outcome=CallOutcome.UNKNOWN, code=lost.reason, message=lost_message(lost))

    async def post(self, path: str, fields: Fields, api: Api, *, secrets: tuple[str, ...] = ()) -> Answer:
        """POST `fields` as JSON. Raises HeldBack, TokenUnavailable, NothingSent or AnswerLost.

        The answer holds none of `secrets`, no credential of the app, no bearer token and no secret field of the body.
        """
        if self._limiter is not None:
            self._limiter.pass_one()
        content = json.dumps(fields).encode("ascii")
        sent = tuple(value for name in _SECRET_FIELDS if isinstance(value := fields.get(name), str))
        token = await self._tokens.current()
        answer = await self._exchange(path, content, token, (*secrets, *sent))
        if not is_invalid_token(answer.status, answer.body, api):
            return answer
        return await self._exchange(path, content, await self._tokens.replace(token), (*secrets, *sent))

    async def _exchange(self, path: str, content: bytes, token: str, secrets: tuple[str, ...]) -> Answer:
        answer = await exchange(
            self._http,
            "POST",
            self._base_url + path,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            content=content,
            deadline_seconds=self._deadline_seconds,
        )
        return Answer(answer.status, without_secrets(answer.body, (token, *self._secrets, *secrets)))


def without_secrets(body: bytes, secrets: tuple[str, ...]) -> bytes:
    """Daraja echoes the bearer token in some refusals (daraja.md §1.3), so no secret of ours goes further in."""
    for secret in secrets:
        # A shorter one is a test value that could be part of an ordinary word or id.
        if len(secret) >= _SHORTEST_SECRET:
            pattern = "".join(_SPELLINGS.get(character) or re.escape(character) for character in secret)
            body = re.sub(pattern.encode(), b"[redacted]", body)
    return body


def held_back_message() -> str:
    """For people: why a call was not made."""
    return "Our own limit on calls to Daraja held this one back; nothing was sent."


def not_connected_message(error: NothingSent) -> str:
    """For people: why a call was not made."""
    return f"Daraja could not be reached ({error}); nothing was sent."


def lost_message(lost: AnswerLost) -> str:
    """For people: what is not known, and why."""
    return f"No whole answer came back ({lost.reason}); what Daraja did is not known."


def _not_made(code: str, message: str, retry_after_ms: int) -> CallAnswer:
    cured_by_people = code == CREDENTIALS_REFUSED
    return CallAnswer(
        outcome=CallOutcome.MISCONFIGURED if cured_by_people else CallOutcome.RETRY_LATER,
        code=code,
        message=message,
        retry_after_ms=retry_after_ms,
    )
