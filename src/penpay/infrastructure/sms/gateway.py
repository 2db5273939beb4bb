"""Short messages by an HTTP gateway that speaks as Africa's Talking's bulk SMS does (version1/messaging).

The request is a form of `username`, `to`, `message` and, where a sender is registered, `from`, under the header
`apiKey`; the answer names each recipient with a statusCode (docs.africastalking.com/sms/sending). Africa's Talking
knows no id of ours. It is sent as `Idempotency-Key` for gateways that look at it.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any, Final

import httpx

from penpay.application.shared.carrying import Carried, CarrierAnswer, OutgoingMessage

_TAKEN: Final = frozenset({100, 101, 102})
"""Processed, Sent, Queued."""
_REFUSED: Final = frozenset({403, 404, 406, 409})
"""InvalidPhoneNumber, UnsupportedNumberType, UserInBlacklist, DoNotDisturbRejection: about the recipient alone."""
_DEADLINE_SECONDS: Final = 30
_LONGEST_ID: Final = 128


class SmsGateway:
    """`application.payments.notifying.Carrier` over the gateway, a request a message."""

    def __init__(  # every argument is a port or a setting
        self,
        http: httpx.AsyncClient,
        *,
        url: str,
        username: str,
        api_key: str,
        sender: str | None,
    ) -> None:
        """`sender`: a registered short code or name; None: the gateway's own."""
        self._http = http
        self._url = url
        self._username = username
        self._api_key = api_key
        self._sender = sender

    async def carry(self, message: OutgoingMessage) -> CarrierAnswer:
        """Hand it over, once; an answer that does not tell of the recipient is LATER."""
        form = {"username": self._username, "to": message.to, "message": message.text}
        if self._sender is not None:
            form["from"] = self._sender
        headers = {"apiKey": self._api_key, "Accept": "application/json", "Idempotency-Key": message.message_id}
        try:
            # Made by hand, so that no cookie of an earlier answer goes out.
            request = httpx.Request("POST", self._url, data=form, headers=headers)
            async with asyncio.timeout(_DEADLINE_SECONDS):
                answer = await self._http.send(request, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
            # Of the kind alone: the words may quote the request.
            return CarrierAnswer(Carried.LATER, type(error).__name__)
        if not answer.is_success:
            return CarrierAnswer(Carried.LATER, f"http_{answer.status_code}")
        return _told(answer.content)


def _told(body: bytes) -> CarrierAnswer:
    recipient = _recipient(body)
    if recipient is None:
        return CarrierAnswer(Carried.LATER, "no_recipient")
    code = recipient.get("statusCode")
    if not isinstance(code, int):
        return CarrierAnswer(Carried.LATER, "no_status")
    if code in _TAKEN:
        told = recipient.get("messageId")
        return CarrierAnswer(Carried.TAKEN, f"sms_{code}", told[:_LONGEST_ID] if isinstance(told, str) else None)
    return CarrierAnswer(Carried.REFUSED if code in _REFUSED else Carried.LATER, f"sms_{code}"[:64])


def _recipient(body: bytes) -> dict[str, Any] | None:
    """What the answer says of the one recipient; None where it says nothing that can be read."""
    try:
        found = json.loads(body, parse_float=Decimal)["SMSMessageData"]["Recipients"][0]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
