"""Opening accounts: customers and administrators with a login, wallets that come with a SIM, merchants' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from penpay.application.mobile_money.rows import (
    ADDRESSES,
    ADMINISTRATORS,
    CUSTOMERS,
    MERCHANTS,
    Address,
    AddressKind,
    OwnedAddress,
    UserType,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, AdministratorRole, Right
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerStatus, CustomerType, Login
from penpay.domain.mobile_money.errors import CustomerExists, CustomerNotFound, ShortCodeTaken
from penpay.domain.mobile_money.merchant import Merchant, MerchantId, NumberKind
from penpay.domain.mobile_money.policy import KycTier
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Forbidden, Unauthorized
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.phone import PhoneNumber

_FIRST: Final = Address(UserType.ADMINISTRATOR, AddressKind.FIRST, "")
"""Taken by the first administrator, and never given back: of two at once one finds it taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What somebody registers with; the password comes hashed."""

    name: str
    email: Email
    phone: PhoneNumber | None
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterCustomer:
    """Somebody opens an account by herself."""

    type: CustomerType
    person: Person


class RegisterCustomerHandler:
    async def footprint(self, commands: Sequence[RegisterCustomer], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(ADDRESSES, *_addresses(UserType.of(command.type), command.person))
        return footprint

    def handle(self, command: RegisterCustomer, work: Work) -> Customer:
        """Raises CustomerExists naming the field that is taken among customers of this type."""
        person = command.person
        customer = Customer(
            id=CustomerId(work.ids.new()),
            type=command.type,
            name=person.name,
            created_at=work.now,
            email=person.email,
            phone=person.phone,
            login=Login(password_hash=person.password_hash),
        )
        claim(work, _addresses(UserType.of(command.type), person), customer.id)
        return _opened(work, customer)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAdministrator:
    person: Person
    role: AdministratorRole
    by: AdministratorId | None
    """None: the first one of the installation, who becomes SUPER."""


class RegisterAdministratorHandler:
    async def footprint(self, commands: Sequence[RegisterAdministrator], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(ADDRESSES, _FIRST)
        for command in commands:
            footprint.add(ADDRESSES, *_addresses(UserType.ADMINISTRATOR, command.person))
            if command.by is not None:
                footprint.add(ADMINISTRATORS, command.by)
        return footprint

    def handle(self, command: RegisterAdministrator, work: Work) -> Administrator:
        """Raises CustomerExists, and Forbidden unless this is the first or its maker may give this role.

        Nobody gives a right that she does not have herself.
        """
        role = command.role
        if command.by is None:
            if work.get(ADDRESSES, _FIRST) is not None:
                raise Forbidden("There is an administrator; only administrators create more.")
            role = AdministratorRole.SUPER
        else:
            maker = work.get(ADMINISTRATORS, command.by)
            if maker is None:
                raise Unauthorized
            maker.require(Right.ADMINISTRATORS)
            if not role.rights <= maker.role.rights:
                raise Forbidden("Nobody gives a right that she does not have.")
        person = command.person
        administrator = Administrator(
            id=AdministratorId(work.ids.new()),
            name=person.name,
            email=person.email,
            phone=person.phone,
            login=Login(password_hash=person.password_hash),
            role=role,
            is_active=True,
            created_at=work.now,
        )
        claim(work, _addresses(UserType.ADMINISTRATOR, person), administrator.id)
        if command.by is None:
            work.put(ADDRESSES, _FIRST, OwnedAddress(_FIRST, administrator.id))
        work.add(ADMINISTRATORS, administrator.id, administrator)
        actor = "operator" if command.by is None else f"administrator:{command.by}"
        facts = {"role": role.value}
        work.record(DomainEvent("AdministratorRegistered", "Administrator", administrator.id, 1, facts))
        work.audit(actor, "administrator.registered", "administrator", administrator.id, **facts)
        return administrator


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSubscriber:
    """A wallet that comes with a SIM: known by its number, with a PIN, checked at the counter."""

    phone: PhoneNumber
    pin_hash: str


class RegisterSubscriberHandler:
    async def footprint(self, commands: Sequence[RegisterSubscriber], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        addresses = (Address.phone(UserType.SUBSCRIBER, command.phone) for command in commands)
        return Footprint().add(ADDRESSES, *addresses)

    def handle(self, command: RegisterSubscriber, work: Work) -> Customer:
        """Raises CustomerExists."""
        customer = Customer(
            id=CustomerId(work.ids.new()),
            type=CustomerType.SUBSCRIBER,
            name="",
            created_at=work.now,
            phone=command.phone,
            pin_hash=command.pin_hash,
            tier=KycTier.FULL,
        )
        claim(work, [Address.phone(UserType.SUBSCRIBER, command.phone)], customer.id)
        return _opened(work, customer)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMerchant:
    """A number for a merchant; naming one that the same merchant has already changes nothing, unless it is `unused`."""

    short_code: str
    name: str
    kind: NumberKind = NumberKind.PAYBILL
    plan: PayBillPlan = PayBillPlan.CUSTOMER_PAYS
    customer_id: CustomerId | None = None
    """Whose it is; None: a merchant without a login is made for it."""
    by: str = "operator"
    unused: bool = False
    """The number was picked for the merchant, so it must be nobody's yet, not even her own."""


class RegisterMerchantHandler:
    async def footprint(self, commands: Sequence[RegisterMerchant], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        owners = (command.customer_id for command in commands if command.customer_id is not None)
        return Footprint().add(MERCHANTS, *(command.short_code for command in commands)).add(CUSTOMERS, *owners)

    def handle(self, command: RegisterMerchant, work: Work) -> Merchant:
        """Raises ShortCodeTaken, and CustomerNotFound when its owner is no merchant or closed."""
        known = work.get(MERCHANTS, command.short_code)
        if known is not None:
            if command.unused or (command.customer_id is not None and known.customer_id != command.customer_id):
                raise ShortCodeTaken
            return known
        owner = self._owner(command, work)
        merchant = Merchant(
            id=MerchantId(work.ids.new()),
            short_code=command.short_code,
            name=command.name,
            customer_id=owner,
            kind=command.kind,
            plan=command.plan,
        )
        work.put(MERCHANTS, command.short_code, merchant)
        facts = {"short_code": merchant.short_code, "kind": merchant.kind.value, "customer_id": str(owner)}
        work.record(DomainEvent("MerchantRegistered", "Merchant", merchant.id, 1, facts))
        work.audit(command.by, "merchant.registered", "merchant", merchant.id, short_code=merchant.short_code)
        return merchant

    def _owner(self, command: RegisterMerchant, work: Work) -> CustomerId:
        if command.customer_id is None:
            owner = Customer(
                id=CustomerId(work.ids.new()), type=CustomerType.MERCHANT, name=command.name, created_at=work.now
            )
            return _opened(work, owner).id
        found = work.get(CUSTOMERS, command.customer_id)
        if found is None or found.type is not CustomerType.MERCHANT or found.status is CustomerStatus.CLOSED:
            raise CustomerNotFound("There is no such merchant.")
        return found.id


def claim(work: Work, addresses: Sequence[Address], owner: UUID) -> None:
    """Take e-mail address and phone number for an owner; raises CustomerExists naming the field that is taken."""
    for address in addresses:
        if work.get(ADDRESSES, address) is not None:
            field = "email" if address.kind is AddressKind.EMAIL else "phoneNumber"
            raise CustomerExists(field=field)
        work.put(ADDRESSES, address, OwnedAddress(address, owner))


def _opened(work: Work, customer: Customer) -> Customer:
    work.add(CUSTOMERS, customer.id, customer)
    facts = {"type": customer.type.value}
    work.record(DomainEvent("CustomerRegistered", "Customer", customer.id, 1, facts))
    work.audit(f"customer:{customer.id}", "customer.registered", "customer", customer.id, **facts)
    return customer


def _addresses(user_type: UserType, person: Person) -> list[Address]:
    addresses = [Address.email(user_type, person.email)]
    if person.phone is not None:
        addresses.append(Address.phone(user_type, person.phone))
    return addresses
