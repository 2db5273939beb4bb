"""The life of an STK push in the sandbox: accepted, shown on the handset, answered or not, told by callback.

What must survive a restart is in the operator's database; handsets, tokens and faults are in memory. A push that was
open when the sandbox stopped is shown again when it starts. A callback that was due is lost, as it may be in life.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from penpay.application.mobile_money.operator import Operator
from penpay.application.mobile_money.stk_payments import AcceptPush
from penpay.application.shared.ports import Clock, Random
from penpay.application.shared.unit_of_work import Transient
from penpay.domain.mobile_money.errors import CheckoutIdTaken, PushEnded, SubscriberBusy
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.stk_push import (
    CANCELLED,
    NOT_PERMITTED,
    WRONG_STORE,
    PushResult,
    StkPush,
    StkPushId,
)
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja import wire
from penpay.sandbox.daraja.answers import merchant_refusal
from penpay.sandbox.daraja.callbacks import CallbackSender
from penpay.sandbox.daraja.requests import BUY_GOODS, PushRequest
from penpay.sandbox.daraja.switches import CallbackOrder, SwitchBoard
from penpay.sandbox.faults import CallbackFirst, FaultPlan, ForcedResult
from penpay.sandbox.phone import Habit, Prompt, SimulatedPhone, StandingAnswer

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], object]
"""Starts a task that nobody awaits."""

_SWEPT_AT_ONCE = 200
_BUSY = "Unable to lock subscriber, a transaction is already in process for the current subscriber"


class StkDesk:
    """Moves pushes along and tells everyone concerned."""

    def __init__(
        self,
        *,
        operator: Operator,
        callbacks: CallbackSender,
        faults: FaultPlan,
        switches: SwitchBoard,
        clock: Clock,
        random: Random,
        spawn: Spawn,
    ) -> None:
        self._operator = operator
        self._callbacks = callbacks
        self._faults = faults
        self._switches = switches
        self._clock = clock
        self._random = random
        self._spawn = spawn
        self._log = logging.getLogger(__name__)
        self._phones: dict[PhoneNumber, SimulatedPhone] = {}
        self._callback_sent: dict[StkPushId, asyncio.Event] = {}
        self._answer_left: dict[StkPushId, asyncio.Event] = {}

    def phone(self, number: PhoneNumber) -> SimulatedPhone:
        """The handset of this number; the same one every time."""
        if number not in self._phones:
            self._phones[number] = SimulatedPhone(number, self)
        return self._phones[number]

    async def accept(self, request: PushRequest, merchant: Merchant, left: asyncio.Event) -> StkPush:
        """Open a push and bring it to the handset. Raises DarajaRefusal while the subscriber has another one open.

        `left` is set when the answer to the push has left.
        """
        number = await self._number_paid(request, merchant)
        push = await self._open(request, number.short_code if isinstance(number, Merchant) else None)
        msisdn, cents = push.phone.msisdn, push.amount.cents
        first = self._faults.take(CallbackFirst, msisdn=msisdn, amount_cents=cents) or self._standing_order(push, left)
        sent = asyncio.Event()
        if first is not None:
            self._callback_sent[push.id] = sent
        forced = self._faults.take(ForcedResult, msisdn=msisdn, amount_cents=cents)
        if forced is not None:
            self._spawn(self._force(push, PushResult(forced.code, forced.text), forced.after_ms))
        elif isinstance(number, PushResult):
            self._spawn(self._force(push, number, 0))
        elif push.customer_id is not None:
            await self._show(push, number)
        if first is not None:
            self._spawn(self._set_later(sent, first.at_most_ms))
            await sent.wait()
        return push

    async def _number_paid(self, request: PushRequest, merchant: Merchant) -> Merchant | PushResult:
        """The PayBill number that asks or a till of the same merchant, or why the push is not permitted."""
        if request.transaction_type != BUY_GOODS:
            return merchant if request.is_permitted and merchant.is_paybill else NOT_PERMITTED
        till = await self._operator.books.merchant(request.party_b)
        if till is None or till.is_paybill:
            return NOT_PERMITTED
        return till if till.customer_id == merchant.customer_id else WRONG_STORE

    def _standing_order(self, push: StkPush, left: asyncio.Event) -> CallbackFirst | None:
        """What the switches say about answer and callback of every push."""
        switches = self._switches.now
        if switches.callback_order is CallbackOrder.AFTER:
            self._answer_left[push.id] = left
        if switches.callback_order is CallbackOrder.BEFORE:
            return CallbackFirst(at_most_ms=switches.callback_before_at_most_ms)
        return None

    async def _open(self, request: PushRequest, number: str | None) -> StkPush:
        """Commit the push under an id that is free: the form leaves little room within one second and number."""
        while True:
            order = AcceptPush(
                merchant_request_id=wire.dashed_id(self._random),
                checkout_request_id=wire.checkout_request_id(self._clock.now(), request.phone, self._random),
                short_code=request.caller.short_code,
                phone=request.phone,
                amount=request.amount,
                account_reference=request.account_reference,
                callback_url=request.callback_url,
                lives_ms=self._switches.now.prompt_timeout_ms,
                till=number if request.transaction_type == BUY_GOODS else None,
            )
            try:
                push: StkPush = await self._operator.do(order)
            except CheckoutIdTaken:
                continue
            except SubscriberBusy:
                raise merchant_refusal(_BUSY) from None
            return push

    async def enter_pin(self, checkout_request_id: str, pin: str) -> PushResult:
        """See PromptAnswers."""
        return await self._finish(await self._operator.enter_pin(checkout_request_id, pin))

    async def cancel(self, checkout_request_id: str) -> PushResult:
        """See PromptAnswers."""
        return await self._finish(await self._operator.end_push(checkout_request_id, CANCELLED))

    async def resume(self) -> None:
        """Show the pushes that were open when the sandbox stopped; call once, before serving."""
        for push in await self._operator.books.open_pushes():
            if push.customer_id is not None:
                await self._show(push, await self._operator.merchant(push.paid_number))

    async def run(self) -> None:
        """End what nobody answers, for ever. A sweep the database cannot take now is made up for by the next."""
        while True:
            await self._clock.sleep(self._switches.now.sweep_every_ms)
            try:
                await self.sweep()
            except (DomainError, Transient, SQLAlchemyError, OSError) as fault:
                self._log.warning("a sweep must wait for the next: %s", type(fault).__name__)

    async def sweep(self) -> None:
        """End every push whose time is over."""
        for push in await self._operator.books.overdue_pushes(_SWEPT_AT_ONCE):
            await self._end(push, push.silence)

    async def _show(self, push: StkPush, merchant: Merchant) -> None:
        phone = self.phone(push.phone)
        prompt = Prompt(
            checkout_request_id=push.checkout_request_id,
            merchant=merchant.name,
            amount=push.amount,
            account_reference=push.account_reference,
            expires_at=push.due_at,
        )
        await phone.show(prompt)
        if phone.standing_answer is not None:
            self._spawn(self._follow(phone.standing_answer, push))

    async def _follow(self, standing: StandingAnswer, push: StkPush) -> None:
        await self._clock.sleep(standing.after_ms)
        try:
            if standing.habit is Habit.CANCEL:
                await self.cancel(push.checkout_request_id)
            else:
                await self._finish(await self._operator.enter_pin_for(push, standing.pin))
        except PushEnded:
            return

    async def _force(self, push: StkPush, result: PushResult, after_ms: int) -> None:
        await self._clock.sleep(after_ms)
        await self._end(push, result)

    async def _end(self, push: StkPush, result: PushResult) -> None:
        try:
            ended = await self._operator.end_push(push.checkout_request_id, result)
        except PushEnded:
            return
        await self._finish(ended)

    async def _finish(self, push: StkPush) -> PushResult:
        if push.result is None:
            raise AssertionError("A push that has ended has a result.")
        if push.customer_id is not None:
            await self.phone(push.phone).dismiss(push.checkout_request_id)
        self._spawn(self._tell(push))
        return push.result

    async def _tell(self, push: StkPush) -> None:
        left = self._answer_left.pop(push.id, None)
        if left is not None:
            await left.wait()
        await self._callbacks.send_push(push)
        event = self._callback_sent.pop(push.id, None)
        if event is not None:
            event.set()

    async def _set_later(self, event: asyncio.Event, milliseconds: int) -> None:
        await self._clock.sleep(milliseconds)
        event.set()
