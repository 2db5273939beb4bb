"""Messages of M-Pesa that were stored and never applied: money may be in the till and not in the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.capturing import CONFIRMATION
from penpay.application.collections.reports import BookError
from penpay.application.collections.till_pushing import TILL_SOURCE
from penpay.application.shared.webhooks import WEBHOOK_RETRY_AFTER, WebhookOutcome
from penpay.application.wallet import collections_postings as postings
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.tables import webhook_logs
from penpay.infrastructure.sql.unit_of_work import fetch

UNAPPLIED: Final = "message_unapplied"
_GRACE: Final = 2 * WEBHOOK_RETRY_AFTER
"""Whoever works on it takes so long at most, once it is due; what waits longer, somebody must look at."""
_w = webhook_logs.c
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def unapplied(connection: AsyncConnection, now: datetime) -> Sequence[BookError]:
    """Each payment's message that has waited for more than a minute, with its age; how much it tells is sealed."""
    waiting = (
        select(_w.id, _w.created_at)
        .where(
            _w.due_at.is_not(None),
            _w.outcome == WebhookOutcome.RECEIVED.value,
            _w.source.in_((CONFIRMATION, TILL_SOURCE)),
            _w.created_at <= now - _GRACE,
        )
        .order_by(_w.created_at)
    )
    return [
        BookError(
            check=UNAPPLIED,
            account=postings.MPESA_CASH,
            subject=str(row.id),
            journal="",
            detail=f"M-Pesa's message was stored {_age(now - row.created_at)} ago and is not applied yet.",
            difference=Money.zero(Currency.KES),
        )
        for row in await fetch(connection, waiting)
    ]


def _age(waited: timedelta) -> str:
    """How long, in the largest unit that fits and the next one."""
    if waited >= _DAY:
        return f"{waited // _DAY} d {waited % _DAY // _HOUR} h"
    if waited >= _HOUR:
        return f"{waited // _HOUR} h {waited % _HOUR // _MINUTE} min"
    return f"{waited // _MINUTE} min"
