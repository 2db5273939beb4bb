"""B2C, B2B, reversal, transaction status and account balance over Daraja: what an initiator may ask for."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from penpay.domain.mpesa.gateway import B2bCommand, B2bPayment, B2cPayment, CallAnswer, Reversal, StatusQuestion
from penpay.domain.mpesa.verdicts_calls import payment_verdict, question_verdict
from penpay.domain.mpesa.verdicts_errors import Api
from penpay.domain.shared.errors import InvalidRequest
from penpay.infrastructure.mpesa import request_fields
from penpay.infrastructure.mpesa.security_credential import Initiator
from penpay.infrastructure.mpesa.session import DarajaSession, Fields

_B2C_PATH: Final = "/mpesa/b2c/v3/paymentrequest"
"""Version 1 has no id of ours, so that a repeat of it pays twice (daraja.md §0.1 fact 14)."""
_B2B_PATH: Final = "/mpesa/b2b/v1/paymentrequest"
_STATUS_PATH: Final = "/mpesa/transactionstatus/v1/query"
_BALANCE_PATH: Final = "/mpesa/accountbalance/v1/query"
_REVERSAL_PATH: Final = "/mpesa/reversal/v1/request"

_PAY_BILL: Final = "4"
_REVERSED_PARTY: Final = "11"
_IDENTIFIERS: Final = frozenset({"2", "4"})
_ACCOUNT_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,13}", re.ASCII)


class DarajaDisbursements:
    """`MpesaDisbursements` over Daraja for one short code and one initiator.

    The Result of a call goes to `result_base_url`, the notice that it waited too long to `timeout_base_url`, each with
    the call's token as its last segment.
    """

    def __init__(
        self,
        *,
        session: DarajaSession,
        initiator: Initiator,
        short_code: str,
        result_base_url: str,
        timeout_base_url: str,
        identifier_type: str = _PAY_BILL,
        till_identifier_type: str = _PAY_BILL,
    ) -> None:
        """`identifier_type` says what our short code is: "4" a PayBill, "2" a till.

        `till_identifier_type` is what a till is called that we pay; sources differ between "4" and "2" (§5.4).
        """
        if not {identifier_type, till_identifier_type} <= _IDENTIFIERS:
            raise ValueError('An identifier type is "2" for a till or "4" for a short code.')
        self._session = session
        self._initiator = initiator
        self._short_code = request_fields.short_code(short_code)
        self._result_base_url = result_base_url.rstrip("/")
        self._timeout_base_url = timeout_base_url.rstrip("/")
        self._identifier_type = identifier_type
        self._till_identifier_type = till_identifier_type

    async def pay_customer(self, payment: B2cPayment) -> CallAnswer:
        """See `MpesaDisbursements`."""
        sent_id = request_fields.conversation_id(payment.originator_conversation_id)
        fields: Fields = {
            "OriginatorConversationID": sent_id,
            "InitiatorName": self._initiator.name,
            "SecurityCredential": self._initiator.credential,
            "CommandID": payment.command.value,
            "Amount": request_fields.shillings(payment.amount),
            "PartyA": int(self._short_code),
            "PartyB": int(payment.phone.msisdn),
            "Remarks": request_fields.remarks(payment.remarks),
            **self._addresses(payment.callback_token),
            "Occassion": request_fields.remarks(payment.occasion) if payment.occasion else "",
        }
        return await self._pay(_B2C_PATH, fields, sent_id)

    async def pay_business(self, payment: B2bPayment) -> CallAnswer:
        """See `MpesaDisbursements`."""
        if not _ACCOUNT_REFERENCE.fullmatch(payment.account_reference):
            raise InvalidRequest("An account reference has 1 to 13 letters, digits or hyphens.")
        till = payment.command is B2bCommand.BUY_GOODS
        requester: Fields = {} if payment.requester is None else {"Requester": payment.requester.msisdn}
        fields: Fields = {
            **self._signature(payment.command.value),
            "SenderIdentifierType": _PAY_BILL,
            "RecieverIdentifierType": self._till_identifier_type if till else _PAY_BILL,
            "Amount": str(request_fields.shillings(payment.amount)),
            "PartyA": self._short_code,
            "PartyB": request_fields.receiver(payment.receiver),
            "AccountReference": payment.account_reference,
            **requester,
            "Remarks": request_fields.remarks(payment.remarks),
            **self._addresses(payment.callback_token),
            "Occassion": "",
        }
        return await self._pay(_B2B_PATH, fields, None)

    async def reverse(self, reversal: Reversal) -> CallAnswer:
        """See `MpesaDisbursements`."""
        fields: Fields = {
            **self._signature("TransactionReversal"),
            "TransactionID": request_fields.receipt(reversal.receipt),
            "Amount": str(request_fields.shillings(reversal.amount)),
            "ReceiverParty": self._short_code,
            "RecieverIdentifierType": _REVERSED_PARTY,
            **self._addresses(reversal.callback_token),
            "Remarks": request_fields.remarks(reversal.remarks),
        }
        return await self._pay(_REVERSAL_PATH, fields, None)

    async def transaction_status(self, question: StatusQuestion) -> CallAnswer:
        """See `MpesaDisbursements`. Raises InvalidRequest unless exactly one of receipt and id is given."""
        if (question.receipt is None) is (question.originator_conversation_id is None):
            raise InvalidRequest("A payment is asked about by its receipt or by its OriginatorConversationID.")
        named: Fields = (
            {"TransactionID": request_fields.receipt(question.receipt)}
            if question.receipt is not None
            else {"OriginalConversationID": request_fields.conversation_id(question.originator_conversation_id or "")}
        )
        fields: Fields = {
            **self._signature("TransactionStatusQuery"),
            **named,
            "PartyA": self._short_code,
            "IdentifierType": self._identifier_type,
            **self._addresses(question.callback_token),
            "Remarks": "Status",
            "Occasion": "",
        }
        return await self._ask(_STATUS_PATH, fields)

    async def account_balance(self, callback_token: str) -> CallAnswer:
        """See `MpesaDisbursements`."""
        fields: Fields = {
            **self._signature("AccountBalance"),
            "PartyA": self._short_code,
            "IdentifierType": self._identifier_type,
            "Remarks": "Balance",
            **self._addresses(callback_token),
        }
        return await self._ask(_BALANCE_PATH, fields)

    def _signature(self, command: str) -> Fields:
        return {
            "Initiator": self._initiator.name,
            "SecurityCredential": self._initiator.credential,
            "CommandID": command,
        }

    def _addresses(self, token: str) -> Fields:
        segment = request_fields.callback_token(token)
        return {
            "QueueTimeOutURL": f"{self._timeout_base_url}/{segment}",
            "ResultURL": f"{self._result_base_url}/{segment}",
        }

    async def _pay(self, path: str, fields: Fields, sent_id: str | None) -> CallAnswer:
        verdict = partial(payment_verdict, sent_id=sent_id)
        return await self._session.call(path, fields, Api.DISBURSEMENT, verdict, secrets=self._initiator.secrets)

    async def _ask(self, path: str, fields: Fields) -> CallAnswer:
        secrets = self._initiator.secrets
        return await self._session.call(path, fields, Api.DISBURSEMENT, question_verdict, secrets=secrets)
