"""Customers of Collections, the numbers things are known by, and what a reference can name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.collections.rows import (
    CUSTOMERS,
    CUSTOMERS_BY_PHONE,
    NUMBER_SERIES,
    REFERENTS,
)
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.collections.customer import Contact, Customer, CustomerId
from penpay.domain.collections.numbers import NumberSeries, SeriesName
from penpay.domain.collections.payment import hashed_number
from penpay.domain.collections.reference import Candidate, Referent, fold
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.collections_tables import customers, invoices, number_series, pos_sales
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import among, among_ids, fetch, for_update

_PHONE_FIELD: Final = "customers.phone"
PAYER_FIELD: Final = "payments.payer"
"""One field for customers and payments, so that a payer is recognised."""


class CustomerRepository:
    """Customers by id, locked in id order. Contacts are written once and left sealed when a row is locked."""

    kind = CUSTOMERS
    table = customers
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = (
        "auto_apply_credit",
        "receivable_cents",
        "credit_cents",
        "issued_count",
        "reopened_count",
        "paid_on",
        "paid_on_cents",
        "version",
    )

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    async def lock(
        self, connection: AsyncConnection, keys: Collection[CustomerId]
    ) -> Mapping[CustomerId, Customer | None]:
        wanted = among_ids(customers.c.id, keys, connection.dialect)
        statement = select(customers).where(wanted).order_by(customers.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(customer, rows), lambda found: found.id, keys)

    def opened(self, row: Any) -> Customer:
        """A customer with her contact, from her row."""
        return customer(row, self.contact(row))

    def contact(self, row: Any) -> Contact:
        """Who a row of customers is about."""
        opened = self._cipher.open
        phone = row.phone_sealed and opened(row.phone_sealed, _place("phone", row.id)).decode()
        email = row.email_sealed and opened(row.email_sealed, _place("email", row.id)).decode()
        return Contact(
            name=opened(row.name_sealed, _place("name", row.id)).decode(),
            phone=PhoneNumber(phone) if phone else None,
            email=Email(email) if email else None,
        )

    def phone_digest(self, phone: PhoneNumber) -> str:
        """What stands in `phone_index` for this number."""
        return self._index.digest(phone.e164, field=_PHONE_FIELD)

    def row(self, value: Customer) -> Row:
        return (
            value.id,
            value.number,
            fold(value.number),
            *self._contact_row(value),
            value.auto_apply_credit,
            value.receivable.cents,
            value.credit.cents,
            value.issued_count,
            value.reopened_count,
            value.paid_on,
            value.paid_on_cents,
            value.created_at,
            value.version,
        )

    def _contact_row(self, value: Customer) -> Row:
        contact = value.contact
        if contact is None:  # only a row that exists is without, and of that these columns are not written
            return (b"", None, None, None, None)
        seal, phone = self._cipher.seal, contact.phone
        return (
            seal(contact.name.encode(), _place("name", value.id)),
            phone and seal(phone.e164.encode(), _place("phone", value.id)),
            phone and self.phone_digest(phone),
            phone and self._index.digest(hashed_number(phone), field=PAYER_FIELD),
            contact.email and seal(contact.email.address.encode(), _place("email", value.id)),
        )

    def identity(self, value: Customer) -> Row:
        return (value.id,)


def customer(row: Any, contact: Contact | None = None) -> Customer:
    """A customer from her row."""
    return Customer(
        id=CustomerId(row.id),
        number=row.customer_number,
        contact=contact,
        auto_apply_credit=row.auto_apply_credit,
        receivable=kes(row.receivable_cents),
        credit=kes(row.credit_cents),
        issued_count=row.issued_count,
        reopened_count=row.reopened_count,
        paid_on=row.paid_on,
        paid_on_cents=row.paid_on_cents,
        created_at=row.created_at,
        version=row.version,
    )


def kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


def _place(field: str, id_: CustomerId) -> str:
    return f"customers.{field}:{id_}"


class CustomersByPhone:
    """The customer who has a number."""

    index = CUSTOMERS_BY_PHONE

    def __init__(self, people: CustomerRepository) -> None:
        self._people = people

    async def find(
        self, connection: AsyncConnection, keys: Collection[PhoneNumber]
    ) -> Mapping[PhoneNumber, CustomerId]:
        digests = {self._people.phone_digest(phone): phone for phone in keys}
        wanted = among(customers.c.phone_index, digests, connection.dialect)
        rows = await fetch(connection, select(customers.c.phone_index, customers.c.id).where(wanted))
        return {digests[row.phone_index]: CustomerId(row.id) for row in rows}


class NumberSeriesRepository:
    """The series of numbers, one row each."""

    kind = NUMBER_SERIES
    table = number_series
    key: tuple[str, ...] = ("name",)
    mutable: tuple[str, ...] = ("day", "last", "version")

    async def lock(
        self, connection: AsyncConnection, keys: Collection[SeriesName]
    ) -> Mapping[SeriesName, NumberSeries | None]:
        wanted = among(number_series.c.name, [key.value for key in keys], connection.dialect)
        statement = select(number_series).where(wanted).order_by(number_series.c.name)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        found = (
            NumberSeries(name=SeriesName(row.name), day=row.day, last=row.last, version=row.version) for row in rows
        )
        return keyed(found, lambda series: series.name, keys)

    def row(self, value: NumberSeries) -> Row:
        return (value.name.value, value.day, value.last, value.version)

    def identity(self, value: NumberSeries) -> Row:
        return (value.name.value,)


class ReferentFinder:
    """Invoices, customers and sales by their folded number."""

    index = REFERENTS

    async def find(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, tuple[Candidate, ...]]:
        found: dict[str, tuple[Candidate, ...]] = {}
        for referent, table, column, owner in _REFERENTS:
            folded = table.c[f"{column}_folded"]
            statement = select(folded, table.c.id, table.c[column], table.c[owner]).where(
                among(folded, keys, connection.dialect)
            )
            for form, id_, number, customer_id in await fetch(connection, statement):
                found[form] = (*found.get(form, ()), Candidate(referent, id_, number, customer_id))
        return found


_REFERENTS: Final[tuple[tuple[Referent, Table, str, str], ...]] = (
    (Referent.INVOICE, invoices, "invoice_number", "customer_id"),
    (Referent.CUSTOMER, customers, "customer_number", "id"),
    (Referent.SALE, pos_sales, "pos_number", "customer_id"),
)
