"""The rows of what merchants ask through Daraja, and what is read of them and of the money they moved.

Phones, callback URLs and the initiator's credential are sealed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.mobile_money.books import MerchantAccounts
from penpay.application.mobile_money.rows import DARAJA_REQUESTS, TRANSACTION_OF_RECEIPT
from penpay.application.shared.unit_of_work import keyed
from penpay.application.wallet.postings import charges_account, working_account
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.mobile_money.daraja_request import (
    DarajaRequest,
    DarajaRequestId,
    RequestDetails,
    RequestKind,
    RequestResult,
    RequestState,
)
from penpay.domain.mobile_money.transaction import OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import translating
from penpay.infrastructure.sql.operator_money import operator_transaction
from penpay.infrastructure.sql.operator_tables import daraja_requests, operator_transactions
from penpay.infrastructure.sql.tables import ledger_accounts
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import fetch, for_update


class DarajaRequestRepository:
    """Requests by OriginatorConversationID, locked in id order."""

    kind = DARAJA_REQUESTS
    table = daraja_requests
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("state", "result_code", "result_text", "transaction_id", "finished_at", "version")

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, DarajaRequest | None]:
        table = daraja_requests
        statement = select(table).where(table.c.originator_conversation_id.in_(keys)).order_by(table.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.request, rows), lambda one: one.originator_conversation_id, keys)

    def request(self, row: Any) -> DarajaRequest:
        """A request from its row."""
        sealed = self._cipher.open(row.details_sealed, _place(row.id))
        return DarajaRequest(
            id=DarajaRequestId(row.id),
            kind=RequestKind(row.kind),
            short_code=row.short_code,
            originator_conversation_id=row.originator_conversation_id,
            conversation_id=row.conversation_id,
            amount=None if row.amount_cents is None else Money(row.amount_cents, Currency.KES),
            details=RequestDetails(**json.loads(sealed, parse_float=_no_fraction)),
            state=RequestState(row.state),
            accepted_at=row.accepted_at,
            result=None if row.result_code is None else RequestResult(row.result_code, row.result_text),
            transaction_id=None if row.transaction_id is None else OperatorTransactionId(row.transaction_id),
            finished_at=row.finished_at,
            version=row.version,
        )

    def row(self, value: DarajaRequest) -> Row:
        return (
            value.id,
            value.kind.value,
            value.short_code,
            value.originator_conversation_id,
            value.conversation_id,
            None if value.amount is None else value.amount.cents,
            self._cipher.seal(json.dumps(value.details.as_text()).encode(), _place(value.id)),
            value.state.value,
            None if value.result is None else value.result.code,
            None if value.result is None else value.result.text,
            value.transaction_id,
            value.accepted_at,
            value.finished_at,
            value.version,
        )

    def identity(self, value: DarajaRequest) -> Row:
        return (value.id,)


class ReceiptFinder:
    """Transactions by receipt, unlocked."""

    index = TRANSACTION_OF_RECEIPT

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, OperatorTransaction]:
        statement = select(operator_transactions).where(operator_transactions.c.receipt.in_(keys))
        return {one.receipt: one for one in map(operator_transaction, await fetch(connection, statement))}


class SqlRequestBooks:
    """`application.mobile_money.books.RequestBooks` over SQL; nothing is locked."""

    def __init__(self, engine: AsyncEngine, requests: DarajaRequestRepository) -> None:
        self._engine = engine
        self._requests = requests

    async def request(self, originator_conversation_id: str) -> DarajaRequest | None:
        asked = daraja_requests.c.originator_conversation_id == originator_conversation_id
        return next(iter(await self._found(select(daraja_requests).where(asked))), None)

    async def request_of(self, transaction_id: OperatorTransactionId) -> DarajaRequest | None:
        moved = daraja_requests.c.transaction_id == transaction_id
        return next(iter(await self._found(select(daraja_requests).where(moved))), None)

    async def open_requests(self) -> Sequence[DarajaRequest]:
        is_open = daraja_requests.c.state == RequestState.ACCEPTED.value
        return await self._found(select(daraja_requests).where(is_open).order_by(daraja_requests.c.id))

    async def transaction(self, receipt: str) -> OperatorTransaction | None:
        return await self._transaction(select(operator_transactions).where(operator_transactions.c.receipt == receipt))

    async def accounts(self, merchant: Customer) -> MerchantAccounts:
        codes = (merchant.wallet, working_account(merchant.id), charges_account(merchant.id))
        statement = select(ledger_accounts.c.code, ledger_accounts.c.balance_cents)
        rows = await self._rows(statement.where(ledger_accounts.c.code.in_(codes)))
        held = {row.code: row.balance_cents for row in rows}
        utility, working, charges_paid = (Money(held.get(code, 0), Currency.KES) for code in codes)
        return MerchantAccounts(utility=utility, working=working, charges_paid=charges_paid)

    async def transaction_by_id(self, id_: OperatorTransactionId) -> OperatorTransaction | None:
        return await self._transaction(select(operator_transactions).where(operator_transactions.c.id == id_))

    async def _transaction(self, statement: Select[Any]) -> OperatorTransaction | None:
        return next(map(operator_transaction, await self._rows(statement)), None)

    async def _found(self, statement: Select[Any]) -> Sequence[DarajaRequest]:
        return [self._requests.request(row) for row in await self._rows(statement)]

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            return await fetch(connection, statement)


def _place(id_: object) -> str:
    return f"daraja_requests.details_sealed:{id_}"


def _no_fraction(text: str) -> Any:
    raise ValueError(f"a sealed document holds the fraction {text}")
