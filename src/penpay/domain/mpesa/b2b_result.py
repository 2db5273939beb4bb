"""What became of a payment to another business, as its Result tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from penpay.domain.mpesa.fields import Amount, person_text
from penpay.domain.mpesa.result import Result, parse_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome, b2b_verdict
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class B2bResult:
    result: Result
    outcome: ResultOutcome
    amount: Amount
    receipt: str | None
    account_reference: str = field(repr=False)
    """BillReferenceNumber, as we sent it."""
    receiver: str = field(repr=False)
    """Number and name of the business."""
    debit_balance: Money | None
    """What the account we paid from holds now, where it is said."""
    completed_at: datetime | None
    """UTC."""


def parse_b2b_result(raw: bytes) -> B2bResult:
    """Read the Result of a B2B payment (daraja.md §5.4). Raises UnreadableMessage and nothing else."""
    result = parse_result(raw)
    values = result.parameters
    return B2bResult(
        result=result,
        outcome=b2b_verdict(result.result_code),
        amount=values.amount("Amount"),
        receipt=result.receipt,
        account_reference=person_text(result.references.one("BillReferenceNumber")),
        receiver=person_text(values.one("ReceiverPartyPublicName")),
        debit_balance=values.amount("DebitAccountBalance").money,
        completed_at=values.moment("TransCompletedTime") or values.moment("BOCompletedTime"),
    )
