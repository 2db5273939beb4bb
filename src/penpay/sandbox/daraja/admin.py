"""The sandbox's own HTTP routes: act as the owner of a handset, make things go wrong, read the operator's balances.

They exist in the sandbox only and ask for no credential: serve them on loopback.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from penpay.domain.mobile_money.merchant import parse_short_code
from penpay.domain.mobile_money.stk_push import PushResult
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.answers import json_response
from penpay.sandbox.daraja.app import DarajaApi, api_of
from penpay.sandbox.daraja.notifications import BillPayment
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.daraja.wire import MalformedJson, read_object, write_json
from penpay.sandbox.faults import Fault, FaultRule
from penpay.sandbox.phone import Prompt, SimulatedPhone, StandingAnswer

router = APIRouter(prefix="/sandbox")
_SHOWN_MESSAGES = 50
_SWITCHES = TypeAdapter(DarajaSwitches)


_M = TypeVar("_M", bound=BaseModel)


class Body(BaseModel):
    """What a route of the sandbox's own takes: nothing else, and no text for a number."""

    model_config = ConfigDict(strict=True, extra="forbid")


class NewSubscriber(Body):
    phone: str
    pin: str


class NewFloat(Body):
    amount_cents: Annotated[int, Field(gt=0)]
    reference: Annotated[str, Field(min_length=1, max_length=64)]


class GivenPin(Body):
    pin: str


class NewStandingAnswer(Body):
    answer: StandingAnswer | None


class NewRule(Body):
    fault: Annotated[Fault, Field(discriminator="kind")]
    msisdn: str | None = None
    amount_cents: int | None = None
    times: Annotated[int, Field(gt=0)] | None = 1
    permille: Annotated[int, Field(ge=1, le=1000)] = 1000


class NewBillPayment(Body):
    phone: str
    short_code: str
    account: str | None = None
    amount_cents: Annotated[int, Field(gt=0)]
    pin: str | None = None


@router.post("/subscribers")
async def register_subscriber(request: Request) -> Response:
    """Open a wallet for a phone number."""
    body = await read(NewSubscriber, request)
    phone = PhoneNumber.parse(body.phone)
    await api_of(request).operator.register_subscriber(phone, body.pin)
    return json_response(201, {"phone": phone.msisdn})


@router.post("/subscribers/{phone}/float")
async def issue_float(request: Request, phone: str) -> Response:
    """Put money into a wallet; the same reference again changes nothing."""
    body = await read(NewFloat, request)
    amount = Money(body.amount_cents, Currency.KES)
    await api_of(request).operator.issue_float(PhoneNumber.parse(phone), amount, body.reference)
    return json_response(200, {"issued_cents": amount.cents})


@router.get("/balances")
async def balances(request: Request) -> Response:
    """What the operator holds for whom, and what it holds against that."""
    found = await api_of(request).operator.books.balances()
    return json_response(
        200,
        {
            "trust_unevidenced_cents": found.trust_unevidenced.cents,
            "subscribers": [{"phone": phone.msisdn, "cents": money.cents} for phone, money in found.subscribers],
            "merchants": [{"short_code": code, "cents": money.cents} for code, money in found.merchants],
        },
    )


@router.get("/phones/{phone}")
async def look_at_phone(request: Request, phone: str) -> Response:
    """What the handset shows now."""
    api = api_of(request)
    handset = await _handset(api, phone)
    shown = None if handset.prompt is None else _prompt(handset.prompt)
    messages = await api.operator.messages(handset.number, _SHOWN_MESSAGES)
    return json_response(200, {"prompt": shown, "messages": messages})


@router.post("/phones/{phone}/pin")
async def give_pin(request: Request, phone: str) -> Response:
    """Answer the prompt on the handset."""
    body = await read(GivenPin, request)
    return _result(await (await _handset(api_of(request), phone)).give_pin(body.pin))


@router.post("/phones/{phone}/cancel")
async def cancel(request: Request, phone: str) -> Response:
    """Dismiss the prompt on the handset."""
    return _result(await (await _handset(api_of(request), phone)).cancel())


@router.put("/phones/{phone}/standing-answer")
async def set_standing_answer(request: Request, phone: str) -> Response:
    """What the handset does by itself with every prompt from now on; null: nothing."""
    body = await read(NewStandingAnswer, request)
    handset = await _handset(api_of(request), phone)
    handset.standing_answer = body.answer
    return Response(status_code=204)


@router.post("/c2b")
async def pay_bill(request: Request) -> Response:
    """Pay a PayBill number, or a till (no account); a PIN is asked for only if one is given. A repeat pays again."""
    body = await read(NewBillPayment, request)
    payment = BillPayment(
        phone=PhoneNumber.parse(body.phone),
        short_code=parse_short_code(body.short_code),
        account=body.account,
        amount=Money(body.amount_cents, Currency.KES),
        pin=body.pin,
    )
    return json_response(200, {"receipt": await api_of(request).c2b.pay_bill(payment)})


@router.get("/switches")
async def list_switches(request: Request) -> Response:
    """Every switch by its name."""
    return json_response(200, asdict(api_of(request).switches.now))


@router.put("/switches")
async def set_switches(request: Request) -> Response:
    """Change the switches that are named, e.g. {"external_validation": true}; the others stay. All are answered."""
    board = api_of(request).switches
    try:
        changes = read_object(await request.body())
    except MalformedJson:
        raise InvalidRequest("The body is no JSON object.") from None
    before = asdict(board.now)
    unknown = sorted(changes.keys() - before.keys())
    if unknown:
        raise InvalidRequest(f"There is no switch {unknown[0][:64]!r}.", unknown=unknown, switches=sorted(before))
    try:
        board.now = _SWITCHES.validate_json(write_json(before | changes), strict=True)
    except ValidationError as error:
        raise InvalidRequest(errors=_errors(error)) from None
    return json_response(200, asdict(board.now))


@router.get("/faults")
async def list_faults(request: Request) -> Response:
    """The rules that can still strike."""
    return json_response(200, [asdict(rule) for rule in api_of(request).faults.rules()])


@router.post("/faults")
async def add_fault(request: Request) -> Response:
    """Add a rule, e.g. {"fault": {"kind": "lost_callback"}, "msisdn": "254712345678"}."""
    body = await read(NewRule, request)
    api_of(request).faults.add(
        FaultRule(
            fault=body.fault,
            msisdn=body.msisdn,
            amount_cents=body.amount_cents,
            times=body.times,
            permille=body.permille,
        )
    )
    return Response(status_code=204)


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """From now on nothing goes wrong."""
    api_of(request).faults.clear()
    return Response(status_code=204)


@router.post("/inbox")
async def take_callback(request: Request) -> Response:  # noqa: ARG001  (a route's one argument)
    """Take any callback, for whoever has no application yet; what it said is in the request log."""
    return json_response(200, {"ResultCode": 0, "ResultDesc": "Accepted"})


async def read(model: type[_M], request: Request) -> _M:
    """The request's body; from JSON and strictly, so that 10.0 and "10" are no integers. Raises InvalidRequest."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise InvalidRequest(errors=_errors(error)) from None


def _errors(error: ValidationError) -> list[str]:
    return [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]


async def _handset(api: DarajaApi, phone: str) -> SimulatedPhone:
    number = PhoneNumber.parse(phone)
    await api.operator.subscriber(number)  # who has no wallet has no handset here
    return api.desk.phone(number)


def _prompt(prompt: Prompt) -> dict[str, object]:
    return {
        "checkout_request_id": prompt.checkout_request_id,
        "merchant": prompt.merchant,
        "amount_cents": prompt.amount.cents,
        "account_reference": prompt.account_reference,
        "expires_at": prompt.expires_at.isoformat(),
    }


def _result(result: PushResult) -> Response:
    return json_response(200, {"code": result.code, "text": result.text})
