"""The operator's money beside the ledger: transactions, charges, tariffs, float and its evidence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.mobile_money.rows import (
    ALL,
    BANK_DEPOSITS,
    CHARGE_OF,
    CHARGES,
    FLOAT_ISSUES,
    KNOWN_TRANSACTIONS,
    LOADED_TARIFFS,
    TARIFFS,
    TRANSACTIONS,
    UNEVIDENCED,
    BankDeposit,
    BankDepositState,
    FloatIssue,
)
from penpay.application.mobile_money.tariff_file import parse_tariff, render_tariff
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.mobile_money.customer import CustomerId, CustomerType
from penpay.domain.mobile_money.tariff import Tariff
from penpay.domain.mobile_money.transaction import (
    Charge,
    ChargeId,
    ChargeKey,
    Operation,
    OperatorTransaction,
    OperatorTransactionId,
)
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.operator_tables import (
    operator_bank_deposits,
    operator_charges,
    operator_float_issues,
    operator_tariffs,
    operator_transactions,
)
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update


class OperatorTransactionRepository:
    """Transactions by id, locked in id order."""

    kind = TRANSACTIONS
    table = operator_transactions
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("reversed_cents", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[OperatorTransactionId]
    ) -> Mapping[OperatorTransactionId, OperatorTransaction | None]:
        table = operator_transactions
        statement = select(table).where(table.c.id.in_(keys)).order_by(table.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(operator_transaction, rows), lambda one: one.id, keys)

    def row(self, value: OperatorTransaction) -> Row:
        return (
            value.id,
            value.receipt,
            value.operation.value,
            value.source_id,
            value.target_id,
            value.amount.cents,
            value.payer_fee.cents,
            value.payee_fee.cents,
            value.excise.cents,
            value.commission.cents,
            value.happened_at,
            value.short_code,
            value.bill_reference,
            value.reverses_id,
            value.reversed.cents,
            value.version,
        )

    def identity(self, value: OperatorTransaction) -> Row:
        return (value.id,)


def operator_transaction(row: Any) -> OperatorTransaction:
    """A transaction from its row."""
    return OperatorTransaction(
        id=OperatorTransactionId(row.id),
        receipt=row.receipt,
        operation=Operation(row.operation),
        source_id=_customer(row.source_id),
        target_id=_customer(row.target_id),
        amount=_kes(row.amount_cents),
        payer_fee=_kes(row.payer_fee_cents),
        payee_fee=_kes(row.payee_fee_cents),
        excise=_kes(row.excise_cents),
        commission=_kes(row.commission_cents),
        happened_at=row.happened_at,
        short_code=row.short_code,
        bill_reference=row.bill_reference,
        reverses_id=None if row.reverses_id is None else OperatorTransactionId(row.reverses_id),
        reversed=_kes(row.reversed_cents),
        version=row.version,
    )


class KnownTransactionFinder:
    """Who took part in transactions, unlocked."""

    index = KNOWN_TRANSACTIONS

    async def find(
        self, connection: AsyncConnection, keys: Collection[OperatorTransactionId]
    ) -> Mapping[OperatorTransactionId, OperatorTransaction]:
        statement = select(operator_transactions).where(operator_transactions.c.id.in_(keys))
        return {one.id: one for one in map(operator_transaction, await fetch(connection, statement))}


class ChargeRepository:
    """The eight charges by id."""

    kind = CHARGES
    table = operator_charges
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("fee_cents", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[ChargeId]) -> Mapping[ChargeId, Charge | None]:
        statement = select(operator_charges).where(operator_charges.c.id.in_(keys)).order_by(operator_charges.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(charge, rows), lambda one: one.id, keys)

    def row(self, value: Charge) -> Row:
        return (
            value.id,
            value.operation.value,
            value.source_type.value,
            value.target_type.value,
            value.fee.cents,
            value.version,
        )

    def identity(self, value: Charge) -> Row:
        return (value.id,)


def charge(row: Any) -> Charge:
    """A charge from its row."""
    return Charge(
        id=ChargeId(row.id),
        operation=Operation(row.operation),
        source_type=CustomerType(row.source_type),
        target_type=CustomerType(row.target_type),
        fee=_kes(row.fee_cents),
        version=row.version,
    )


class ChargeFinder:
    """Charges by what they are for."""

    index = CHARGE_OF

    async def find(self, connection: AsyncConnection, keys: Collection[ChargeKey]) -> Mapping[ChargeKey, Charge]:
        found = map(charge, await fetch(connection, select(operator_charges)))
        by_key = {(one.operation, one.source_type, one.target_type): one for one in found}
        return {key: by_key[key] for key in keys if key in by_key}


class TariffRepository:
    """Tariffs by their first day; they are added, never changed."""

    kind = TARIFFS
    table = operator_tariffs
    key: tuple[str, ...] = ("valid_from",)
    mutable: tuple[str, ...] = ()

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Tariff | None]:
        statement = select(operator_tariffs).where(operator_tariffs.c.valid_from.in_(keys))
        found = (parse_tariff(row.document.encode()) for row in await fetch(connection, statement))
        return keyed(found, lambda one: one.valid_from.isoformat(), keys)

    def row(self, value: Tariff) -> Row:
        return (value.valid_from.isoformat(), value.name, render_tariff(value))

    def identity(self, value: Tariff) -> Row:
        return (value.valid_from.isoformat(),)


class TariffFinder:
    """All tariffs. What was loaded never changes, so each is parsed once; which there are is asked every time."""

    index = LOADED_TARIFFS

    def __init__(self) -> None:
        self._parsed: dict[str, Tariff] = {}

    async def find(
        self,
        connection: AsyncConnection,
        keys: Collection[str],  # noqa: ARG002  (there is one key)
    ) -> Mapping[str, tuple[Tariff, ...]]:
        days = [row.valid_from for row in await fetch(connection, select(operator_tariffs.c.valid_from))]
        unread = [day for day in days if day not in self._parsed]
        if unread:
            statement = select(operator_tariffs).where(operator_tariffs.c.valid_from.in_(unread))
            for row in await fetch(connection, statement):
                self._parsed[row.valid_from] = parse_tariff(row.document.encode())
        return {ALL: tuple(self._parsed[day] for day in days)} if days else {}


class FloatIssueRepository:
    """Float issues by transaction."""

    kind = FLOAT_ISSUES
    table = operator_float_issues
    key: tuple[str, ...] = ("transaction_id",)
    mutable: tuple[str, ...] = ("bank_reference", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[OperatorTransactionId]
    ) -> Mapping[OperatorTransactionId, FloatIssue | None]:
        table = operator_float_issues
        statement = select(table).where(table.c.transaction_id.in_(keys)).order_by(table.c.transaction_id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(float_issue, rows), lambda one: one.transaction_id, keys)

    def row(self, value: FloatIssue) -> Row:
        return (value.transaction_id, value.amount.cents, value.issued_at, value.bank_reference, value.version)

    def identity(self, value: FloatIssue) -> Row:
        return (value.transaction_id,)


def float_issue(row: Any) -> FloatIssue:
    """A float issue from its row."""
    issued_at: datetime = row.issued_at
    return FloatIssue(
        OperatorTransactionId(row.transaction_id), _kes(row.amount_cents), issued_at, row.bank_reference, row.version
    )


class UnevidencedFinder:
    """The float issues of each amount that no bank deposit stands behind, oldest first."""

    index = UNEVIDENCED

    async def find(self, connection: AsyncConnection, keys: Collection[int]) -> Mapping[int, tuple[FloatIssue, ...]]:
        table = operator_float_issues
        statement = (
            select(table)
            .where(table.c.bank_reference.is_(None), table.c.amount_cents.in_(keys))
            .order_by(table.c.issued_at, table.c.transaction_id)
        )
        found: dict[int, tuple[FloatIssue, ...]] = {}
        for issue in map(float_issue, await fetch(connection, statement)):
            found[issue.amount.cents] = (*found.get(issue.amount.cents, ()), issue)
        return found


class BankDepositRepository:
    """Bank deposits by the bank's reference."""

    kind = BANK_DEPOSITS
    table = operator_bank_deposits
    key: tuple[str, ...] = ("reference",)
    mutable: tuple[str, ...] = ("state", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, BankDeposit | None]:
        table = operator_bank_deposits
        statement = select(table).where(table.c.reference.in_(keys)).order_by(table.c.reference)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(bank_deposit, rows), lambda one: one.reference, keys)

    def row(self, value: BankDeposit) -> Row:
        return (
            value.reference,
            value.amount.cents,
            value.entered_by,
            value.entered_at,
            value.state.value,
            value.version,
        )

    def identity(self, value: BankDeposit) -> Row:
        return (value.reference,)


def bank_deposit(row: Any) -> BankDeposit:
    """A bank deposit from its row."""
    state = BankDepositState(row.state)
    return BankDeposit(row.reference, _kes(row.amount_cents), row.entered_by, row.entered_at, state, row.version)


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


def _customer(found: UUID | None) -> CustomerId | None:
    return None if found is None else CustomerId(found)
