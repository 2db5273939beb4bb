"""The Daraja client: STK push and STK query over HTTP, every ending told as an answer about money."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import httpx

from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.callback import EAST_AFRICA_TIME
from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome, PushAnswer, PushOutcome, StkPush
from penpay.domain.mpesa.verdicts import push_verdict, query_verdict
from penpay.domain.mpesa.verdicts_errors import is_invalid_token
from penpay.domain.shared.errors import CurrencyMismatch, InvalidRequest
from penpay.domain.shared.money import Currency
from penpay.infrastructure.mpesa.access_token import AccessTokens, TokenUnavailable
from penpay.infrastructure.mpesa.exchange import Answer, AnswerLost, NothingSent, exchange

_PUSH_PATH: Final = "/mpesa/stkpush/v1/processrequest"
_QUERY_PATH: Final = "/mpesa/stkpushquery/v1/query"
_TRANSACTION_TYPE: Final = "CustomerPayBillOnline"
_NOT_CONNECTED: Final = "not_connected"

_SHORT_CODE: Final = re.compile(r"[1-9][0-9]{4,6}", re.ASCII)
_TOKEN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ACCOUNT_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,12}", re.ASCII)
_DESCRIPTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{0,12}", re.ASCII)
_CHECKOUT_REQUEST_ID: Final = re.compile(r"[!-~]{1,64}", re.ASCII)
_SHORTEST_SECRET: Final = 8


def daraja_timestamp(moment: datetime) -> str:
    """YYYYMMDDHHmmss in East Africa Time, whatever zone `moment` is in (daraja.md §2.1)."""
    return moment.astimezone(EAST_AFRICA_TIME).strftime("%Y%m%d%H%M%S")


def daraja_password(short_code: str, passkey: str, timestamp: str) -> str:
    """Base64 of short code, passkey and the very timestamp that is sent beside it (daraja.md §2.1)."""
    return base64.b64encode(f"{short_code}{passkey}{timestamp}".encode()).decode("ascii")


class DarajaClient:
    """`MpesaGateway` over Daraja for one PayBill number.

    One call makes at most four exchanges (token, call, new token, call again), each within the deadline. A money POST
    goes out a second time only after the gateway turned the first away for its token, before anything read it.
    """

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        base_url: str,
        consumer_key: str,
        consumer_secret: str,
        short_code: str,
        passkey: str,
        callback_base_url: str,
        exchange_deadline_seconds: int = 45,
    ) -> None:
        if not _SHORT_CODE.fullmatch(short_code):
            raise ValueError("A PayBill short code has five to seven digits and no leading zero.")
        self._http = http
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._short_code = short_code
        self._passkey = passkey
        self._callback_base_url = callback_base_url.rstrip("/")
        self._deadline_seconds = exchange_deadline_seconds
        self._credentials = (consumer_key, consumer_secret, passkey)
        self._tokens = AccessTokens(
            http=http,
            clock=clock,
            base_url=base_url,
            consumer_key=consumer_key,
            consumer_secret=consumer_secret,
            deadline_seconds=exchange_deadline_seconds,
        )

    async def stk_push(self, push: StkPush) -> PushAnswer:
        """Ask for one prompt; see `MpesaGateway`. Not idempotent.

        Raises CurrencyMismatch, InvalidAmount or InvalidRequest, before anything is sent, for a push that is not one.
        """
        fields = self._push_fields(push)
        try:
            answer = await self._post(_PUSH_PATH, fields)
        except TokenUnavailable as error:
            return PushAnswer(
                outcome=PushOutcome.NOT_SENT,
                code=error.code,
                message=error.message,
                retry_after_ms=error.retry_after_ms,
            )
        except NothingSent as error:
            return PushAnswer(outcome=PushOutcome.NOT_SENT, code=_NOT_CONNECTED, message=_not_connected(error))
        except AnswerLost as lost:
            return PushAnswer(outcome=PushOutcome.UNKNOWN, code=lost.reason, message=_lost(lost))
        return push_verdict(answer.status, answer.body)

    async def stk_query(self, checkout_request_id: str) -> PaymentAnswer:
        """Ask what became of a push; see `MpesaGateway`. Raises InvalidRequest for what is no CheckoutRequestID."""
        if not _CHECKOUT_REQUEST_ID.fullmatch(checkout_request_id):
            raise InvalidRequest("A CheckoutRequestID has 1 to 64 visible ASCII characters.")
        fields = {**self._signature(), "CheckoutRequestID": checkout_request_id}
        try:
            answer = await self._post(_QUERY_PATH, fields)
        except TokenUnavailable as error:
            return PaymentAnswer(
                outcome=PaymentOutcome.UNKNOWN,
                code=error.code,
                message=error.message,
                retry_after_ms=error.retry_after_ms,
            )
        except NothingSent as error:
            return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code=_NOT_CONNECTED, message=_not_connected(error))
        except AnswerLost as lost:
            return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code=lost.reason, message=_lost(lost))
        return query_verdict(answer.status, answer.body, checkout_request_id=checkout_request_id)

    def _push_fields(self, push: StkPush) -> dict[str, str | int]:
        """The body of a push; numbers where the portal's own sample has numbers (daraja.md §2.1)."""
        if push.amount.currency is not Currency.KES:
            raise CurrencyMismatch("M-Pesa moves Kenyan shillings only.", currency=push.amount.currency.value)
        shillings = push.amount.require_positive().whole_units()
        if not _TOKEN_SEGMENT.fullmatch(push.callback_token):
            raise InvalidRequest("A callback token has 1 to 64 URL-safe characters.")
        if not _ACCOUNT_REFERENCE.fullmatch(push.account_reference):
            raise InvalidRequest("An account reference has 1 to 12 letters, digits or hyphens.")
        if not _DESCRIPTION.fullmatch(push.description):
            raise InvalidRequest("A description has 1 to 13 letters, digits, blanks or hyphens.")
        payer = int(push.phone.msisdn)
        return {
            **self._signature(),
            "TransactionType": _TRANSACTION_TYPE,
            "Amount": shillings,
            "PartyA": payer,
            "PartyB": int(self._short_code),
            "PhoneNumber": payer,
            "CallBackURL": f"{self._callback_base_url}/{push.callback_token}",
            "AccountReference": push.account_reference,
            "TransactionDesc": push.description,
        }

    def _signature(self) -> dict[str, str | int]:
        timestamp = daraja_timestamp(self._clock.now())
        return {
            "BusinessShortCode": int(self._short_code),
            "Password": daraja_password(self._short_code, self._passkey, timestamp),
            "Timestamp": timestamp,
        }

    async def _post(self, path: str, fields: Mapping[str, str | int]) -> Answer:
        content = json.dumps(fields).encode("ascii")
        token = await self._tokens.current()
        answer = await self._exchange(path, content, token)
        if not is_invalid_token(answer.status, answer.body):
            return answer
        return await self._exchange(path, content, await self._tokens.replace(token))

    async def _exchange(self, path: str, content: bytes, token: str) -> Answer:
        answer = await exchange(
            self._http,
            "POST",
            self._base_url + path,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            content=content,
            deadline_seconds=self._deadline_seconds,
        )
        return Answer(answer.status, self._without_secrets(answer.body, token))

    def _without_secrets(self, body: bytes, token: str) -> bytes:
        """Daraja echoes the bearer token in some refusals (daraja.md §1.3), so no secret of ours goes further in."""
        for secret in (token, *self._credentials):
            # A shorter one is a test value that could be part of an ordinary word or id.
            if len(secret) >= _SHORTEST_SECRET:
                body = body.replace(secret.encode(), b"[redacted]")
        return body


def _not_connected(error: NothingSent) -> str:
    return f"Daraja could not be reached ({error}); nothing was sent."


def _lost(lost: AnswerLost) -> str:
    return f"No whole answer came back ({lost.reason}); what Daraja did is not known."
