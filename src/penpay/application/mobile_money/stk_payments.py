"""A merchant's push: accepted onto a subscriber's phone, and ended by what she does or does not do.

Her phone, her wallet, the push, the receipt counter and the merchant's account move in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from penpay.application.mobile_money import notices
from penpay.application.mobile_money.moving import Mover, Parties
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.pins import PinAnswer
from penpay.application.mobile_money.rows import (
    CUSTOMERS,
    DESTINATIONS,
    MERCHANTS,
    STK_PUSHES,
    Address,
    UserType,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.customer import Bar, Customer, CustomerType
from penpay.domain.mobile_money.errors import CheckoutIdTaken, CustomerNotFound, MerchantNotFound, PushNotFound
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.stk_push import (
    ABOVE_DAILY_LIMIT,
    ABOVE_MAXIMUM,
    INSUFFICIENT_FUNDS,
    NOT_PERMITTED,
    PIN_LOCKED,
    REPEATED,
    WRONG_PIN,
    PushResult,
    PushState,
    StkPush,
    StkPushId,
)
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

_BARRED: Final[Mapping[Bar, PushResult]] = {
    Bar.NOT_ACTIVE: NOT_PERMITTED,
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
    till: str | None = None
    """The till to pay, if not the number that asks."""


class AcceptPushHandler:
    async def footprint(self, commands: Sequence[AcceptPush], find: Find) -> Footprint:
        found = await find(DESTINATIONS, {_sim(command.phone) for command in commands})
        return (
            Footprint()
            .add(STK_PUSHES, *(command.checkout_request_id for command in commands))
            .add(CUSTOMERS, *(destination.customer_id for destination in found.values()))
            .add(MERCHANTS, *(command.short_code for command in commands))
        )

    def handle(self, command: AcceptPush, work: Work) -> StkPush:
        """Raises CheckoutIdTaken, MerchantNotFound, and SubscriberBusy while another push is on her phone."""
        if work.get(STK_PUSHES, command.checkout_request_id) is not None:
            raise CheckoutIdTaken
        if work.get(MERCHANTS, command.short_code) is None:
            raise MerchantNotFound
        destination = work.found(DESTINATIONS, _sim(command.phone))
        payer = None if destination is None else work.get(CUSTOMERS, destination.customer_id)
        push = StkPush(
            id=StkPushId(work.ids.new()),
            merchant_request_id=command.merchant_request_id,
            checkout_request_id=command.checkout_request_id,
            short_code=command.short_code,
            phone=command.phone,
            customer_id=None if payer is None else payer.id,
            amount=command.amount.require_positive(),
            account_reference=command.account_reference,
            callback_url=command.callback_url,
            state=PushState.PROMPTED,
            accepted_at=work.now,
            due_at=work.now + timedelta(milliseconds=command.lives_ms),
            till=command.till,
        )
        work.put(STK_PUSHES, command.checkout_request_id, push)
        if payer is not None:
            work.put(CUSTOMERS, payer.id, payer.open_prompt(push.id))
        work.record(_event("StkPushAccepted", push, {}))
        work.audit(f"merchant:{push.short_code}", "stk_push.accepted", "stk_push", push.id)
        return push


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPush:
    """End a push: by a PIN, or by a result that needs none (cancelled, silence, not permitted)."""

    push: StkPush
    """As last read; whether it is still open is decided on the row."""
    merchant: Merchant
    """The number that is paid."""
    answer: PinAnswer | PushResult


class AnswerPushHandler:
    """Her phone, her wallet, the push, the receipt counter and the merchant's account move in one commit."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    async def footprint(self, commands: Sequence[AnswerPush], find: Find) -> Footprint:
        payment = (Operation.TRANSFER, CustomerType.SUBSCRIBER, CustomerType.MERCHANT)
        await self._mover.prepare({payment}, find)
        footprint = Footprint()
        for command in commands:
            footprint.add(STK_PUSHES, command.push.checkout_request_id)
            if command.push.customer_id is not None:
                payer = (CustomerType.SUBSCRIBER, command.push.customer_id)
                self._mover.footprint(footprint, payer, (CustomerType.MERCHANT, command.merchant.customer_id))
        return footprint

    def handle(self, command: AnswerPush, work: Work) -> StkPush:
        """The push as it ended. Raises PushNotFound, and PushEnded for a push that is over already."""
        push = work.get(STK_PUSHES, command.push.checkout_request_id)
        if push is None:
            raise PushNotFound
        if isinstance(command.answer, PushResult):
            push = push.fail(command.answer, work.now)
        elif push.customer_id is None:
            raise CustomerNotFound
        else:
            push = self._by_pin(push, command.merchant, command.answer, work)
        work.put(STK_PUSHES, push.checkout_request_id, push)
        if push.customer_id is not None:
            work.put(CUSTOMERS, push.customer_id, _payer(work, push).close_prompt())
        _note(push, work)
        return push

    def _by_pin(self, push: StkPush, merchant: Merchant, answer: PinAnswer, work: Work) -> StkPush:
        payer = _payer(work, push)
        target = work.get(CUSTOMERS, merchant.customer_id)
        if target is None:
            raise CustomerNotFound
        if not payer.pin_locked and not answer.is_about(payer):
            return push.fail(WRONG_PIN, work.now)  # her PIN was changed while this waited; nothing was guessed
        if not payer.pin_locked and not answer.right:
            return self._wrong_pin(push, payer, work)
        parties = Parties(source=payer, target=target, merchant=merchant)
        try:
            self._mover.require_room(work, target, push.amount)
            price = self._mover.price(work, Operation.TRANSFER, parties, push.amount)
        except DomainError:
            return push.fail(NOT_PERMITTED, work.now)
        bar = self._mover.bar_to(work, parties, push.amount, price.fees.payer)
        if bar is not None:
            balance = postings.balance(work, payer.wallet, Currency.KES)
            text = notices.of_bar(
                bar,
                payer,
                amount=push.amount,
                fee=price.fees.payer,
                balance=balance,
                policy=self._mover.policy,
                at=work.now,
            )
            if text is not None:
                tell(work, payer.id, text)
            return push.fail(_BARRED[bar], work.now)
        reference = push.account_reference if push.till is None else None
        transaction = self._mover.carry_out(
            work, Operation.TRANSFER, parties, push.amount, price, bill_reference=reference
        )
        return push.pay(transaction.receipt, work.now)

    def _wrong_pin(self, push: StkPush, payer: Customer, work: Work) -> StkPush:
        after = payer.enter_wrong_pin(self._mover.policy)
        work.put(CUSTOMERS, payer.id, after)
        tell(work, payer.id, notices.of_wrong_pin(after, self._mover.policy))
        return push.fail(WRONG_PIN, work.now)


def _sim(phone: PhoneNumber) -> Address:
    return Address.phone(UserType.SUBSCRIBER, phone)


def _payer(work: Work, push: StkPush) -> Customer:
    payer = None if push.customer_id is None else work.get(CUSTOMERS, push.customer_id)
    if payer is None:
        raise CustomerNotFound
    return payer


def _note(push: StkPush, work: Work) -> None:
    if push.result is None:
        raise AssertionError("A push that was answered has a result.")
    if push.state is PushState.PAID:
        work.record(_event("StkPushPaid", push, {"receipt": push.receipt}))
    else:
        work.record(_event("StkPushFailed", push, {"result_code": push.result.code}))
    actor = "operator" if push.customer_id is None else f"customer:{push.customer_id}"
    work.audit(actor, f"stk_push.{push.state.value.lower()}", "stk_push", push.id, result_code=push.result.code)


def _event(name: str, push: StkPush, more: Mapping[str, Fact]) -> DomainEvent:
    facts: dict[str, Fact] = {
        "short_code": push.short_code,
        "amount_cents": push.amount.cents,
        "customer_id": None if push.customer_id is None else str(push.customer_id),
        **more,
    }
    return DomainEvent(name, "StkPush", push.id, push.version + 1, facts)
