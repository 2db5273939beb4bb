"""Rows of withdrawals: debits at Deriv, payouts by M-Pesa, kept secrets, and whose money each is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.payments.rows import (
    DERIV_ACCOUNT_IDS,
    DERIV_WITHDRAWALS,
    DISBURSEMENTS_BY_QUESTION,
    DISBURSEMENTS_BY_RECEIPT,
    MPESA_DISBURSEMENTS,
    OPEN_PAYOUTS,
    REFUNDS_OF_DISBURSEMENTS,
    SUBJECTS_OF_DISBURSEMENTS,
    SUBJECTS_OF_TRANSACTIONS,
    TOKEN_SUBJECTS,
    WAITING_WITHDRAWALS,
    WITHDRAWALS_BY_REFERENCE,
    Subject,
)
from penpay.application.shared.kept_secrets import SECRETS, KeptSecret, SecretPurpose
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.payments.evidence import FINAL, DerivWithdrawal, EvidenceState, MpesaDisbursement, Purpose
from penpay.domain.shared.ids import DerivAccountId, DerivWithdrawalId, MpesaDisbursementId, TransactionId
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.evidence import EVIDENCE_MUTABLE, evidence_fields, evidence_row
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.payout_tables import deriv_withdrawals, mpesa_disbursements, secrets
from penpay.infrastructure.sql.tables import deriv_accounts, transactions
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_ids, fetch, for_update

_WAITING: Final = sorted(state for state in EvidenceState if state not in FINAL and state is not EvidenceState.INTENDED)
_w, _d, _t = deriv_withdrawals.c, mpesa_disbursements.c, transactions.c
_WITHDRAWALS: Final = Lookup(select(deriv_withdrawals).order_by(_w.id), _w.id, locked=True)
_DISBURSEMENTS: Final = Lookup(select(mpesa_disbursements).order_by(_d.id), _d.id, locked=True)
_USERS: Final = Lookup(select(_t.id, _t.user_id), _t.id)
_DISBURSEMENT_SUBJECTS: Final = Lookup(
    select(_d.id, _t.id.label("transaction_id"), _t.user_id).join(transactions, _t.id == _d.subject_id), _d.id
)
_DEBITED: Final = Lookup(
    select(_w.id, deriv_accounts.c.id.label("account_id")).join(
        deriv_accounts, deriv_accounts.c.deriv_login_id == _w.deriv_login_id
    ),
    _w.id,
)


class DerivWithdrawalRepository:
    """Debits of clients' accounts by the id they share with their transaction."""

    kind = DERIV_WITHDRAWALS
    table = deriv_withdrawals
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (*EVIDENCE_MUTABLE, "version", "code_asked_at", "client_row_id", "provider_id")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[DerivWithdrawalId]
    ) -> Mapping[DerivWithdrawalId, DerivWithdrawal | None]:
        rows = await _WITHDRAWALS.rows(connection, keys)
        return keyed(map(deriv_withdrawal, rows), lambda found: found.id, keys)

    def row(self, value: DerivWithdrawal) -> Row:
        return (
            *evidence_row(value, value.id),
            value.reference,
            value.deriv_login_id,
            value.code_asked_at,
            value.client_row_id,
            value.provider_id,
        )

    def identity(self, value: DerivWithdrawal) -> Row:
        return (value.id,)


def deriv_withdrawal(row: Any) -> DerivWithdrawal:
    """A debit from its row."""
    return DerivWithdrawal(
        **evidence_fields(row),
        reference=row.reference,
        deriv_login_id=row.deriv_login_id,
        code_asked_at=row.code_asked_at,
        client_row_id=row.client_row_id,
        provider_id=row.provider_id,
    )


class MpesaDisbursementRepository:
    """Payouts by our id. The receiver's number is sealed."""

    kind = MPESA_DISBURSEMENTS
    table = mpesa_disbursements
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        *EVIDENCE_MUTABLE,
        "version",
        "conversation_id",
        "receipt",
        "told_code",
        "question_id",
        "verified_at",
        "open_outflow_of",
    )

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(
        self, connection: AsyncConnection, keys: Collection[MpesaDisbursementId]
    ) -> Mapping[MpesaDisbursementId, MpesaDisbursement | None]:
        rows = await _DISBURSEMENTS.rows(connection, keys)
        return keyed(map(self._disbursement, rows), lambda found: found.id, keys)

    def _disbursement(self, row: Any) -> MpesaDisbursement:
        return MpesaDisbursement(
            **evidence_fields(row),
            originator_conversation_id=row.originator_conversation_id,
            phone=PhoneNumber(self._cipher.open(row.phone_sealed, _phone_of(row.id)).decode()),
            conversation_id=row.conversation_id,
            receipt=row.receipt,
            told_code=row.told_code,
            question_id=row.question_id,
            verified_at=row.verified_at,
        )

    def row(self, value: MpesaDisbursement) -> Row:
        return (
            *evidence_row(value, value.id),
            value.originator_conversation_id,
            self._cipher.seal(value.phone.e164.encode(), _phone_of(value.id)),
            value.conversation_id,
            value.receipt,
            value.told_code,
            value.question_id,
            value.verified_at,
            value.open_outflow_of,
        )

    def identity(self, value: MpesaDisbursement) -> Row:
        return (value.id,)


def _phone_of(disbursement: MpesaDisbursementId) -> str:
    return f"mpesa_disbursements.phone_sealed:{disbursement}"


class SecretRepository:
    """Kept secrets by purpose and subject, sealed."""

    kind = SECRETS
    table = secrets
    key: tuple[str, ...] = ("purpose", "subject_id")
    mutable: tuple[str, ...] = ("value_sealed", "created_at", "expires_at")

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(
        self, connection: AsyncConnection, keys: Collection[tuple[SecretPurpose, UUID]]
    ) -> Mapping[tuple[SecretPurpose, UUID], KeptSecret | None]:
        rows = await fetch(connection, for_update(secrets_of(keys), connection.dialect))
        found = {(SecretPurpose(row.purpose), row.subject_id): row for row in rows}
        return {key: self._secret(found[key]) if key in found else None for key in keys}

    def _secret(self, row: Any) -> KeptSecret:
        return KeptSecret(
            purpose=SecretPurpose(row.purpose),
            subject_id=row.subject_id,
            value=self._cipher.open(row.value_sealed, _value_of(row.purpose, row.subject_id)).decode(),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )

    def row(self, value: KeptSecret) -> Row:
        return (
            value.purpose.value,
            value.subject_id,
            self._cipher.seal(value.value.encode(), _value_of(value.purpose.value, value.subject_id)),
            value.created_at,
            value.expires_at,
        )

    def identity(self, value: KeptSecret) -> Row:
        return (value.purpose.value, value.subject_id)


def secrets_of(keys: Collection[tuple[SecretPurpose, UUID]]) -> Select[Any]:
    """The secrets with these keys, in their order, and perhaps more of the same subjects.

    The purpose is named although a subject has few secrets: the key begins with it, and without it every secret of
    everybody would be walked through, and on some engines locked.
    """
    purposes, subjects = {purpose.value for purpose, _ in keys}, {subject for _, subject in keys}
    wanted = and_(secrets.c.purpose.in_(sorted(purposes)), secrets.c.subject_id.in_(subjects))
    return select(secrets).where(wanted).order_by(secrets.c.purpose, secrets.c.subject_id)


def _value_of(purpose: str, subject: UUID) -> str:
    return f"secrets.value_sealed:{purpose}:{subject}"


class SubjectsOfTransactions:
    """The user behind each transaction."""

    index = SUBJECTS_OF_TRANSACTIONS

    async def find(
        self, connection: AsyncConnection, keys: Collection[TransactionId]
    ) -> Mapping[TransactionId, Subject]:
        return {row.id: Subject(row.id, row.user_id) for row in await _USERS.rows(connection, keys)}


class SubjectsOfDisbursements:
    """The transaction and user behind each payout that has a transaction."""

    index = SUBJECTS_OF_DISBURSEMENTS

    async def find(
        self, connection: AsyncConnection, keys: Collection[MpesaDisbursementId]
    ) -> Mapping[MpesaDisbursementId, Subject]:
        rows = await _DISBURSEMENT_SUBJECTS.rows(connection, keys)
        return {row.id: Subject(row.transaction_id, row.user_id) for row in rows}


class RefundsOfDisbursements:
    """The refund of Collections behind each payout that pays one."""

    index = REFUNDS_OF_DISBURSEMENTS

    async def find(
        self, connection: AsyncConnection, keys: Collection[MpesaDisbursementId]
    ) -> Mapping[MpesaDisbursementId, UUID]:
        table = mpesa_disbursements.c
        statement = select(table.id, table.subject_id).where(
            table.id.in_(keys), table.purpose == Purpose.COLLECTIONS_REFUND.value
        )
        return {row.id: row.subject_id for row in await fetch(connection, statement)}


class OpenPayouts:
    """The payout that has paid each of these, or may."""

    index = OPEN_PAYOUTS

    async def find(self, connection: AsyncConnection, keys: Collection[UUID]) -> Mapping[UUID, MpesaDisbursementId]:
        table = mpesa_disbursements.c
        statement = select(table.open_outflow_of, table.id).where(
            among_ids(table.open_outflow_of, keys, connection.dialect)
        )
        return {row.open_outflow_of: row.id for row in await fetch(connection, statement)}


class DerivAccountIds:
    """The Deriv account of each login id."""

    index = DERIV_ACCOUNT_IDS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, DerivAccountId]:
        table = deriv_accounts
        statement = select(table.c.deriv_login_id, table.c.id).where(table.c.deriv_login_id.in_(keys))
        return {row.deriv_login_id: row.id for row in await fetch(connection, statement)}


class TokenSubjects:
    """The Deriv account that each withdrawal debits."""

    index = TOKEN_SUBJECTS

    async def find(
        self, connection: AsyncConnection, keys: Collection[DerivWithdrawalId]
    ) -> Mapping[DerivWithdrawalId, DerivAccountId]:
        return {row.id: row.account_id for row in await _DEBITED.rows(connection, keys)}


class WithdrawalsByReference:
    """The withdrawal that goes by a reference."""

    index = WITHDRAWALS_BY_REFERENCE

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, DerivWithdrawalId]:
        table = deriv_withdrawals
        statement = select(table.c.reference, table.c.id).where(among(table.c.reference, keys, connection.dialect))
        return {row.reference: row.id for row in await fetch(connection, statement)}


class WaitingWithdrawals:
    """Withdrawals of a client and amount that may have been made, and whose credit has not been seen."""

    index = WAITING_WITHDRAWALS

    async def find(
        self, connection: AsyncConnection, keys: Collection[tuple[str, int]]
    ) -> Mapping[tuple[str, int], tuple[DerivWithdrawalId, ...]]:
        table = deriv_withdrawals.c
        statement = (
            select(table.id, table.deriv_login_id, table.amount_cents)
            .where(and_(tuple_(table.deriv_login_id, table.amount_cents).in_(keys), table.state.in_(_WAITING)))
            .order_by(table.id)
        )
        found: defaultdict[tuple[str, int], list[DerivWithdrawalId]] = defaultdict(list)
        for row in await fetch(connection, statement):
            found[row.deriv_login_id, row.amount_cents].append(row.id)
        return {key: tuple(ids) for key, ids in found.items()}


class DisbursementsByQuestion:
    """The payout that a question is about, while it is out."""

    index = DISBURSEMENTS_BY_QUESTION

    async def find(self, connection: AsyncConnection, keys: Collection[UUID]) -> Mapping[UUID, MpesaDisbursementId]:
        table = mpesa_disbursements
        statement = select(table.c.question_id, table.c.id).where(
            among_ids(table.c.question_id, keys, connection.dialect)
        )
        return {row.question_id: row.id for row in await fetch(connection, statement)}


class DisbursementsByReceipt:
    """The payout that a receipt belongs to."""

    index = DISBURSEMENTS_BY_RECEIPT

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, MpesaDisbursementId]:
        table = mpesa_disbursements
        statement = select(table.c.receipt, table.c.id).where(among(table.c.receipt, keys, connection.dialect))
        return {row.receipt: row.id for row in await fetch(connection, statement)}
