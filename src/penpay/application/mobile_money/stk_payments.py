"""A merchant's push: accepted onto a subscriber's phone, and ended by what she does or does not do.

Her phone, her wallet, the push, the receipt counter and the merchant's account move in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final

from penpay.application.mobile_money.rows import MERCHANTS, RECEIPT_COUNTER, RECEIPTS, STK_PUSHES, SUBSCRIBERS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.customer import EAST_AFRICA, Bar, CustomerStatus, Subscriber
from penpay.domain.mobile_money.errors import CheckoutIdTaken, MerchantNotFound, PushNotFound, SubscriberNotFound
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.policy import PayerPolicy
from penpay.domain.mobile_money.receipt import ReceiptCounter
from penpay.domain.mobile_money.stk_push import (
    ABOVE_DAILY_LIMIT,
    ABOVE_MAXIMUM,
    INSUFFICIENT_FUNDS,
    PIN_LOCKED,
    REPEATED,
    WRONG_PIN,
    PushResult,
    PushState,
    StkPush,
    StkPushId,
)
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

_BARRED: Final[Mapping[Bar, PushResult]] = {
    Bar.PIN_LOCKED: PIN_LOCKED,
    Bar.ABOVE_MAXIMUM: ABOVE_MAXIMUM,
    Bar.ABOVE_DAILY_LIMIT: ABOVE_DAILY_LIMIT,
    Bar.REPEATED: REPEATED,
    Bar.INSUFFICIENT_FUNDS: INSUFFICIENT_FUNDS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptPush:
    """Open a push; its two ids are made by the API that accepts it."""

    merchant_request_id: str
    checkout_request_id: str
    short_code: str
    phone: PhoneNumber
    amount: Money
    account_reference: str
    callback_url: str
    lives_ms: int
    """Silence this long ends it."""


class AcceptPushHandler:
    async def footprint(self, commands: Sequence[AcceptPush], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return (
            Footprint()
            .add(STK_PUSHES, *(command.checkout_request_id for command in commands))
            .add(SUBSCRIBERS, *(command.phone for command in commands))
            .add(MERCHANTS, *(command.short_code for command in commands))
        )

    def handle(self, command: AcceptPush, work: Work) -> StkPush:
        """Raises CheckoutIdTaken, MerchantNotFound, and SubscriberBusy while another push is on her phone."""
        if work.get(STK_PUSHES, command.checkout_request_id) is not None:
            raise CheckoutIdTaken
        if work.get(MERCHANTS, command.short_code) is None:
            raise MerchantNotFound
        subscriber = work.get(SUBSCRIBERS, command.phone)
        push = StkPush(
            id=StkPushId(work.ids.new()),
            merchant_request_id=command.merchant_request_id,
            checkout_request_id=command.checkout_request_id,
            short_code=command.short_code,
            phone=command.phone,
            subscriber_id=None if subscriber is None else subscriber.id,
            amount=command.amount.require_positive(),
            account_reference=command.account_reference,
            callback_url=command.callback_url,
            state=PushState.PROMPTED,
            accepted_at=work.now,
            due_at=work.now + timedelta(milliseconds=command.lives_ms),
        )
        work.put(STK_PUSHES, command.checkout_request_id, push)
        if subscriber is not None:
            work.put(SUBSCRIBERS, command.phone, subscriber.open_prompt(push.id))
        work.record(_event("StkPushAccepted", push, {}))
        work.audit(f"merchant:{push.short_code}", "stk_push.accepted", "stk_push", push.id)
        return push


class PinAnswer(Enum):
    """What comparing the PIN has shown; that takes too long for a unit of work, so it is done before."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPush:
    """End a push: by a PIN, or by a result that needs none (cancelled, silence, not permitted)."""

    push: StkPush
    """As last read; whether it is still open is decided on the row."""
    merchant: Merchant
    answer: PinAnswer | PushResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A push that is over, and where its subscriber stands after it; zeros for a number without a wallet."""

    push: StkPush
    result: PushResult
    balance: Money
    day_left: Money
    """What she may still pay today."""
    pin_attempts_left: int


class AnswerPushHandler:
    def __init__(self, policy: PayerPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[AnswerPush], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(RECEIPTS, RECEIPT_COUNTER)
        for command in commands:
            push = command.push
            footprint.add(STK_PUSHES, push.checkout_request_id).add(SUBSCRIBERS, push.phone)
            if push.wallet is not None:
                postings.operator_payment_footprint(footprint, payer=push.wallet, payee=command.merchant.account)
        return footprint

    def handle(self, command: AnswerPush, work: Work) -> Settled:
        """Raises PushNotFound, and PushEnded for a push that is over already."""
        push = work.get(STK_PUSHES, command.push.checkout_request_id)
        if push is None:
            raise PushNotFound
        subscriber = work.get(SUBSCRIBERS, push.phone) if push.subscriber_id is not None else None
        if isinstance(command.answer, PushResult):
            push = push.fail(command.answer, work.now)
        elif subscriber is None:
            raise SubscriberNotFound
        else:
            push, subscriber = self._by_pin(push, subscriber, command, work)
        if push.result is None:
            raise AssertionError("A push that was answered has a result.")
        work.put(STK_PUSHES, push.checkout_request_id, push)
        if subscriber is not None:
            subscriber = subscriber.close_prompt()
            work.put(SUBSCRIBERS, push.phone, subscriber)
        self._note(push, push.result, work)
        return self._settled(push, push.result, subscriber, work)

    def _by_pin(
        self, push: StkPush, subscriber: Subscriber, command: AnswerPush, work: Work
    ) -> tuple[StkPush, Subscriber]:
        if subscriber.status is CustomerStatus.ACTIVE and command.answer is PinAnswer.WRONG:
            return push.fail(WRONG_PIN, work.now), subscriber.enter_wrong_pin(self._policy)
        balance = postings.balance(work, subscriber.wallet, Currency.KES)
        bar = subscriber.bar_to(push.amount, push.short_code, balance=balance, policy=self._policy, at=work.now)
        if bar is not None:
            return push.fail(_BARRED[bar], work.now), subscriber
        today = work.now.astimezone(EAST_AFRICA).date()
        counter = work.get(RECEIPTS, RECEIPT_COUNTER) or ReceiptCounter(day=today, used=0)
        counter, receipt = counter.next(today)
        paid = push.pay(receipt, work.now)
        work.put(RECEIPTS, RECEIPT_COUNTER, counter)
        postings.operator_payment(
            work, payer=subscriber.wallet, payee=command.merchant.account, amount=push.amount, reference=str(push.id)
        )
        return paid, subscriber.paid(push.amount, push.short_code, work.now)

    def _note(self, push: StkPush, result: PushResult, work: Work) -> None:
        if push.state is PushState.PAID:
            work.record(_event("StkPushPaid", push, {"receipt": push.receipt}))
        else:
            work.record(_event("StkPushFailed", push, {"result_code": result.code}))
        actor = "operator" if push.subscriber_id is None else f"subscriber:{push.subscriber_id}"
        work.audit(actor, f"stk_push.{push.state.value.lower()}", "stk_push", push.id, result_code=result.code)

    def _settled(self, push: StkPush, result: PushResult, subscriber: Subscriber | None, work: Work) -> Settled:
        if subscriber is None:
            nothing = Money.zero(Currency.KES)
            return Settled(push=push, result=result, balance=nothing, day_left=nothing, pin_attempts_left=0)
        return Settled(
            push=push,
            result=result,
            balance=postings.balance(work, subscriber.wallet, Currency.KES),
            day_left=self._policy.max_daily - subscriber.paid_on_day_of(work.now),
            pin_attempts_left=self._policy.pin_attempts - subscriber.wrong_pins,
        )


def _event(name: str, push: StkPush, more: Mapping[str, Fact]) -> DomainEvent:
    facts: dict[str, Fact] = {
        "short_code": push.short_code,
        "amount_cents": push.amount.cents,
        "subscriber_id": None if push.subscriber_id is None else str(push.subscriber_id),
        **more,
    }
    return DomainEvent(name, "StkPush", push.id, push.version + 1, facts)
