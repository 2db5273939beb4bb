"""A merchant's own PayBill and till numbers."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.domain.mobile_money.customer import Customer, CustomerType
from penpay.domain.mobile_money.merchant import Merchant, NumberKind
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.domain.shared.errors import Forbidden
from penpay.presentation.operator.answers import done
from penpay.presentation.operator.callers import customer
from penpay.presentation.operator.fields import body_of
from penpay.presentation.operator.process import operator_of

router = APIRouter(prefix="/api/merchant", tags=["merchants"])
_NAME_LETTERS: Final = 80


@router.post("/numbers")
async def open_number(request: Request) -> Response:
    """Open a number; without a `shortCode` a free one is picked. All numbers of a merchant share one account."""
    asker = await _merchant(request)
    fields = (await body_of(request)).only("kind", "name", "plan", "shortCode")
    opened = await operator_of(request).open_number(
        asker.id,
        fields.optional_text("shortCode"),
        fields.text("name", _NAME_LETTERS),
        fields.choice("kind", NumberKind),
        fields.optional_choice("plan", PayBillPlan) or PayBillPlan.CUSTOMER_PAYS,
    )
    return done("Number opened", _view(opened))


@router.get("/numbers")
async def numbers(request: Request) -> Response:
    """The merchant's numbers."""
    asker = await _merchant(request)
    return done("Numbers retrieved", [_view(one) for one in await operator_of(request).books.numbers(asker.id)])


@router.get("/accounts")
async def accounts(request: Request) -> Response:
    """What the merchant holds on each account, and the charges it has not settled."""
    found = await operator_of(request).requests.accounts(await _merchant(request))
    data = {
        "utilityCents": found.utility.cents,
        "workingCents": found.working.cents,
        "chargesPaidCents": found.charges_paid.cents,
    }
    return done("Accounts retrieved", data)


async def _merchant(request: Request) -> Customer:
    asker = await customer(request)
    if asker.type is not CustomerType.MERCHANT:
        raise Forbidden("Only merchants have numbers.")
    return asker


def _view(number: Merchant) -> dict[str, object]:
    return {
        "shortCode": number.short_code,
        "kind": number.kind.value,
        "name": number.name,
        "plan": number.plan.value,
    }
