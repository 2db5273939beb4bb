"""The rows of payments pushed to phones, and the counter of receipts.

Phone numbers, CheckoutRequestIDs (which hold one) and callback URLs (which hold a secret) are sealed; blind indexes
stand beside what must be found.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.mobile_money.rows import RECEIPT_COUNTER, RECEIPTS, STK_PUSHES
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.stk_push import PushResult, PushState, StkPush
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.operator_tables import operator_receipts, stk_pushes
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

_CHECKOUT_FIELD: Final = "stk_pushes.checkout_request_id"
_PUSHES: Final = Lookup(select(stk_pushes).order_by(stk_pushes.c.id), stk_pushes.c.checkout_index, locked=True)
_SEEN: Final = Lookup(select(stk_pushes), stk_pushes.c.checkout_index)


class StkPushRepository:
    """Pushes by CheckoutRequestID, locked in id order."""

    kind = STK_PUSHES
    table = stk_pushes
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("state", "result_code", "result_text", "receipt", "ended_at", "version")

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, StkPush | None]:
        digests = [self._index.digest(one, field=_CHECKOUT_FIELD) for one in keys]
        found = map(self.push, await _PUSHES.rows(connection, digests))
        return keyed(found, lambda push: push.checkout_request_id, keys)

    async def seen(self, connection: AsyncConnection, checkout_request_id: str) -> StkPush | None:
        """One push, not locked."""
        digest = self._index.digest(checkout_request_id, field=_CHECKOUT_FIELD)
        return next(map(self.push, await _SEEN.rows(connection, [digest])), None)

    def push(self, row: Any) -> StkPush:
        """A push from its row."""
        details = json.loads(
            self._cipher.open(row.details_sealed, f"stk_pushes.details_sealed:{row.id}"), parse_float=_no_fraction
        )
        return StkPush(
            id=row.id,
            merchant_request_id=row.merchant_request_id,
            checkout_request_id=details["checkout_request_id"],
            short_code=row.short_code,
            phone=PhoneNumber(details["phone"]),
            customer_id=row.customer_id,
            amount=Money(row.amount_cents, Currency.KES),
            account_reference=row.account_reference,
            callback_url=details["callback_url"],
            state=PushState(row.state),
            accepted_at=row.accepted_at,
            due_at=row.due_at,
            result=None if row.result_code is None else PushResult(row.result_code, row.result_text),
            receipt=row.receipt,
            ended_at=row.ended_at,
            version=row.version,
            till=row.till,
        )

    def row(self, value: StkPush) -> Row:
        details = {
            "checkout_request_id": value.checkout_request_id,
            "phone": value.phone.e164,
            "callback_url": value.callback_url,
        }
        return (
            value.id,
            value.merchant_request_id,
            self._index.digest(value.checkout_request_id, field=_CHECKOUT_FIELD),
            self._cipher.seal(json.dumps(details).encode(), f"stk_pushes.details_sealed:{value.id}"),
            value.short_code,
            value.customer_id,
            value.amount.cents,
            value.account_reference,
            value.state.value,
            None if value.result is None else value.result.code,
            None if value.result is None else value.result.text,
            value.receipt,
            value.accepted_at,
            value.due_at,
            value.ended_at,
            value.version,
            value.till,
        )

    def identity(self, value: StkPush) -> Row:
        return (value.id,)


def _no_fraction(text: str) -> Any:
    raise ValueError(f"a sealed document holds the fraction {text}")


class ReceiptRepository:
    """The receipt counter."""

    kind = RECEIPTS
    table = operator_receipts
    key: tuple[str, ...] = ("name",)
    mutable: tuple[str, ...] = ("day", "used", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, ReceiptCounter | None]:
        statement = select(operator_receipts).where(operator_receipts.c.name.in_(keys))
        rows = await fetch(connection, for_update(statement, connection.dialect))
        counters = (ReceiptCounter(date.fromisoformat(row.day), row.used, row.version) for row in rows)
        return keyed(counters, lambda _: RECEIPT_COUNTER, keys)

    def row(self, value: ReceiptCounter) -> Row:
        return (RECEIPT_COUNTER, value.day.isoformat(), value.used, value.version)

    def identity(self, value: ReceiptCounter) -> Row:  # noqa: ARG002  (there is one counter)
        return (RECEIPT_COUNTER,)
