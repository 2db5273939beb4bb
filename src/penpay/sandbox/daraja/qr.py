"""QR codes for payments to a merchant (daraja.md §5.7)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import segno
from fastapi import APIRouter, Request, Response

from penpay.domain.shared.money import Money
from penpay.sandbox.daraja.answers import invalid_field, json_response
from penpay.sandbox.daraja.app import api_of
from penpay.sandbox.daraja.fields import shillings_of, text_of
from penpay.sandbox.daraja.requests import read_body
from penpay.sandbox.daraja.wire import dashed_id
from penpay.sandbox.faults import DarajaCall

router = APIRouter(prefix="/mpesa/qrcode/v1")
_LONGEST: Final = 80
_SIZES: Final = range(50, 2001)
_BORDER: Final = 4


class TrxCode(StrEnum):
    """Whom a code pays."""

    BUY_GOODS = "BG"
    AGENT = "WA"
    PAY_BILL = "PB"
    PERSON = "SM"
    BUSINESS = "SB"


@dataclass(frozen=True, slots=True, kw_only=True)
class QrRequest:
    """What a code says, and how many pixels it may be wide."""

    merchant_name: str
    reference: str
    amount: Money
    code: TrxCode
    receiver: str
    size: int


@router.post("/generate")
async def generate(request: Request) -> Response:
    """Draw a code; nothing is kept of it."""
    api = api_of(request)
    api.tokens.require(request.headers.get("authorization", ""))
    asked = parse_qr(read_body(request.headers.get("content-type", ""), await request.body()))
    early = api.spoilt(DarajaCall.QR, done=False)
    if early is not None:
        return early
    body = {
        "ResponseCode": "00",
        "RequestID": dashed_id(api.random),
        "ResponseDescription": "QR Code Successfully Generated.",
        "QRCode": base64.b64encode(draw(asked)).decode("ascii"),
    }
    return await api.replied(DarajaCall.QR, None, json_response(200, body))


def parse_qr(fields: Mapping[str, object]) -> QrRequest:
    """Raises DarajaRefusal naming the first field that is missing or wrong."""
    name, reference = _short_text(fields, "MerchantName"), _short_text(fields, "RefNo")
    amount = shillings_of(fields, "Amount")
    try:
        code = TrxCode(text_of(fields, "TrxCode"))
    except ValueError:
        raise invalid_field("TrxCode") from None
    receiver = _short_text(fields, "CPI")
    size = text_of(fields, "Size") or "300"
    if not (size.isascii() and size.isdigit() and len(size) <= 4 and int(size) in _SIZES):  # noqa: PLR2004  (digits)
        raise invalid_field("Size")
    return QrRequest(
        merchant_name=name, reference=reference, amount=amount, code=code, receiver=receiver, size=int(size)
    )


def draw(asked: QrRequest) -> bytes:
    """A PNG as wide as whole pixels for each module allow, and never wider than asked unless a module needs one."""
    shillings = asked.amount.cents // 100
    text = "|".join((asked.code.value, asked.receiver, str(shillings), asked.reference, asked.merchant_name))
    code = segno.make_qr(text)
    modules, _ = code.symbol_size(border=_BORDER)
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=max(1, asked.size // int(modules)), border=_BORDER)
    return picture.getvalue()


def _short_text(fields: Mapping[str, object], key: str) -> str:
    text = text_of(fields, key)
    if not 1 <= len(text) <= _LONGEST:
        raise invalid_field(key)
    return text
