"""Daraja over HTTP: the STK calls, with the statuses and spellings of the real service (daraja.md §1, §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from penpay.application.mobile_money.operator import Operator
from penpay.application.shared.ports import Clock, Random
from penpay.domain.mobile_money.errors import MerchantNotFound
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.stk_push import StkPush
from penpay.domain.shared.errors import DomainError, Overloaded
from penpay.sandbox.controls import Controls
from penpay.sandbox.daraja import answers
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_field, json_response, merchant_refusal
from penpay.sandbox.daraja.departures import Departures, departure
from penpay.sandbox.daraja.initiated import InitiatedDesk
from penpay.sandbox.daraja.notifications import C2bDesk
from penpay.sandbox.daraja.requests import Caller, parse_push, parse_query, read_body
from penpay.sandbox.daraja.stk import StkDesk
from penpay.sandbox.daraja.switches import DarajaCredentials, PendingStyle, SwitchBoard
from penpay.sandbox.daraja.tokens import TokenDesk, WrongConsumer
from penpay.sandbox.faults import DarajaCall, FaultPlan, SlowReply, Spoilt, SpoiltReply, StuckPending

_ACCEPTED = "Success. Request accepted for processing"
_QUERY_ACCEPTED = "The service request has been accepted successfully"
_PENDING = "The transaction is still under processing"
_PENDING_OLD = "The transaction is being processed"
_QUERY_PAUSE_MS = 12_000
_SANDBOX_STATUS: Mapping[str, int] = {
    "contradictory_fault": 422,
    "invalid_amount": 422,
    "invalid_phone_number": 422,
    "invalid_pin": 422,
    "invalid_request": 422,
    "invalid_short_code": 422,
    "merchant_not_found": 404,
    "customer_not_found": 404,
    "moment_out_of_range": 422,
    "overloaded": 503,
}


Concerned: TypeAlias = tuple[str | None, int | None]
"""Phone and amount, by which faults strike; None where a call names none."""


class QueryLimit:
    """Five queries a minute with a burst of one: at least twelve seconds between two (daraja.md §1.4)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_ms: int | None = None

    def pass_one(self) -> None:
        """Raises RateLimited if the last query that passed is too near."""
        now = self._clock.monotonic_ms()
        if self._next_ms is not None and now < self._next_ms:
            raise answers.RateLimited
        self._next_ms = now + _QUERY_PAUSE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaApi:
    """What the routes work on; one per sandbox, found through the ASGI scope."""

    operator: Operator
    desk: StkDesk
    initiated: InitiatedDesk
    c2b: C2bDesk
    tokens: TokenDesk
    faults: FaultPlan
    switches: SwitchBoard
    credentials: DarajaCredentials
    query_limit: QueryLimit
    clock: Clock
    random: Random
    controls: Controls | None = None

    async def merchant(self, caller: Caller) -> Merchant:
        """The merchant who proved to be the caller. Raises DarajaRefusal."""
        passkey = self.credentials.passkeys.get(caller.short_code)
        if passkey is None:
            raise merchant_refusal("Merchant does not exist")
        try:
            merchant = await self.operator.merchant(caller.short_code)
        except MerchantNotFound:
            raise merchant_refusal("Merchant does not exist") from None
        caller.check_password(passkey)
        return merchant

    def spoilt(
        self, call: DarajaCall, push: Concerned | None = None, *, done: bool, authorization: str = ""
    ) -> Response | None:
        """The answer a fault puts here: before the call takes effect, or after (`done`)."""
        msisdn, cents = push or (None, None)
        fault = self.faults.take(
            SpoiltReply, msisdn=msisdn, amount_cents=cents, where=lambda one: (one.call, one.done) == (call, done)
        )
        if fault is None:
            return None
        if fault.reply is Spoilt.INVALID_TOKEN:
            self.tokens.revoke_all()
            token = authorization.partition(" ")[2].strip()
            return answers.refusal(answers.invalid_token(call, token), self.random)
        return answers.spoilt(fault.reply, self.random)

    async def replied(self, call: DarajaCall, push: Concerned | None, response: Response) -> Response:
        """The answer as it leaves: held back or spoilt if a fault says so."""
        msisdn, cents = push or (None, None)
        slow = self.faults.take(SlowReply, msisdn=msisdn, amount_cents=cents, where=lambda one: one.call is call)
        if slow is not None:
            await self.clock.sleep(slow.milliseconds)
        return self.spoilt(call, push, done=True) or response


router = APIRouter()


def api_of(request: Request) -> DarajaApi:
    """The sandbox this request has reached."""
    api: DarajaApi = request.app.state.daraja
    return api


@router.get("/oauth/v1/generate")
async def generate_token(request: Request) -> Response:
    api = api_of(request)
    early = api.spoilt(DarajaCall.TOKEN, done=False)
    if early is not None:
        return early
    authorization = request.headers.get("authorization", "")
    try:
        token = api.tokens.issue(authorization, request.query_params.get("grant_type"))
    except WrongConsumer:
        return Response(status_code=400)
    return await api.replied(DarajaCall.TOKEN, None, json_response(200, token))


@router.post("/mpesa/stkpush/v1/processrequest")
async def process_request(request: Request) -> Response:
    api = api_of(request)
    api.tokens.require(request.headers.get("authorization", ""))
    fields = read_body(request.headers.get("content-type", ""), await request.body())
    order = parse_push(fields, strict_urls=api.switches.now.strict_callback_urls)
    merchant = await api.merchant(order.caller)
    concerned = (order.phone.msisdn, order.amount.cents)
    early = api.spoilt(DarajaCall.PUSH, concerned, done=False)
    if early is not None:
        return early
    push = await api.desk.accept(order, merchant, departure(request))
    answer = {
        "MerchantRequestID": push.merchant_request_id,
        "CheckoutRequestID": push.checkout_request_id,
        "ResponseCode": "0",
        "ResponseDescription": _ACCEPTED,
        "CustomerMessage": _ACCEPTED,
    }
    return await api.replied(DarajaCall.PUSH, concerned, json_response(200, answer))


@router.post("/mpesa/stkpushquery/v1/query")
async def query(request: Request) -> Response:
    api = api_of(request)
    api.tokens.require(request.headers.get("authorization", ""))
    if api.switches.now.limit_queries:
        api.query_limit.pass_one()
    asked = parse_query(read_body(request.headers.get("content-type", ""), await request.body()))
    merchant = await api.merchant(asked.caller)
    push = await api.operator.find_push(merchant.short_code, asked.checkout_request_id)
    if push is None:
        raise invalid_field("CheckoutRequestID")
    concerned = (push.phone.msisdn, push.amount.cents)
    early = api.spoilt(DarajaCall.QUERY, concerned, done=False)
    if early is not None:
        return early
    stuck = api.faults.take(StuckPending, msisdn=concerned[0], amount_cents=concerned[1])
    answer = _query_answer(api, push, pending=stuck is not None or push.result is None)
    return await api.replied(DarajaCall.QUERY, concerned, answer)


def _query_answer(api: DarajaApi, push: StkPush, *, pending: bool) -> Response:
    """All values are strings; amount, receipt and phone are not told (daraja.md §2.4)."""
    if pending and api.switches.now.pending_style is PendingStyle.ERROR_500:
        return answers.refusal(merchant_refusal(_PENDING_OLD), api.random)
    code, text = ("4999", _PENDING) if pending or push.result is None else (push.result.code, push.result.text)
    body = {
        "ResponseCode": "0",
        "ResponseDescription": _QUERY_ACCEPTED,
        "MerchantRequestID": push.merchant_request_id,
        "CheckoutRequestID": push.checkout_request_id,
        "ResultCode": code,
        "ResultDesc": text,
    }
    return json_response(200, body)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, DarajaRefusal):  # pragma: no cover  (registered for nothing else)
        raise error
    return answers.refusal(error, api_of(request).random)


async def _domain_refused(request: Request, error: Exception) -> Response:
    """What the operator refuses: in Daraja's words to its callers, by its stable code to those of the sandbox."""
    if not isinstance(error, DomainError):  # pragma: no cover  (registered for nothing else)
        raise error
    if request.url.path.startswith("/sandbox/"):
        return json_response(
            _SANDBOX_STATUS.get(error.code, 409), {"code": error.code, "message": error.message, **error.details}
        )
    busy = isinstance(error, Overloaded)
    return answers.spoilt(Spoilt.SYSTEM_BUSY if busy else Spoilt.ERROR_500, api_of(request).random)


async def _rate_limited(request: Request, error: Exception) -> Response:  # noqa: ARG001  (Starlette's signature)
    return answers.rate_limited()


async def _no_such_route(request: Request, error: Exception) -> Response:
    """405 and 404 as Daraja words them; outside /mpesa/ it is the gateway that does not know the path (§1.3, §1.4)."""
    if isinstance(error, HTTPException) and error.status_code == 405:  # noqa: PLR2004  (the HTTP status)
        return answers.refusal(
            DarajaRefusal(405, "405.001", f"{request.method} Method Not Allowed"), api_of(request).random
        )
    if request.url.path.startswith("/mpesa/"):
        return answers.refusal(DarajaRefusal(404, "404.001.01", "Resource not found"), api_of(request).random)
    text = f"Unable to identify proxy for host: secure and url: {request.url.path}"
    return answers.apigee_fault(404, text, "messaging.adaptors.http.flow.ApplicationNotFound")


_HANDLERS: Mapping[int | type[Exception], Any] = {
    DarajaRefusal: _refused,
    DomainError: _domain_refused,
    answers.RateLimited: _rate_limited,
    HTTPException: _no_such_route,
}


def create_app(api: DarajaApi, *extra: APIRouter) -> FastAPI:
    """The HTTP application of one sandbox; `extra` routers are served beside the paths of pushes."""
    app = FastAPI(openapi_url=None, exception_handlers=dict(_HANDLERS))
    app.state.daraja = api
    app.add_middleware(Departures)
    for one in router.routes:
        if isinstance(one, Route):
            # As plain routes: FastAPI's reading of parameters, of which these have none, takes longer than they do.
            app.router.add_route(one.path, one.endpoint, methods=sorted(one.methods or ()))
    for each in extra:
        app.include_router(each)
    return app
