"""What M-Pesa answers when asked what became of a payment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from penpay.domain.mpesa.fields import Amount, person_text
from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.result import Result, parse_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome, question_verdict, status_verdict
from penpay.domain.mpesa.wire import opaque_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult:
    result: Result
    """The envelope of the question: its ids and its receipt are not the payment's."""
    outcome: ResultOutcome
    """How the question went. SUCCEEDED says nothing about the payment yet."""
    payment: PaymentOutcome
    """What became of the payment; UNKNOWN unless the question went well."""
    status: str
    """M-Pesa's own word, such as Completed."""
    receipt: str | None
    """The payment's: ReceiptNo."""
    originator_conversation_id: str | None
    """The payment's."""
    conversation_id: str | None
    amount: Amount
    charges: tuple[str, ...]
    """As M-Pesa words them, such as "Fee For B2C Payment|KES|22.40"."""
    reason: str
    initiated_at: datetime | None
    """UTC."""
    finalised_at: datetime | None
    debit_parties: tuple[str, ...] = field(repr=False)
    """Numbers and names; M-Pesa may name two (daraja.md §5.1). Personal data."""
    credit_parties: tuple[str, ...] = field(repr=False)


def parse_status_result(raw: bytes) -> StatusResult:
    """Read the Result of a transaction status query (daraja.md §5.1). Raises UnreadableMessage and nothing else."""
    result = parse_result(raw)
    values = result.parameters
    outcome = question_verdict(result.result_code)
    status = values.one("TransactionStatus")
    return StatusResult(
        result=result,
        outcome=outcome,
        payment=status_verdict(status) if outcome is ResultOutcome.SUCCEEDED else PaymentOutcome.UNKNOWN,
        status=person_text(status),
        receipt=values.receipt("ReceiptNo"),
        originator_conversation_id=opaque_id(values.one("OriginatorConversationID")),
        conversation_id=opaque_id(values.one("ConversationID")),
        amount=values.amount("Amount"),
        charges=tuple(person_text(charge) for charge in values.all("DebitPartyCharges")),
        reason=person_text(values.one("ReasonType")),
        initiated_at=values.moment("InitiatedTime"),
        finalised_at=values.moment("FinalisedTime"),
        debit_parties=tuple(person_text(party) for party in values.all("DebitPartyName")),
        credit_parties=tuple(person_text(party) for party in values.all("CreditPartyName")),
    )
