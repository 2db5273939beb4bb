"""What the codes of a Result mean for money, by product: the same number differs between them.

Only listed codes mean that nothing was done; whatever is not listed is UNKNOWN, and one code means success.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from penpay.domain.mpesa.gateway import PaymentOutcome


class ResultOutcome(StrEnum):
    """How the thing a Result is about ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """A listed code: nothing was done. Final."""
    RETRY_LATER = "RETRY_LATER"
    """Nothing was done; the same may be asked for anew, a payment under a new OriginatorConversationID."""
    MISCONFIGURED = "MISCONFIGURED"
    """Nothing was done, and nothing will be until people change a setting, a password or a right."""
    UNKNOWN = "UNKNOWN"
    """The code does not tell; ask for the status."""


_SUCCESS: Final = "0"
ALREADY_REVERSED: Final = "R000001"

_RIGHTS: Final[Mapping[str, ResultOutcome]] = MappingProxyType(
    {
        "11": ResultOutcome.MISCONFIGURED,  # our short code is not active
        "18": ResultOutcome.MISCONFIGURED,  # the initiator's password or its encryption is wrong
        "20": ResultOutcome.MISCONFIGURED,  # the initiator's name is unknown
        "21": ResultOutcome.MISCONFIGURED,  # the initiator lacks the role
        "22": ResultOutcome.MISCONFIGURED,  # the initiator is not active
        "2001": ResultOutcome.MISCONFIGURED,  # the initiator's name, password or certificate is wrong
        "2028": ResultOutcome.MISCONFIGURED,  # our short code lacks the product
        "8006": ResultOutcome.MISCONFIGURED,  # the initiator's password is locked
        "TP40153": ResultOutcome.MISCONFIGURED,  # the operator lacks the permission
    }
)
"""What people must put right at Safaricom or in our settings (daraja.md §4.6)."""

_B2C: Final[Mapping[str, ResultOutcome]] = MappingProxyType(
    {
        **_RIGHTS,
        "1": ResultOutcome.FAILED,  # the utility account holds too little
        "2": ResultOutcome.FAILED,  # below the minimum
        "3": ResultOutcome.FAILED,  # above the maximum
        "4": ResultOutcome.FAILED,  # above the daily limit
        "8": ResultOutcome.FAILED,  # above the receiver's largest balance
        "24": ResultOutcome.FAILED,  # mandatory fields are missing
        "25": ResultOutcome.FAILED,  # parameters are invalid
        "26": ResultOutcome.RETRY_LATER,  # traffic is blocked for a while
        "29": ResultOutcome.FAILED,  # the command is invalid
        "2006": ResultOutcome.FAILED,  # the account's status does not allow it
        "2040": ResultOutcome.FAILED,  # the receiver is not registered
        "SFC_IC0003": ResultOutcome.FAILED,  # the receiver is not on M-Pesa
    }
)
"""Not in here, so UNKNOWN: 15 and 19, which speak of an earlier message; 17, which stands for anything; and the
gateway's 1000000xx, among them "kept to be sent again" (daraja.md §4.6)."""

_B2B: Final[Mapping[str, ResultOutcome]] = MappingProxyType(
    {"SFC_IC0003": ResultOutcome.FAILED}  # the receiver is invalid
)
"""The one code told of B2B (daraja.md §4.6); its others are not documented."""

_REVERSAL: Final[Mapping[str, ResultOutcome]] = MappingProxyType(
    {
        **{code: _RIGHTS[code] for code in ("11", "21", "2001", "2028", "8006")},
        "R000002": ResultOutcome.FAILED,  # there is no such payment
        "1": ResultOutcome.FAILED,  # the account holds too little
        "2006": ResultOutcome.FAILED,  # the account's status does not allow it
    }
)
"""R000001 is not in here: somebody reversed the payment before, and perhaps not all of it (daraja.md §5.3)."""

_QUESTION: Final[Mapping[str, ResultOutcome]] = MappingProxyType(
    {
        **_RIGHTS,
        "24": ResultOutcome.FAILED,
        "25": ResultOutcome.FAILED,  # a receipt of the wrong form, among others
        "26": ResultOutcome.RETRY_LATER,
        "29": ResultOutcome.FAILED,
        "2032": ResultOutcome.FAILED,  # no such receipt: no answer about any payment
        "100000000": ResultOutcome.RETRY_LATER,  # kept to be sent again
        "100000001": ResultOutcome.RETRY_LATER,  # overload
        "100000002": ResultOutcome.RETRY_LATER,  # throttled
        "100000004": ResultOutcome.RETRY_LATER,  # internal
        "100000005": ResultOutcome.FAILED,  # invalid input
        "100000007": ResultOutcome.RETRY_LATER,  # the service is not well
        "100000009": ResultOutcome.RETRY_LATER,  # the API is not well
        "100000010": ResultOutcome.MISCONFIGURED,  # insufficient permission
        "100000011": ResultOutcome.RETRY_LATER,  # rate exceeded
    }
)
"""Status and balance move nothing, so what the gateway stumbles over is simply asked again."""

_STATUSES: Final[Mapping[str, PaymentOutcome]] = MappingProxyType(
    {
        "completed": PaymentOutcome.PAID,
        "cancelled": PaymentOutcome.FAILED,
        "declined": PaymentOutcome.FAILED,
        "expired": PaymentOutcome.FAILED,
        "initiated": PaymentOutcome.PENDING,
        "authorized": PaymentOutcome.PENDING,
        "pending authorized": PaymentOutcome.PENDING,
    }
)
"""M-Pesa's words for the state of a payment (daraja.md §5.1)."""


def b2c_verdict(result_code: str) -> ResultOutcome:
    """What a ResultCode says about a payment to a customer (daraja.md §4.6)."""
    return _read(_B2C, result_code)


def b2b_verdict(result_code: str) -> ResultOutcome:
    """What a ResultCode says about a payment to another business (daraja.md §5.4)."""
    return _read(_B2B, result_code)


def reversal_verdict(result_code: str) -> ResultOutcome:
    """What a ResultCode says about a reversal (daraja.md §5.3)."""
    return _read(_REVERSAL, result_code)


def question_verdict(result_code: str) -> ResultOutcome:
    """How a status or balance query went; it never says what became of a payment (daraja.md §5.1, §5.2)."""
    return _read(_QUESTION, result_code)


def status_verdict(status: str | None) -> PaymentOutcome:
    """What M-Pesa's word for a payment's state means; only Completed is money."""
    return _STATUSES.get((status or "").strip().casefold(), PaymentOutcome.UNKNOWN)


def _read(table: Mapping[str, ResultOutcome], result_code: str) -> ResultOutcome:
    return ResultOutcome.SUCCEEDED if result_code == _SUCCESS else table.get(result_code, ResultOutcome.UNKNOWN)
