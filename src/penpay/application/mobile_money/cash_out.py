"""Cash from an agent by a one-time code, and float that an agent asks a super agent for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from penpay.application.mobile_money import messages
from penpay.application.mobile_money.approving import Actor, ask
from penpay.application.mobile_money.moving import Mover, Parties, acting, receipt_view
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.pins import PinAnswer, check_pin_answer
from penpay.application.mobile_money.rows import CODES, CUSTOMERS, DESTINATIONS, Address
from penpay.application.shared.executor import Refused
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.mobile_money.approval import Approval, ApprovalKind
from penpay.domain.mobile_money.cash_out import CashOutCode
from penpay.domain.mobile_money.customer import CustomerId, CustomerStatus, CustomerType
from penpay.domain.mobile_money.errors import (
    CustomerNotActive,
    CustomerNotFound,
    NotAnAgent,
    NotASuperAgent,
    OperationNotOffered,
    WrongCode,
)
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.events import Fact
from penpay.domain.shared.money import Money

_WITHDRAWAL: Final = (Operation.WITHDRAW, CustomerType.SUBSCRIBER, CustomerType.AGENT)


def code_digest(secret: bytes, customer: CustomerId, code: str) -> str:
    """What is kept of a code: it has too few digits for a plain hash."""
    return hmac.new(secret, b"penpay/cash-out-code/1\x00" + customer.bytes + code.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCode:
    """A code for cash; the one before it is void."""

    customer_id: CustomerId
    amount: Money
    code: str
    digest: str
    """From `code_digest`."""
    pin: PinAnswer | None


class MakeCodeHandler:
    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    async def footprint(self, commands: Sequence[MakeCode], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        ids = [command.customer_id for command in commands]
        return Footprint().add(CUSTOMERS, *ids).add(CODES, *ids)

    def handle(self, command: MakeCode, work: Work) -> Answer | Refused:
        """The code and until when it holds; it is in a message as well. Raises the PIN's refusals, InvalidAmount.

        Raises OperationNotOffered for agents and merchants, and CustomerNotActive for one who could not withdraw now.
        """
        policy = self._mover.policy
        customer = acting(work, command.customer_id)
        if customer.type is not CustomerType.SUBSCRIBER:
            raise OperationNotOffered
        if customer.status is not CustomerStatus.ACTIVE:
            raise CustomerNotActive
        refused = check_pin_answer(work, customer, command.pin, policy)
        if refused is not None:
            return refused
        before = work.get(CODES, customer.id)
        code = CashOutCode(
            customer_id=customer.id,
            digest=command.digest,
            amount=command.amount.require_positive(),
            expires_at=work.now + policy.code_lives,
            version=0 if before is None else before.version + 1,
        )
        work.put(CODES, customer.id, code)
        text = messages.cash_out_code_message(code=command.code, amount=code.amount, expires_at=code.expires_at)
        tell(work, customer.id, text)
        facts = {"amount_cents": code.amount.cents}
        work.audit(f"customer:{customer.id}", "cash_out_code.made", "customer", customer.id, **facts)
        return {"code": command.code, "amountCents": code.amount.cents, "expiresAt": code.expires_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemCode:
    """An agent pays cash against a code."""

    agent: CustomerId
    customer: Address
    amount: Money
    digests: Mapping[CustomerId, str]
    """Of the code that was given, for whoever the address led to when it was read."""


class RedeemCodeHandler:
    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    async def footprint(self, commands: Sequence[RedeemCode], find: Find) -> Footprint:
        await self._mover.prepare({_WITHDRAWAL}, find)
        found = await find(DESTINATIONS, {command.customer for command in commands})
        footprint = Footprint()
        for command in commands:
            footprint.add(CUSTOMERS, command.agent)
            destination = found.get(command.customer)
            if destination is not None:
                footprint.add(CODES, destination.customer_id)
                payer = (CustomerType.SUBSCRIBER, destination.customer_id)
                self._mover.footprint(footprint, payer, (CustomerType.AGENT, command.agent))
        return footprint

    def handle(self, command: RedeemCode, work: Work) -> Answer | Refused:
        """A withdrawal from the customer to the agent. A wrong code is counted and refused with WrongCode.

        Raises CustomerNotFound, NotAnAgent and everything a withdrawal raises.
        """
        agent = acting(work, command.agent)
        if agent.type is not CustomerType.AGENT:
            raise NotAnAgent
        destination = work.found(DESTINATIONS, command.customer)
        customer = None if destination is None else work.get(CUSTOMERS, destination.customer_id)
        if customer is None:
            raise CustomerNotFound
        code = work.get(CODES, customer.id)
        if code is None:
            raise WrongCode
        code.require_usable(command.amount, work.now)
        if not hmac.compare_digest(command.digests.get(customer.id, ""), code.digest):
            work.put(CODES, customer.id, code.missed())
            work.audit(f"customer:{agent.id}", "cash_out_code.wrong", "customer", customer.id)
            return Refused(WrongCode())
        parties = Parties(source=customer, target=agent)
        price = self._mover.require(work, Operation.WITHDRAW, parties, command.amount)
        transaction = self._mover.carry_out(work, Operation.WITHDRAW, parties, command.amount, price)
        work.put(CODES, customer.id, code.used())
        return receipt_view(work, transaction, agent.wallet)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyFloat:
    """An agent asks a super agent for float, paid between them; the super agent agrees or not."""

    agent: CustomerId
    super_agent: CustomerId
    amount: Money


class BuyFloatHandler:
    kind = ApprovalKind.FLOAT_PURCHASE

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    async def footprint(self, commands: Sequence[BuyFloat], find: Find) -> Footprint:
        await self._mover.prepare(set(), find)
        footprint = Footprint()
        for command in commands:
            seller, buyer = (CustomerType.AGENT, command.super_agent), (CustomerType.AGENT, command.agent)
            self._mover.footprint(footprint, seller, buyer)
        return footprint

    def handle(self, command: BuyFloat, work: Work) -> Answer:
        """Raises NotAnAgent, NotASuperAgent, BelowMinimum, CustomerNotActive."""
        agent = acting(work, command.agent)
        parties = self._parties(command, work)
        seller = parties.source
        if agent.type is not CustomerType.AGENT:
            raise NotAnAgent
        self._mover.require_room(work, agent, command.amount)
        tell(work, seller.id, messages.float_asked_for_message(agent=agent.name, amount=command.amount))
        by = Actor.customer(agent.id)
        return ask(self, command, work, amount=command.amount.require_positive(), by=by, customer_id=seller.id)

    def facts(self, command: BuyFloat) -> Mapping[str, Fact]:
        return {"agent": str(command.agent), "super_agent": str(command.super_agent)}

    def command(self, approval: Approval) -> BuyFloat:
        return BuyFloat(
            agent=CustomerId(UUID(str(approval.facts["agent"]))),
            super_agent=CustomerId(UUID(str(approval.facts["super_agent"]))),
            amount=approval.amount,
        )

    def perform(self, command: BuyFloat, work: Work) -> Answer:
        """The super agent's deposit to the agent; raises what a deposit raises."""
        parties = self._parties(command, work)
        price = self._mover.require(work, Operation.DEPOSIT, parties, command.amount)
        transaction = self._mover.carry_out(work, Operation.DEPOSIT, parties, command.amount, price)
        return receipt_view(work, transaction, parties.source.wallet)

    def _parties(self, command: BuyFloat, work: Work) -> Parties:
        seller, buyer = work.get(CUSTOMERS, command.super_agent), work.get(CUSTOMERS, command.agent)
        if seller is None or buyer is None:
            raise CustomerNotFound
        if not seller.is_super_agent:
            raise NotASuperAgent
        return Parties(source=seller, target=buyer)
