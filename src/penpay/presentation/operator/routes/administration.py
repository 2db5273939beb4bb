"""Super agents, charges and tariffs."""

from __future__ import annotations

import json
from decimal import Decimal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.mobile_money.approving import Actor
from penpay.application.mobile_money.care import SetSuperAgent
from penpay.application.mobile_money.rows import UserType
from penpay.application.mobile_money.tariff_file import parse_tariff, render_tariff
from penpay.application.mobile_money.tariffs import LoadTariff, SetCharge
from penpay.domain.mobile_money.administrator import Right
from penpay.domain.mobile_money.errors import ChargeNotFound
from penpay.domain.mobile_money.transaction import ChargeId
from penpay.presentation.operator.answers import done, done_or_asked
from penpay.presentation.operator.callers import administrator, idempotency_key
from penpay.presentation.operator.fields import body_of, identifier, json_of
from penpay.presentation.operator.process import operator_of

router = APIRouter(prefix="/api/admin", tags=["administration"])


@router.put("/super-agent-status")
async def super_agent_status(request: Request) -> Response:
    """Make an agent a super agent, or an ordinary one again: the other of what she is, or what `superAgent` says."""
    asker = await administrator(request, Right.SUPER_AGENTS)
    fields = await body_of(request)
    operator = operator_of(request)
    agent = await operator.require(fields.address("email", UserType.AGENT))
    command = SetSuperAgent(agent=agent.id, super_agent=fields.optional_flag("superAgent"), by=asker.id)
    return done("Super Agent Status updated", await operator.do(command))


@router.post("/update-charge")
async def update_charge(request: Request) -> Response:
    """Set a flat charge, in cents; zero makes it free again."""
    asker = await administrator(request, Right.TARIFF)
    fields = await body_of(request)
    fee, charge = fields.cents(), identifier(fields.text("chargeId"))
    if charge is None:
        raise ChargeNotFound
    facts = {"amount": fee.cents, "chargeId": str(charge)}
    key = idempotency_key(request, asker.id, "POST /api/admin/update-charge", facts)
    command = SetCharge(charge_id=ChargeId(charge), fee=fee, by=asker.id)
    return done_or_asked("charge configured", await operator_of(request).do(command, key))


@router.get("/get-tariff")
async def get_tariff(request: Request) -> Response:
    """The eight flat charges; fees in cents."""
    await administrator(request, None)
    charges = await operator_of(request).books.charges()
    rows = [
        {
            "id": str(charge.id),
            "txnOperation": charge.operation.value,
            "srcUserType": charge.source_type.value.lower(),
            "destUserType": charge.target_type.value.lower(),
            "fee": charge.fee.cents,
        }
        for charge in charges
    ]
    return done("Tariff retrieved", rows)


@router.post("/tariffs")
async def load_tariff(request: Request) -> Response:
    """A tariff of amount bands, as docs/tariffs.md shows its form; in force from its first day on."""
    asker = await administrator(request, Right.TARIFF)
    tariff = parse_tariff(await json_of(request))
    command = LoadTariff(tariff=tariff, by=str(Actor.administrator(asker.id)))
    answer = await operator_of(request).do(command)
    return done_or_asked("Tariff loaded", answer, answer)


@router.get("/tariffs")
async def tariffs(request: Request) -> Response:
    """Every tariff that was loaded, as it was loaded."""
    await administrator(request, None)
    found = await operator_of(request).books.tariffs()
    return done("Tariffs retrieved", [json.loads(render_tariff(one), parse_float=Decimal) for one in found])
