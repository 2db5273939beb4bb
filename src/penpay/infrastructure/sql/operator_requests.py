"""What waits for somebody: requests for approval, and cash-out codes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.mobile_money.rows import APPROVALS, ASKED_FOR, CODES
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.mobile_money.approval import Approval, ApprovalId, ApprovalKind, ApprovalState
from penpay.domain.mobile_money.cash_out import CashOutCode, CodeState
from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.operator_tables import operator_approvals, operator_cash_out_codes
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import document, fetch, for_update, parsed


class ApprovalRepository:
    """Requests for approval by id."""

    kind = APPROVALS
    table = operator_approvals
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("state", "decided_by", "decided_at", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[ApprovalId]
    ) -> Mapping[ApprovalId, Approval | None]:
        table = operator_approvals
        statement = select(table).where(table.c.id.in_(keys)).order_by(table.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(approval, rows), lambda one: one.id, keys)

    def row(self, value: Approval) -> Row:
        return (
            value.id,
            value.kind.value,
            document(value.facts),
            value.amount.cents,
            value.requested_by,
            value.requested_at,
            value.customer_id,
            value.state.value,
            value.decided_by,
            value.decided_at,
            value.version,
        )

    def identity(self, value: Approval) -> Row:
        return (value.id,)


def approval(row: Any) -> Approval:
    """A request for approval from its row."""
    return Approval(
        id=ApprovalId(row.id),
        kind=ApprovalKind(row.kind),
        facts=parsed(row.facts),
        amount=Money(row.amount_cents, Currency.KES),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        customer_id=None if row.customer_id is None else CustomerId(row.customer_id),
        state=ApprovalState(row.state),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        version=row.version,
    )


class AskedForFinder:
    """What requests for approval are about, unlocked."""

    index = ASKED_FOR

    async def find(self, connection: AsyncConnection, keys: Collection[ApprovalId]) -> Mapping[ApprovalId, Approval]:
        statement = select(operator_approvals).where(operator_approvals.c.id.in_(keys))
        return {one.id: one for one in map(approval, await fetch(connection, statement))}


class CashOutCodeRepository:
    """Each customer's newest cash-out code."""

    kind = CODES
    table = operator_cash_out_codes
    key: tuple[str, ...] = ("customer_id",)
    mutable: tuple[str, ...] = ("digest", "amount_cents", "expires_at", "state", "wrong_codes", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[CustomerId]
    ) -> Mapping[CustomerId, CashOutCode | None]:
        table = operator_cash_out_codes
        statement = select(table).where(table.c.customer_id.in_(keys)).order_by(table.c.customer_id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = (
            CashOutCode(
                customer_id=CustomerId(row.customer_id),
                digest=row.digest,
                amount=Money(row.amount_cents, Currency.KES),
                expires_at=row.expires_at,
                state=CodeState(row.state),
                wrong_codes=row.wrong_codes,
                version=row.version,
            )
            for row in rows
        )
        return keyed(found, lambda one: one.customer_id, keys)

    def row(self, value: CashOutCode) -> Row:
        return (
            value.customer_id,
            value.digest,
            value.amount.cents,
            value.expires_at,
            value.state.value,
            value.wrong_codes,
            value.version,
        )

    def identity(self, value: CashOutCode) -> Row:
        return (value.customer_id,)
