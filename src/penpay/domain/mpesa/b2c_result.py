"""What became of a payment to a customer, as its Result tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from penpay.domain.mpesa.fields import Amount, person_text
from penpay.domain.mpesa.result import Result, parse_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome, b2c_verdict
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class B2cResult:
    result: Result
    """The envelope; its OriginatorConversationID is the one we sent."""
    outcome: ResultOutcome
    amount: Amount
    """What the customer received; absent from failures."""
    receipt: str | None
    """None if absent, a dummy, or if the envelope and its parameters name two."""
    receiver: str = field(repr=False)
    """Number and name of who received it: personal data."""
    receiver_registered: bool | None
    completed_at: datetime | None
    """UTC."""
    utility_funds: Money | None
    """What the utility account holds now, where it is said."""
    working_funds: Money | None
    charges_paid: Money | None
    """Normally below zero."""


def parse_b2c_result(raw: bytes) -> B2cResult:
    """Read the Result of a B2C payment (daraja.md §4.4). Raises UnreadableMessage and nothing else."""
    result = parse_result(raw)
    values = result.parameters
    named = {found for found in (result.receipt, values.receipt("TransactionReceipt")) if found is not None}
    registered = values.one("B2CRecipientIsRegisteredCustomer")
    return B2cResult(
        result=result,
        outcome=b2c_verdict(result.result_code),
        amount=values.amount("TransactionAmount"),
        receipt=named.pop() if len(named) == 1 else None,
        receiver=person_text(values.one("ReceiverPartyPublicName")),
        receiver_registered={"Y": True, "N": False}.get(registered or ""),
        completed_at=values.moment("TransactionCompletedDateTime"),
        utility_funds=values.amount("B2CUtilityAccountAvailableFunds").money,
        working_funds=values.amount("B2CWorkingAccountAvailableFunds").money,
        charges_paid=values.amount("B2CChargesPaidAccountAvailableFunds").money,
    )
