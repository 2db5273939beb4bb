"""Rows of payments: transactions and the messages posted to us."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.rows import TRANSACTIONS
from penpay.application.shared.unit_of_work import keyed
from penpay.application.shared.webhooks import WEBHOOKS, Webhook, WebhookOutcome
from penpay.domain.payments.transaction import Transaction, TransactionStatus, TransactionType, quote_of
from penpay.domain.shared.ids import (
    TransactionId,
    WebhookId,
)
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.tables import transactions, webhook_logs
from penpay.infrastructure.sql.types import Row

_TRANSACTIONS: Final = Lookup(select(transactions).order_by(transactions.c.id), transactions.c.id, locked=True)
_WEBHOOKS: Final = Lookup(select(webhook_logs).order_by(webhook_logs.c.id), webhook_logs.c.id, locked=True)
_USD, _KES = Currency.USD, Currency.KES


def transaction(row: Any) -> Transaction:
    """A transaction from its row."""
    return Transaction(
        id=row.id,
        user_id=row.user_id,
        type=TransactionType(row.type),
        status=TransactionStatus(row.status),
        amount=Money(row.amount_cents, Currency(row.currency)),
        deriv_login_id=row.deriv_login_id,
        rate=LockedRate(
            base=_USD,
            quote=_KES,
            mid_e8=row.rate_mid_e8,
            spread_bps=row.rate_spread_bps,
            source=row.rate_source,
            locked_at=row.rate_locked_at,
            expires_at=row.rate_expires_at,
        ),
        quote=quote_of(
            TransactionType(row.type),
            usd=row.usd_cents,
            at_mid=row.kes_at_mid_cents,
            priced=row.kes_priced_cents,
            moved=row.kes_charged_cents,
        ),
        receipt=row.receipt,
        failure_code=row.failure_code,
        recovered_by=row.recovered_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
    )


class TransactionRepository:
    """Transactions by id."""

    kind = TRANSACTIONS
    table = transactions
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "status",
        "usd_cents",
        "kes_at_mid_cents",
        "kes_priced_cents",
        "kes_charged_cents",
        "rate_mid_e8",
        "rate_spread_bps",
        "rate_source",
        "rate_locked_at",
        "rate_expires_at",
        "receipt",
        "failure_code",
        "recovered_by",
        "updated_at",
        "version",
    )

    async def lock(
        self, connection: AsyncConnection, keys: Collection[TransactionId]
    ) -> Mapping[TransactionId, Transaction | None]:
        rows = await _TRANSACTIONS.rows(connection, keys)
        return keyed(map(transaction, rows), lambda found: found.id, keys)

    def row(self, value: Transaction) -> Row:
        rate, quote = value.rate, value.quote
        return (
            value.id,
            value.user_id,
            value.type.value,
            value.status.value,
            value.amount.cents,
            value.amount.currency.value,
            value.deriv_login_id,
            quote.usd.cents,
            quote.kes_at_mid.cents,
            quote.kes_priced.cents,
            quote.kes.cents,
            rate.mid_e8,
            rate.spread_bps,
            rate.source,
            rate.locked_at,
            rate.expires_at,
            value.receipt,
            value.failure_code,
            value.recovered_by,
            value.created_at,
            value.updated_at,
            value.version,
        )

    def identity(self, value: Transaction) -> Row:
        return (value.id,)


class WebhookRepository:
    """Messages posted to us, sealed as they came."""

    kind = WEBHOOKS
    table = webhook_logs
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("subject_id", "outcome", "due_at", "version")

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(
        self, connection: AsyncConnection, keys: Collection[WebhookId]
    ) -> Mapping[WebhookId, Webhook | None]:
        rows = await _WEBHOOKS.rows(connection, keys)
        return keyed(map(self._unopened, rows), lambda found: found.id, keys)

    def body(self, row: Any) -> bytes:
        """What was posted. Raises UnopenableField."""
        return self._cipher.open(row.body_sealed, _body_of(row.id))

    @staticmethod
    def _unopened(row: Any) -> Webhook:
        return Webhook(
            id=row.id,
            source=row.source,
            subject_id=row.subject_id,
            remote_address=row.remote_address,
            body=None,
            body_hash=row.body_hash,
            outcome=WebhookOutcome(row.outcome),
            due_at=row.due_at,
            created_at=row.created_at,
            version=row.version,
        )

    def row(self, value: Webhook) -> Row:
        return (
            value.id,
            value.source,
            value.subject_id,
            value.remote_address,
            b"" if value.body is None else self._cipher.seal(value.body, _body_of(value.id)),
            value.body_hash,
            value.outcome.value,
            value.due_at,
            value.created_at,
            value.version,
        )

    def identity(self, value: Webhook) -> Row:
        return (value.id,)


def _body_of(webhook: WebhookId) -> str:
    return f"webhook_logs.body:{webhook}"
