"""What M-Pesa posts to a QueueTimeOutURL: our own request back, or a Result. Either way the outcome is unknown.

The echo holds the SecurityCredential we sent (daraja.md §4.5), so it is read into nothing here, and cut out of bytes
that are to be shown by `without_credential`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from penpay.domain.mpesa.fields import plain_text, receipt
from penpay.domain.mpesa.result import Result, parse_result
from penpay.domain.mpesa.wire import UnreadableJson, UnreadableMessage, opaque_id, read_object

_CREDENTIAL = re.compile(rb'("(?:SecurityCredential|Password)"\s*:\s*")(?:[^"\\]|\\.)*')


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTimeout:
    """A request that waited too long in a queue. It may still be done, so ask for the payment's status."""

    originator_conversation_id: str | None
    """Of a B2C payment, ours; of a Result, the call's. None where the request carries none."""
    command: str | None
    """CommandID of the request."""
    receipt: str | None
    """The payment a status query or a reversal was about."""
    result: Result | None
    """What came instead of an echo."""


def parse_queue_timeout(raw: bytes) -> QueueTimeout:
    """Read the body of a queue time-out in both shapes (daraja.md §4.5). Raises UnreadableMessage and nothing else."""
    try:
        payload = read_object(raw)
    except UnreadableJson as error:
        raise UnreadableMessage(str(error), raw) from None
    if "Result" in payload:
        result = parse_result(raw)
        return QueueTimeout(
            originator_conversation_id=result.originator_conversation_id,
            command=None,
            receipt=None,
            result=result,
        )
    read = QueueTimeout(
        originator_conversation_id=_first_id(payload, "OriginatorConversationID", "OriginalConversationID"),
        command=opaque_id(plain_text(payload.get("CommandID"))),
        receipt=receipt(payload.get("TransactionID")),
        result=None,
    )
    if read.originator_conversation_id is None and read.command is None:
        raise UnreadableMessage("Neither a Result nor a request of ours.", raw)
    return read


def without_credential(raw: bytes) -> bytes:
    """The same bytes with every SecurityCredential and Password cut out, fit to be shown to people."""
    return _CREDENTIAL.sub(rb"\1[redacted]", raw)


def _first_id(payload: Mapping[str, object], *names: str) -> str | None:
    return next((found for name in names if (found := opaque_id(payload.get(name))) is not None), None)
