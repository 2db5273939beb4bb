"""The operator's people: customers, administrators, what they are found by, merchants' numbers, and their messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.application.mobile_money.rows import (
    ADDRESSES,
    ADMINISTRATORS,
    CUSTOMERS,
    DESTINATIONS,
    MERCHANTS,
    MESSAGES,
    Address,
    AddressKind,
    Destination,
    Message,
    OwnedAddress,
    UserType,
)
from penpay.application.shared.ports import Ids
from penpay.application.shared.unit_of_work import keyed
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, AdministratorRole
from penpay.domain.mobile_money.customer import (
    Customer,
    CustomerId,
    CustomerStatus,
    CustomerType,
    LastPayment,
    Login,
)
from penpay.domain.mobile_money.merchant import Merchant, NumberKind
from penpay.domain.mobile_money.policy import KycTier
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.lookups import Lookup
from penpay.infrastructure.sql.operator_tables import (
    operator_addresses,
    operator_administrators,
    operator_customers,
    operator_merchants,
    operator_messages,
)
from penpay.infrastructure.sql.types import Row
from penpay.infrastructure.sql.unit_of_work import document, fetch, for_update, parsed

_OLD_PHONE_FIELD: Final = "operator_customers.phone"
"""What subscribers' phones were indexed as before there was a table of addresses."""
_CUSTOMERS: Final = Lookup(
    select(operator_customers).order_by(operator_customers.c.id), operator_customers.c.id, locked=True
)
_SEEN: Final = Lookup(select(operator_customers), operator_customers.c.id)
_OWNERS: Final = Lookup(select(operator_addresses.c.digest, operator_addresses.c.owner_id), operator_addresses.c.digest)
_MERCHANTS: Final = Lookup(select(operator_merchants), operator_merchants.c.short_code)


class CustomerRepository:
    """Customers by id, locked in id order."""

    kind = CUSTOMERS
    table = operator_customers
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = tuple(
        column.name for column in operator_customers.columns if column.name not in {"id", "type", "created_at"}
    )

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(
        self, connection: AsyncConnection, keys: Collection[CustomerId]
    ) -> Mapping[CustomerId, Customer | None]:
        rows = await _CUSTOMERS.rows(connection, keys)
        return keyed(map(self.customer, rows), lambda customer: customer.id, keys)

    async def seen(self, connection: AsyncConnection, customer_id: CustomerId) -> Customer | None:
        """One customer, not locked."""
        return next(map(self.customer, await _SEEN.rows(connection, [customer_id])), None)

    def customer(self, row: Any) -> Customer:
        """A customer from her row."""
        details = {} if row.details_sealed is None else self._opened(row.details_sealed, _details_place(row.id))
        phone = None
        if row.phone_sealed is not None:
            phone = PhoneNumber(self._cipher.open(row.phone_sealed, _phone_place(row.id)).decode())
        last = None
        if row.last_paid_at is not None:
            last = LastPayment(
                short_code=row.last_short_code,
                amount=Money(row.last_amount_cents, Currency.KES),
                at=row.last_paid_at,
                day_total=Money(row.day_total_cents, Currency.KES),
            )
        return Customer(
            id=CustomerId(row.id),
            type=CustomerType(row.type),
            name=details.get("name", ""),
            created_at=row.created_at,
            email=Email(details["email"]) if "email" in details else None,
            phone=phone,
            login=None if row.password_hash is None else _login(row),
            pin_hash=row.pin_hash,
            tier=KycTier(row.tier),
            is_super_agent=row.is_super_agent,
            status=CustomerStatus(row.status),
            status_reason=row.status_reason,
            wrong_pins=row.wrong_pins,
            pin_locked=row.pin_locked,
            open_push_id=row.open_push_id,
            last_payment=last,
            version=row.version,
        )

    def row(self, value: Customer) -> Row:
        last, login = value.last_payment, value.login
        details = {"name": value.name} if value.name else {}
        if value.email is not None:
            details["email"] = value.email.address
        sealed = self._cipher.seal(document(details).encode(), _details_place(value.id)) if details else None
        phone = value.phone
        return (
            value.id,
            value.type.value,
            None if phone is None else self._cipher.seal(phone.e164.encode(), _phone_place(value.id)),
            value.pin_hash,
            value.status.value,
            value.wrong_pins,
            value.open_push_id,
            None if last is None else last.short_code,
            None if last is None else last.amount.cents,
            None if last is None else last.at,
            None if last is None else last.day_total.cents,
            value.version,
            sealed,
            None if login is None else login.password_hash,
            0 if login is None else login.wrong_passwords,
            None if login is None else login.locked_until,
            value.pin_locked,
            value.tier.value,
            value.is_super_agent,
            value.status_reason,
            value.created_at,
        )

    def identity(self, value: Customer) -> Row:
        return (value.id,)

    def _opened(self, sealed: bytes, place: str) -> Mapping[str, str]:
        return parsed(self._cipher.open(sealed, place).decode())


class AdministratorRepository:
    """Administrators by id, locked in id order."""

    kind = ADMINISTRATORS
    table = operator_administrators
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ("password_hash", "wrong_passwords", "locked_until", "role", "is_active", "version")

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    async def lock(
        self, connection: AsyncConnection, keys: Collection[AdministratorId]
    ) -> Mapping[AdministratorId, Administrator | None]:
        table = operator_administrators
        statement = select(table).where(table.c.id.in_(keys)).order_by(table.c.id)
        rows = await fetch(connection, for_update(statement, connection.dialect))
        return keyed(map(self.administrator, rows), lambda administrator: administrator.id, keys)

    def administrator(self, row: Any) -> Administrator:
        """An administrator from the row."""
        details = parsed(self._cipher.open(row.details_sealed, _administrator_place(row.id)).decode())
        return Administrator(
            id=AdministratorId(row.id),
            name=details["name"],
            email=Email(details["email"]),
            phone=PhoneNumber(details["phone"]) if "phone" in details else None,
            login=_login(row),
            role=AdministratorRole(row.role),
            is_active=row.is_active,
            created_at=row.created_at,
            version=row.version,
        )

    def row(self, value: Administrator) -> Row:
        details = {"name": value.name, "email": value.email.address}
        if value.phone is not None:
            details["phone"] = value.phone.e164
        return (
            value.id,
            self._cipher.seal(document(details).encode(), _administrator_place(value.id)),
            value.login.password_hash,
            value.login.wrong_passwords,
            value.login.locked_until,
            value.role.value,
            value.is_active,
            value.created_at,
            value.version,
        )

    def identity(self, value: Administrator) -> Row:
        return (value.id,)


class AddressRepository:
    """E-mail addresses and phone numbers, by what they are; they are added and removed, never changed."""

    kind = ADDRESSES
    table = operator_addresses
    key: tuple[str, ...] = ("digest",)
    mutable: tuple[str, ...] = ()

    def __init__(self, index: BlindIndex) -> None:
        self._index = index

    async def lock(
        self, connection: AsyncConnection, keys: Collection[Address]
    ) -> Mapping[Address, OwnedAddress | None]:
        owners = await self.owners(connection, keys)
        found = {address: OwnedAddress(address, owner) for address, owner in owners.items()}
        return {key: found.get(key) for key in keys}

    async def owners(self, connection: AsyncConnection, keys: Collection[Address]) -> Mapping[Address, UUID]:
        """Whose these addresses are; those that are nobody's are left out."""
        digests = {self.digest(key): key for key in keys}
        return {digests[row.digest]: row.owner_id for row in await _OWNERS.rows(connection, digests)}

    def digest(self, address: Address) -> str:
        """What an address is found by."""
        if (address.user_type, address.kind) == (UserType.SUBSCRIBER, AddressKind.PHONE):
            return self._index.digest(address.value, field=_OLD_PHONE_FIELD)
        field = f"operator_addresses.{address.user_type.value}.{address.kind.value}"
        return self._index.digest(address.value, field=field)

    def row(self, value: OwnedAddress) -> Row:
        return (self.digest(value.address), value.address.kind.value, value.owner_id)

    def identity(self, value: OwnedAddress) -> Row:
        return (self.digest(value.address),)


class DestinationFinder:
    """Whom money or a prompt is for, by e-mail address, phone number or a merchant's number."""

    index = DESTINATIONS

    def __init__(self, addresses: AddressRepository) -> None:
        self._addresses = addresses

    async def find(self, connection: AsyncConnection, keys: Collection[Address]) -> Mapping[Address, Destination]:
        contacts = [key for key in keys if key.kind is not AddressKind.SHORT_CODE]
        numbers = {key.value: key for key in keys if key.kind is AddressKind.SHORT_CODE}
        found: dict[Address, Destination] = {}
        if contacts:
            owners = await self._addresses.owners(connection, contacts)
            found = {key: Destination(CustomerId(owner), None) for key, owner in owners.items()}
        if numbers:
            for one in map(merchant, await _MERCHANTS.rows(connection, numbers)):
                found[numbers[one.short_code]] = Destination(one.customer_id, one)
        return found


class MerchantRepository:
    """Merchants' numbers by short code; they are added, never changed."""

    kind = MERCHANTS
    table = operator_merchants
    key: tuple[str, ...] = ("id",)
    mutable: tuple[str, ...] = ()

    async def lock(self, connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Merchant | None]:
        found = map(merchant, await _MERCHANTS.rows(connection, keys))
        return keyed(found, lambda one: one.short_code, keys)

    def row(self, value: Merchant) -> Row:
        return (value.id, value.short_code, value.name, value.customer_id, value.kind.value, value.plan.value)

    def identity(self, value: Merchant) -> Row:
        return (value.id,)


def merchant(row: Any) -> Merchant:
    """A merchant's number from its row."""
    return Merchant(
        id=row.id,
        short_code=row.short_code,
        name=row.name,
        customer_id=CustomerId(row.customer_id),
        kind=NumberKind(row.kind),
        plan=PayBillPlan(row.plan),
    )


class MessageAppender:
    """Messages to customers, sealed: they name people."""

    kind = MESSAGES
    table = operator_messages

    def __init__(self, cipher: FieldCipher, ids: Ids) -> None:
        self._cipher = cipher
        self._ids = ids

    def row(self, record: Message) -> Row:
        made = self._ids.new()
        sealed = self._cipher.seal(record.text.encode(), _message_place(made))
        return (made, record.customer_id, record.transaction_id, sealed, record.sent_at)

    def text(self, row: Any) -> str:
        """What the message says."""
        return self._cipher.open(row.text_sealed, _message_place(row.id)).decode()


def _login(row: Any) -> Login:
    return Login(password_hash=row.password_hash, wrong_passwords=row.wrong_passwords, locked_until=row.locked_until)


def _phone_place(customer: UUID) -> str:
    return f"operator_customers.phone_sealed:{customer}"


def _details_place(customer: UUID) -> str:
    return f"operator_customers.details_sealed:{customer}"


def _administrator_place(administrator: UUID) -> str:
    return f"operator_administrators.details_sealed:{administrator}"


def _message_place(message: UUID) -> str:
    return f"operator_messages.text_sealed:{message}"
