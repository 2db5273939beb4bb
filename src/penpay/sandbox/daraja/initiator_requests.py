"""What the requests of initiators must look like; the first field that does not is named (daraja.md §4.1, §5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from penpay.domain.mobile_money.daraja_request import Command, RequestDetails, RequestKind
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.answers import DarajaRefusal, invalid_field
from penpay.sandbox.daraja.fields import phone_of, shillings_of, short_code_of, text_of, url_of

_PAYOUTS: Final = frozenset({"SalaryPayment", "BusinessPayment", "PromotionPayment"})
_PAYMENTS: Final = frozenset(command.value for command in Command)
_STATUS: Final = frozenset({"TransactionStatusQuery"})
_BALANCE: Final = frozenset({"AccountBalance"})
_REVERSAL: Final = frozenset({"TransactionReversal"})
_REMARKS: Final = range(2, 101)
_LONGEST_OCCASION: Final = 100
_LONGEST_REFERENCE: Final = 20
_LONGEST_BODY: Final = 16_384
_CONVERSATION_ID: Final = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiatorRequest:
    """A request whose fields are all well formed."""

    kind: RequestKind
    short_code: str
    details: RequestDetails
    originator_conversation_id: str | None = None
    """None where the gateway makes it."""
    amount: Money | None = None
    phone: PhoneNumber | None = None
    """Of the customer who is paid."""

    @property
    def concerned(self) -> tuple[str | None, int | None]:
        """By what faults find it: phone and amount."""
        return (
            None if self.phone is None else self.phone.msisdn,
            None if self.amount is None else self.amount.cents,
        )


@dataclass(frozen=True, slots=True, repr=False)
class Incoming:
    """A body before it is understood."""

    fields: Mapping[str, object]
    text: str
    """The same as it came."""
    strict_urls: bool


Parse: TypeAlias = Callable[[Incoming], InitiatorRequest]
"""Raises DarajaRefusal."""


def parse_payout(asked: Incoming) -> InitiatorRequest:
    """B2C v1: the gateway makes the id, and one that is given is ignored."""
    common = _Common.read(asked.fields, _PAYOUTS)
    amount, short_code = shillings_of(asked.fields, "Amount"), short_code_of(asked.fields, "PartyA")
    phone = phone_of(asked.fields, "PartyB")
    return InitiatorRequest(
        kind=RequestKind.B2C,
        short_code=short_code,
        amount=amount,
        phone=phone,
        details=common.details(asked, party=phone.e164),
    )


def parse_payout_v3(asked: Incoming) -> InitiatorRequest:
    """B2C v3: the caller chooses the id."""
    request = parse_payout(asked)
    chosen = text_of(asked.fields, "OriginatorConversationID")
    if _CONVERSATION_ID.fullmatch(chosen) is None:
        raise invalid_field("OriginatorConversationID")
    return replace(request, originator_conversation_id=chosen)


def parse_payment(asked: Incoming) -> InitiatorRequest:
    """B2B. Whether the type of identifier fits the number is not asked: sources disagree on it (daraja.md §5.4)."""
    common = _Common.read(asked.fields, _PAYMENTS)
    amount, short_code = shillings_of(asked.fields, "Amount"), short_code_of(asked.fields, "PartyA")
    receiver, reference = short_code_of(asked.fields, "PartyB"), text_of(asked.fields, "AccountReference")
    if len(reference) > _LONGEST_REFERENCE or not reference.isascii() or not reference.isprintable():
        raise invalid_field("AccountReference")
    if common.command == Command.BUSINESS_PAY_BILL.value and not reference.strip():
        raise invalid_field("AccountReference")
    return InitiatorRequest(
        kind=RequestKind.B2B,
        short_code=short_code,
        amount=amount,
        details=common.details(asked, party=receiver, reference=reference),
    )


def parse_status(asked: Incoming) -> InitiatorRequest:
    """A receipt, or the OriginatorConversationID of the payment under either of its names."""
    common = _Common.read(asked.fields, _STATUS)
    receipt = text_of(asked.fields, "TransactionID")
    about = text_of(asked.fields, "OriginalConversationID") or text_of(asked.fields, "OriginatorConversationID")
    if not receipt and not about:
        raise invalid_field("TransactionID")
    short_code = short_code_of(asked.fields, "PartyA")
    return InitiatorRequest(
        kind=RequestKind.STATUS,
        short_code=short_code,
        details=common.details(asked, reference=receipt, conversation=about),
    )


def parse_balance(asked: Incoming) -> InitiatorRequest:
    common = _Common.read(asked.fields, _BALANCE)
    short_code = short_code_of(asked.fields, "PartyA")
    return InitiatorRequest(
        kind=RequestKind.BALANCE,
        short_code=short_code,
        details=common.details(asked),
    )


def parse_reversal(asked: Incoming) -> InitiatorRequest:
    common = _Common.read(asked.fields, _REVERSAL)
    receipt = text_of(asked.fields, "TransactionID")
    if not receipt:
        raise invalid_field("TransactionID")
    amount, short_code = shillings_of(asked.fields, "Amount"), short_code_of(asked.fields, "ReceiverParty")
    return InitiatorRequest(
        kind=RequestKind.REVERSAL,
        short_code=short_code,
        amount=amount,
        details=common.details(asked, reference=receipt),
    )


@dataclass(frozen=True, slots=True, repr=False)
class _Common:
    """What every such request begins with."""

    initiator: str
    security_credential: str
    command: str

    @classmethod
    def read(cls, fields: Mapping[str, object], commands: frozenset[str]) -> _Common:
        """Raises DarajaRefusal. The initiator goes by two names; B2C's is the one that is missed first."""
        initiator = text_of(fields, "InitiatorName") or text_of(fields, "Initiator")
        if not initiator:
            raise invalid_field("InitiatorName" if commands is _PAYOUTS or not fields else "Initiator")
        credential = text_of(fields, "SecurityCredential")
        if not credential:
            raise invalid_field("SecurityCredential")
        command = text_of(fields, "CommandID")
        if command not in commands:
            raise invalid_field("CommandID")
        return cls(initiator, credential, command)

    def details(
        self, asked: Incoming, *, party: str = "", reference: str = "", conversation: str = ""
    ) -> RequestDetails:
        """The rest, which every such request ends with. Raises DarajaRefusal."""
        fields = asked.fields
        if len(asked.text) > _LONGEST_BODY:
            raise DarajaRefusal(400, "400.002.05", "Invalid Request Payload")
        if len(text_of(fields, "Remarks").strip()) not in _REMARKS:
            raise invalid_field("Remarks")
        timeout_url = url_of(fields, "QueueTimeOutURL", strict=asked.strict_urls)
        result_url = url_of(fields, "ResultURL", strict=asked.strict_urls)
        occasion = text_of(fields, "Occassion") or text_of(fields, "Occasion")
        if len(occasion) > _LONGEST_OCCASION:
            raise invalid_field("Occassion")
        return RequestDetails(
            command=self.command,
            initiator=self.initiator,
            security_credential=self.security_credential,
            party=party,
            reference=reference,
            conversation=conversation,
            occasion=occasion,
            result_url=result_url,
            queue_timeout_url=timeout_url,
            body=asked.text,
        )
