"""Asking for a withdrawal, and starting it with the code that Deriv mailed."""

from __future__ import annotations

from uuid import UUID

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.payments.withdrawal import ConfirmWithdrawal, CreateWithdrawal
from penpay.application.shared.idempotency import IdempotencyKey
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.shared.ids import TransactionId
from penpay.domain.shared.money import MAX_CENTS, Currency, Money
from penpay.presentation.http.auth import Caller
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.shapes import TransactionBody, answers
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["withdrawals"])
_ROUTE = "POST /api/v1/withdrawals"
_ACCEPTED = 202


class WithdrawalBody(BaseModel):
    """What is asked for. Only the shape is checked here; the money rules are the domain's."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    amount_cents: int = Field(
        description="In USD: what leaves Deriv. In KES: what the phone is paid, in whole shillings.",
        json_schema_extra={"minimum": 1, "maximum": MAX_CENTS, "example": 10_000},
    )
    currency: str = Field(json_schema_extra={"enum": [currency.value for currency in Currency], "example": "USD"})
    deriv_login_id: str = Field(json_schema_extra={"example": "CR123456"})
    idempotency_key: str = Field(
        description="8 to 128 printable characters; the same for every repeat of this request, kept for 24 hours.",
        json_schema_extra={"minLength": 8, "maxLength": 128, "example": "req-abc-123-def-456"},
    )


class ConfirmationBody(BaseModel):
    """What starts the money."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    verification_code: str = Field(description="As Deriv mailed it.", json_schema_extra={"example": "a1B2c3D4"})


@router.post("/withdrawals", status_code=_ACCEPTED, responses=answers(_ACCEPTED, TransactionBody))
async def create_withdrawal(request: Request, caller: Caller, body: WithdrawalBody) -> Response:
    """Ask for a withdrawal: the answer shows the quote, and Deriv mails a code to the account's owner."""
    currency = Currency.parse(body.currency)
    login_id = DerivLoginId.parse(body.deriv_login_id).value
    amount = Money(body.amount_cents, currency)
    system = system_of(request)
    key = IdempotencyKey.of(
        system.idempotency_secret,
        caller=str(caller),
        route=_ROUTE,
        key=body.idempotency_key,
        fields={"amount_cents": amount.cents, "currency": currency.value, "deriv_login_id": login_id},
    )
    command = CreateWithdrawal(user_id=caller, amount=amount, deriv_login_id=login_id)
    answer = await system.executor.execute(command, idempotency=key, status=_ACCEPTED)
    return Response(answer, status_code=_ACCEPTED, media_type="application/json")


@router.post(
    "/withdrawals/{transaction_id}/confirm", status_code=_ACCEPTED, responses=answers(_ACCEPTED, TransactionBody)
)
async def confirm_withdrawal(
    request: Request, caller: Caller, transaction_id: UUID, body: ConfirmationBody
) -> Response:
    """Start it at the quote shown. Sent again, it only tells how far the withdrawal has come."""
    view = await system_of(request).executor.execute(
        ConfirmWithdrawal(
            user_id=caller, transaction_id=TransactionId(transaction_id), verification_code=body.verification_code
        )
    )
    return Response(orjson.dumps(view), status_code=_ACCEPTED, media_type="application/json")
