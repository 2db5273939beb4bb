"""Bugs in how commands, their deliveries and their answers are committed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from penpay.application.payments.callbacks import MpesaCallbackVerifier, PostponeWebhook
from penpay.application.payments.deposit import InitiateDepositHandler
from penpay.application.payments.rows import TRANSACTIONS
from penpay.application.shared.executor import Executor
from penpay.application.shared.idempotency import IdempotencyKey, render
from penpay.application.shared.outbox import ClaimDelivery, ClaimDeliveryHandler
from penpay.application.shared.unit_of_work import DELIVERIES, Work
from penpay.domain.payments.transaction import TransactionStatus
from penpay.domain.shared.errors import CallbackRefused
from penpay.infrastructure.deriv.credits import IncomingCredits
from penpay.infrastructure.sql import publication
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level
from penpay.workers.consuming import SagaWorker
from penpay.workers.deposit import MpesaRequestDriver
from penpay.workers.mpesa_callback import MpesaCallbackWorker

_MUCH: Final = Level.EXTREME


def _settled_the_second_time(right: Function) -> Function:
    def settle_and_handle(self: Any, waiting: Any, work: Any) -> Any:
        if waiting.delivery is None:
            return right(self, waiting, work)
        key = (waiting.delivery.consumer, waiting.delivery.event_id)
        owed = work.get(DELIVERIES, key)
        result = right(self, waiting, work)
        if owed is not None and not owed.attempts:
            work.put(DELIVERIES, key, replace(owed, fence=owed.fence + 1, attempts=1))
        return result

    return settle_and_handle


def _prompting_in_any_state(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> None:
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        work.put(TRANSACTIONS, transaction.id, replace(transaction, status=TransactionStatus.PENDING))
        right(self, command, work)

    return handle


def _settled_by_the_claim(right: Function) -> Function:
    def handle(self: Any, command: Any, work: Any) -> Any:
        claimed = right(self, command, work)
        work.put(DELIVERIES, (command.consumer, command.event_id), None)
        return claimed

    return handle


def _claiming_first(right: Function) -> Function:
    async def handle(self: Any, due: Any) -> None:
        await self._executor.execute(ClaimDelivery(consumer=due.consumer, event_id=due.stored.id))
        await right(self, due)

    return handle


def _without_delivery(right: Function) -> Function:
    def settle_and_handle(self: Any, waiting: Any, work: Any) -> Any:
        return right(self, replace(waiting, delivery=None), work)

    return settle_and_handle


def _answered_at_once(right: Function) -> Function:
    def handle(self: Any, waiting: Any, work: Any, attempt: Any) -> None:
        right(self, waiting, work, attempt)
        for outcome in attempt.outcomes[-1:]:
            if outcome.waiting is waiting and outcome.error is None:
                waiting.future.set_result(outcome.result)

    return handle


def _knowing(can_never_commit: bool) -> Any:  # noqa: FBT001  (the answer it gives without asking)
    def make(_: Function) -> Function:
        async def decided(self: Any, batch_id: Any) -> bool:  # noqa: ARG001  (it asks nobody)
            return can_never_commit

        return decided

    return make


def _begun_once(right: Function) -> Function:
    def begin(self: Any) -> None:
        if not self._marks:
            right(self)

    return begin


def _not_stored(right: Function) -> Function:
    def settle_and_handle(self: Any, waiting: Any, work: Any) -> Any:
        if waiting.idempotency is None:
            return right(self, waiting, work)
        return render(right(self, replace(waiting, idempotency=None), work))

    return settle_and_handle


def _uncompared(_: Function) -> Function:
    def replay(self: Any, stored: Any) -> Any:  # noqa: ARG001  (it compares nothing)
        return stored.answer

    return replay


def _silent_about(left_out: str) -> Any:
    def make(right: Function) -> Function:
        def audit(self: Any, actor: str, action: str, *what: Any, **facts: Any) -> None:
            if action != left_out:
                right(self, actor, action, *what, **facts)

        return audit

    return make


def _without_the_first_row(right: Function) -> Function:
    def next_seal(before: Any, position: Any, batch_id: Any, row_hashes: Any) -> Any:
        return right(before, position, batch_id, row_hashes[1:])

    return next_seal


def _without_the_last_event(right: Function) -> Function:
    def positions(batches: Any, last: int) -> Any:
        return right(batches, last)[:-1]

    return positions


def _with_a_transaction_open(right: Function) -> Function:
    async def asked(self: Any, request: Any) -> Any:
        database = self._executor._database  # noqa: SLF001  (what a careless driver would have been given)
        async with database.unit_of_work():
            return await right(self, request)

    return asked


def _left_to_a_child(right: Function) -> Function:
    async def asked(self: Any, request: Any) -> Any:
        database = self._executor._database  # noqa: SLF001  (as above)
        async with database.unit_of_work():
            (answer,) = await asyncio.gather(right(self, request))  # a task of its own
            return answer

    return asked


def _answered_whatever_happens(right: Function) -> Function:
    async def receive(self: Any, **message: Any) -> None:
        try:
            await right(self, **message)
        except CallbackRefused:
            raise
        except Exception:  # noqa: BLE001  (that it is swallowed is the bug)
            return

    return receive


def _stored_alone(right: Function) -> Function:
    def enqueue(self: Any, command: Any, **options: Any) -> Any:
        queued = right(self, command, **options)
        if type(command).__name__ == "ApplyWebhook":
            queued.cancel()
            queued = queued.get_loop().create_future()
            queued.set_result(None)
        return queued

    return enqueue


def _put_off(_: Function) -> Function:
    async def handle(self: Any, due: Any) -> None:
        await self._executor.execute(PostponeWebhook(webhook_id=due.webhook_id))

    return handle


def _without_trying_again(_: Function) -> Function:
    async def run(self: Any) -> None:
        while True:
            await self._handler(await self._queue.get())

    return run


COMMITTING: Final = (
    Mutant(
        name="no_delivery_dedupe",
        bug="An event that is delivered twice is handled twice, and a deposit is prompted for twice.",
        breaks=("I3", "I7"),
        within=20,
        replacements=(
            Replacement(Executor, "_settle_and_handle", _settled_the_second_time),
            Replacement(InitiateDepositHandler, "handle", _prompting_in_any_state),
        ),
    ),
    Mutant(
        name="settled_before_its_work",
        bug="The claim settles an event; the work it is for is committed later.",
        breaks=("I7",),
        hazards={Hazard.CRASH: _MUCH},
        replacements=(
            Replacement(SagaWorker, "handle", _claiming_first),
            Replacement(ClaimDeliveryHandler, "handle", _settled_by_the_claim),
            Replacement(Executor, "_settle_and_handle", _without_delivery),
        ),
    ),
    Mutant(
        name="answered_before_the_commit",
        bug="A caller is answered before what he asked for is committed.",
        breaks=("I12", "I9"),
        hazards={Hazard.CRASH: Level.EXTREME},
        replacements=(Replacement(Executor, "_handle", _answered_at_once),),
    ),
    Mutant(
        name="lost_commit_run_again",
        bug="A batch whose COMMIT was not answered runs again, and nobody asks what became of it.",
        breaks=("I15", "I2", "I3", "I7", "I12"),
        hazards={Hazard.COMMIT_LOST: _MUCH},
        replacements=(Replacement(Executor, "_can_never_commit", _knowing(can_never_commit=True)),),
    ),
    Mutant(
        name="lost_commit_taken_for_done",
        bug="A batch whose COMMIT was not answered counts as committed.",
        breaks=("I12", "I9", "I2"),
        hazards={Hazard.COMMIT_LOST: _MUCH},
        replacements=(Replacement(Executor, "_can_never_commit", _knowing(can_never_commit=False)),),
    ),
    Mutant(
        name="neighbour_poisoned",
        bug="A refusal also takes back what the commands before it in the batch did.",
        breaks=("I12", "I9", "I2", "I4", "I7"),
        hazards={Hazard.DATABASE_BUSY: _MUCH, Hazard.OTHER_BODY: _MUCH, Hazard.BAD_REQUEST: _MUCH},
        within=150,
        replacements=(Replacement(Work, "begin", _begun_once),),
    ),
    Mutant(
        name="idempotency_row_not_stored",
        bug="The answer under an idempotency key is not kept.",
        breaks=("I12",),
        hazards={Hazard.DOUBLE_TAP: Level.MILD},
        replacements=(Replacement(Executor, "_settle_and_handle", _not_stored),),
    ),
    Mutant(
        name="other_body_accepted",
        bug="Another body under a used idempotency key gets the first one's answer.",
        breaks=("I12",),
        hazards={Hazard.OTHER_BODY: _MUCH},
        replacements=(Replacement(IdempotencyKey, "replay", _uncompared),),
    ),
    Mutant(
        name="audit_row_skipped",
        bug="Who recorded a transfer's answer is not written down.",
        breaks=("I10",),
        replacements=(Replacement(Work, "audit", _silent_about("deriv_transfer.answered")),),
    ),
    Mutant(
        name="licence_not_noted",
        bug="Who took the licence to send a push is not written down.",
        breaks=("I10",),
        within=5,
        replacements=(Replacement(Work, "audit", _silent_about("mpesa_request.claimed")),),
    ),
    Mutant(
        name="audit_row_not_sealed",
        bug="A seal leaves the first audit row of its batch out.",
        breaks=("I10",),
        within=5,
        replacements=(Replacement(publication, "next_seal", _without_the_first_row),),
    ),
    Mutant(
        name="event_not_published",
        bug="The last event of every chunk gets no position.",
        breaks=("I10",),
        within=5,
        replacements=(Replacement(publication, "_positions", _without_the_last_event),),
    ),
    Mutant(
        name="call_inside_a_transaction",
        bug="M-Pesa is asked while a database transaction is open.",
        breaks=("I14",),
        within=10,
        replacements=(Replacement(MpesaRequestDriver, "_asked", _with_a_transaction_open),),
    ),
    Mutant(
        name="call_by_a_child_task",
        bug="M-Pesa is asked by a task of its own, and the transaction of the one that started it is open.",
        breaks=("I14",),
        within=10,
        replacements=(Replacement(MpesaRequestDriver, "_asked", _left_to_a_child),),
    ),
    Mutant(
        name="error_swallowed",
        bug="A callback that could not be stored is answered as if it had been.",
        breaks=("I9",),
        hazards={Hazard.DATABASE_BUSY: _MUCH},
        within=120,
        replacements=(Replacement(MpesaCallbackVerifier, "receive", _answered_whatever_happens),),
    ),
    Mutant(
        name="stored_never_applied",
        bug="A callback is stored, and applying it is put off again and again.",
        breaks=("I7",),
        within=5,
        replacements=(
            Replacement(Executor, "enqueue", _stored_alone),
            Replacement(MpesaCallbackWorker, "handle", _put_off),
        ),
    ),
    Mutant(
        name="task_ends_unseen",
        bug="The task that takes credits ends with the first one that could not be booked.",
        breaks=("I15", "I2"),
        hazards={Hazard.DATABASE_BUSY: _MUCH, Hazard.STRANGE_CREDIT: _MUCH},
        replacements=(Replacement(IncomingCredits, "run", _without_trying_again),),
    ),
)
