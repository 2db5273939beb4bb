"""Two pairs of eyes: what one person asks for above a limit, another decides, and it is done in that commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from penpay.application.mobile_money.rows import ADMINISTRATORS, APPROVALS, ASKED_FOR, CUSTOMERS
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, Right
from penpay.domain.mobile_money.approval import Approval, ApprovalId, ApprovalKind, ApprovalState
from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.mobile_money.errors import ApprovalNotFound
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.shared.errors import Forbidden, Unauthorized
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Money

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks or decides: an administrator, or a customer."""

    kind: str
    """`administrator` or `customer`."""
    id: UUID

    @classmethod
    def administrator(cls, id_: AdministratorId) -> Actor:
        return cls("administrator", id_)

    @classmethod
    def customer(cls, id_: CustomerId) -> Actor:
        return cls("customer", id_)

    @classmethod
    def parse(cls, text: str) -> Actor:
        """From what `str` gives."""
        kind, _, id_ = text.partition(":")
        return cls(kind, UUID(id_))

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    def footprint(self, footprint: Footprint) -> Footprint:
        """The row that says what this actor may do."""
        if self.kind == "administrator":
            return footprint.add(ADMINISTRATORS, AdministratorId(self.id))
        return footprint.add(CUSTOMERS, CustomerId(self.id))


class Action(Protocol, Generic[C]):
    """Something that may need a second person: how to do it, and how to remember what was asked for."""

    kind: ApprovalKind

    async def footprint(self, commands: Sequence[C], find: Find) -> Footprint: ...

    def facts(self, command: C) -> Mapping[str, Fact]:
        """What to remember of it."""
        ...

    def command(self, approval: Approval) -> C:
        """The command again, from what was remembered."""
        ...

    def perform(self, command: C, work: Work) -> Answer:
        """Do it; raises whatever forbids it now."""
        ...


def administrator(work: Work, id_: AdministratorId, right: Right) -> Administrator:
    """The administrator who acts; raises Unauthorized, and Forbidden without the right."""
    found = work.get(ADMINISTRATORS, id_)
    if found is None or not found.is_active:
        raise Unauthorized
    found.require(right)
    return found


def do_or_ask(  # each is a fact of its own
    action: Action[C],
    command: C,
    work: Work,
    *,
    policy: OperatorPolicy,
    amount: Money,
    by: Actor,
) -> Answer:
    """Do it now, or above the limit keep it for a second person: then the answer says PENDING and under which id."""
    if not policy.needs_approval(amount):
        return action.perform(command, work)
    return ask(action, command, work, amount=amount, by=by, customer_id=None)


def ask(
    action: Action[C], command: C, work: Work, *, amount: Money, by: Actor, customer_id: CustomerId | None
) -> Answer:
    """Keep it for somebody else to decide: an administrator, or this customer."""
    approval = Approval(
        id=ApprovalId(work.ids.new()),
        kind=action.kind,
        facts=action.facts(command),
        amount=amount,
        requested_by=str(by),
        requested_at=work.now,
        customer_id=customer_id,
    )
    work.add(APPROVALS, approval.id, approval)
    facts = {"kind": approval.kind.value, "amount_cents": amount.cents}
    work.record(DomainEvent("ApprovalRequested", "Approval", approval.id, 1, facts))
    work.audit(str(by), "approval.requested", "approval", approval.id, **facts)
    return {"approvalId": str(approval.id), "approvalState": approval.state.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    approval_id: ApprovalId
    by: Actor
    approve: bool


class DecideHandler:
    def __init__(self, actions: Sequence[Action[Any]]) -> None:
        self._actions = {action.kind: action for action in actions}

    async def footprint(self, commands: Sequence[Decide], find: Find) -> Footprint:
        asked = await find(ASKED_FOR, {command.approval_id for command in commands})
        footprint = Footprint().add(APPROVALS, *(command.approval_id for command in commands))
        for command in commands:
            command.by.footprint(footprint)
        for kind, action in self._actions.items():
            wanted = [action.command(approval) for approval in asked.values() if approval.kind is kind]
            if wanted:
                footprint.merge(await action.footprint(wanted, find))
        return footprint

    def handle(self, command: Decide, work: Work) -> Answer:
        """Raises ApprovalNotFound, ApprovalDecided, OwnApproval, Forbidden, and what forbids the action now."""
        approval = work.get(APPROVALS, command.approval_id)
        if approval is None:
            raise ApprovalNotFound
        self._require_decider(approval, command.by, work)
        state = ApprovalState.APPROVED if command.approve else ApprovalState.REFUSED
        decided = approval.decided(state, str(command.by), work.now)
        work.put(APPROVALS, decided.id, decided)
        work.record(DomainEvent("ApprovalDecided", "Approval", decided.id, 2, {"state": state.value}))
        work.audit(str(command.by), f"approval.{state.value.lower()}", "approval", decided.id)
        answer: dict[str, object] = {"approvalId": str(decided.id), "approvalState": state.value}
        if command.approve:
            action = self._actions[decided.kind]
            answer.update(action.perform(action.command(decided), work))
        return answer

    def _require_decider(self, approval: Approval, by: Actor, work: Work) -> None:
        if by.kind == "administrator":
            found = work.get(ADMINISTRATORS, AdministratorId(by.id))
            if found is None or not found.is_active:
                raise Unauthorized
            if str(by) != approval.requested_by:
                found.require(Right.APPROVALS)
                if approval.kind is ApprovalKind.FLOAT_PURCHASE:
                    raise Forbidden("Only the super agent who sells the float decides on it.")
            return
        customer = work.get(CUSTOMERS, CustomerId(by.id))
        if customer is None or not customer.status.may_log_in:
            raise Unauthorized
        if by.id != approval.customer_id and str(by) != approval.requested_by:
            raise Forbidden("This request is for somebody else to decide.")
