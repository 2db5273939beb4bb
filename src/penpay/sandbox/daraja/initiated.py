"""The life of a request in an initiator's name: taken down, answered, carried out, told (daraja.md §4, §5).

What was accepted is in the operator's database; what was not carried out when the sandbox stopped is carried out when
it starts again. A result that was due is lost then, as it may be in life; a status query tells it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from penpay.application.mobile_money.daraja_requests import AcceptRequest, CarryOut, Outcome
from penpay.application.mobile_money.operator import Operator
from penpay.application.shared.ports import Clock, Random
from penpay.application.shared.unit_of_work import Transient
from penpay.domain.mobile_money import daraja_request as results
from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.mobile_money.daraja_request import DarajaRequest, RequestKind, RequestResult
from penpay.domain.mobile_money.errors import ConversationIdTaken, RequestEnded
from penpay.domain.mobile_money.transaction import OperatorTransaction
from penpay.domain.shared.errors import Overloaded
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja import wire
from penpay.sandbox.daraja.answers import DarajaRefusal
from penpay.sandbox.daraja.callbacks import Callback, CallbackSender
from penpay.sandbox.daraja.initiator_requests import InitiatorRequest
from penpay.sandbox.daraja.initiators import Initiators
from penpay.sandbox.daraja.results import Told, result_body
from penpay.sandbox.daraja.stk import Spawn
from penpay.sandbox.daraja.switches import AfterTimeout, SwitchBoard
from penpay.sandbox.faults import CallbackFirst, DarajaCall, FaultPlan, ForcedResult, QueuedTooLong

_RECEIPT: Final = re.compile(r"[A-Z0-9]{10}", re.ASCII)
_LONGEST_CODE: Final = 16
_LONGEST_TEXT: Final = 160
_AGAIN_AFTER_MS: Final = 500
"""How long a request waits that the database could not take."""


class InitiatedDesk:
    """Moves requests along and tells who asked."""

    def __init__(
        self,
        *,
        operator: Operator,
        initiators: Initiators,
        callbacks: CallbackSender,
        faults: FaultPlan,
        switches: SwitchBoard,
        clock: Clock,
        random: Random,
        spawn: Spawn,
    ) -> None:
        self.initiators = initiators
        self._operator = operator
        self._callbacks = callbacks
        self._faults = faults
        self._switches = switches
        self._clock = clock
        self._random = random
        self._spawn = spawn
        self._log = logging.getLogger(__name__)

    async def accept(self, asked: InitiatorRequest) -> DarajaRequest:
        """Take a request down and have it carried out. Raises DarajaRefusal for an id that was used before."""
        request = await self._take_down(asked)
        msisdn, cents = asked.concerned
        first = self._faults.take(CallbackFirst, msisdn=msisdn, amount_cents=cents)
        told = asyncio.Event()
        self._spawn(self._carry_out(request, told))
        if first is not None:
            self._spawn(self._set_later(told, first.at_most_ms))
            await told.wait()
        return request

    async def resume(self) -> None:
        """Carry out what was accepted before the sandbox stopped; call once, before serving."""
        for request in await self._operator.requests.open_requests():
            self._spawn(self._carry_out(request, asyncio.Event()))

    async def _take_down(self, asked: InitiatorRequest) -> DarajaRequest:
        order = AcceptRequest(
            kind=asked.kind,
            short_code=asked.short_code,
            originator_conversation_id=asked.originator_conversation_id or wire.dashed_id(self._random),
            conversation_id=wire.conversation_id(self._clock.now(), self._random),
            amount=asked.amount,
            details=asked.details,
        )
        try:
            request: DarajaRequest = await self._operator.do(order)
        except ConversationIdTaken:
            raise DarajaRefusal(500, "500.002.1001", "Duplicate OriginatorConversationID.") from None
        return request

    async def _carry_out(self, request: DarajaRequest, told: asyncio.Event) -> None:
        msisdn, cents = _concerned(request)
        queued = self._faults.take(QueuedTooLong, msisdn=msisdn, amount_cents=cents)
        forced = self._faults.take(ForcedResult, msisdn=msisdn, amount_cents=cents)
        if queued is not None:
            dropped = self._switches.now.after_timeout is AfterTimeout.DROPPED
            if dropped and await self._finish(request, results.QUEUED_TOO_LONG) is None:
                return
            await self._post(request, request.details.queue_timeout_url, request.details.body)
            told.set()
            if dropped:
                return
            await self._clock.sleep(queued.milliseconds)
        refusal = None
        if forced is not None:
            await self._clock.sleep(forced.after_ms)
            refusal = RequestResult(forced.code[:_LONGEST_CODE], forced.text[:_LONGEST_TEXT])
        outcome = await self._finish(request, refusal)
        if outcome is not None:
            moved = await self._told(outcome)
            body = result_body(outcome, moved, as_object=self._switches.now.result_parameters_as_object)
            await self._post(outcome.request, outcome.request.details.result_url, body)
        told.set()

    async def _finish(self, request: DarajaRequest, refusal: RequestResult | None) -> Outcome | None:
        """However long the database takes; None for a request that is over already."""
        refusal = refusal or await self._initiator_refusal(request)
        while True:
            try:
                refusal = refusal or await self._question_refusal(request)
                outcome: Outcome = await self._operator.do(CarryOut(request=request, refusal=refusal))
            except RequestEnded:
                return None
            except (Overloaded, Transient, SQLAlchemyError, OSError) as fault:
                self._log.warning("request %s must wait: %s", request.id, type(fault).__name__)
                await self._clock.sleep(_AGAIN_AFTER_MS)
                continue
            return outcome

    async def _initiator_refusal(self, request: DarajaRequest) -> RequestResult | None:
        details = request.details
        call = DarajaCall(request.kind.value)
        return await self.initiators.refusal(call, request.short_code, details.initiator, details.security_credential)

    async def _question_refusal(self, request: DarajaRequest) -> RequestResult | None:
        """Why a question about a payment has no answer."""
        if request.kind is not RequestKind.STATUS:
            return None
        receipt = request.details.reference
        if receipt and _RECEIPT.fullmatch(receipt) is None:
            return results.INVALID_PARAMETERS
        return results.UNKNOWN_RECEIPT if await self._asked_about(request) is None else None

    async def _told(self, outcome: Outcome) -> Told | None:
        request = outcome.request
        if request.kind is RequestKind.STATUS:
            return await self._asked_about(request)
        if outcome.transaction is None:
            return None
        return await self._parties(outcome.transaction, request, request.short_code)

    async def _asked_about(self, question: DarajaRequest) -> Told | None:
        """What a question is about, if the merchant who asks took part in it."""
        books, about = self._operator.requests, question.details
        transaction, request = None, None
        if about.reference:
            transaction = await books.transaction(about.reference)
            request = None if transaction is None else await books.request_of(transaction.id)
        else:
            request = await books.request(about.conversation)
            if request is not None and request.transaction_id is not None:
                transaction = await books.transaction_by_id(request.transaction_id)
        if transaction is not None:
            asker = await self._operator.books.merchant(question.short_code)
            if asker is None or asker.customer_id not in (transaction.source_id, transaction.target_id):
                return None
            return await self._parties(transaction, request, question.short_code)
        if request is None or request.short_code != question.short_code:
            return None
        return Told(
            debit_party=await self._named(request.short_code), credit_party="", transaction=None, request=request
        )

    async def _parties(self, moved: OperatorTransaction, request: DarajaRequest | None, own: str) -> Told:
        paid_to = own if moved.short_code is None else moved.short_code
        asker = own if request is None else request.short_code
        return Told(
            debit_party=await self._party(moved.source_id, asker),
            credit_party=await self._party(moved.target_id, paid_to),
            transaction=moved,
            request=request,
        )

    async def _party(self, id_: CustomerId | None, short_code: str) -> str:
        """A customer by phone and name, a merchant by number and name."""
        customer = None if id_ is None else await self._operator.books.customer(id_)
        if customer is not None and customer.phone is not None:
            return f"{customer.phone.msisdn} - {customer.name}"
        return await self._named(short_code)

    async def _named(self, short_code: str) -> str:
        merchant = await self._operator.books.merchant(short_code)
        return short_code if merchant is None else f"{short_code} - {merchant.name}"

    async def _post(self, request: DarajaRequest, url: str, body: str) -> None:
        msisdn, cents = _concerned(request)
        about = f"{request.kind.value} request {request.id}"
        await self._callbacks.send(Callback(url=url, body=body, about=about, msisdn=msisdn, amount_cents=cents))

    async def _set_later(self, event: asyncio.Event, milliseconds: int) -> None:
        await self._clock.sleep(milliseconds)
        event.set()


def _concerned(request: DarajaRequest) -> tuple[str | None, int | None]:
    """By what faults find it."""
    phone = PhoneNumber(request.details.party).msisdn if request.kind is RequestKind.B2C else None
    return phone, None if request.amount is None else request.amount.cents
