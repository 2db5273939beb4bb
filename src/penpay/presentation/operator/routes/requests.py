"""What waits for a second person: another administrator, or the customer who is asked."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.mobile_money.approving import Actor, Decide
from penpay.domain.mobile_money.administrator import Right
from penpay.domain.mobile_money.approval import Approval, ApprovalId
from penpay.domain.mobile_money.errors import ApprovalNotFound
from penpay.presentation.operator.answers import done, moment
from penpay.presentation.operator.callers import administrator, customer, customers_key, idempotency_key, mover
from penpay.presentation.operator.fields import body_of, identifier, query_of
from penpay.presentation.operator.process import operator_of

router = APIRouter(prefix="/api", tags=["approvals"])
_PAGE: Final = 50


class Decision(StrEnum):
    APPROVE = "APPROVE"
    REFUSE = "REFUSE"


@router.get("/admin/approvals")
async def all_waiting(request: Request) -> Response:
    """What waits for a decision, oldest first: all of it for who may decide, for others what they have asked for."""
    asker = await administrator(request, None)
    limit = query_of(request, "limit").limit(_PAGE)
    found = await operator_of(request).books.approvals(None, limit)
    if Right.APPROVALS not in asker.role.rights:
        found = [one for one in found if one.requested_by == str(Actor.administrator(asker.id))]
    return done("Approvals retrieved", [_view(one) for one in found])


@router.get("/account/approvals")
async def own_waiting(request: Request) -> Response:
    """What waits for this customer to decide, and what she has asked for, oldest first."""
    asker = await customer(request)
    limit = query_of(request, "limit").limit(_PAGE)
    found = await operator_of(request).books.approvals(asker.id, limit)
    return done("Approvals retrieved", [_view(one) for one in found])


@router.post("/admin/approvals/{approval_id}")
async def decide(request: Request, approval_id: str) -> Response:
    """Approve what somebody else has asked for, which does it, or refuse it."""
    asker = await administrator(request, None)
    return await _decided(request, approval_id, Actor.administrator(asker.id), "POST /api/admin/approvals")


@router.post("/account/approvals/{approval_id}")
async def decide_own(request: Request, approval_id: str) -> Response:
    """Agree to what another customer has asked for, which does it, or refuse it."""
    id_, _ = mover(request)
    return await _decided(request, approval_id, Actor.customer(id_), "POST /api/account/approvals")


async def _decided(request: Request, approval_id: str, by: Actor, route: str) -> Response:
    fields = (await body_of(request)).only("decision")
    decision = fields.choice("decision", Decision)
    id_ = identifier(approval_id)
    if id_ is None:
        raise ApprovalNotFound
    facts = {"approvalId": str(id_), "decision": decision.value}
    if by.kind == "customer":
        key = await customers_key(request, route, facts)
    else:
        key = idempotency_key(request, by.id, route, facts)
    command = Decide(approval_id=ApprovalId(id_), by=by, approve=decision is Decision.APPROVE)
    answer = await operator_of(request).do(command, key)
    return done("Approved" if decision is Decision.APPROVE else "Refused", answer)


def _view(approval: Approval) -> dict[str, object]:
    return {
        "id": str(approval.id),
        "kind": approval.kind.value,
        "amountCents": approval.amount.cents,
        "requestedBy": approval.requested_by,
        "requestedAt": moment(approval.requested_at),
        "state": approval.state.value,
        "facts": {_camel(name): value for name, value in approval.facts.items()},
    }


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
