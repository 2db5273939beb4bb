"""The rows of pushes from the till, and what is looked up of pushes by their account references."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.capture_rows import (
    DEPOSIT_PUSHES,
    OPEN_TILL_PUSHES,
    PAYOUT_RECEIPTS,
    TILL_FACTS,
    TILL_FACTS_BY_REFERENCE,
    TILL_PUSHES,
    TILL_PUSHES_BY_CHECKOUT,
    TillFacts,
)
from penpay.application.shared.unit_of_work import Index, keyed
from penpay.domain.collections.allocation import SaleId
from penpay.domain.payments.evidence import EvidenceState, Purpose
from penpay.domain.payments.till_push import TillPush
from penpay.domain.shared.ids import MpesaRequestId, TransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.capture_tables import till_pushes
from penpay.infrastructure.sql.payout_tables import mpesa_disbursements
from penpay.infrastructure.sql.tables import mpesa_requests
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

_CHECKOUT_FIELD: Final = "till_pushes.checkout"


class TillPushRepository:
    """Pushes from the till by our id. The customer's number and the CheckoutRequestID, which holds it, are sealed."""

    kind = TILL_PUSHES
    table = till_pushes
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "state",
        "due_at",
        "lease_until",
        "fence",
        "attempts",
        "code",
        "sent_at",
        "decided_at",
        "version",
        "checkout_sealed",
        "checkout_index",
        "merchant_request_id",
        "receipt",
        "verified_at",
        "disputed_cents",
        "open_for",
    )

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(self, connection: AsyncConnection, keys: Collection[UUID]) -> Mapping[UUID, TillPush | None]:
        statement = select(till_pushes).where(till_pushes.c.id.in_(keys)).order_by(till_pushes.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.push, rows), lambda found: found.id, keys)

    def push(self, row: Any) -> TillPush:
        """A push from its row."""
        sealed = row.checkout_sealed
        return TillPush(
            id=MpesaRequestId(row.id),
            purpose=Purpose.POS_SALE,
            subject_id=TransactionId(row.sale_id),
            state=EvidenceState(row.state),
            amount=Money(row.amount_cents, Currency.KES),
            due_at=row.due_at,
            lease_until=row.lease_until,
            fence=row.fence,
            attempts=row.attempts,
            code=row.code,
            created_at=row.created_at,
            created_by=row.created_by,
            sent_at=row.sent_at,
            decided_at=row.decided_at,
            version=row.version,
            account_reference=row.account_reference,
            phone=self.phone(row),
            checkout_request_id=sealed and self._cipher.open(sealed, _checkout_of(row.id)).decode(),
            merchant_request_id=row.merchant_request_id,
            receipt=row.receipt,
            verified_at=row.verified_at,
            disputed_cents=row.disputed_cents,
        )

    def phone(self, row: Any) -> PhoneNumber:
        """Who was asked."""
        return PhoneNumber(self._cipher.open(row.phone_sealed, _phone_of(row.id)).decode())

    def row(self, value: TillPush) -> Row:
        checkout = value.checkout_request_id
        return (
            value.id,
            value.subject_id,
            value.state.value,
            value.amount.cents,
            value.due_at,
            value.lease_until,
            value.fence,
            value.attempts,
            value.code,
            value.created_at,
            value.created_by,
            value.sent_at,
            value.decided_at,
            value.version,
            value.account_reference,
            self._cipher.seal(value.phone.e164.encode(), _phone_of(value.id)),
            checkout and self._cipher.seal(checkout.encode(), _checkout_of(value.id)),
            checkout and self._index.digest(checkout, field=_CHECKOUT_FIELD),
            value.merchant_request_id,
            value.receipt,
            value.verified_at,
            value.disputed_cents,
            value.open_for,
        )

    def identity(self, value: TillPush) -> Row:
        return (value.id,)


def _checkout_of(push: UUID) -> str:
    return f"till_pushes.checkout:{push}"


def _phone_of(push: UUID) -> str:
    return f"till_pushes.phone:{push}"


class TillFactsFinder:
    """What never changes about pushes from the till, by id or by account reference."""

    def __init__(self, index: Index[Any, TillFacts], column: ColumnElement[Any], pushes: TillPushRepository) -> None:
        self.index = index
        self._column = column
        self._pushes = pushes

    async def find(self, connection: AsyncConnection, keys: Collection[Any]) -> Mapping[Any, TillFacts]:
        statement = select(till_pushes, self._column.label("sought")).where(self._column.in_(keys))
        return {
            row.sought: TillFacts(
                push_id=row.id,
                sale_id=SaleId(row.sale_id),
                account_reference=row.account_reference,
                amount=Money(row.amount_cents, Currency.KES),
                phone=self._pushes.phone(row),
            )
            for row in await fetch(connection, statement)
        }


class TillPushesByCheckout:
    """Which push from the till goes by a CheckoutRequestID."""

    index = TILL_PUSHES_BY_CHECKOUT

    def __init__(self, index: BlindIndex) -> None:
        self._digests = index

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, UUID]:
        by_digest = {self._digests.digest(key, field=_CHECKOUT_FIELD): key for key in keys}
        statement = select(till_pushes.c.checkout_index, till_pushes.c.id)
        rows = await fetch(connection, statement.where(till_pushes.c.checkout_index.in_(by_digest)))
        return {by_digest[digest]: push_id for digest, push_id in rows}


class OpenTillPushes:
    """The push that may still pay a sale."""

    index = OPEN_TILL_PUSHES

    async def find(self, connection: AsyncConnection, keys: Collection[UUID]) -> Mapping[UUID, UUID]:
        statement = select(till_pushes.c.open_for, till_pushes.c.id).where(till_pushes.c.open_for.in_(keys))
        return {row.open_for: row.id for row in await fetch(connection, statement)}


class DepositPushes:
    """Pushes whose money is a deposit's, by account reference."""

    index = DEPOSIT_PUSHES

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, MpesaRequestId]:
        statement = select(mpesa_requests.c.account_reference, mpesa_requests.c.id)
        rows = await fetch(connection, statement.where(mpesa_requests.c.account_reference.in_(keys)))
        return {reference: MpesaRequestId(push) for reference, push in rows}


class PayoutReceipts:
    """Receipts of payouts to users of PenPay."""

    index = PAYOUT_RECEIPTS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, str]:
        receipt, purpose = mpesa_disbursements.c.receipt, mpesa_disbursements.c.purpose
        others = purpose != Purpose.COLLECTIONS_REFUND.value
        rows = await fetch(connection, select(receipt).where(receipt.in_(keys), others))
        return {row.receipt: row.receipt for row in rows}


def till_finders(pushes: TillPushRepository, index: BlindIndex) -> Sequence[Any]:
    """Every look-up of capture."""
    return (
        TillFactsFinder(TILL_FACTS, till_pushes.c.id, pushes),
        TillFactsFinder(TILL_FACTS_BY_REFERENCE, till_pushes.c.account_reference, pushes),
        TillPushesByCheckout(index),
        OpenTillPushes(),
        DepositPushes(),
        PayoutReceipts(),
    )
