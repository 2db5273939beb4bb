"""`application.mobile_money.books.OperatorBooks` over SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.mobile_money.books import (
    OperatorBalances,
    Reconciliation,
    SentMessage,
    StatementLine,
)
from penpay.application.mobile_money.care import ENTANGLED
from penpay.application.mobile_money.rows import ALL, Address, BankDepositState, Destination, UserType
from penpay.application.shared.ports import Clock
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId
from penpay.domain.mobile_money.approval import Approval, ApprovalState
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerStatus, CustomerType
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.stk_push import PushState, StkPush
from penpay.domain.mobile_money.tariff import Tariff
from penpay.domain.mobile_money.transaction import Charge, OperatorTransaction
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import LedgerSide
from penpay.infrastructure.sql.engine import looking, translating
from penpay.infrastructure.sql.operator_money import (
    TariffFinder,
    bank_deposit,
    charge,
    float_issue,
    operator_transaction,
)
from penpay.infrastructure.sql.operator_people import (
    AddressRepository,
    AdministratorRepository,
    CustomerRepository,
    DestinationFinder,
    MessageAppender,
    merchant,
)
from penpay.infrastructure.sql.operator_requests import approval
from penpay.infrastructure.sql.operator_stk import StkPushRepository
from penpay.infrastructure.sql.operator_tables import (
    operator_administrators,
    operator_approvals,
    operator_bank_deposits,
    operator_charges,
    operator_customers,
    operator_float_issues,
    operator_merchants,
    operator_messages,
    operator_transactions,
    stk_pushes,
)
from penpay.infrastructure.sql.snapshot import snapshot
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.sql.unit_of_work import fetch


class SqlOperatorBooks:
    """Reads on an engine of their own; nothing is locked."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        customers: CustomerRepository,
        administrators: AdministratorRepository,
        addresses: AddressRepository,
        pushes: StkPushRepository,
        messages: MessageAppender,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._look = looking(engine)
        self._customers = customers
        self._administrators = administrators
        self._addresses = addresses
        self._destinations = DestinationFinder(addresses)
        self._tariffs = TariffFinder()
        self._pushes = pushes
        self._messages = messages
        self._clock = clock

    # -- people

    async def customer(self, customer_id: CustomerId) -> Customer | None:
        async with translating(), self._look.connect() as connection:
            return await self._customers.seen(connection, customer_id)

    async def administrator(self, administrator_id: AdministratorId) -> Administrator | None:
        statement = select(operator_administrators).where(operator_administrators.c.id == administrator_id)
        return next(map(self._administrators.administrator, await self._rows(statement)), None)

    async def destination(self, address: Address) -> Destination | None:
        async with translating(), self._engine.connect() as connection:
            return (await self._destinations.find(connection, [address])).get(address)

    async def at(self, address: Address) -> Customer | None:
        destination = await self.destination(address)
        return None if destination is None else await self.customer(destination.customer_id)

    async def login(self, user_type: UserType, email: Email) -> Customer | Administrator | None:
        address = Address.email(user_type, email)
        if user_type is not UserType.ADMINISTRATOR:
            return await self.at(address)
        async with translating(), self._engine.connect() as connection:
            owner = (await self._addresses.owners(connection, [address])).get(address)
        return None if owner is None else await self.administrator(AdministratorId(owner))

    async def customers(
        self, kind: CustomerType | None, limit: int, after: CustomerId | None
    ) -> Sequence[tuple[Customer, Money]]:
        table = operator_customers
        statement = select(table).order_by(table.c.id).limit(limit)
        if kind is not None:
            statement = statement.where(table.c.type == kind.value)
        if after is not None:
            statement = statement.where(table.c.id > after)
        found = [self._customers.customer(row) for row in await self._rows(statement)]
        held = await self._held([one.wallet for one in found])
        return [(one, _kes(held.get(one.wallet, 0))) for one in found]

    async def idle_since(self, moment: datetime) -> Sequence[CustomerId]:
        table, accounts = operator_customers, ledger_accounts
        statement = (
            select(table.c.id)
            .outerjoin(accounts, accounts.c.owner_id == table.c.id)
            .where(table.c.status == CustomerStatus.ACTIVE.value, table.c.created_at < moment)
            .group_by(table.c.id)
            .having(
                or_(func.max(accounts.c.last_recorded_at).is_(None), func.max(accounts.c.last_recorded_at) < moment)
            )
            .order_by(table.c.id)
        )
        return [CustomerId(row.id) for row in await self._rows(statement)]

    async def administrators(self) -> Sequence[Administrator]:
        statement = select(operator_administrators).order_by(operator_administrators.c.id)
        return [self._administrators.administrator(row) for row in await self._rows(statement)]

    async def merchant(self, short_code: str) -> Merchant | None:
        statement = select(operator_merchants).where(operator_merchants.c.short_code == short_code)
        return next(map(merchant, await self._rows(statement)), None)

    async def numbers(self, customer_id: CustomerId) -> Sequence[Merchant]:
        table = operator_merchants
        statement = select(table).where(table.c.customer_id == customer_id).order_by(table.c.short_code)
        return [merchant(row) for row in await self._rows(statement)]

    # -- what a customer sees

    async def balance(self, customer: Customer) -> Money:
        return _kes((await self._held([customer.wallet])).get(customer.wallet, 0))

    async def statement(
        self, customer: Customer, limit: int, before: int | None, account: str | None = None
    ) -> Sequence[StatementLine]:
        entries, journals = ledger_entries.c, ledger_journals.c
        statement = (
            select(
                entries.account_id,
                entries.account_seq,
                entries.side,
                entries.amount_cents,
                entries.balance_after_cents,
                journals.happened_at,
                journals.transaction_id,
            )
            .join(ledger_accounts, ledger_accounts.c.id == entries.account_id)
            .join(ledger_journals, journals.id == entries.journal_id)
            .where(ledger_accounts.c.code == (account or customer.wallet))
            .order_by(entries.account_seq.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(entries.account_seq < before)
        rows = await self._rows(statement)
        transactions = await self._transactions([row.transaction_id for row in rows if row.transaction_id is not None])
        others = await self._counterparties(customer.id, transactions.values())
        return [_line(row, customer.id, transactions, others) for row in rows]

    async def messages(self, customer_id: CustomerId, limit: int, before: UUID | None) -> Sequence[SentMessage]:
        table = operator_messages
        statement = select(table).where(table.c.customer_id == customer_id).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(table.c.id < before)
        rows = await self._rows(statement)
        return [SentMessage(id=row.id, text=self._messages.text(row), sent_at=row.sent_at) for row in rows]

    # -- the operator

    async def charges(self) -> Sequence[Charge]:
        return [charge(row) for row in await self._rows(select(operator_charges).order_by(operator_charges.c.id))]

    async def tariffs(self) -> Sequence[Tariff]:
        async with translating(), self._engine.connect() as connection:
            return (await self._tariffs.find(connection, [ALL])).get(ALL, ())

    async def approvals(self, customer_id: CustomerId | None, limit: int) -> Sequence[Approval]:
        table = operator_approvals
        statement = select(table).where(table.c.state == ApprovalState.PENDING.value)
        if customer_id is not None:
            own = table.c.requested_by == f"customer:{customer_id}"
            statement = statement.where(or_(table.c.customer_id == customer_id, own))
        return [approval(row) for row in await self._rows(statement.order_by(table.c.id).limit(limit))]

    async def reconciliation(self) -> Reconciliation:
        issues, deposits = operator_float_issues, operator_bank_deposits
        waiting = select(issues).where(issues.c.bank_reference.is_(None)).order_by(issues.c.issued_at)
        unexplained = select(deposits).where(deposits.c.state == BankDepositState.SUSPENSE.value)
        total = func.coalesce(func.sum(issues.c.amount_cents), 0)
        async with translating(), snapshot(self._engine) as connection:
            sums = {row.family: int(row.cents) for row in await fetch(connection, _sums())}
            waits = [float_issue(row) for row in await fetch(connection, waiting)]
            strays = [bank_deposit(row) for row in await fetch(connection, unexplained.order_by(deposits.c.entered_at))]
            issued = int((await connection.execute(select(total))).scalar_one())

        def held(name: str) -> Money:
            return _kes(sums.get(name, 0))

        unevidenced = sum(one.amount.cents for one in waits)
        return Reconciliation(
            bank=held("trust:bank"),
            unevidenced=held("trust:unevidenced"),
            wallets=held("subscriber"),
            floats=held("agent"),
            merchants=held("merchant"),
            commission_payable=held("commission"),
            excise_payable=held("excise:payable"),
            own_funds=(
                held("equity:owner:KES")
                + held("revenue:mobile_money_fees")
                - held("expense:agent_commission")
                - held("operator:bank")
            ),
            suspense=held("suspense:KES"),
            working=held("working"),
            charges_paid=held("charges_paid"),
            unsettled_charges=held("charges:unsettled"),
            issued=_kes(issued),
            evidenced=_kes(issued - unevidenced),
            waiting=waits,
            unexplained=strays,
        )

    # -- payments pushed to phones

    async def push(self, checkout_request_id: str) -> StkPush | None:
        async with translating(), self._look.connect() as connection:
            return await self._pushes.seen(connection, checkout_request_id)

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
        subscribers = select(operator_customers).where(operator_customers.c.type == CustomerType.SUBSCRIBER.value)
        async with translating(), self._engine.connect() as connection:
            accounts = await fetch(connection, select(ledger_accounts.c.code, ledger_accounts.c.balance_cents))
            customers = await fetch(connection, subscribers.order_by(operator_customers.c.id))
            merchants = await fetch(connection, select(operator_merchants).order_by(operator_merchants.c.short_code))
        cents = {row.code: row.balance_cents for row in accounts}
        found = [self._customers.customer(row) for row in customers]
        return OperatorBalances(
            trust_unevidenced=_kes(cents.get("trust:unevidenced", 0)),
            subscribers=[(one.phone, _kes(cents.get(one.wallet, 0))) for one in found if one.phone is not None],
            merchants=[(one.short_code, _kes(cents.get(one.account, 0))) for one in map(merchant, merchants)],
        )

    async def _held(self, codes: Collection[str]) -> Mapping[str, int]:
        statement = select(ledger_accounts.c.code, ledger_accounts.c.balance_cents)
        rows = await self._rows(statement.where(ledger_accounts.c.code.in_(codes)))
        return {row.code: row.balance_cents for row in rows}

    async def _transactions(self, ids: Collection[UUID]) -> Mapping[UUID, OperatorTransaction]:
        statement = select(operator_transactions).where(operator_transactions.c.id.in_(ids))
        return {one.id: one for one in map(operator_transaction, await self._rows(statement))}

    async def _counterparties(
        self, customer: CustomerId, transactions: Collection[OperatorTransaction]
    ) -> Mapping[CustomerId, Customer]:
        ids = {id_ for one in transactions for id_ in (one.source_id, one.target_id) if id_ not in {None, customer}}
        statement = select(operator_customers).where(operator_customers.c.id.in_(ids))
        return {one.id: one for one in map(self._customers.customer, await self._rows(statement))}

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            return await fetch(connection, statement)


class EntangledFinder:
    """Customers without an account who are yet named somewhere, so that they cannot be deleted."""

    index = ENTANGLED

    async def find(self, connection: AsyncConnection, keys: Collection[CustomerId]) -> Mapping[CustomerId, bool]:
        columns: tuple[ColumnElement[Any], ...] = (
            operator_merchants.c.customer_id,
            operator_messages.c.customer_id,
            operator_approvals.c.customer_id,
            stk_pushes.c.customer_id,
        )
        named = union_all(*(select(column.label("id")).where(column.in_(keys)) for column in columns)).subquery()
        return {CustomerId(row.id): True for row in await fetch(connection, select(named.c.id).distinct())}


def _sums() -> Select[Any]:
    """What all accounts of a family hold together, and each account there is one of; by family or code."""
    families = [kind.value.lower() for kind in CustomerType] + ["commission", "working", "charges_paid"]
    code, cents = ledger_accounts.c.code, ledger_accounts.c.balance_cents
    parts = [
        select(literal(family).label("family"), func.coalesce(func.sum(cents), 0).label("cents")).where(
            code.like(f"{family}:%")
        )
        for family in families
    ]
    single = select(code.label("family"), cents.label("cents")).where(ledger_accounts.c.owner_id.is_(None))
    sums = union_all(*parts, single).subquery()
    return select(sums.c.family, sums.c.cents)


def _line(
    row: Any,
    customer: CustomerId,
    transactions: Mapping[UUID, OperatorTransaction],
    others: Mapping[CustomerId, Customer],
) -> StatementLine:
    amount, nothing = _kes(row.amount_cents), _kes(0)
    credited = row.side == LedgerSide.CREDIT.value
    transaction = transactions.get(row.transaction_id)
    other = None
    if transaction is not None:
        ids = {transaction.source_id, transaction.target_id} - {customer, None}
        other = next((others[id_] for id_ in ids if id_ is not None and id_ in others), None)
    return StatementLine(
        sequence=row.account_seq,
        happened_at=row.happened_at,
        credited=amount if credited else nothing,
        debited=nothing if credited else amount,
        balance=_kes(row.balance_after_cents),
        account_id=row.account_id,
        transaction=transaction,
        counterparty=other,
    )


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)
