"""Payments, what each was used for, and refunds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.limits import PAID_DAYS
from penpay.application.collections.rows import (
    ALLOCATIONS,
    KNOWN_PAYMENTS,
    KNOWN_REFUNDS,
    PAYMENTS,
    PAYMENTS_BY_PUSH,
    REFUNDS,
)
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.allocation import Allocation, AllocationId, PaymentId, RefundId, SaleId, Target
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.invoice import InvoiceId
from penpay.domain.collections.payment import (
    Payer,
    PayerForm,
    Payment,
    PaymentSource,
    PaymentStatus,
    Verification,
    flags_from,
    flags_text,
)
from penpay.domain.collections.reference import SuspenseReason
from penpay.domain.collections.refund import Refund, RefundState
from penpay.domain.shared.ids import WebhookId
from penpay.domain.shared.nairobi import day_bounds
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.collections_people import PAYER_FIELD, kes
from penpay.infrastructure.sql.collections_tables import (
    collections_refunds,
    payment_allocations,
    payments,
)
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_ids, fetch, for_update

_ID_LETTERS: Final = 36
"""Of an id as text; a receipt has twenty at most."""
_A_SUM: Final = "What was paid on a day is a sum over payments, and nobody writes it."


class PaymentRepository:
    """Payments by receipt, or by id while they have none. Who paid is written once and left sealed."""

    kind = PAYMENTS
    table = payments
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "mpesa_receipt_number",
        "push_reference",
        "short_code",
        "org_balance_cents",
        "transacted_at",
        "verification",
        "verified_by",
        "status",
        "suspense_cents",
        "suspense_reason",
        "customer_id",
        "flags",
        "version",
    )

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Payment | None]:
        statement = select(payments).where(known_by(connection, keys)).order_by(payments.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found: dict[str, Payment | None] = dict.fromkeys(keys)
        for one in map(payment, rows):
            # One that has its receipt since may still be asked for by its id; it is given once, by the receipt.
            found[one.key if one.key in found else str(one.id)] = one
        return found

    def payer(self, row: Any) -> Payer:
        """Who paid, from a row of payments."""
        number = row.payer_msisdn_sealed and self._cipher.open(row.payer_msisdn_sealed, _place("msisdn", row.id))
        name = row.payer_name_sealed and self._cipher.open(row.payer_name_sealed, _place("name", row.id))
        return Payer(
            form=PayerForm(row.payer_form),
            text=number.decode() if number else "",
            name=name.decode() if name else "",
        )

    def payer_digest(self, hashed: str) -> str:
        """What stands in `payer_index`, and in `customers.msisdn_index`, for the SHA-256 of a number."""
        return self._index.digest(hashed, field=PAYER_FIELD)

    def row(self, value: Payment) -> Row:
        return (
            value.id,
            value.receipt,
            value.push_reference,
            value.source.value,
            value.amount.cents,
            value.short_code,
            value.bill_reference,
            *self._payer_row(value),
            value.org_balance and value.org_balance.cents,
            value.transacted_at,
            value.paid_at,
            value.received_at,
            value.verification.value,
            value.verified_by,
            value.status.value,
            value.suspense.cents,
            value.suspense_reason and value.suspense_reason.value,
            value.customer_id,
            flags_text(value.flags) if value.flags else "",
            value.webhook_id,
            value.version,
        )

    def _payer_row(self, value: Payment) -> Row:
        payer = value.payer
        if payer is None:  # only a row that exists is without, and of that these columns are not written
            return (None, PayerForm.NONE.value, None, None)
        hashed = payer.hashed
        return (
            self._cipher.seal(payer.text.encode(errors="replace"), _place("msisdn", value.id)) if payer.text else None,
            payer.form.value,
            hashed and self.payer_digest(hashed),
            self._cipher.seal(payer.name.encode(errors="replace"), _place("name", value.id)) if payer.name else None,
        )

    def identity(self, value: Payment) -> Row:
        return (value.id,)


def _place(field: str, id_: UUID) -> str:
    return f"payments.payer_{field}:{id_}"


def known_by(connection: AsyncConnection, keys: Collection[str]) -> ColumnElement[bool]:
    """Whether a payment is known by one of these keys, receipts or ids."""
    receipts = [key for key in keys if len(key) < _ID_LETTERS]
    ids = [UUID(key) for key in keys if len(key) == _ID_LETTERS]
    by_receipt = among(payments.c.mpesa_receipt_number, receipts, connection.dialect)
    if not ids:
        return by_receipt
    by_id = among_ids(payments.c.id, ids, connection.dialect)
    return or_(by_receipt, by_id) if receipts else by_id


def payment(row: Any, payer: Payer | None = None) -> Payment:
    """A payment from its row."""
    return Payment(
        id=PaymentId(row.id),
        receipt=row.mpesa_receipt_number,
        push_reference=row.push_reference,
        source=PaymentSource(row.source),
        amount=kes(row.amount_cents),
        short_code=row.short_code,
        bill_reference=row.bill_reference,
        payer=payer,
        org_balance=None if row.org_balance_cents is None else kes(row.org_balance_cents),
        transacted_at=row.transacted_at,
        paid_at=row.paid_at,
        received_at=row.received_at,
        verification=Verification(row.verification),
        verified_by=row.verified_by,
        status=PaymentStatus(row.status),
        suspense=kes(row.suspense_cents),
        suspense_reason=row.suspense_reason and SuspenseReason(row.suspense_reason),
        customer_id=row.customer_id and CustomerId(row.customer_id),
        flags=flags_from(row.flags),
        webhook_id=row.webhook_id and WebhookId(row.webhook_id),
        version=row.version,
    )


class PaymentsByPush:
    """The payment that a push from the till has brought."""

    index = PAYMENTS_BY_PUSH

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, str]:
        columns = (payments.c.push_reference, payments.c.mpesa_receipt_number, payments.c.id)
        rows = await fetch(
            connection, select(*columns).where(among(payments.c.push_reference, keys, connection.dialect))
        )
        return {row.push_reference: row.mpesa_receipt_number or str(row.id) for row in rows}


class PaidDays:
    """What customers paid on days in Nairobi: read after their rows are locked, and never written."""

    kind = PAID_DAYS
    table = PaymentRepository.table
    key: tuple[str, ...] = PaymentRepository.key
    mutable: tuple[str, ...] = PaymentRepository.mutable

    async def lock(
        self, connection: AsyncConnection, keys: Collection[tuple[CustomerId, date]]
    ) -> Mapping[tuple[CustomerId, date], int | None]:
        found: dict[tuple[CustomerId, date], int | None] = dict.fromkeys(keys)
        for day in sorted({day for _, day in keys}):
            begin, end = day_bounds(day)
            statement = (
                select(payments.c.customer_id, func.sum(payments.c.amount_cents).label("cents"))
                .where(
                    among_ids(payments.c.customer_id, [id_ for id_, of in keys if of == day], connection.dialect),
                    payments.c.paid_at >= begin,
                    payments.c.paid_at < end,
                )
                .group_by(payments.c.customer_id)
            )
            for row in await fetch(connection, statement):
                found[CustomerId(row.customer_id), day] = int(row.cents)
        return found

    def row(self, value: int) -> Row:  # noqa: ARG002  (Repository)
        raise TypeError(_A_SUM)

    def identity(self, value: int) -> Row:  # noqa: ARG002  (Repository)
        raise TypeError(_A_SUM)


class KnownPayments:
    """Payments, unlocked."""

    index = KNOWN_PAYMENTS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Payment]:
        statement = select(payments).where(known_by(connection, keys))
        found: dict[str, Payment] = {}
        for one in map(payment, await fetch(connection, statement)):
            found.update((key, one) for key in (one.receipt, str(one.id)) if key in keys and key is not None)
        return found


class AllocationAppender:
    """Allocations."""

    kind = ALLOCATIONS
    table = payment_allocations

    def row(self, record: Allocation) -> Row:
        return (
            record.id,
            record.payment_id,
            record.customer_id,
            record.invoice_id,
            record.sale_id,
            record.refund_id,
            record.target.value,
            record.amount.cents,
            record.reverses_id,
            record.journal_id,
            record.created_at,
            record.created_by,
        )


def allocation(row: Any) -> Allocation:
    """An allocation from its row."""
    return Allocation(
        id=AllocationId(row.id),
        payment_id=row.payment_id and PaymentId(row.payment_id),
        customer_id=row.customer_id and CustomerId(row.customer_id),
        invoice_id=row.invoice_id and InvoiceId(row.invoice_id),
        sale_id=row.pos_sale_id and SaleId(row.pos_sale_id),
        refund_id=row.refund_id and RefundId(row.refund_id),
        target=Target(row.target),
        amount=kes(row.amount_cents),
        reverses_id=row.reverses_id and AllocationId(row.reverses_id),
        journal_id=row.journal_id,
        created_at=row.created_at,
        created_by=row.created_by,
    )


class RefundRepository:
    """Refunds by id, locked in id order."""

    kind = REFUNDS
    table = collections_refunds
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        *("state", "decided_by", "decided_at", "receipt", "failure_code", "ended_at", "version"),
    )

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(self, connection: AsyncConnection, keys: Collection[RefundId]) -> Mapping[RefundId, Refund | None]:
        wanted = among_ids(collections_refunds.c.id, keys, connection.dialect)
        statement = select(collections_refunds).where(wanted).order_by(collections_refunds.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.refund, rows), lambda found: found.id, keys)

    def refund(self, row: Any) -> Refund:
        """A refund from its row."""
        return Refund(
            id=RefundId(row.id),
            payment_id=row.payment_id and PaymentId(row.payment_id),
            customer_id=row.customer_id and CustomerId(row.customer_id),
            amount=kes(row.amount_cents),
            state=RefundState(row.state),
            reason=row.reason,
            phone=PhoneNumber(self._cipher.open(row.phone_sealed, _phone_of(row.id)).decode()),
            proposed_by=row.proposed_by,
            proposed_at=row.proposed_at,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
            receipt=row.receipt,
            failure_code=row.failure_code,
            ended_at=row.ended_at,
            version=row.version,
        )

    def row(self, value: Refund) -> Row:
        return (
            value.id,
            value.payment_id,
            value.customer_id,
            value.amount.cents,
            value.state.value,
            value.reason,
            self._cipher.seal(value.phone.e164.encode(), _phone_of(value.id)),
            value.proposed_by,
            value.proposed_at,
            value.decided_by,
            value.decided_at,
            value.receipt,
            value.failure_code,
            value.ended_at,
            value.version,
        )

    def identity(self, value: Refund) -> Row:
        return (value.id,)


def _phone_of(refund: UUID) -> str:
    return f"collections_refunds.phone:{refund}"


class KnownRefunds:
    """Refunds, unlocked."""

    index = KNOWN_REFUNDS

    def __init__(self, refunds: RefundRepository) -> None:
        self._refunds = refunds

    async def find(self, connection: AsyncConnection, keys: Collection[RefundId]) -> Mapping[RefundId, Refund]:
        statement = select(collections_refunds).where(among_ids(collections_refunds.c.id, keys, connection.dialect))
        return {found.id: found for found in map(self._refunds.refund, await fetch(connection, statement))}
