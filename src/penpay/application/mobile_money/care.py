"""Looking after customers and administrators: contacts, status, tier, PIN, password, super agents, closing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from penpay.application.mobile_money.approving import Actor, administrator, do_or_ask
from penpay.application.mobile_money.pins import PinAnswer
from penpay.application.mobile_money.registration import claim
from penpay.application.mobile_money.rows import (
    ADDRESSES,
    ADMINISTRATORS,
    CUSTOMERS,
    Address,
    UserType,
)
from penpay.application.shared.executor import Refused
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Index, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.administrator import AdministratorId, AdministratorRole, Right
from penpay.domain.mobile_money.approval import Approval, ApprovalKind
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerStatus, CustomerType, Login
from penpay.domain.mobile_money.errors import (
    BalanceLeft,
    CustomerNotFound,
    NotAnAgent,
    PinLocked,
    WrongPin,
)
from penpay.domain.mobile_money.policy import KycTier, OperatorPolicy
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Forbidden, LoginLocked, Unauthorized, WrongCredentials
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

ENTANGLED: Index[CustomerId, bool] = Index("operator_entangled")
"""Customers who are named in a payment, a message, a merchant's number or anything else that must be kept."""

# -- logging in


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLogin:
    """What comparing a password has shown; that takes too long for a unit of work, so it is done before."""

    who: Actor
    right: bool


class NoteLoginHandler:
    """Counts wrong passwords."""

    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[NoteLogin], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            command.who.footprint(footprint)
        return footprint

    def handle(self, command: NoteLogin, work: Work) -> Refused | None:
        """Raises LoginLocked; a wrong password is counted and refused with WrongCredentials."""
        login = self._login(command.who, work)
        login.require_open(work.now)
        after = login.passed() if command.right else login.missed(self._policy, work.now)
        if after != login:
            self._keep(command.who, after, work)
        if command.right:
            return None
        work.audit(str(command.who), "login.refused", command.who.kind, command.who.id)
        return Refused(LoginLocked() if after.locked_until is not None else WrongCredentials())

    def _login(self, who: Actor, work: Work) -> Login:
        if who.kind == "administrator":
            found = work.get(ADMINISTRATORS, AdministratorId(who.id))
            login = None if found is None else found.login
        else:
            customer = work.get(CUSTOMERS, CustomerId(who.id))
            login = None if customer is None else customer.login
        if login is None:
            raise WrongCredentials
        return login

    def _keep(self, who: Actor, login: Login, work: Work) -> None:
        if who.kind == "administrator":
            id_ = AdministratorId(who.id)
            found = work.get(ADMINISTRATORS, id_)
            if found is not None:
                work.put(ADMINISTRATORS, id_, found.changed(login=login))
            return
        customer = work.get(CUSTOMERS, CustomerId(who.id))
        if customer is not None:
            work.put(CUSTOMERS, customer.id, customer.changed(login=login))


# -- a customer's own PIN


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPin:
    """A customer's first PIN, or another one; the old one was compared before."""

    customer_id: CustomerId
    pin_hash: str
    old: PinAnswer | None
    """None: there was none, as far as the asker knew."""


class SetPinHandler:
    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[SetPin], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(CUSTOMERS, *(command.customer_id for command in commands))

    def handle(self, command: SetPin, work: Work) -> Refused | None:
        """Raises Unauthorized, PinLocked; a wrong old PIN is counted and refused with WrongPin.

        Raises WrongPin, and counts nothing, when her PIN was changed since the old one was compared.
        """
        customer = work.get(CUSTOMERS, command.customer_id)
        if customer is None or not customer.status.may_log_in:
            raise Unauthorized
        if customer.pin_locked:
            raise PinLocked
        if command.old is not None and not command.old.is_about(customer):
            raise WrongPin("The PIN was changed while this waited.")
        if customer.pin_hash is not None and not (command.old is not None and command.old.right):
            after = customer.enter_wrong_pin(self._policy)
            work.put(CUSTOMERS, customer.id, after)
            work.audit(f"customer:{customer.id}", "pin.wrong", "customer", customer.id, wrong_pins=after.wrong_pins)
            return Refused(PinLocked() if after.pin_locked else WrongPin())
        work.put(CUSTOMERS, customer.id, customer.with_pin(command.pin_hash))
        work.audit(f"customer:{customer.id}", "pin.set", "customer", customer.id)
        return None


# -- what customer care does


@dataclass(frozen=True, slots=True, kw_only=True)
class EditCustomer:
    """Other facts about a customer; None leaves one as it is."""

    customer_id: CustomerId
    by: AdministratorId
    name: str | None = None
    email: Email | None = None
    phone: PhoneNumber | None = None
    tier: KycTier | None = None
    unlock_pin: bool = False
    """Takes the lock off, and the PIN with it: a new one must be set."""
    known: Customer | None = None
    """As last read, for the addresses that change."""


class EditCustomerHandler:
    async def footprint(self, commands: Sequence[EditCustomer], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.customer_id)
            if command.known is not None:
                footprint.add(ADDRESSES, *addresses_of(command.known), *_wanted(command, command.known.type))
        return footprint

    def handle(self, command: EditCustomer, work: Work) -> Customer:
        """Raises CustomerNotFound, also for a closed one; CustomerExists for a contact that is taken."""
        administrator(work, command.by, Right.EDIT_CUSTOMERS)
        before = work.get(CUSTOMERS, command.customer_id)
        if before is None or before.status is CustomerStatus.CLOSED:
            raise CustomerNotFound
        after = before.changed(
            name=before.name if command.name is None else command.name,
            email=before.email if command.email is None else command.email,
            phone=before.phone if command.phone is None else command.phone,
            tier=before.tier if command.tier is None else command.tier,
        )
        if command.unlock_pin:
            after = replace(after, pin_hash=None, wrong_pins=0, pin_locked=False)
        held, wanted = set(addresses_of(before)), set(addresses_of(after))
        for address in sorted(held - wanted):
            work.put(ADDRESSES, address, None)
        claim(work, sorted(wanted - held), after.id)
        work.put(CUSTOMERS, after.id, after)
        what = [name for name in ("name", "email", "phone", "tier") if getattr(after, name) != getattr(before, name)]
        facts: dict[str, Fact] = {"changed": ",".join(what), "pin_unlocked": command.unlock_pin}
        work.record(DomainEvent("CustomerEdited", "Customer", after.id, after.version + 1, facts))
        work.audit(f"administrator:{command.by}", "customer.edited", "customer", after.id, **facts)
        return after


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStatus:
    customer_id: CustomerId
    status: CustomerStatus
    reason: str
    by: AdministratorId


class ChangeStatusHandler:
    """Directly, or by approval when more than the limit is in the account."""

    kind = ApprovalKind.STATUS

    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[ChangeStatus], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.customer_id)
            postings.customer_footprint(footprint, command.customer_id)
        return footprint

    def handle(self, command: ChangeStatus, work: Work) -> Answer:
        """Raises CustomerNotFound, IllegalStatus, BalanceLeft."""
        administrator(work, command.by, Right.EDIT_CUSTOMERS)
        _, balance = self._moved(command, work)
        by = Actor.administrator(command.by)
        return do_or_ask(self, command, work, policy=self._policy, amount=balance, by=by)

    def facts(self, command: ChangeStatus) -> Mapping[str, Fact]:
        return {
            "customer_id": str(command.customer_id),
            "status": command.status.value,
            "reason": command.reason,
        }

    def command(self, approval: Approval) -> ChangeStatus:
        return ChangeStatus(
            customer_id=CustomerId(UUID(str(approval.facts["customer_id"]))),
            status=CustomerStatus(str(approval.facts["status"])),
            reason=str(approval.facts["reason"]),
            by=AdministratorId(Actor.parse(approval.requested_by).id),
        )

    def perform(self, command: ChangeStatus, work: Work) -> Answer:
        """See `handle`."""
        after, _ = self._moved(command, work)
        work.put(CUSTOMERS, after.id, after)
        facts = {"status": after.status.value}
        work.record(DomainEvent("CustomerStatusChanged", "Customer", after.id, after.version + 1, facts))
        work.audit(f"administrator:{command.by}", "customer.status", "customer", after.id, **facts)
        return {"userID": str(after.id), "status": after.status.value}

    def _moved(self, command: ChangeStatus, work: Work) -> tuple[Customer, Money]:
        customer = work.get(CUSTOMERS, command.customer_id)
        if customer is None:
            raise CustomerNotFound
        balance = postings.left_with(work, customer=customer.id, wallet=customer.wallet)
        return customer.moved_to(command.status, command.reason, balance=balance), balance


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveCustomer:
    """Delete a customer who has never moved money, or close one who has."""

    known: Customer
    """As last read, for the addresses that go."""
    by: AdministratorId


class RemoveCustomerHandler:
    async def footprint(self, commands: Sequence[RemoveCustomer], find: Find) -> Footprint:
        """Accounts are opened by their first posting, so who has one has a history."""
        footprint = Footprint()
        await find(ENTANGLED, {command.known.id for command in commands})
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.known.id)
            footprint.add(ADDRESSES, *addresses_of(command.known))
            postings.customer_footprint(footprint, command.known.id)
        return footprint

    def handle(self, command: RemoveCustomer, work: Work) -> Answer:
        """Says which it was: `deleted` or `closed`. Raises CustomerNotFound, BalanceLeft, IllegalStatus."""
        administrator(work, command.by, Right.EDIT_CUSTOMERS)
        customer = work.get(CUSTOMERS, command.known.id)
        if customer is None:
            raise CustomerNotFound
        actor = f"administrator:{command.by}"
        for address in addresses_of(customer):
            work.put(ADDRESSES, address, None)
        if work.found(ENTANGLED, customer.id) or postings.has_account(work, customer.wallet):
            balance = postings.left_with(work, customer=customer.id, wallet=customer.wallet)
            closed = customer.moved_to(CustomerStatus.CLOSED, "closed on request", balance=balance)
            work.put(CUSTOMERS, closed.id, closed)
            facts = {"status": closed.status.value}
            work.record(DomainEvent("CustomerStatusChanged", "Customer", closed.id, closed.version + 1, facts))
            work.audit(actor, "customer.closed", "customer", closed.id)
            return {"userID": str(closed.id), "outcome": "closed"}
        work.put(CUSTOMERS, customer.id, None)
        work.record(DomainEvent("CustomerDeleted", "Customer", customer.id, customer.version + 2, {}))
        work.audit(actor, "customer.deleted", "customer", customer.id)
        return {"userID": str(customer.id), "outcome": "deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSuperAgent:
    agent: CustomerId
    super_agent: bool | None
    """None: the other of what it is, as the original interface has it."""
    by: AdministratorId


class SetSuperAgentHandler:
    async def footprint(self, commands: Sequence[SetSuperAgent], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by).add(CUSTOMERS, command.agent)
            postings.customer_footprint(footprint, command.agent)
        return footprint

    def handle(self, command: SetSuperAgent, work: Work) -> Answer:
        """Raises CustomerNotFound, NotAnAgent, and BalanceLeft for a super agent who still holds float.

        What a super agent holds is for agents; as an ordinary one she could hand it to anybody.
        """
        administrator(work, command.by, Right.SUPER_AGENTS)
        agent = work.get(CUSTOMERS, command.agent)
        if agent is None or agent.status is CustomerStatus.CLOSED:
            raise CustomerNotFound
        if agent.type is not CustomerType.AGENT:
            raise NotAnAgent
        wanted = not agent.is_super_agent if command.super_agent is None else command.super_agent
        if wanted is not agent.is_super_agent:
            if agent.is_super_agent and postings.balance(work, agent.wallet, Currency.KES).cents:
                raise BalanceLeft
            agent = agent.changed(is_super_agent=wanted)
            work.put(CUSTOMERS, agent.id, agent)
            facts = {"is_super_agent": wanted}
            work.record(DomainEvent("SuperAgentStatusChanged", "Customer", agent.id, agent.version + 1, facts))
            work.audit(f"administrator:{command.by}", "agent.super_agent", "customer", agent.id, **facts)
        return {"userID": str(agent.id), "isSuperAgent": agent.is_super_agent}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAdministrator:
    administrator_id: AdministratorId
    role: AdministratorRole | None
    is_active: bool | None
    by: AdministratorId


class ChangeAdministratorHandler:
    async def footprint(self, commands: Sequence[ChangeAdministrator], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(ADMINISTRATORS, command.by, command.administrator_id)
        return footprint

    def handle(self, command: ChangeAdministrator, work: Work) -> Answer:
        """Raises CustomerNotFound; Forbidden for oneself, and for rights that the asker does not have."""
        maker = administrator(work, command.by, Right.ADMINISTRATORS)
        before = work.get(ADMINISTRATORS, command.administrator_id)
        if before is None:
            raise CustomerNotFound("There is no such administrator.")
        role = before.role if command.role is None else command.role
        if before.id == maker.id or not (role.rights | before.role.rights) <= maker.role.rights:
            raise Forbidden("Nobody changes her own role, or gives or takes a right that she does not have.")
        active = before.is_active if command.is_active is None else command.is_active
        after = before.changed(role=role, is_active=active)
        work.put(ADMINISTRATORS, after.id, after)
        facts = {"role": role.value, "is_active": active}
        work.record(DomainEvent("AdministratorChanged", "Administrator", after.id, after.version + 1, facts))
        work.audit(f"administrator:{command.by}", "administrator.changed", "administrator", after.id, **facts)
        return {"userID": str(after.id), "role": role.value, "isActive": active}


def addresses_of(customer: Customer) -> list[Address]:
    """What a customer is found by."""
    user_type = UserType.of(customer.type)
    found = []
    if customer.email is not None:
        found.append(Address.email(user_type, customer.email))
    if customer.phone is not None:
        found.append(Address.phone(user_type, customer.phone))
    return found


def _wanted(command: EditCustomer, kind: CustomerType) -> list[Address]:
    user_type = UserType.of(kind)
    found = []
    if command.email is not None:
        found.append(Address.email(user_type, command.email))
    if command.phone is not None:
        found.append(Address.phone(user_type, command.phone))
    return found
