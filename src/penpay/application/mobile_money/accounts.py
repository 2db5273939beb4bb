"""Opening wallets and merchants, and issuing float to a wallet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.mobile_money.rows import MERCHANTS, SUBSCRIBERS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.customer import Subscriber, SubscriberId
from penpay.domain.mobile_money.errors import SubscriberExists, SubscriberNotFound
from penpay.domain.mobile_money.merchant import Merchant, MerchantId
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

_ACTOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMerchant:
    """A PayBill number; naming a short code that exists already changes nothing."""

    short_code: str
    name: str


class RegisterMerchantHandler:
    async def footprint(self, commands: Sequence[RegisterMerchant], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(MERCHANTS, *(command.short_code for command in commands))

    def handle(self, command: RegisterMerchant, work: Work) -> Merchant:
        known = work.get(MERCHANTS, command.short_code)
        if known is not None:
            return known
        merchant = Merchant(id=MerchantId(work.ids.new()), short_code=command.short_code, name=command.name)
        work.put(MERCHANTS, command.short_code, merchant)
        work.record(DomainEvent("MerchantRegistered", "Merchant", merchant.id, 1, {"short_code": merchant.short_code}))
        work.audit(_ACTOR, "merchant.registered", "merchant", merchant.id, short_code=merchant.short_code)
        return merchant


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSubscriber:
    """A wallet for a phone number; the PIN comes hashed."""

    phone: PhoneNumber
    pin_hash: str


class RegisterSubscriberHandler:
    async def footprint(self, commands: Sequence[RegisterSubscriber], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(SUBSCRIBERS, *(command.phone for command in commands))

    def handle(self, command: RegisterSubscriber, work: Work) -> Subscriber:
        """Raises SubscriberExists."""
        if work.get(SUBSCRIBERS, command.phone) is not None:
            raise SubscriberExists
        subscriber = Subscriber(id=SubscriberId(work.ids.new()), phone=command.phone, pin_hash=command.pin_hash)
        work.put(SUBSCRIBERS, command.phone, subscriber)
        work.record(DomainEvent("SubscriberRegistered", "Subscriber", subscriber.id, 1, {}))
        work.audit(_ACTOR, "subscriber.registered", "subscriber", subscriber.id)
        return subscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFloatToSubscriber:
    """Money for a wallet against a bank deposit nobody has shown yet (trust:unevidenced); once per reference."""

    phone: PhoneNumber
    wallet: str
    """Her wallet's ledger code."""
    amount: Money
    reference: str


class IssueFloatHandler:
    async def footprint(self, commands: Sequence[IssueFloatToSubscriber], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(SUBSCRIBERS, *(command.phone for command in commands))
        for command in commands:
            postings.float_issued_footprint(footprint, holder=command.wallet, reference=command.reference)
        return footprint

    def handle(self, command: IssueFloatToSubscriber, work: Work) -> None:
        """Raises SubscriberNotFound, InvalidAmount, and DuplicateJournal for a reference used for something else."""
        subscriber = work.get(SUBSCRIBERS, command.phone)
        if subscriber is None:
            raise SubscriberNotFound
        if postings.float_issued(
            work, holder=subscriber.wallet, amount=command.amount.require_positive(), reference=command.reference
        ):
            work.audit(_ACTOR, "float.issued", "subscriber", subscriber.id, amount_cents=command.amount.cents)
