"""C2B over HTTP: where a merchant wants to hear of payments, and payments as if somebody had made them (§3.1, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from penpay.domain.mobile_money.c2b import C2bUrls, C2bVersion, DefaultAction
from penpay.domain.mobile_money.errors import MerchantNotFound, UrlsRegistered
from penpay.domain.mobile_money.merchant import check_bill_reference
from penpay.domain.shared.errors import DomainError
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_field, json_response
from penpay.sandbox.daraja.app import DarajaApi, api_of
from penpay.sandbox.daraja.departures import departure
from penpay.sandbox.daraja.fields import phone_of, shillings_of, short_code_of, text_of, url_of
from penpay.sandbox.daraja.notifications import BillPayment
from penpay.sandbox.daraja.requests import BUY_GOODS, PAY_BILL, read_body
from penpay.sandbox.daraja.wire import dashed_id
from penpay.sandbox.faults import DarajaCall

router = APIRouter(prefix="/mpesa/c2b")
_FORBIDDEN: Final = ("m-pesa", "mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query", "ngrok", "requestbin")
"""What no registered address may contain, in any case (daraja.md §3.1)."""


@router.post("/{version}/registerurl")
async def register_url(request: Request, version: C2bVersion) -> Response:
    """Say where payments to a number are asked about and told; a repeat replaces, unless the switch says once."""
    api = api_of(request)
    fields = await _fields(request)
    urls = parse_register(fields, version, api)
    early = api.spoilt(DarajaCall.C2B_REGISTER, done=False)
    if early is not None:
        return early
    try:
        await api.c2b.register(urls)
    except MerchantNotFound:
        raise invalid_field("ShortCode") from None
    except UrlsRegistered:
        raise DarajaRefusal(500, "500.003.1001", "Urls are already registered.") from None
    return await api.replied(DarajaCall.C2B_REGISTER, None, _accepted(api, "Success"))


@router.post("/{version}/simulate")
async def simulate(request: Request, version: C2bVersion) -> Response:  # noqa: ARG001  (both versions do the same)
    """Pay a number as a subscriber; accepted whoever she is, and told by callback only if the money has moved."""
    api = api_of(request)
    payment = parse_simulate(await _fields(request))
    if await api.operator.books.merchant(payment.short_code) is None:
        raise invalid_field("ShortCode")
    concerned = (payment.phone.msisdn, payment.amount.cents)
    early = api.spoilt(DarajaCall.C2B_SIMULATE, concerned, done=False)
    if early is not None:
        return early
    await api.c2b.simulate(payment, departure(request))
    answer = _accepted(api, "Accept the service request successfully.")
    return await api.replied(DarajaCall.C2B_SIMULATE, concerned, answer)


def parse_register(fields: Mapping[str, object], version: C2bVersion, api: DarajaApi) -> C2bUrls:
    """Raises DarajaRefusal naming the first field that is missing or wrong."""
    strict = api.switches.now.strict_callback_urls
    short_code = short_code_of(fields, "ShortCode")
    try:
        action = DefaultAction(text_of(fields, "ResponseType"))
    except ValueError:
        raise invalid_field("ResponseType") from None
    return C2bUrls(
        short_code=short_code,
        api=version,
        default_action=action,
        confirmation_url=_registrable(fields, "ConfirmationURL", strict=strict),
        validation_url=_registrable(fields, "ValidationURL", strict=strict),
        registered_at=api.clock.now(),
    )


def parse_simulate(fields: Mapping[str, object]) -> BillPayment:
    """Raises DarajaRefusal naming the first field that is missing or wrong. A till is paid without a reference."""
    short_code = short_code_of(fields, "ShortCode")
    command = text_of(fields, "CommandID")
    if command not in (PAY_BILL, BUY_GOODS):
        raise invalid_field("CommandID")
    amount = shillings_of(fields, "Amount")
    phone = phone_of(fields, "Msisdn")
    account = text_of(fields, "BillRefNumber") if command == PAY_BILL else None
    if account is not None:
        try:
            check_bill_reference(account)
        except DomainError:
            raise invalid_field("BillRefNumber") from None
    return BillPayment(phone=phone, short_code=short_code, account=account, amount=amount)


def _registrable(fields: Mapping[str, object], key: str, *, strict: bool) -> str:
    url = url_of(fields, key, strict=strict)
    if strict and any(word in url.lower() for word in _FORBIDDEN):
        raise invalid_field(key)
    return url


async def _fields(request: Request) -> Mapping[str, object]:
    """What a request with a living token says. Raises DarajaRefusal, in this family's words (daraja.md §1.3)."""
    api_of(request).tokens.require(request.headers.get("authorization", ""), DarajaCall.C2B_REGISTER)
    return read_body(request.headers.get("content-type", ""), await request.body())


def _accepted(api: DarajaApi, description: str) -> Response:
    """The key is misspelt at the real service too."""
    body = {
        "OriginatorCoversationID": dashed_id(api.random),
        "ResponseCode": "0",
        "ResponseDescription": description,
    }
    return json_response(200, body)
