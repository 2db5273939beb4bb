"""The disbursement worker: sends the payouts that are due, and asks about those whose outcome is not known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

from penpay.application.payments.disbursing import (
    ClaimMpesaDisbursement,
    RecordDisbursementAnswer,
    RecordStatusAsked,
    is_to_be_sent,
)
from penpay.application.payments.results import PAYOUT_SOURCE, STATUS_SOURCE
from penpay.application.shared.executor import Executor
from penpay.domain.mpesa.gateway import (
    B2cPayment,
    CallAnswer,
    CallOutcome,
    MpesaDisbursements,
    StatusQuestion,
)
from penpay.domain.payments.evidence import MpesaDisbursement, Purpose
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.ids import MpesaDisbursementId

MPESA_DISBURSEMENTS_WORKER: Final = "mpesa_disbursement"
_REMARKS: Final[Mapping[Purpose, str]] = MappingProxyType(
    {
        Purpose.PAYOUT: "Deriv withdrawal",
        Purpose.REFUND: "Deriv deposit refund",
        Purpose.COLLECTIONS_REFUND: "Refund",
    }
)
_NO_PAYOUT_ACCOUNT: Final = CallAnswer(
    outcome=CallOutcome.MISCONFIGURED, code="no_initiator", message="Nobody may pay out now.", retry_after_ms=300_000
)


class PathTokens(Protocol):
    """Signed path segments."""

    def sign(self, purpose: str, subject: UUID) -> str: ...


class MpesaDisbursementWorker:
    """Drives payouts from the licence to the record."""

    def __init__(self, *, executor: Executor, mpesa: MpesaDisbursements | None, tokens: PathTokens) -> None:
        """`mpesa` None: nothing can be sent or asked; what is due waits."""
        self._executor = executor
        self._mpesa = mpesa
        self._tokens = tokens

    async def handle(self, disbursement_id: MpesaDisbursementId) -> None:
        """Take the licence, make the one call it is for, and record what it told."""
        claimed: MpesaDisbursement = await self._executor.execute(
            ClaimMpesaDisbursement(disbursement_id=disbursement_id)
        )
        if is_to_be_sent(claimed):
            answer = await self._pay(claimed)
            await self._executor.execute(
                RecordDisbursementAnswer(disbursement_id=claimed.id, fence=claimed.fence, answer=answer)
            )
            return
        answer = await self._ask(claimed)
        await self._executor.execute(RecordStatusAsked(disbursement_id=claimed.id, fence=claimed.fence, answer=answer))

    async def _pay(self, disbursement: MpesaDisbursement) -> CallAnswer:
        if self._mpesa is None:
            return _NO_PAYOUT_ACCOUNT
        try:
            return await self._mpesa.pay_customer(
                B2cPayment(
                    originator_conversation_id=disbursement.originator_conversation_id,
                    callback_token=self._tokens.sign(PAYOUT_SOURCE, disbursement.id),
                    phone=disbursement.phone,
                    amount=disbursement.amount,
                    remarks=_REMARKS[disbursement.purpose],
                )
            )
        except DomainError as refused:  # before anything was sent: it is no such request and never will be
            return CallAnswer(outcome=CallOutcome.FAILED, code=refused.code, message=refused.message)

    async def _ask(self, disbursement: MpesaDisbursement) -> CallAnswer:
        if self._mpesa is None or disbursement.question_id is None:
            return _NO_PAYOUT_ACCOUNT
        return await self._mpesa.transaction_status(
            StatusQuestion(
                callback_token=self._tokens.sign(STATUS_SOURCE, disbursement.question_id),
                originator_conversation_id=disbursement.originator_conversation_id,
            )
        )
