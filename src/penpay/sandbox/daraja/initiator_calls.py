"""Daraja's calls in an initiator's name, over HTTP: B2C, B2B, status, balance and reversal (daraja.md §4, §5)."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from penpay.domain.mobile_money.daraja_request import DarajaRequest
from penpay.sandbox.daraja import initiator_requests as requests
from penpay.sandbox.daraja.answers import DarajaRefusal, json_response
from penpay.sandbox.daraja.app import api_of
from penpay.sandbox.daraja.initiator_requests import Incoming, Parse
from penpay.sandbox.daraja.requests import read_body
from penpay.sandbox.faults import DarajaCall

router = APIRouter()
_ACCEPTED: Final = "Accept the service request successfully"


@router.post("/mpesa/b2c/v1/paymentrequest")
async def pay_customer(request: Request) -> Response:
    return await _initiated(request, DarajaCall.B2C, requests.parse_payout)


@router.post("/mpesa/b2c/v3/paymentrequest")
async def pay_customer_once(request: Request) -> Response:
    """The caller chooses the id, and it is good once."""
    return await _initiated(request, DarajaCall.B2C, requests.parse_payout_v3)


@router.post("/mpesa/b2b/v1/paymentrequest")
@router.post("/mpesa/b2b/v2/paymentrequest")
async def pay_merchant(request: Request) -> Response:
    return await _initiated(request, DarajaCall.B2B, requests.parse_payment)


@router.post("/mpesa/transactionstatus/v1/query")
@router.post("/mpesa/transactionstatus/v2/query")
async def ask_for_status(request: Request) -> Response:
    return await _initiated(request, DarajaCall.STATUS, requests.parse_status)


@router.post("/mpesa/accountbalance/v1/query")
@router.post("/mpesa/accountbalance/v2/query")
async def ask_for_balance(request: Request) -> Response:
    return await _initiated(request, DarajaCall.BALANCE, requests.parse_balance)


@router.post("/mpesa/reversal/v1/request")
@router.post("/mpesa/reversal/v2/request")
async def reverse(request: Request) -> Response:
    return await _initiated(request, DarajaCall.REVERSAL, requests.parse_reversal)


@router.get("/sandbox/certificate")
async def certificate(request: Request) -> Response:
    """What clients encrypt their initiator's password with."""
    api = api_of(request)
    key = await api.initiated.initiators.key()
    if key is None:
        raise DarajaRefusal(404, "404.001.01", "Resource not found")
    return Response(key.certificate(api.clock.now()), media_type="application/x-pem-file")


@router.delete("/sandbox/initiator-locks")
async def unlock(request: Request) -> Response:
    """Forgive every wrong password."""
    api_of(request).initiated.initiators.unlock()
    return Response(status_code=204)


async def _initiated(request: Request, call: DarajaCall, parse: Parse) -> Response:
    """Committed before it is answered; the answer says that it was accepted, and nothing else."""
    api = api_of(request)
    authorization = request.headers.get("authorization", "")
    api.tokens.require(authorization, call)
    body = await request.body()
    fields = read_body(request.headers.get("content-type", ""), body)
    asked = parse(Incoming(fields, body.decode(errors="replace"), api.switches.now.strict_callback_urls))
    early = api.spoilt(call, asked.concerned, done=False, authorization=authorization)
    if early is not None:
        return early
    accepted = await api.initiated.accept(asked)
    answer = json_response(200, _answer(call, accepted))
    return await api.replied(call, asked.concerned, answer)


def _answer(call: DarajaCall, accepted: DarajaRequest) -> dict[str, str]:
    """The balance's has no full stop at its end."""
    return {
        "ConversationID": accepted.conversation_id,
        "OriginatorConversationID": accepted.originator_conversation_id,
        "ResponseCode": "0",
        "ResponseDescription": _ACCEPTED if call is DarajaCall.BALANCE else f"{_ACCEPTED}.",
    }
