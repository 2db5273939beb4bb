"""Pulling the payments to a number, of the last 48 hours, by pages (daraja.md §5.9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from penpay.application.mobile_money.c2b import MerchantPayment, RegisterPull
from penpay.domain.mobile_money.c2b import PullRegistration
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.domain.mobile_money.errors import InvalidShortCode, MerchantNotFound
from penpay.domain.mobile_money.merchant import parse_short_code
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_field, json_response
from penpay.sandbox.daraja.app import api_of
from penpay.sandbox.daraja.fields import phone_of, text_of, url_of
from penpay.sandbox.daraja.requests import read_body
from penpay.sandbox.daraja.wire import dashed_id, decimal_of
from penpay.sandbox.faults import DarajaCall

router = APIRouter(prefix="/pulltransactions/v1")
_KEPT: Final = timedelta(hours=48)
_PAGE: Final = 100
_MOMENT: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{2}:\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullQuery:
    """Which payments: from `start` through the whole second of `end`."""

    short_code: str
    start: datetime
    end: datetime
    skip: int


@router.post("/register")
async def register(request: Request) -> Response:
    """Let the payments to a number be pulled; a repeat changes nothing and is told so."""
    api = api_of(request)
    fields = await _fields(request)
    short_code = _short_code(fields)
    if text_of(fields, "RequestType") != "Pull":
        raise invalid_field("RequestType")
    registration = PullRegistration(
        short_code=short_code,
        nominated=phone_of(fields, "NominatedNumber"),
        callback_url=url_of(fields, "CallBackURL", strict=api.switches.now.strict_callback_urls),
        registered_at=api.clock.now(),
    )
    early = api.spoilt(DarajaCall.PULL, done=False)
    if early is not None:
        return early
    try:
        is_new = await api.operator.do(RegisterPull(registration=registration))
    except MerchantNotFound:
        raise _unknown_number() from None
    body = {
        "ResponseRefID": dashed_id(api.random),
        "ResponseStatus": "1000" if is_new else "1001",
        "ShortCode": short_code,
        "ResponseDescription": "Shortcode Registered Successfully" if is_new else "Shortcode already Registered",
    }
    return await api.replied(DarajaCall.PULL, None, json_response(200, body))


@router.api_route("/query", methods=["GET", "POST"])
async def query(request: Request) -> Response:
    """One page of payments, oldest first. The list is nested twice, and empty under a code of its own."""
    api = api_of(request)
    asked = parse_pull(await _fields(request))
    if await api.c2b.books.pull_registration(asked.short_code) is None:
        raise _unknown_number()
    early = api.spoilt(DarajaCall.PULL, done=False)
    if early is not None:
        return early
    start = max(asked.start, api.clock.now() - _KEPT)
    end = asked.end + timedelta(seconds=1)
    found = await api.c2b.books.payments_to(asked.short_code, start, end, skip=asked.skip, limit=_PAGE)
    body = {
        "ResponseRefID": dashed_id(api.random),
        "ResponseCode": "1000" if found else "1001",
        "ResponseMessage": "Success" if found else "No transactions found",
        "Response": [[_line(payment) for payment in found]],
    }
    return await api.replied(DarajaCall.PULL, None, json_response(200, body))


def parse_pull(fields: Mapping[str, object]) -> PullQuery:
    """Raises DarajaRefusal naming the first field that is missing or wrong."""
    short_code = _short_code(fields)
    start, end = _moment(fields, "StartDate"), _moment(fields, "EndDate")
    skip = text_of(fields, "OffSetValue") or "0"
    if re.fullmatch(r"[0-9]{1,9}", skip, re.ASCII) is None:
        raise invalid_field("OffSetValue")
    return PullQuery(short_code=short_code, start=start, end=end, skip=int(skip))


async def _fields(request: Request) -> Mapping[str, object]:
    """What a request with a living token says. Raises DarajaRefusal, in this family's words (daraja.md §1.3)."""
    api_of(request).tokens.require(request.headers.get("authorization", ""), DarajaCall.PULL)
    return read_body(request.headers.get("content-type", ""), await request.body())


def _short_code(fields: Mapping[str, object]) -> str:
    try:
        return parse_short_code(text_of(fields, "ShortCode"))
    except InvalidShortCode:
        raise _unknown_number() from None


def _unknown_number() -> DarajaRefusal:
    return DarajaRefusal(400, "400.001", "Invalid ShortCode")


def _moment(fields: Mapping[str, object], key: str) -> datetime:
    text = text_of(fields, key)
    try:
        if _MOMENT.fullmatch(text) is None:
            raise invalid_field(key)
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=EAST_AFRICA)
    except ValueError:
        raise invalid_field(key) from None


def _line(payment: MerchantPayment) -> Mapping[str, object]:
    """The date ends in Z and is East Africa Time all the same; the number is a number, without its 254."""
    transaction, phone = payment.transaction, payment.payer.phone
    return {
        "transactionId": transaction.receipt,
        "trxDate": transaction.happened_at.astimezone(EAST_AFRICA).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "msisdn": "" if phone is None else int(phone.msisdn[3:]),
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit" if payment.merchant.is_paybill else "c2b-buy-goods-debit",
        "billreference": transaction.bill_reference or "",
        "amount": str(decimal_of(transaction.amount.cents)),
        "organizationname": payment.merchant.name,
    }
