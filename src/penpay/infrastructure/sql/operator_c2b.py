"""The rows behind C2B: registered addresses and pull registrations, sealed, and payments as merchants learn of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.mobile_money.c2b import C2B_URLS, PULL_REGISTRATIONS, MerchantPayment
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.mobile_money.c2b import C2bUrls, C2bVersion, DefaultAction, PullRegistration
from penpay.domain.mobile_money.transaction import Operation, OperatorTransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.operator_money import operator_transaction
from penpay.infrastructure.sql.operator_people import CustomerRepository, merchant
from penpay.infrastructure.sql.operator_tables import (
    operator_c2b_urls,
    operator_customers,
    operator_merchants,
    operator_pull_registrations,
    operator_transactions,
    stk_pushes,
)
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import document, fetch, for_update, parsed


class C2bUrlsRepository:
    """Registered addresses by short code, locked in its order. They may hold secrets in their paths."""

    kind = C2B_URLS
    table = operator_c2b_urls
    key: tuple[str, ...] = ("short_code",)
    mutable: tuple[str, ...] = ("api", "default_action", "addresses_sealed", "version")

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, C2bUrls | None]:
        table = operator_c2b_urls
        statement = select(table).where(table.c.short_code.in_(keys)).order_by(table.c.short_code)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.urls, rows), lambda one: one.short_code, keys)

    def urls(self, row: Any) -> C2bUrls:
        """A registration from its row."""
        addresses = parsed(self._cipher.open(row.addresses_sealed, _urls_place(row.short_code)).decode())
        return C2bUrls(
            short_code=row.short_code,
            api=C2bVersion(row.api),
            default_action=DefaultAction(row.default_action),
            confirmation_url=addresses["confirmation_url"],
            validation_url=addresses["validation_url"],
            registered_at=row.registered_at,
            version=row.version,
        )

    def row(self, value: C2bUrls) -> Row:
        addresses = {"confirmation_url": value.confirmation_url, "validation_url": value.validation_url}
        return (
            value.short_code,
            value.api.value,
            value.default_action.value,
            self._cipher.seal(document(addresses).encode(), _urls_place(value.short_code)),
            value.registered_at,
            value.version,
        )

    def identity(self, value: C2bUrls) -> Row:
        return (value.short_code,)


class PullRegistrationRepository:
    """Pull registrations by short code; they are added, never changed."""

    kind = PULL_REGISTRATIONS
    table = operator_pull_registrations
    key: tuple[str, ...] = ("short_code",)
    mutable: tuple[str, ...] = ()

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, PullRegistration | None]:
        rows = await fetch(connection, self.select(keys))
        return keyed(map(self.registration, rows), lambda one: one.short_code, keys)

    def select(self, short_codes: Collection[str]) -> Select[Any]:
        """The rows of these numbers."""
        return select(operator_pull_registrations).where(operator_pull_registrations.c.short_code.in_(short_codes))

    def registration(self, row: Any) -> PullRegistration:
        """A registration from its row."""
        contact = parsed(self._cipher.open(row.contact_sealed, _pull_place(row.short_code)).decode())
        return PullRegistration(
            short_code=row.short_code,
            nominated=PhoneNumber(contact["phone"]),
            callback_url=contact["callback_url"],
            registered_at=row.registered_at,
        )

    def row(self, value: PullRegistration) -> Row:
        contact = {"phone": value.nominated.e164, "callback_url": value.callback_url}
        sealed = self._cipher.seal(document(contact).encode(), _pull_place(value.short_code))
        return (value.short_code, sealed, value.registered_at)

    def identity(self, value: PullRegistration) -> Row:
        return (value.short_code,)


_TO_MERCHANTS: Final = operator_transactions.c.operation == Operation.TRANSFER.value


class SqlC2bBooks:
    """`application.mobile_money.c2b.C2bBooks` over SQL."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        customers: CustomerRepository,
        urls: C2bUrlsRepository,
        pulls: PullRegistrationRepository,
    ) -> None:
        self._engine = engine
        self._customers = customers
        self._urls = urls
        self._pulls = pulls

    async def urls(self) -> Sequence[C2bUrls]:
        statement = select(operator_c2b_urls).order_by(operator_c2b_urls.c.short_code)
        return [self._urls.urls(row) for row in await self._rows(statement)]

    async def pull_registration(self, short_code: str) -> PullRegistration | None:
        return next(map(self._pulls.registration, await self._rows(self._pulls.select([short_code]))), None)

    async def newest(self) -> OperatorTransactionId | None:
        statement = select(operator_transactions.c.id).order_by(operator_transactions.c.id.desc()).limit(1)
        return next((OperatorTransactionId(row.id) for row in await self._rows(statement)), None)

    async def payments_after(self, last: OperatorTransactionId | None, limit: int) -> Sequence[MerchantPayment]:
        table = operator_transactions
        later = [] if last is None else [table.c.id > last]
        statement = select(table).where(_TO_MERCHANTS, table.c.short_code.is_not(None), *later)
        return await self._payments(statement.order_by(table.c.id).limit(limit))

    async def payments_to(
        self, short_code: str, start: datetime, end: datetime, *, skip: int, limit: int
    ) -> Sequence[MerchantPayment]:
        table = operator_transactions
        statement = select(table).where(
            _TO_MERCHANTS, table.c.short_code == short_code, table.c.happened_at >= start, table.c.happened_at < end
        )
        return await self._payments(statement.order_by(table.c.happened_at, table.c.id).offset(skip).limit(limit))

    async def _payments(self, statement: Select[Any]) -> Sequence[MerchantPayment]:
        """In the statement's order. What was posted with a transaction is in the commit that made it."""
        found = [operator_transaction(row) for row in await self._rows(statement)]
        if not found:
            return []
        merchants = await self._by(operator_merchants.c.short_code, {one.short_code for one in found})
        payers = await self._by(operator_customers.c.id, {one.source_id for one in found})
        pushed = await self._by(stk_pushes.c.receipt, {one.receipt for one in found})
        balances = await self._balances([one.id for one in found])
        payments = []
        for one in found:
            number = merchant(merchants[one.short_code])
            payments.append(
                MerchantPayment(
                    transaction=one,
                    merchant=number,
                    payer=self._customers.customer(payers[one.source_id]),
                    balance=Money(balances[one.id, number.account], Currency.KES),
                    pushed=one.receipt in pushed,
                )
            )
        return payments

    async def _by(self, column: ColumnElement[Any], keys: Collection[Any]) -> Mapping[Any, Any]:
        """The rows of a column's table by the values of that column."""
        rows = await self._rows(select(column.label("found_by"), *column.table.columns).where(column.in_(keys)))
        return {row.found_by: row for row in rows}

    async def _balances(self, ids: Collection[UUID]) -> Mapping[tuple[UUID, str], int]:
        """What each account held after each transaction, which posts to an account once."""
        journals, entries, accounts = ledger_journals.c, ledger_entries.c, ledger_accounts.c
        statement = (
            select(journals.transaction_id, accounts.code, entries.balance_after_cents)
            .join(ledger_entries, entries.journal_id == journals.id)
            .join(ledger_accounts, accounts.id == entries.account_id)
            .where(journals.transaction_id.in_(ids))
        )
        rows = await self._rows(statement)
        return {(row.transaction_id, row.code): row.balance_after_cents for row in rows}

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            return await fetch(connection, statement)


def _urls_place(short_code: str) -> str:
    return f"operator_c2b_urls.addresses_sealed:{short_code}"


def _pull_place(short_code: str) -> str:
    return f"operator_pull_registrations.contact_sealed:{short_code}"
