"""Where M-Pesa reports what became of pushes from the till: kept as it came, applied, and answered once durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.capturing import RecordMessage
from penpay.application.collections.till_pushing import TILL_PURPOSE, TILL_SOURCE, ApplyTillCallback
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Ids
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.mpesa.callback import StkCallback, UnreadableCallback, parse_stk_callback
from penpay.domain.shared.errors import CallbackRefused
from penpay.domain.shared.ids import WebhookId


class PathTokens(Protocol):
    """Signed path segments."""

    def verify(self, purpose: str, token: str) -> UUID | None: ...


class CallbackReceiver(Protocol):
    """The door for callbacks of deposits, at the same path."""

    async def receive(self, *, token: str, remote_address: str, body: bytes) -> None: ...

    async def receive_result(self, *, token: str, remote_address: str, body: bytes, timed_out: bool) -> None: ...


class TillDoor:
    """Takes callbacks whose token names a push from the till, and leaves all others to the door for deposits."""

    def __init__(  # every argument is a port or a setting
        self,
        *,
        executor: Executor,
        tokens: PathTokens,
        ids: Ids,
        is_allowed: Callable[[str], bool],
        others: CallbackReceiver,
        applied: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._tokens = tokens
        self._ids = ids
        self._is_allowed = is_allowed
        self._others = others
        self._applied = applied
        self._log = logging.getLogger(__name__)

    async def receive(self, *, token: str, remote_address: str, body: bytes) -> None:
        """Store the message and apply it, in one commit where nothing stands in the way.

        Returns once it is durable; a fault in applying it never takes the stored message with it. Raises
        CallbackRefused, once its refusal is durable.
        """
        subject = self._tokens.verify(TILL_PURPOSE, token)
        if subject is None:
            await self._others.receive(token=token, remote_address=remote_address, body=body)
            return
        allowed = self._is_allowed(remote_address)
        record = RecordMessage(
            webhook_id=WebhookId(self._ids.new()),
            source=TILL_SOURCE,
            subject_id=subject,
            remote_address=remote_address,
            body=body,
            outcome=WebhookOutcome.RECEIVED if allowed else WebhookOutcome.REFUSED_SOURCE,
        )
        if not allowed:
            await self._executor.execute(record)
            raise CallbackRefused
        push_id = TillPushId(subject)
        stored = self._executor.enqueue(record)
        applied = self._executor.enqueue(
            ApplyTillCallback(webhook_id=record.webhook_id, push_id=push_id, callback=read_callback(body))
        )
        results: tuple[Any, Any] = await asyncio.gather(stored, applied, return_exceptions=True)
        if isinstance(results[0], BaseException):
            raise results[0]
        if isinstance(results[1], BaseException):
            self._log.error("a stored callback could not be applied yet: %s", type(results[1]).__name__)
        self._applied()

    async def receive_result(self, *, token: str, remote_address: str, body: bytes, timed_out: bool) -> None:
        """What is told of payouts and of questions never concerns the till. Raises as the door for deposits does."""
        await self._others.receive_result(token=token, remote_address=remote_address, body=body, timed_out=timed_out)


def read_callback(body: bytes) -> StkCallback | None:
    """The callback in a stored body, None when it is not one."""
    try:
        return parse_stk_callback(body)
    except UnreadableCallback:
        return None
