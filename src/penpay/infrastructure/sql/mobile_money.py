"""The operator's rows: customers, merchants, pushes and the receipt counter, and reading them without locks.

Phone numbers, CheckoutRequestIDs (which hold one) and callback URLs (which hold a secret) are sealed; blind indexes
stand beside what must be found.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Select,
    Table,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.mobile_money.operator import OperatorBalances
from penpay.application.mobile_money.rows import MERCHANTS, RECEIPT_COUNTER, RECEIPTS, STK_PUSHES, SUBSCRIBERS
from penpay.application.shared.ports import Clock
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.mobile_money.customer import CustomerStatus, LastPayment, Subscriber
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.stk_push import PushResult, PushState, StkPush
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.tables import ledger_accounts, metadata
from penpay.infrastructure.sql.types import Cents, Identifier, Moment, Row, Sealed, Word
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

operator_customers = Table(
    "operator_customers",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("type", Word(16), nullable=False),
    Column("phone_sealed", Sealed, nullable=False),
    Column("phone_index", Word(64), nullable=False, unique=True),
    Column("pin_hash", Word(160), nullable=False),
    Column("status", Word(16), nullable=False),
    Column("wrong_pins", Integer, nullable=False),
    Column("open_push_id", Identifier),
    Column("last_short_code", Word(7)),
    Column("last_amount_cents", Cents),
    Column("last_paid_at", Moment),
    Column("day_total_cents", Cents),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("type IN ('SUBSCRIBER')", name="type"),
    CheckConstraint("status IN ('ACTIVE', 'PIN_LOCKED')", name="status"),
)

operator_merchants = Table(
    "operator_merchants",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("short_code", Word(7), nullable=False, unique=True),
    Column("name", Word(80), nullable=False),
)

stk_pushes = Table(
    "stk_pushes",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("merchant_request_id", Word(64), nullable=False),
    Column("checkout_index", Word(64), nullable=False, unique=True),
    Column("details_sealed", Sealed, nullable=False),
    Column("short_code", Word(7), ForeignKey("operator_merchants.short_code"), nullable=False),
    Column("customer_id", Identifier, ForeignKey("operator_customers.id")),
    Column("amount_cents", Cents, nullable=False),
    Column("account_reference", Word(20), nullable=False),
    Column("state", Word(10), nullable=False),
    Column("result_code", Word(16)),
    Column("result_text", Word(160)),
    Column("receipt", Word(10), unique=True),
    Column("accepted_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("state IN ('PROMPTED', 'PAID', 'FAILED')", name="state"),
    CheckConstraint("(state = 'PAID') = (receipt IS NOT NULL)", name="receipt"),
    Index("ix_stk_pushes_state_due_at", "state", "due_at"),
)

operator_receipts = Table(
    "operator_receipts",
    metadata,
    Column("name", Word(16), primary_key=True),
    Column("day", Word(10), nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

_SUBSCRIBER: Final = "SUBSCRIBER"
_PHONE_FIELD: Final = "operator_customers.phone"
_CHECKOUT_FIELD: Final = "stk_pushes.checkout_request_id"


class SubscriberRepository:
    """Subscribers by phone number, locked in id order."""

    kind = SUBSCRIBERS
    table = operator_customers
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "status",
        "wrong_pins",
        "open_push_id",
        "last_short_code",
        "last_amount_cents",
        "last_paid_at",
        "day_total_cents",
        "version",
    )

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(
        self, connection: AsyncConnection, keys: Collection[PhoneNumber]
    ) -> Mapping[PhoneNumber, Subscriber | None]:
        statement = for_update(self.select(keys).order_by(operator_customers.c.id), connection.dialect)
        found = map(self.subscriber, await fetch(connection, statement))
        return keyed(found, lambda subscriber: subscriber.phone, keys)

    def select(self, phones: Iterable[PhoneNumber]) -> Select[Any]:
        """The rows of these numbers."""
        digests = [self._index.digest(phone.e164, field=_PHONE_FIELD) for phone in phones]
        return select(operator_customers).where(operator_customers.c.phone_index.in_(digests))

    def subscriber(self, row: Any) -> Subscriber:
        """A subscriber from her row."""
        last = None
        if row.last_paid_at is not None:
            last = LastPayment(
                short_code=row.last_short_code,
                amount=Money(row.last_amount_cents, Currency.KES),
                at=row.last_paid_at,
                day_total=Money(row.day_total_cents, Currency.KES),
            )
        return Subscriber(
            id=row.id,
            phone=self.phone(row),
            pin_hash=row.pin_hash,
            status=CustomerStatus(row.status),
            wrong_pins=row.wrong_pins,
            open_push_id=row.open_push_id,
            last_payment=last,
            version=row.version,
        )

    def phone(self, row: Any) -> PhoneNumber:
        """The number in a row."""
        return PhoneNumber(self._cipher.open(row.phone_sealed, f"operator_customers.phone_sealed:{row.id}").decode())

    def row(self, value: Subscriber) -> Row:
        last = value.last_payment
        return (
            value.id,
            _SUBSCRIBER,
            self._cipher.seal(value.phone.e164.encode(), f"operator_customers.phone_sealed:{value.id}"),
            self._index.digest(value.phone.e164, field=_PHONE_FIELD),
            value.pin_hash,
            value.status.value,
            value.wrong_pins,
            value.open_push_id,
            None if last is None else last.short_code,
            None if last is None else last.amount.cents,
            None if last is None else last.at,
            None if last is None else last.day_total.cents,
            value.version,
        )

    def identity(self, value: Subscriber) -> Row:
        return (value.id,)


class MerchantRepository:
    """Merchants by short code; they are added, never changed."""

    kind = MERCHANTS
    table = operator_merchants
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ()

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Merchant | None]:
        statement = select(operator_merchants).where(operator_merchants.c.short_code.in_(keys))
        found = map(merchant, await fetch(connection, statement))
        return keyed(found, lambda one: one.short_code, keys)

    def row(self, value: Merchant) -> Row:
        return (value.id, value.short_code, value.name)

    def identity(self, value: Merchant) -> Row:
        return (value.id,)


def merchant(row: Any) -> Merchant:
    """A merchant from its row."""
    return Merchant(id=row.id, short_code=row.short_code, name=row.name)


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
        statement = for_update(self.select(keys).order_by(stk_pushes.c.id), connection.dialect)
        found = map(self.push, await fetch(connection, statement))
        return keyed(found, lambda push: push.checkout_request_id, keys)

    def select(self, checkout_request_ids: Iterable[str]) -> Select[Any]:
        """The rows of these ids."""
        digests = [self._index.digest(one, field=_CHECKOUT_FIELD) for one in checkout_request_ids]
        return select(stk_pushes).where(stk_pushes.c.checkout_index.in_(digests))

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
            subscriber_id=row.customer_id,
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
            value.subscriber_id,
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


class SqlOperatorBooks:
    """`application.mobile_money.operator.OperatorBooks` over SQL."""

    def __init__(
        self, engine: AsyncEngine, *, subscribers: SubscriberRepository, pushes: StkPushRepository, clock: Clock
    ) -> None:
        self._engine = engine
        self._subscribers = subscribers
        self._pushes = pushes
        self._clock = clock

    async def merchant(self, short_code: str) -> Merchant | None:
        statement = select(operator_merchants).where(operator_merchants.c.short_code == short_code)
        return next(map(merchant, await self._rows(statement)), None)

    async def subscriber(self, phone: PhoneNumber) -> Subscriber | None:
        rows = await self._rows(self._subscribers.select([phone]))
        return next(map(self._subscribers.subscriber, rows), None)

    async def push(self, checkout_request_id: str) -> StkPush | None:
        rows = await self._rows(self._pushes.select([checkout_request_id]))
        return next(map(self._pushes.push, rows), None)

    async def open_pushes(self) -> Sequence[StkPush]:
        statement = select(stk_pushes).where(stk_pushes.c.state == PushState.PROMPTED.value).order_by(stk_pushes.c.id)
        return [self._pushes.push(row) for row in await self._rows(statement)]

    async def overdue_pushes(self, limit: int) -> Sequence[StkPush]:
        statement = (
            select(stk_pushes)
            .where(stk_pushes.c.state == PushState.PROMPTED.value, stk_pushes.c.due_at <= self._clock.now())
            .order_by(stk_pushes.c.due_at)
            .limit(limit)
        )
        return [self._pushes.push(row) for row in await self._rows(statement)]

    async def balances(self) -> OperatorBalances:
        async with self._engine.connect() as connection:
            accounts = await fetch(connection, select(ledger_accounts.c.code, ledger_accounts.c.balance_cents))
            customers = await fetch(connection, select(operator_customers).order_by(operator_customers.c.id))
            merchants = await fetch(connection, select(operator_merchants).order_by(operator_merchants.c.short_code))
        cents = {row.code: row.balance_cents for row in accounts}

        def held(code: str) -> Money:
            return Money(cents.get(code, 0), Currency.KES)

        subscribers = map(self._subscribers.subscriber, customers)
        return OperatorBalances(
            trust_unevidenced=held("trust:unevidenced"),
            subscribers=[(one.phone, held(one.wallet)) for one in subscribers],
            merchants=[(one.short_code, held(one.account)) for one in map(merchant, merchants)],
        )

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            return await fetch(connection, statement)
