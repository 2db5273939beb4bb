"""Where M-Pesa's C2B messages come in: ours are told from foreign ones, kept, and answered once they are durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, Protocol
from uuid import UUID

from penpay.application.collections.capturing import (
    CONFIRMATION,
    VALIDATION,
    Applied,
    RecordMessage,
    RecordStrayMessage,
    TakeConfirmation,
    read,
    receipt_told,
)
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Ids
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.collections.payment import DAY_LIMIT, TRANSACTION_LIMIT, PaymentSource
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.shared.errors import CallbackRefused, CommitUnresolved, Overloaded
from penpay.domain.shared.ids import MpesaRequestId, WebhookId
from penpay.domain.shared.money import Money

C2B_PURPOSE: Final = "c2b"
"""Bound into the path token, so that it opens nothing else."""
VALIDATION_SECONDS: Final = 5
"""M-Pesa waits about eight (daraja.md §3.5)."""
_STRAY_BYTES: Final = 512
"""What is kept of a message that is not let in."""

AttachDeposit = Callable[[WebhookId | None, MpesaRequestId, C2bPayment], Awaitable[WebhookOutcome]]
"""Tells a deposit of the confirmation of its push."""


class PathTokens(Protocol):
    """Signed path segments."""

    def sign(self, purpose: str, subject: UUID) -> str: ...

    def verify(self, purpose: str, token: str) -> UUID | None:
        """The subject of a token we made for this purpose, None for any other text."""
        ...


def token_subject(short_code: str) -> UUID:
    """What the token of a short code's addresses names: the number itself."""
    return UUID(int=int(short_code))


class ValidationPolicy(StrEnum):
    """What a payment is refused for, before it happens, where M-Pesa asks us at all."""

    ACCEPT = "accept"
    """Nothing: what breaks a rule is booked and flagged."""
    LIMITS = "limits"
    """An amount above what one payment, or one customer on one day of Nairobi, may be."""


class Verdict(StrEnum):
    """What M-Pesa is answered when it asks (daraja.md §3.5)."""

    ACCEPTED = "0"
    INVALID_AMOUNT = "C2B00013"


class DayBooks(Protocol):
    """What was paid already."""

    async def paid_today(self, payment: C2bPayment) -> Money:
        """What the customer whom the reference names, or else the payer, has paid on this day of Nairobi."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it arrived."""

    token: str | None
    """The secret in its path; None at the bare path, which has none."""
    remote_address: str
    body: bytes


class C2bDoor:
    """Takes both messages. The bare path, where it is open, is guarded by the allow-list alone."""

    def __init__(  # every argument is a port or a setting
        self,
        *,
        executor: Executor,
        tokens: PathTokens,
        ids: Ids,
        short_code: str,
        allowed_sources: Sequence[IPv4Network | IPv6Network],
        bare_path: bool,
        validation: ValidationPolicy,
        days: DayBooks,
        attach: AttachDeposit,
    ) -> None:
        self._executor = executor
        self._tokens = tokens
        self._ids = ids
        self._short_code = short_code
        self._allowed_sources = tuple(allowed_sources)
        self._bare_path = bare_path
        self._validation = validation
        self._days = days
        self._attach = attach
        self._log = logging.getLogger(__name__)

    async def confirm(self, message: Message) -> None:
        """Store the message and book what it tells, in one commit where nothing stands in the way.

        Returns once it is durable. A message that cannot be booked is stored alone, and the worker tries again. Raises
        CallbackRefused, after the refusal is committed, for a token we did not make or a source that is not on the
        list.
        """
        short_code = await self._admit(message, CONFIRMATION)
        webhook_id = WebhookId(self._ids.new())
        paid = read(message.body)
        told = None if paid is None else receipt_told(paid, PaymentSource.C2B, webhook_id, short_code=short_code)
        take = TakeConfirmation(
            webhook_id=webhook_id, remote_address=message.remote_address, body=message.body, told=told
        )
        try:
            applied: Applied = await self._executor.execute(take)
        except (Overloaded, CommitUnresolved):
            raise  # nothing can be stored now, or it may be
        except Exception as fault:  # noqa: BLE001  (a fault in booking never takes the message with it)
            self._postponed(fault)
            await self._executor.execute(self._record(message, CONFIRMATION, WebhookOutcome.RECEIVED, webhook_id))
            return
        if applied.deposit is not None and paid is not None:
            try:
                await self._attach(webhook_id, applied.deposit, paid)
            except Exception as fault:  # noqa: BLE001  (it is stored)
                self._postponed(fault)

    def _postponed(self, fault: Exception) -> None:
        self._log.error("a stored confirmation could not be applied yet: %s", type(fault).__name__)

    async def validate(self, message: Message) -> Verdict:
        """Answer whether a payment may happen. Nothing is posted, for nothing has happened.

        What cannot be decided in time is let happen: money that is taken is booked whatever it is. Raises
        CallbackRefused as `confirm` does.
        """
        await self._admit(message, VALIDATION)
        asked = read(message.body)
        verdict = Verdict.ACCEPTED if asked is None else await self._judged(asked)
        outcome = WebhookOutcome.ACCEPTED if verdict is Verdict.ACCEPTED else WebhookOutcome.REJECTED
        if asked is None:
            outcome = WebhookOutcome.UNREADABLE
        await self._executor.execute(self._record(message, VALIDATION, outcome, WebhookId(self._ids.new())))
        return verdict

    async def _judged(self, asked: C2bPayment) -> Verdict:
        if self._validation is ValidationPolicy.ACCEPT:
            return Verdict.ACCEPTED
        if asked.amount > TRANSACTION_LIMIT:
            return Verdict.INVALID_AMOUNT
        try:
            async with asyncio.timeout(VALIDATION_SECONDS):
                paid = await self._days.paid_today(asked)
        except Exception as fault:  # noqa: BLE001  (whatever keeps us from knowing is no reason to turn money away)
            self._log.warning("a payment is let happen unchecked: %s", type(fault).__name__)
            return Verdict.ACCEPTED
        return Verdict.INVALID_AMOUNT if paid + asked.amount > DAY_LIMIT else Verdict.ACCEPTED

    async def _admit(self, message: Message, source: str) -> str:
        """The short code whose address it came by. Raises CallbackRefused."""
        if message.token is None:
            subject = token_subject(self._short_code) if self._bare_path else None
        else:
            subject = self._tokens.verify(C2B_PURPOSE, message.token)
        if subject is None:
            await self._refuse(message, source, WebhookOutcome.REFUSED_TOKEN)
        elif not self.is_allowed(message.remote_address):
            await self._refuse(message, source, WebhookOutcome.REFUSED_SOURCE)
        else:
            return str(subject.int)
        raise CallbackRefused

    async def _refuse(self, message: Message, source: str, outcome: WebhookOutcome) -> None:
        await self._executor.execute(
            RecordStrayMessage(
                webhook_id=WebhookId(self._ids.new()),
                source=source,
                remote_address=message.remote_address,
                body=message.body[:_STRAY_BYTES],
                outcome=outcome,
            )
        )

    def _record(self, message: Message, source: str, outcome: WebhookOutcome, webhook_id: WebhookId) -> RecordMessage:
        return RecordMessage(
            webhook_id=webhook_id,
            source=source,
            remote_address=message.remote_address,
            body=message.body,
            outcome=outcome,
        )

    def is_allowed(self, remote_address: str) -> bool:
        """Whether messages are taken from this address."""
        try:
            address = ip_address(remote_address)
        except ValueError:
            return False
        return any(address in network for network in self._allowed_sources)
