"""C2B and pull over Daraja: where M-Pesa tells of payments customers make of their own accord, and the list of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Final

from penpay.domain.mpesa.gateway import C2bAddresses, CallAnswer, PullAnswer, PullWindow, SimulatedPayment
from penpay.domain.mpesa.verdicts_calls import c2b_verdict, pull_registration_verdict, pull_verdict, without_page
from penpay.domain.mpesa.verdicts_errors import Api
from penpay.domain.shared.errors import InvalidRequest
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.mpesa import request_fields
from penpay.infrastructure.mpesa.session import SAFARICOM_SANDBOX, DarajaSession, Fields

_PULL_REGISTER_PATH: Final = "/pulltransactions/v1/register"
_PULL_QUERY_PATH: Final = "/pulltransactions/v1/query"
_PRODUCTION: Final = "api.safaricom.co.ke"
_KEPT: Final = timedelta(hours=48, minutes=1)
"""Daraja lists the payments of 48 hours (daraja.md §5.9); the minute is for whoever counts from a moment ago."""
_FORBIDDEN_WORDS: Final = ("m-pesa", "mpesa", "safaricom", "exe", "cmd", "sql", "query")
"""An address with one of these is refused by Daraja (daraja.md §3.1); "exec" begins with one of them."""
_ADDRESS: Final = re.compile(
    r"(?=.{1,255}$)(?P<scheme>https?)://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[!-~]*)?", re.ASCII
)
_BILL_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{0,19}", re.ASCII)


class C2bVersion(StrEnum):
    """Which of the two an app may use is for Safaricom to say; a wrong one answers 401.003.01 (daraja.md §3.1)."""

    V1 = "v1"
    """The payer's number comes hashed."""
    V2 = "v2"
    """The payer's number comes masked."""


class DarajaReceipts:
    """`MpesaReceipts` over Daraja for one short code."""

    def __init__(
        self,
        *,
        session: DarajaSession,
        short_code: str,
        version: C2bVersion = C2bVersion.V2,
        sandbox_hosts: Collection[str] = (),
    ) -> None:
        """`sandbox_hosts` names hosts that are sandboxes besides Safaricom's own and loopback.

        There, payments may be simulated and addresses need no TLS. Raises ValueError if it names production.
        """
        if _PRODUCTION in {host.lower() for host in sandbox_hosts}:
            raise ValueError("Safaricom's production is no sandbox.")
        self._session = session
        self._short_code = request_fields.short_code(short_code)
        self._version = version
        self._is_sandbox = (
            session.host in {SAFARICOM_SANDBOX, "localhost", *(host.lower() for host in sandbox_hosts)}
        ) or _is_loopback(session.host)

    async def register_addresses(self, addresses: C2bAddresses) -> CallAnswer:
        """See `MpesaReceipts`. Raises InvalidRequest for an address Daraja does not take."""
        fields: Fields = {
            "ShortCode": self._short_code,
            "ResponseType": addresses.unanswered.value,
            "ConfirmationURL": self._address(addresses.confirmation_url),
            "ValidationURL": self._address(addresses.validation_url),
        }
        return await self._session.call(f"/mpesa/c2b/{self._version}/registerurl", fields, Api.C2B, c2b_verdict)

    async def simulate_payment(self, payment: SimulatedPayment) -> CallAnswer:
        """See `MpesaReceipts`. A bill reference has 1 to 20 letters, digits, blanks or hyphens."""
        if not self._is_sandbox:
            raise InvalidRequest("A payment is simulated in a sandbox only.")
        till = payment.bill_reference is None
        if payment.bill_reference is not None and not _BILL_REFERENCE.fullmatch(payment.bill_reference):
            raise InvalidRequest("A bill reference has 1 to 20 letters, digits, blanks or hyphens.")
        fields: Fields = {
            "ShortCode": int(self._short_code),
            "CommandID": "CustomerBuyGoodsOnline" if till else "CustomerPayBillOnline",
            "Amount": request_fields.shillings(payment.amount),
            "Msisdn": int(payment.phone.msisdn),
            "BillRefNumber": payment.bill_reference,
        }
        return await self._session.call(f"/mpesa/c2b/{self._version}/simulate", fields, Api.C2B, c2b_verdict)

    async def register_pull(self, *, nominated_phone: PhoneNumber, callback_url: str) -> CallAnswer:
        """See `MpesaReceipts`. Raises InvalidRequest for an address Daraja does not take."""
        fields: Fields = {
            "ShortCode": self._short_code,
            "RequestType": "Pull",
            "NominatedNumber": nominated_phone.msisdn,
            "CallBackURL": self._address(callback_url),
        }
        return await self._session.call(_PULL_REGISTER_PATH, fields, Api.PULL, pull_registration_verdict)

    async def pull(self, window: PullWindow) -> PullAnswer:
        """See `MpesaReceipts`. Raises InvalidRequest for a window that is empty or begins before what Daraja keeps."""
        if window.since >= window.until or window.offset < 0:
            raise InvalidRequest("Payments are listed from an earlier to a later moment, from row 0 on.")
        if window.since < self._session.clock.now() - _KEPT:
            raise InvalidRequest("Daraja lists the payments of the last 48 hours only.")
        fields: Fields = {
            "ShortCode": self._short_code,
            "StartDate": request_fields.daraja_day_and_time(window.since),
            "EndDate": request_fields.daraja_day_and_time(window.until),
            "OffSetValue": str(window.offset),
        }
        answer = await self._session.attempt(_PULL_QUERY_PATH, fields, Api.PULL)
        if isinstance(answer, CallAnswer):
            return without_page(answer)
        return pull_verdict(answer.status, answer.body, offset=window.offset)

    def _address(self, text: str) -> str:
        address = _ADDRESS.fullmatch(text)
        if address is None or (address["scheme"] == "http" and not self._is_sandbox):
            raise InvalidRequest("An address for M-Pesa begins with https:// and has at most 255 characters.")
        if any(word in text.casefold() for word in _FORBIDDEN_WORDS):
            raise InvalidRequest("Daraja takes no address with words such as mpesa, safaricom, exe, cmd, sql or query.")
        return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
