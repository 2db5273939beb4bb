"""Reading for capture: what is due, what was paid today, and what M-Pesa's balances were. Nothing here is locked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.capture_rows import TillPushId
from penpay.application.collections.capturing import CONFIRMATION, payer_of, read
from penpay.application.collections.working import DueMessage
from penpay.application.shared.ports import Clock
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.application.wallet.collections_postings import CHARGE_BOOKED, MPESA_CASH, RECEIPT_REVERSED
from penpay.domain.collections.continuity import BalancePoint, Outflow
from penpay.domain.collections.payment import PaymentStatus
from penpay.domain.collections.reference import Candidate, choose, forms
from penpay.domain.collections.refund import RefundState
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import UnopenableField
from penpay.infrastructure.sql.capture_tables import balance_checks, receipt_pulls, till_pushes
from penpay.infrastructure.sql.collections_money import PaymentRepository
from penpay.infrastructure.sql.collections_outflow_tables import collections_outflows
from penpay.infrastructure.sql.collections_people import ReferentFinder
from penpay.infrastructure.sql.collections_tables import collections_refunds, customers, payments
from penpay.infrastructure.sql.engine import looking, reading, translating
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals, webhook_logs
from penpay.infrastructure.sql.types import Moment

_AT: Final = bindparam("at", type_=Moment)
_LIMIT: Final = bindparam("limit", type_=Integer)
_LATE: Final = timedelta(days=2)
"""A confirmation of a deposit is looked for among those received up to so long after its day."""
_CHUNK: Final = 500

_w, _p, _t = webhook_logs.c, payments.c, till_pushes.c
_MESSAGES: Final = (
    select(webhook_logs)
    .where(_w.due_at <= _AT, _w.outcome == WebhookOutcome.RECEIVED.value, _w.source == bindparam("source"))
    .order_by(_w.due_at)
    .limit(_LIMIT)
)
_TILL_PUSHES: Final = (
    select(_t.id)
    .where(_t.due_at <= _AT, or_(_t.lease_until.is_(None), _t.lease_until <= _AT))
    .order_by(_t.due_at)
    .limit(_LIMIT)
)


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


def _day_of(at: datetime) -> tuple[date, datetime]:
    """The day of Nairobi, and the moment it began."""
    local = at.astimezone(EAST_AFRICA_TIME)
    return local.date(), local.replace(hour=0, minute=0, second=0, microsecond=0)


class SqlCaptureDue:
    """What somebody must do now, longest due first."""

    def __init__(self, engine: AsyncEngine, webhooks: WebhookRepository) -> None:
        self._engine = looking(engine)
        self._webhooks = webhooks

    async def due_messages(self, source: str, at: datetime, limit: int) -> Sequence[DueMessage]:
        """Messages of one source that were stored and not applied."""
        rows = await self._rows(_MESSAGES, at=at, limit=limit, source=source)
        return [DueMessage(row.id, row.subject_id, self._body(row)) for row in rows]

    async def due_till_pushes(self, at: datetime, limit: int) -> Sequence[TillPushId]:
        """Pushes from the till to send or to ask about."""
        return [row.id for row in await self._rows(_TILL_PUSHES, at=at, limit=limit)]

    async def is_due(self, short_code: str, at: datetime) -> bool:
        """Whether somebody should read M-Pesa's list now; also where nobody ever has."""
        rows = await self._rows(select(receipt_pulls).where(receipt_pulls.c.short_code == short_code))
        return not rows or (rows[0].due_at <= at and (rows[0].lease_until is None or rows[0].lease_until <= at))

    async def is_checked(self, short_code: str, day: date) -> bool:
        """Whether the balances of a day were followed after it had ended."""
        checked = balance_checks.c
        rows = await self._rows(
            select(checked.checked_at).where(checked.short_code == short_code, checked.day == day.isoformat())
        )
        return bool(rows) and rows[0].checked_at.astimezone(EAST_AFRICA_TIME).date() > day

    def _body(self, row: Any) -> bytes | None:
        try:
            return self._webhooks.body(row)
        except UnopenableField:
            return None

    async def _rows(self, statement: Select[Any], **values: Any) -> Sequence[Any]:
        async with translating(), self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(statement, values)).all()
            return rows


class SqlDays:
    """What was paid on a day."""

    def __init__(self, engine: AsyncEngine, repository: PaymentRepository, clock: Clock) -> None:
        self._engine = reading(engine)
        self._payments = repository
        self._referents = ReferentFinder()
        self._clock = clock

    async def paid_today(self, payment: C2bPayment) -> Money:
        """What the customer whom the reference names, or else the payer, has paid on this day of Nairobi."""
        day, begin = _day_of(self._clock.now())
        hashed = payer_of(payment.phone, "").hashed
        async with translating(), self._engine.connect() as connection:
            found = await self._referents.find(connection, forms(payment.bill_reference))
            chosen = choose(payment.bill_reference, lambda form: found.get(form, ()))
            if isinstance(chosen, Candidate) and chosen.customer_id is not None:
                paid = select(customers.c.paid_on_cents).where(
                    customers.c.id == chosen.customer_id, customers.c.paid_on == day.isoformat()
                )
                return _kes((await connection.execute(paid)).scalar() or 0)
            if hashed is None:
                return _kes(0)
            by_payer = select(func.sum(_p.amount_cents)).where(
                _p.payer_index == self._payments.payer_digest(hashed),
                _p.paid_at >= begin,
                _p.status != PaymentStatus.REVERSED.value,
            )
            return _kes(int((await connection.execute(by_payer)).scalar() or 0))


class SqlBalances:
    """What M-Pesa told of our account's balance: with payments, and with confirmations that were a deposit's."""

    def __init__(self, engine: AsyncEngine, webhooks: WebhookRepository) -> None:
        self._engine = reading(engine)
        self._webhooks = webhooks

    async def points(self, short_code: str, since: datetime, until: datetime) -> Sequence[BalancePoint]:
        """The receipts of a span that tell a balance, deposits among them, in no order."""
        booked = _told_balance(short_code).where(_p.transacted_at >= since, _p.transacted_at < until)
        async with translating(), self._engine.connect() as connection:
            found = [_point(row) for row in (await connection.execute(booked)).all()]
        return [*found, *await self._of_deposits(short_code, since, until)]

    async def preceding(self, short_code: str, before: datetime) -> BalancePoint | None:
        """The last receipt before a moment that tells a balance."""
        booked = (
            _told_balance(short_code)
            .where(_p.transacted_at < before, _p.transacted_at >= before - timedelta(days=1))
            .order_by(_p.transacted_at.desc(), _p.org_balance_cents.desc())
            .limit(1)
        )
        async with translating(), self._engine.connect() as connection:
            row = (await connection.execute(booked)).one_or_none()
        found = [] if row is None else [_point(row)]
        deposits = await self._of_deposits(short_code, before - timedelta(days=1), before)
        return max((*found, *deposits), key=lambda point: (point.at, point.balance.cents), default=None)

    async def outflows(self, since: datetime, until: datetime) -> Sequence[Outflow]:
        """What left in a span, by M-Pesa's receipts; refunds and reversals without one, and charges."""
        r, j, e, a = collections_refunds.c, ledger_journals.c, ledger_entries.c, ledger_accounts.c
        o = collections_outflows.c
        left = select(o.left_at, o.amount_cents).where(o.left_at >= since, o.left_at < until)
        paid = (
            select(r.ended_at, r.amount_cents)
            .outerjoin(collections_outflows, o.mpesa_receipt_number == r.receipt)
            .where(o.id.is_(None), r.state == RefundState.PAID.value, r.ended_at >= since, r.ended_at < until)
        )
        reversed_ = (
            select(j.happened_at, _p.amount_cents)
            .join_from(payments, ledger_journals, j.reference == _p.mpesa_receipt_number)
            .outerjoin(collections_outflows, o.reversal_of == _p.mpesa_receipt_number)
            .where(o.id.is_(None), j.kind == RECEIPT_REVERSED, j.happened_at >= since, j.happened_at < until)
        )
        charged = (
            select(j.happened_at, e.amount_cents)
            .select_from(ledger_journals)
            .join(ledger_entries, e.journal_id == j.id)
            .join(ledger_accounts, a.id == e.account_id)
            .where(j.kind == CHARGE_BOOKED, a.code == MPESA_CASH, j.happened_at >= since, j.happened_at < until)
        )
        async with translating(), self._engine.connect() as connection:
            asked = (left, paid, reversed_, charged)
            found = [row for statement in asked for row in (await connection.execute(statement)).all()]
        return [Outflow(at=at, amount=_kes(cents)) for at, cents in found]

    async def _of_deposits(self, short_code: str, since: datetime, until: datetime) -> list[BalancePoint]:
        """Confirmations that went to a deposit have no payment: what they told is read out of the stored message."""
        statement = (
            select(webhook_logs)
            .where(
                _w.source == CONFIRMATION,
                _w.subject_id.is_not(None),
                _w.created_at >= since,
                _w.created_at < until + _LATE,
            )
            .order_by(_w.id)
            .limit(_CHUNK)
        )
        found: dict[str, BalancePoint] = {}
        async with translating(), self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
            while rows:
                for told in map(self._told, rows):
                    point = None if told is None else _point_of(told, short_code)
                    if point is not None and since <= point.at < until:
                        found[point.receipt] = point
                rows = (await connection.execute(statement.where(_w.id > rows[-1].id))).all()
        return list(found.values())

    def _told(self, row: Any) -> C2bPayment | None:
        try:
            return read(self._webhooks.body(row))
        except UnopenableField:
            return None


def _point_of(told: C2bPayment, short_code: str) -> BalancePoint | None:
    """What a message tells of this number's balance."""
    if told.paid_at is None or told.account_balance is None or told.short_code not in {None, short_code}:
        return None
    return BalancePoint(receipt=told.receipt, at=told.paid_at, amount=told.amount, balance=told.account_balance)


def _told_balance(short_code: str) -> Select[Any]:
    columns = (_p.mpesa_receipt_number, _p.transacted_at, _p.amount_cents, _p.org_balance_cents)
    return select(*columns).where(
        _p.short_code == short_code,
        _p.org_balance_cents.is_not(None),
        _p.transacted_at.is_not(None),
        _p.mpesa_receipt_number.is_not(None),
    )


def _point(row: Any) -> BalancePoint:
    return BalancePoint(
        receipt=row.mpesa_receipt_number,
        at=row.transacted_at,
        amount=_kes(row.amount_cents),
        balance=_kes(row.org_balance_cents),
    )
