"""A merchant's push, sent as an application would."""

from __future__ import annotations

import base64
from typing import Any

import httpx

from penpay.sandbox.log import INBOX_PATH
from penpay.sandbox.seeds import PASSKEY, SHORT_CODE, SUBSCRIBERS
from tests.support.sandbox_program import SandboxProgram

PAYER = SUBSCRIBERS[0]
MOMENT = "20261120120000"


def token(sandbox: SandboxProgram) -> str:
    """An access token."""
    credentials = (sandbox.told("Consumer key"), sandbox.told("Consumer secret"))
    path = "/oauth/v1/generate?grant_type=client_credentials"
    return str(httpx.get(sandbox.url + path, auth=credentials).json()["access_token"])


def push(
    sandbox: SandboxProgram,
    shillings: int = 10,
    *,
    short_code: str = SHORT_CODE,
    payer: str = PAYER.phone.msisdn,
    callback: str = "",
    bearer: str | None = None,
) -> Any:
    """The answer to a push."""
    body = {
        "BusinessShortCode": short_code,
        "Password": base64.b64encode(f"{short_code}{PASSKEY}{MOMENT}".encode()).decode(),
        "Timestamp": MOMENT,
        "TransactionType": "CustomerPayBillOnline",
        "Amount": shillings,
        "PartyA": payer,
        "PartyB": short_code,
        "PhoneNumber": payer,
        "CallBackURL": callback or sandbox.url + INBOX_PATH,
        "AccountReference": "ORDER-1",
        "TransactionDesc": "test",
    }
    headers = {"Authorization": f"Bearer {bearer or token(sandbox)}"}
    return httpx.post(f"{sandbox.url}/mpesa/stkpush/v1/processrequest", json=body, headers=headers).json()
