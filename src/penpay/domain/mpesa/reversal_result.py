"""What became of a reversal, as its Result tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from penpay.domain.mpesa.fields import Amount, person_text
from penpay.domain.mpesa.result import Result, parse_result
from penpay.domain.mpesa.verdicts_results import ALREADY_REVERSED, ResultOutcome, reversal_verdict
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalResult:
    result: Result
    outcome: ResultOutcome
    already_reversed: bool
    """M-Pesa has reversed this payment before, whoever asked for it and however much of it."""
    receipt: str | None
    """The reversal's own."""
    original_receipt: str | None
    """The reversed payment's."""
    amount: Amount
    charge: Money | None
    completed_at: datetime | None
    """UTC."""
    receiver: str = field(repr=False)
    """Number and name of who got the money back: personal data."""


def parse_reversal_result(raw: bytes) -> ReversalResult:
    """Read the Result of a reversal (daraja.md §5.3). Raises UnreadableMessage and nothing else."""
    result = parse_result(raw)
    values = result.parameters
    return ReversalResult(
        result=result,
        outcome=reversal_verdict(result.result_code),
        already_reversed=result.result_code == ALREADY_REVERSED,
        receipt=result.receipt,
        original_receipt=values.receipt("OriginalTransactionID"),
        amount=values.amount("Amount"),
        charge=values.amount("Charge").money,
        completed_at=values.moment("TransCompletedTime"),
        receiver=person_text(values.one("CreditPartyPublicName")),
    )
