"""Callbacks of our own making, as M-Pesa writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from penpay.demo.world import PHONE
from penpay.domain.shared.phone import PhoneNumber


def success_body(
    checkout_request_id: str, *, cents: int = 132_100, receipt: str = "FORGED0001", phone: PhoneNumber = PHONE
) -> bytes:
    """A callback that says: paid."""
    items = [
        {"Name": "Amount", "Value": cents // 100},
        {"Name": "MpesaReceiptNumber", "Value": receipt},
        {"Name": "TransactionDate", "Value": 20260301090000},
        {"Name": "PhoneNumber", "Value": int(phone.msisdn)},
    ]
    return _body(checkout_request_id, 0, {"CallbackMetadata": {"Item": items}})


def failure_body(checkout_request_id: str, code: int = 1032) -> bytes:
    """A callback that says: not paid."""
    return _body(checkout_request_id, code, {})


def _body(checkout_request_id: str, code: int, more: Mapping[str, object]) -> bytes:
    callback = {
        "MerchantRequestID": "29115-34620561-1",
        "CheckoutRequestID": checkout_request_id,
        "ResultCode": code,
        "ResultDesc": "told by the test",
        **more,
    }
    return json.dumps({"Body": {"stkCallback": callback}}).encode()
