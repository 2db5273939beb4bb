"""Bugs in sending: the licence and its fence, the retry, silence taken for an answer, and what nobody comes back to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from penpay.application.payments import transferring
from penpay.application.payments.collecting import ClaimMpesaRequestHandler, RecordPushAnswerHandler
from penpay.application.payments.rows import MPESA_REQUESTS
from penpay.application.payments.transferring import (
    RecordTransferAnswerHandler,
    RecordTransferSearchHandler,
)
from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.deriv.verdicts import Verdict
from penpay.domain.mpesa.gateway import PaymentOutcome, PushOutcome
from penpay.domain.payments.evidence import Evidence, EvidenceState
from penpay.domain.shared.locked_rate import LockedRate
from penpay.infrastructure.deriv import transfers
from penpay.infrastructure.mpesa import client
from penpay.infrastructure.sql.due import SqlDue
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME
_LEASE: Final = timedelta(seconds=200)
_AGAIN: Final = timedelta(seconds=70)


def _licence_not_kept(kind: Any, field: str) -> Any:
    """The row stays as it was before the licence to send was taken."""

    def make(right: Function) -> Function:
        def handle(self: Any, command: Any, work: Any) -> Any:
            before = work.get(kind, getattr(command, field))
            claimed = right(self, command, work)
            if claimed is not None and before.state is EvidenceState.INTENDED:
                work.put(kind, before.id, before)
            return claimed

        return handle

    return make


def _licence_with_the_answer(kind: Any, field: str) -> Any:
    """The licence is written down when the answer is."""

    def make(right: Function) -> Function:
        def handle(self: Any, command: Any, work: Any) -> Any:
            row = work.get(kind, getattr(command, field))
            if row.state is EvidenceState.INTENDED and row.fence < command.fence:
                sent = replace(row, due_at=work.now, lease_until=None).claimed(work.now, _LEASE)
                work.put(kind, row.id, replace(sent, version=row.version))
            return right(self, command, work)

        return handle

    return make


def _pushed_again(right: Function) -> Function:
    def following(self: Any, request: Any, answer: Any, now: Any) -> Any:
        if answer.outcome is PushOutcome.UNKNOWN:
            return EvidenceState.INTENDED, now + _AGAIN
        return right(self, request, answer, now)

    return following


def _push_given_up(right: Function) -> Function:
    def following(self: Any, request: Any, answer: Any, now: Any) -> Any:
        if answer.outcome is PushOutcome.UNKNOWN:
            return EvidenceState.FAILED, None
        return right(self, request, answer, now)

    return following


def _silence_taken_for(outcome: TransferOutcome) -> Any:
    def make(right: Function) -> Function:
        def handle(self: Any, command: Any, work: Any) -> None:
            if command.answer.outcome is TransferOutcome.UNKNOWN:
                command = replace(command, answer=replace(command.answer, outcome=outcome))
            right(self, command, work)

        return handle

    return make


def _unlisted_is_no(right: Function) -> Function:
    def verdict(code: str, message: str) -> Verdict:
        found: Verdict = right(code, message)
        return Verdict(TransferOutcome.FAILED) if found.outcome is TransferOutcome.UNKNOWN else found

    return verdict


def _pending_is_no(right: Function) -> Function:
    def verdict(*answer: Any, **about: Any) -> Any:
        found = right(*answer, **about)
        return replace(found, outcome=PaymentOutcome.FAILED) if found.outcome is PaymentOutcome.PENDING else found

    return verdict


def _absent_is_no(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        if command.found:
            right(self, command, work)
            return
        transfer, transaction = transferring.transfer_and_transaction(work, command.transfer_id)
        transfer.check_fence(command.fence)
        work.audit("worker:deriv_transfer", "deriv_transfer.searched", "deriv_transfer", transfer.id, rows=0)
        transferring.refuse_transfer(work, transfer, transaction, "not_found", refunds=False)  # what the bug would call

    return handle


def _lapsed_is_unsent(right: Function) -> Function:
    def claimed(self: Any, at: Any, lease: Any) -> Any:
        taken = right(self, at, lease)
        return replace(taken, state=EvidenceState.SENDING) if self.state is EvidenceState.SENDING else taken

    return claimed


def _taken_from_whoever_has_it(right: Function) -> Function:
    def claimed(self: Any, at: Any, lease: Any) -> Any:
        if self.state is not EvidenceState.SENDING:
            return right(self, at, lease)
        return replace(self, fence=self.fence + 1, lease_until=at + lease, version=self.version + 1)

    return claimed


def _any_fence(_: Function) -> Function:
    def check_fence(self: Any, fence: int) -> None:  # noqa: ARG001  (it compares nothing)
        return

    return check_fence


def _any_fence_of_a_push(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        request = work.get(MPESA_REQUESTS, command.request_id)
        return right(self, replace(command, fence=request.fence), work)

    return handle


def _never_over(_: Function) -> Function:
    def is_expired(self: Any, at: Any) -> bool:  # noqa: ARG001  (it looks at no clock)
        return False

    return is_expired


def _only_what_nobody_has_touched(right: Function) -> Function:
    def is_due(self: Any, at: Any) -> bool:
        return self.lease_until is None and bool(right(self, at))

    return is_due


def _only_news(right: Function) -> Function:
    async def due(self: Any, at: Any, limit: int, **which: bool) -> Any:
        found = set(await right(self, at - _FRESH, limit, **which))
        return [one for one in await right(self, at, limit, **which) if one not in found]

    return due


_FRESH: Final = timedelta(seconds=60)


def _answer_is_newer(right: Function) -> Function:
    def after_the_callback(request: Any, transaction: Any, answer: Any, work: Any) -> None:
        right(request, transaction, answer, work)
        if answer.outcome is PushOutcome.ACCEPTED:
            accepted = replace(request, state=EvidenceState.ACCEPTED, due_at=work.now, lease_until=None)
            work.put(MPESA_REQUESTS, request.id, replace(accepted, version=request.version + 1))

    return after_the_callback


SENDING: Final = (
    Mutant(
        name="push_before_intent",
        bug="A push is sent first, and that it was is written down with its answer.",
        breaks=("I3", "I7"),
        hazards={Hazard.CRASH: _MUCH},
        replacements=(
            Replacement(ClaimMpesaRequestHandler, "handle", _licence_not_kept(MPESA_REQUESTS, "request_id")),
            Replacement(RecordPushAnswerHandler, "handle", _licence_with_the_answer(MPESA_REQUESTS, "request_id")),
        ),
    ),
    Mutant(
        name="push_sent_again",
        bug="A push without an answer is sent again.",
        breaks=("I3",),
        hazards={Hazard.PUSH_SPOILT: Level.EXTREME},
        replacements=(Replacement(RecordPushAnswerHandler, "_next", _pushed_again),),
    ),
    Mutant(
        name="transfer_sent_again",
        bug="A transfer without an answer is made again.",
        breaks=("I3", "I2"),
        hazards={Hazard.DERIV_DROP_AFTER: Level.MILD},
        replacements=(
            Replacement(RecordTransferAnswerHandler, "handle", _silence_taken_for(TransferOutcome.NOT_SENT)),
        ),
    ),
    Mutant(
        name="lapsed_licence_sends_again",
        bug="What somebody had a licence to send, and died over, counts as not sent.",
        breaks=("I3", "I2"),
        hazards={Hazard.CRASH: _MUCH},
        replacements=(Replacement(Evidence, "claimed", _lapsed_is_unsent),),
    ),
    Mutant(
        name="push_silence_is_failure",
        bug="A push without an answer counts as refused.",
        breaks=("I6", "I2", "I7"),
        hazards={Hazard.PUSH_SPOILT: Level.MILD},
        replacements=(Replacement(RecordPushAnswerHandler, "_next", _push_given_up),),
    ),
    Mutant(
        name="transfer_silence_is_failure",
        bug="A transfer without an answer counts as refused, and its dollars go back to the user.",
        breaks=("I2",),
        hazards={Hazard.DERIV_DROP_AFTER: Level.MILD},
        replacements=(Replacement(RecordTransferAnswerHandler, "handle", _silence_taken_for(TransferOutcome.FAILED)),),
    ),
    Mutant(
        name="unlisted_is_failure",
        bug="An error of Deriv's that nobody has listed counts as a refusal.",
        breaks=("I2",),
        hazards={Hazard.DERIV_WRONG_ANSWER: _MUCH},
        replacements=(Replacement(transfers, "verdict_on_refusal", _unlisted_is_no),),
    ),
    Mutant(
        name="pending_is_failure",
        bug="A prompt still on the handset counts as refused when M-Pesa is asked about it.",
        breaks=("I6", "I2"),
        hazards={Hazard.CALLBACK_LOST: Level.EXTREME},
        replacements=(Replacement(client, "query_verdict", _pending_is_no),),
    ),
    Mutant(
        name="absence_is_proof",
        bug="A transfer that the statement does not show yet counts as never made.",
        breaks=("I2",),
        hazards={Hazard.DERIV_DROP_AFTER: Level.MILD, Hazard.DERIV_STATEMENT_LAG: _MUCH},
        replacements=(Replacement(RecordTransferSearchHandler, "handle", _absent_is_no),),
    ),
    Mutant(
        name="licence_not_compared",
        bug="The licence to send is taken whether or not somebody has it.",
        breaks=("I3", "I2"),
        hazards={Hazard.CRASH: _MUCH},
        replacements=(Replacement(Evidence, "claimed", _taken_from_whoever_has_it),),
    ),
    Mutant(
        name="lease_without_fence",
        bug="An answer counts although somebody else has taken the matter over.",
        breaks=("I15", "I2", "I6"),
        hazards={Hazard.PAUSE: _MUCH, Hazard.DERIV_DROP_AFTER: _MUCH},
        processes=2,
        within=150,
        replacements=(
            Replacement(Evidence, "check_fence", _any_fence),
            Replacement(RecordPushAnswerHandler, "handle", _any_fence_of_a_push),
        ),
    ),
    Mutant(
        name="rate_never_expires",
        bug="A prompt is sent however long its locked rate has been over.",
        breaks=("I11",),
        hazards={Hazard.DARAJA_DOWN: _MUCH},
        replacements=(Replacement(LockedRate, "is_expired", _never_over),),
    ),
    Mutant(
        name="intent_never_swept",
        bug="Only what was intended a moment ago is sent.",
        breaks=("I7",),
        hazards={Hazard.CRASH: Level.EXTREME},
        replacements=(
            Replacement(SqlDue, "due_mpesa_requests", _only_news),
            Replacement(SqlDue, "due_deriv_transfers", _only_news),
        ),
    ),
    Mutant(
        name="lapsed_lease_never_taken_over",
        bug="What a process held when it died is left lying.",
        breaks=("I7",),
        hazards={Hazard.CRASH: Level.EXTREME},
        replacements=(Replacement(Evidence, "is_due", _only_what_nobody_has_touched),),
    ),
    Mutant(
        name="answer_overwrites_callback",
        bug="The answer to a push that comes after its callback puts it back to accepted.",
        breaks=("I6",),
        hazards={Hazard.CALLBACK_FIRST: Level.EXTREME},
        replacements=(Replacement(RecordPushAnswerHandler, "_after_the_callback", _answer_is_newer),),
    ),
)
