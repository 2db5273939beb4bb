"""The rows of capture: registrations of addresses, pulls, and checks of balances."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.checking import BALANCE_CHECKS, BalanceCheck, BalanceCheckId
from penpay.application.collections.pulling import RECEIPT_PULLS, ReceiptPull
from penpay.application.collections.registering import C2B_REGISTRATIONS, C2bRegistration, RegistrationState
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.continuity import Continuity, Gap
from penpay.domain.mpesa.gateway import C2bAddresses, UnansweredValidation
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.capture_tables import balance_checks, c2b_registrations, receipt_pulls
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import document, fetch, for_update, parsed


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


class C2bRegistrationRepository:
    """Attempts to register addresses. Their paths are secrets, so they are sealed."""

    kind = C2B_REGISTRATIONS
    table = c2b_registrations
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("state", "code", "answered_at", "version")

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(self, connection: AsyncConnection, keys: Collection[Any]) -> Mapping[Any, C2bRegistration | None]:
        statement = select(c2b_registrations).where(c2b_registrations.c.id.in_(keys)).order_by(c2b_registrations.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.registration, rows), lambda found: found.id, keys)

    def registration(self, row: Any) -> C2bRegistration:
        """A registration from its row."""
        told = parsed(self._cipher.open(row.addresses_sealed, _addresses_of(row.id)).decode())
        return C2bRegistration(
            id=row.id,
            short_code=row.short_code,
            addresses=C2bAddresses(
                confirmation_url=told["confirmation_url"],
                validation_url=told["validation_url"],
                unanswered=UnansweredValidation(row.unanswered),
            ),
            state=RegistrationState(row.state),
            code=row.code,
            asked_by=row.asked_by,
            asked_at=row.asked_at,
            answered_at=row.answered_at,
            version=row.version,
        )

    def row(self, value: C2bRegistration) -> Row:
        told = {
            "confirmation_url": value.addresses.confirmation_url,
            "validation_url": value.addresses.validation_url,
        }
        return (
            value.id,
            value.short_code,
            value.addresses.unanswered.value,
            self._cipher.seal(document(told).encode(), _addresses_of(value.id)),
            value.state.value,
            value.code,
            value.asked_by,
            value.asked_at,
            value.answered_at,
            value.version,
        )

    def identity(self, value: C2bRegistration) -> Row:
        return (value.id,)


def _addresses_of(registration: UUID) -> str:
    return f"c2b_registrations.addresses:{registration}"


class ReceiptPullRepository:
    """How far M-Pesa's list was read, by short code."""

    kind = RECEIPT_PULLS
    table = receipt_pulls
    key: tuple[str, ...] = ("short_code",)
    mutable: tuple[str, ...] = ("pulled_until", "due_at", "lease_until", "fence", "code", "version")

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, ReceiptPull | None]:
        statement = (
            select(receipt_pulls).where(receipt_pulls.c.short_code.in_(keys)).order_by(receipt_pulls.c.short_code)
        )
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self._pull, rows), lambda found: found.short_code, keys)

    @staticmethod
    def _pull(row: Any) -> ReceiptPull:
        return ReceiptPull(
            short_code=row.short_code,
            pulled_until=row.pulled_until,
            due_at=row.due_at,
            lease_until=row.lease_until,
            fence=row.fence,
            code=row.code,
            version=row.version,
        )

    def row(self, value: ReceiptPull) -> Row:
        return (
            value.short_code,
            value.pulled_until,
            value.due_at,
            value.lease_until,
            value.fence,
            value.code,
            value.version,
        )

    def identity(self, value: ReceiptPull) -> Row:
        return (value.short_code,)


class BalanceCheckRepository:
    """The newest check of each day and number."""

    kind = BALANCE_CHECKS
    table = balance_checks
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "receipts",
        "opening_cents",
        "closing_cents",
        "missing_cents",
        "gaps",
        "told",
        "checked_at",
        "checked_by",
        "version",
    )

    async def lock(
        self, connection: AsyncConnection, keys: Collection[tuple[str, date]]
    ) -> Mapping[tuple[str, date], BalanceCheck | None]:
        named = [(short_code, day.isoformat()) for short_code, day in keys]
        statement = (
            select(balance_checks)
            .where(tuple_(balance_checks.c.short_code, balance_checks.c.day).in_(named))
            .order_by(balance_checks.c.id)
        )
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(balance_check, rows), lambda found: (found.short_code, found.day), keys)

    def row(self, value: BalanceCheck) -> Row:
        seen = value.continuity
        gaps = {
            "gaps": [
                {"after": gap.after, "before": gap.before, "missing_cents": gap.missing.cents} for gap in seen.gaps
            ]
        }
        return (
            value.id,
            value.short_code,
            value.day.isoformat(),
            seen.receipts,
            None if seen.opening is None else seen.opening.cents,
            None if seen.closing is None else seen.closing.cents,
            value.missing.cents,
            document(gaps),
            value.told,
            value.checked_at,
            value.checked_by,
            value.version,
        )

    def identity(self, value: BalanceCheck) -> Row:
        return (value.id,)


def balance_check(row: Any) -> BalanceCheck:
    """A check from its row."""
    gaps = tuple(
        Gap(after=gap["after"], before=gap["before"], missing=_kes(gap["missing_cents"]))
        for gap in parsed(row.gaps)["gaps"]
    )
    return BalanceCheck(
        id=BalanceCheckId(row.id),
        short_code=row.short_code,
        day=date.fromisoformat(row.day),
        continuity=Continuity(
            receipts=row.receipts,
            opening=None if row.opening_cents is None else _kes(row.opening_cents),
            closing=None if row.closing_cents is None else _kes(row.closing_cents),
            gaps=gaps,
        ),
        told=row.told,
        checked_at=row.checked_at,
        checked_by=row.checked_by,
        version=row.version,
    )
