"""Rows of evidence: pushes and transfers, and whose money each is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.rows import (
    DERIV_TRANSFERS,
    MPESA_REQUESTS,
    REQUESTS_BY_CHECKOUT,
    REQUESTS_BY_RECEIPT,
    SUBJECTS_OF_REQUESTS,
    SUBJECTS_OF_TRANSFERS,
    Subject,
)
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.payments.evidence import DerivTransfer, Evidence, EvidenceState, MpesaRequest, Purpose
from penpay.domain.shared.ids import (
    DerivTransferId,
    MpesaRequestId,
)
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.tables import deriv_transfers, mpesa_requests, transactions
from penpay.infrastructure.sql.types import Row

_m, _d, _t = mpesa_requests.c, deriv_transfers.c, transactions.c
_SUBJECT: Final = (_t.id.label("transaction_id"), _t.user_id)
_REQUESTS: Final = Lookup(select(mpesa_requests).order_by(_m.id), _m.id, locked=True)
_TRANSFERS: Final = Lookup(select(deriv_transfers).order_by(_d.id), _d.id, locked=True)
_REQUEST_SUBJECTS: Final = Lookup(select(_m.id, *_SUBJECT).join(transactions, _t.id == _m.subject_id), _m.id)
_TRANSFER_SUBJECTS: Final = Lookup(
    select(_d.id, _d.reference, *_SUBJECT).join(transactions, _t.id == _d.subject_id), _d.id
)
_RECEIPTS: Final = Lookup(select(_m.receipt, _m.id), _m.receipt)
_CHECKOUTS: Final = Lookup(select(_m.checkout_index, _m.id), _m.checkout_index)

EVIDENCE_MUTABLE: Final = ("state", "due_at", "lease_until", "fence", "attempts", "code", "sent_at", "decided_at")


def evidence_fields(row: Any) -> dict[str, Any]:
    """What every kind of evidence has, from its row."""
    return {
        "id": row.id,
        "purpose": Purpose(row.purpose),
        "subject_id": row.subject_id,
        "state": EvidenceState(row.state),
        "amount": Money(row.amount_cents, Currency(row.currency)),
        "due_at": row.due_at,
        "lease_until": row.lease_until,
        "fence": row.fence,
        "attempts": row.attempts,
        "code": row.code,
        "created_at": row.created_at,
        "sent_at": row.sent_at,
        "decided_at": row.decided_at,
        "version": row.version,
    }


def evidence_row(value: Evidence, id_: UUID) -> Row:
    """The columns every evidence row begins with."""
    return (
        id_,
        value.purpose.value,
        value.subject_id,
        value.state.value,
        value.amount.cents,
        value.amount.currency.value,
        value.due_at,
        value.lease_until,
        value.fence,
        value.attempts,
        value.code,
        value.created_at,
        value.sent_at,
        value.decided_at,
        value.version,
    )


class MpesaRequestRepository:
    """STK pushes by our id. The payer's number is sealed, and so is the CheckoutRequestID, which holds it."""

    kind = MPESA_REQUESTS
    table = mpesa_requests
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        *EVIDENCE_MUTABLE,
        "version",
        "checkout_sealed",
        "checkout_index",
        "merchant_request_id",
        "receipt",
        "verified_at",
        "disputed_cents",
    )

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(
        self, connection: AsyncConnection, keys: Collection[MpesaRequestId]
    ) -> Mapping[MpesaRequestId, MpesaRequest | None]:
        rows = await _REQUESTS.rows(connection, keys)
        return keyed(map(self._request, rows), lambda found: found.id, keys)

    def _request(self, row: Any) -> MpesaRequest:
        return MpesaRequest(
            **evidence_fields(row),
            account_reference=row.account_reference,
            phone=PhoneNumber(self._cipher.open(row.phone_sealed, _phone_of(row.id)).decode()),
            checkout_request_id=row.checkout_sealed
            and self._cipher.open(row.checkout_sealed, _checkout_of(row.id)).decode(),
            merchant_request_id=row.merchant_request_id,
            receipt=row.receipt,
            verified_at=row.verified_at,
            disputed_cents=row.disputed_cents,
        )

    def row(self, value: MpesaRequest) -> Row:
        checkout = value.checkout_request_id
        return (
            *evidence_row(value, value.id),
            value.account_reference,
            self._cipher.seal(value.phone.e164.encode(), _phone_of(value.id)),
            checkout and self._cipher.seal(checkout.encode(), _checkout_of(value.id)),
            checkout and self._index.digest(checkout, field=_CHECKOUT_FIELD),
            value.merchant_request_id,
            value.receipt,
            value.verified_at,
            value.disputed_cents,
        )

    def identity(self, value: MpesaRequest) -> Row:
        return (value.id,)


_CHECKOUT_FIELD: Final = "mpesa_requests.checkout"


def _checkout_of(request: MpesaRequestId) -> str:
    return f"mpesa_requests.checkout:{request}"


def _phone_of(request: MpesaRequestId) -> str:
    return f"mpesa_requests.phone:{request}"


class DerivTransferRepository:
    """Transfers to Deriv clients by our id."""

    kind = DERIV_TRANSFERS
    table = deriv_transfers
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (*EVIDENCE_MUTABLE, "version", "provider_id", "open_outflow_of")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[DerivTransferId]
    ) -> Mapping[DerivTransferId, DerivTransfer | None]:
        rows = await _TRANSFERS.rows(connection, keys)
        return keyed(map(self._transfer, rows), lambda found: found.id, keys)

    @staticmethod
    def _transfer(row: Any) -> DerivTransfer:
        return DerivTransfer(
            **evidence_fields(row),
            reference=row.reference,
            deriv_login_id=row.deriv_login_id,
            provider_id=row.provider_id,
        )

    def row(self, value: DerivTransfer) -> Row:
        return (
            *evidence_row(value, value.id),
            value.reference,
            value.deriv_login_id,
            value.provider_id,
            value.open_outflow_of,
        )

    def identity(self, value: DerivTransfer) -> Row:
        return (value.id,)


class SubjectsOfRequests:
    """The transaction and user behind each STK push."""

    index = SUBJECTS_OF_REQUESTS

    async def find(
        self, connection: AsyncConnection, keys: Collection[MpesaRequestId]
    ) -> Mapping[MpesaRequestId, Subject]:
        rows = await _REQUEST_SUBJECTS.rows(connection, keys)
        return {row.id: Subject(row.transaction_id, row.user_id) for row in rows}


class SubjectsOfTransfers:
    """The transaction and user behind each transfer, and the transfer's reference."""

    index = SUBJECTS_OF_TRANSFERS

    async def find(
        self, connection: AsyncConnection, keys: Collection[DerivTransferId]
    ) -> Mapping[DerivTransferId, tuple[Subject, str]]:
        rows = await _TRANSFER_SUBJECTS.rows(connection, keys)
        return {row.id: (Subject(row.transaction_id, row.user_id), row.reference) for row in rows}


class RequestsByReceipt:
    """The push that a receipt belongs to."""

    index = REQUESTS_BY_RECEIPT

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, MpesaRequestId]:
        return {row.receipt: row.id for row in await _RECEIPTS.rows(connection, keys)}


class RequestsByCheckout:
    """The push that goes by a CheckoutRequestID."""

    index = REQUESTS_BY_CHECKOUT

    def __init__(self, index: BlindIndex) -> None:
        self._index = index

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, MpesaRequestId]:
        digests = {self._index.digest(checkout, field=_CHECKOUT_FIELD): checkout for checkout in keys}
        return {digests[row.checkout_index]: row.id for row in await _CHECKOUTS.rows(connection, digests)}
