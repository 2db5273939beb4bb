"""The Daraja client: STK push and STK query over HTTP, every ending told as an answer about money."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Final

import httpx

from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome, PushAnswer, PushOutcome, StkPush
from penpay.domain.mpesa.verdicts import push_verdict, query_verdict
from penpay.domain.mpesa.verdicts_errors import Api
from penpay.domain.shared.errors import InvalidRequest
from penpay.infrastructure.mpesa import request_fields
from penpay.infrastructure.mpesa.access_token import TokenUnavailable
from penpay.infrastructure.mpesa.exchange import Answer, AnswerLost, NothingSent
from penpay.infrastructure.mpesa.rate_limit import STK_QUERY_LIMIT, HeldBack, RateLimit, RateLimiter
from penpay.infrastructure.mpesa.session import (
    HELD_BACK,
    NOT_CONNECTED,
    SAFARICOM_SANDBOX,
    DarajaSession,
    held_back_message,
    lost_message,
    not_connected_message,
)

_PUSH_PATH: Final = "/mpesa/stkpush/v1/processrequest"
_QUERY_PATH: Final = "/mpesa/stkpushquery/v1/query"
_PAY_BILL: Final = "CustomerPayBillOnline"
_BUY_GOODS: Final = "CustomerBuyGoodsOnline"

_ACCOUNT_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,12}", re.ASCII)
_DESCRIPTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{0,12}", re.ASCII)
_CHECKOUT_REQUEST_ID: Final = re.compile(r"[!-~]{1,64}", re.ASCII)


def daraja_timestamp(moment: datetime) -> str:
    """YYYYMMDDHHmmss in East Africa Time, whatever zone `moment` is in (daraja.md §2.1)."""
    return moment.astimezone(EAST_AFRICA_TIME).strftime("%Y%m%d%H%M%S")


def daraja_password(short_code: str, passkey: str, timestamp: str) -> str:
    """Base64 of short code, passkey and the very timestamp that is sent beside it (daraja.md §2.1)."""
    return base64.b64encode(f"{short_code}{passkey}{timestamp}".encode()).decode("ascii")


class DarajaClient:
    """`MpesaGateway` over Daraja for one PayBill number, or for the head office's number of tills.

    A push goes out a second time only after the gateway turned the first away for its token, before anything read it.
    Queries that come faster than `query_limit` are answered here, UNKNOWN and with the time to wait.
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
        call_limit: RateLimit | None = None,
        query_limit: RateLimit | None = None,
    ) -> None:
        """`call_limit` counts every call of the session; None is no limit.

        `query_limit` None is what is known of the host: five a minute at Safaricom's sandbox, elsewhere no limit.
        """
        self._short_code = request_fields.short_code(short_code)
        self._passkey = passkey
        self._clock = clock
        self._callback_base_url = callback_base_url.rstrip("/")
        self.session = DarajaSession(
            http=http,
            clock=clock,
            base_url=base_url,
            consumer_key=consumer_key,
            consumer_secret=consumer_secret,
            exchange_deadline_seconds=exchange_deadline_seconds,
            limit=call_limit,
        )
        """For other calls under the same credentials: one app has one token."""
        if query_limit is None and self.session.host == SAFARICOM_SANDBOX:
            query_limit = STK_QUERY_LIMIT
        self._queries = None if query_limit is None else RateLimiter(query_limit, clock)

    async def stk_push(self, push: StkPush) -> PushAnswer:
        """Ask for one prompt; see `MpesaGateway`. Not idempotent.

        Raises CurrencyMismatch, InvalidAmount or InvalidRequest, before anything is sent, for a push that is not one.
        """
        fields = self._push_fields(push)
        try:
            answer = await self._post(_PUSH_PATH, fields)
        except HeldBack as held:
            return PushAnswer(
                outcome=PushOutcome.NOT_SENT,
                code=HELD_BACK,
                message=held_back_message(),
                retry_after_ms=held.retry_after_ms,
            )
        except TokenUnavailable as error:
            return PushAnswer(
                outcome=PushOutcome.NOT_SENT,
                code=error.code,
                message=error.message,
                retry_after_ms=error.retry_after_ms,
            )
        except NothingSent as error:
            return PushAnswer(outcome=PushOutcome.NOT_SENT, code=NOT_CONNECTED, message=not_connected_message(error))
        except AnswerLost as lost:
            return PushAnswer(outcome=PushOutcome.UNKNOWN, code=lost.reason, message=lost_message(lost))
        return push_verdict(answer.status, answer.body)

    async def stk_query(self, checkout_request_id: str) -> PaymentAnswer:
        """Ask what became of a push; see `MpesaGateway`. Raises InvalidRequest for what is no CheckoutRequestID."""
        if not _CHECKOUT_REQUEST_ID.fullmatch(checkout_request_id):
            raise InvalidRequest("A CheckoutRequestID has 1 to 64 visible ASCII characters.")
        fields = {**self._signature(), "CheckoutRequestID": checkout_request_id}
        try:
            if self._queries is not None:
                self._queries.pass_one()
            answer = await self._post(_QUERY_PATH, fields)
        except HeldBack as held:
            return PaymentAnswer(
                outcome=PaymentOutcome.UNKNOWN,
                code=HELD_BACK,
                message=held_back_message(),
                retry_after_ms=held.retry_after_ms,
            )
        except TokenUnavailable as error:
            return PaymentAnswer(
                outcome=PaymentOutcome.UNKNOWN,
                code=error.code,
                message=error.message,
                retry_after_ms=error.retry_after_ms,
            )
        except NothingSent as error:
            return PaymentAnswer(
                outcome=PaymentOutcome.UNKNOWN, code=NOT_CONNECTED, message=not_connected_message(error)
            )
        except AnswerLost as lost:
            return PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code=lost.reason, message=lost_message(lost))
        return query_verdict(answer.status, answer.body, checkout_request_id=checkout_request_id)

    def _push_fields(self, push: StkPush) -> dict[str, str | int]:
        """The body of a push; numbers where the portal's own sample has numbers (daraja.md §2.1)."""
        shillings = request_fields.shillings(push.amount)
        token = request_fields.callback_token(push.callback_token)
        if not _ACCOUNT_REFERENCE.fullmatch(push.account_reference):
            raise InvalidRequest("An account reference has 1 to 12 letters, digits or hyphens.")
        if not _DESCRIPTION.fullmatch(push.description):
            raise InvalidRequest("A description has 1 to 13 letters, digits, blanks or hyphens.")
        payer = int(push.phone.msisdn)
        return {
            **self._signature(),
            "TransactionType": _PAY_BILL if push.till is None else _BUY_GOODS,
            "Amount": shillings,
            "PartyA": payer,
            "PartyB": int(self._short_code if push.till is None else request_fields.receiver(push.till)),
            "PhoneNumber": payer,
            "CallBackURL": f"{self._callback_base_url}/{token}",
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

    async def _post(self, path: str, fields: dict[str, str | int]) -> Answer:
        return await self.session.post(path, fields, Api.STK, secrets=(self._passkey,))
