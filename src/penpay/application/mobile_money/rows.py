"""The operator's rows as commands lock them, each under the key its callers know."""

from __future__ import annotations

from penpay.application.shared.unit_of_work import Kind
from penpay.domain.mobile_money.customer import Subscriber
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.stk_push import StkPush
from penpay.domain.shared.phone import PhoneNumber

SUBSCRIBERS: Kind[PhoneNumber, Subscriber] = Kind("operator_customers")
MERCHANTS: Kind[str, Merchant] = Kind("operator_merchants")
"""By short code."""
STK_PUSHES: Kind[str, StkPush] = Kind("stk_pushes")
"""By CheckoutRequestID."""
RECEIPTS: Kind[str, ReceiptCounter] = Kind("operator_receipts")
RECEIPT_COUNTER = "mpesa"
"""The one row of RECEIPTS."""
