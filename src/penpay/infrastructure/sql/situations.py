"""Reading reviews: what each is about, where its money stands, and all that people need to decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, case, false, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.payments.queries import ReviewCase, ReviewPage, ReviewState
from penpay.application.payments.rows import Review, ReviewReason
from penpay.application.payments.situation import (
    PLACES,
    REVIEW_SUBJECTS,
    SITUATIONS,
    Outflow,
    ReviewSubject,
    Situation,
)
from penpay.application.wallet.postings import DEPOSIT_CONVERTED
from penpay.application.wallet.withdrawal_postings import WITHDRAWAL_CONVERTED
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus, TransactionType
from penpay.domain.shared.ids import ReviewId, TransactionId
from penpay.domain.wallet.account import AccountType, LedgerSide
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import reading, translating
from penpay.infrastructure.sql.payout_tables import deriv_withdrawals, mpesa_disbursements, reviews
from penpay.infrastructure.sql.reviews import review
from penpay.infrastructure.sql.tables import (
    deriv_transfers,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    mpesa_requests,
    transactions,
)
from penpay.infrastructure.sql.types import Identifier
from penpay.infrastructure.sql.unit_of_work import fetch, for_update

_CONVERSIONS: Final = (DEPOSIT_CONVERTED, WITHDRAWAL_CONVERTED)
_UNPROVEN: Final = and_(
    mpesa_disbursements.c.state == EvidenceState.CONFIRMED.value,
    mpesa_disbursements.c.verified_at.is_(None),
    mpesa_disbursements.c.due_at.is_(None),
)
"""`MpesaDisbursement.is_unproven`, to the database."""
_NEVER: Final = false()
_UNDONE: Final = tuple(f"{kind}.reversed" for kind in _CONVERSIONS)


class ReviewSubjects:
    """The key and the transaction of each review."""

    index = REVIEW_SUBJECTS

    async def find(self, connection: AsyncConnection, keys: Collection[ReviewId]) -> Mapping[ReviewId, ReviewSubject]:
        rows = await fetch(connection, select(reviews).where(reviews.c.id.in_(keys)))
        found = [review(row) for row in rows]
        return {one.id: ReviewSubject((one.subject_id, one.reason), one.transaction_id) for one in found}


class Situations:
    """Where the money of each transaction stands, with the transaction held until the batch has ended."""

    index = SITUATIONS

    async def find(
        self, connection: AsyncConnection, keys: Collection[TransactionId]
    ) -> Mapping[TransactionId, Situation]:
        held = select(transactions.c.id).where(transactions.c.id.in_(keys)).order_by(transactions.c.id)
        await fetch(connection, for_update(held, connection.dialect))
        return await situations(connection, keys)


async def situations(connection: AsyncConnection, keys: Collection[TransactionId]) -> Mapping[TransactionId, Situation]:
    """The situations of these transactions, as the connection sees them."""
    money, kinds = await _money(connection, keys), await _kinds(connection, keys)
    transfers = await _outflows(connection, deriv_transfers, deriv_transfers.c.reference, keys)
    payouts = await _outflows(connection, mpesa_disbursements, mpesa_disbursements.c.id, keys, _UNPROVEN)
    debits = await _outflows(connection, deriv_withdrawals, deriv_withdrawals.c.reference, keys)
    counted = (
        select(reviews.c.transaction_id, func.count())
        .where(reviews.c.transaction_id.in_(keys), reviews.c.resolved_at.is_(None))
        .group_by(reviews.c.transaction_id)
    )
    open_reviews: dict[UUID, int] = dict(await fetch(connection, counted))
    asked = select(mpesa_requests.c.subject_id).where(
        mpesa_requests.c.subject_id.in_(keys),
        mpesa_requests.c.state == EvidenceState.CONFIRMED.value,
        mpesa_requests.c.verified_at.is_(None),
        mpesa_requests.c.due_at.is_not(None),
    )
    asked_about = {row.subject_id for row in await fetch(connection, asked)}
    rows = await fetch(connection, select(transactions).where(transactions.c.id.in_(keys)))
    return {
        row.id: Situation(
            transaction_id=row.id,
            user_id=row.user_id,
            type=TransactionType(row.type),
            status=TransactionStatus(row.status),
            usd_cents=row.usd_cents,
            kes_cents=row.kes_charged_cents,
            held=money.get(row.id, {}),
            converted=bool(kinds[row.id].intersection(_CONVERSIONS)) and not kinds[row.id].intersection(_UNDONE),
            undone=bool(kinds[row.id].intersection(_UNDONE)),
            transfers=tuple(transfers[row.id]),
            disbursements=tuple(payouts[row.id]),
            debit=next(iter(debits[row.id]), None),
            open_reviews=open_reviews.get(row.id, 0),
            is_payment_asked_about=row.id in asked_about,
        )
        for row in rows
    }


async def _money(connection: AsyncConnection, keys: Collection[TransactionId]) -> Mapping[UUID, Mapping[str, int]]:
    """What the books hold for each transaction where money can wait; all these accounts grow by a credit."""
    signed = case(
        (ledger_entries.c.side == LedgerSide.CREDIT.value, ledger_entries.c.amount_cents),
        else_=-ledger_entries.c.amount_cents,
    )
    statement = (
        select(ledger_journals.c.transaction_id, ledger_accounts.c.code, func.sum(signed).label("cents"))
        .join(ledger_entries, ledger_entries.c.journal_id == ledger_journals.c.id)
        .join(ledger_accounts, ledger_accounts.c.id == ledger_entries.c.account_id)
        .where(ledger_journals.c.transaction_id.in_(keys), ledger_accounts.c.type == AccountType.LIABILITY.value)
        .group_by(ledger_journals.c.transaction_id, ledger_accounts.c.code)
    )
    found: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
    for row in await fetch(connection, statement):
        place = f"wallet:{row.code[-3:]}" if row.code.startswith("wallet:") else row.code
        if place in PLACES and int(row.cents):
            found[row.transaction_id][place] = int(row.cents)
    return found


async def _kinds(connection: AsyncConnection, keys: Collection[TransactionId]) -> Mapping[UUID, set[str]]:
    wanted = (*_CONVERSIONS, *_UNDONE)
    statement = select(ledger_journals.c.transaction_id, ledger_journals.c.kind).where(
        ledger_journals.c.transaction_id.in_(keys), ledger_journals.c.kind.in_(wanted)
    )
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    for row in await fetch(connection, statement):
        found[row.transaction_id].add(row.kind)
    return found


async def _outflows(
    connection: AsyncConnection,
    table: Table,
    reference: Any,
    keys: Collection[TransactionId],
    unproven: ColumnElement[bool] = _NEVER,
) -> Mapping[UUID, list[Outflow]]:
    statement: Select[Any] = (
        select(table.c.id, table.c.subject_id, table.c.state, reference.label("named"), unproven.label("unproven"))
        .where(table.c.subject_id.in_(keys))
        .order_by(table.c.id)
    )
    found: defaultdict[UUID, list[Outflow]] = defaultdict(list)
    for row in await fetch(connection, statement):
        found[row.subject_id].append(
            Outflow(
                id=row.id,
                reference=str(row.named),
                state=EvidenceState(row.state),
                is_unproven=bool(row.unproven),
            )
        )
    return found


async def _payouts(connection: AsyncConnection, found: Collection[Review]) -> Mapping[ReviewId, Outflow]:
    """The payout of the refund that each of these reviews is about, of those that are about one."""
    wanted = {one.id: ReviewSubject((one.subject_id, one.reason), one.transaction_id).payout_id for one in found}
    asked = {payout for payout in wanted.values() if payout is not None}
    if not asked:
        return {}
    table = mpesa_disbursements.c
    columns = (table.id, table.originator_conversation_id, table.state, _UNPROVEN.label("unproven"))
    statement = select(*columns).where(table.id.in_(asked))
    known = {
        row.id: Outflow(
            id=row.id,
            reference=row.originator_conversation_id,
            state=EvidenceState(row.state),
            is_unproven=bool(row.unproven),
        )
        for row in await fetch(connection, statement)
    }
    return {review: known[payout] for review, payout in wanted.items() if payout is not None and payout in known}


class SqlReviewBooks:
    """`application.payments.queries.ReviewBooks` over SQL; without the cipher notes stay closed."""

    def __init__(self, engine: AsyncEngine, cipher: FieldCipher | None) -> None:
        self._engine = reading(engine)
        self._cipher = cipher

    async def open_reviews(self, limit: int) -> Sequence[ReviewCase]:
        waiting = select(reviews).where(reviews.c.resolved_at.is_(None))
        return await self._cases(waiting.order_by(reviews.c.opened_at, reviews.c.id).limit(limit))

    async def review(self, review_id: ReviewId) -> ReviewCase | None:
        found = await self._cases(select(reviews).where(reviews.c.id == review_id))
        return next(iter(found), None)

    async def page(
        self, state: ReviewState, limit: int, *, reason: ReviewReason | None = None, after: ReviewId | None = None
    ) -> ReviewPage:
        done = state is ReviewState.RESOLVED
        moment = reviews.c.resolved_at if done else reviews.c.opened_at
        statement = select(reviews).where(
            reviews.c.resolved_at.is_not(None) if done else reviews.c.resolved_at.is_(None)
        )
        if state is ReviewState.PROPOSED:
            statement = statement.where(reviews.c.decision.is_not(None))
        if reason is not None:
            statement = statement.where(reviews.c.reason == reason.value)
        if after is not None:
            cursor = reviews.alias("cursor")
            stood = select(cursor.c.resolved_at if done else cursor.c.opened_at).where(cursor.c.id == after)
            position = tuple_(stood.scalar_subquery(), literal(after, Identifier))
            place = tuple_(moment, reviews.c.id)
            statement = statement.where(place < position if done else place > position)
        order = (moment.desc(), reviews.c.id.desc()) if done else (moment, reviews.c.id)
        found = await self._cases(statement.order_by(*order).limit(limit + 1))
        return ReviewPage(found[:limit], found[limit - 1].review.id if len(found) > limit else None)

    async def _cases(self, statement: Select[Any]) -> Sequence[ReviewCase]:
        async with translating(), self._engine.connect() as connection:
            found = [review(row, self._cipher) for row in await fetch(connection, statement)]
            about = {one.transaction_id for one in found if one.transaction_id is not None}
            known = await situations(connection, about)
            payouts = await _payouts(connection, found)
        return [
            ReviewCase(one, None if one.transaction_id is None else known[one.transaction_id], payouts.get(one.id))
            for one in found
        ]
