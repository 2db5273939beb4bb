"""The operator as its APIs see it: each use case is one call; PINs are hashed and compared outside the commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penpay.application.mobile_money.accounts import (
    IssueFloatHandler,
    IssueFloatToSubscriber,
    RegisterMerchant,
    RegisterMerchantHandler,
    RegisterSubscriber,
    RegisterSubscriberHandler,
)
from penpay.application.mobile_money.pins import PinHasher
from penpay.application.mobile_money.stk_payments import (
    AcceptPush,
    AcceptPushHandler,
    AnswerPush,
    AnswerPushHandler,
    PinAnswer,
    Settled,
)
from penpay.application.shared.executor import Executor, Handler, Lane
from penpay.domain.mobile_money.customer import Subscriber, check_pin
from penpay.domain.mobile_money.errors import MerchantNotFound, PushNotFound, SubscriberNotFound
from penpay.domain.mobile_money.merchant import Merchant, parse_short_code
from penpay.domain.mobile_money.policy import PayerPolicy
from penpay.domain.mobile_money.stk_push import PushResult, StkPush
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorBalances:
    """The operator's whole book: what it holds for others, and the float it has issued without evidence."""

    trust_unevidenced: Money
    subscribers: Sequence[tuple[PhoneNumber, Money]]
    merchants: Sequence[tuple[str, Money]]
    """By short code."""


class OperatorBooks(Protocol):
    """Reading the operator's committed rows; nothing is locked."""

    async def merchant(self, short_code: str) -> Merchant | None: ...

    async def subscriber(self, phone: PhoneNumber) -> Subscriber | None: ...

    async def push(self, checkout_request_id: str) -> StkPush | None: ...

    async def open_pushes(self) -> Sequence[StkPush]:
        """Every push that is not over, oldest first."""
        ...

    async def overdue_pushes(self, limit: int) -> Sequence[StkPush]:
        """Pushes that are not over although their time is, longest overdue first."""
        ...

    async def balances(self) -> OperatorBalances:
        """All balances at one moment."""
        ...


def handlers(policy: PayerPolicy) -> Mapping[type, tuple[Handler[Any, Any], Lane]]:
    """The operator's use cases for its executor. Answers go ahead of new pushes: they free a phone."""
    return {
        RegisterMerchant: (RegisterMerchantHandler(), Lane.REQUEST),
        RegisterSubscriber: (RegisterSubscriberHandler(), Lane.REQUEST),
        IssueFloatToSubscriber: (IssueFloatHandler(), Lane.REQUEST),
        AcceptPush: (AcceptPushHandler(), Lane.REQUEST),
        AnswerPush: (AnswerPushHandler(policy), Lane.RESOLUTION),
    }


class Operator:
    """A mobile-money operator on its own database. Every method that changes something returns after the commit."""

    def __init__(self, *, executor: Executor, books: OperatorBooks, pins: PinHasher) -> None:
        self._executor = executor
        self._books = books
        self._pins = pins

    async def register_merchant(self, short_code: str, name: str) -> Merchant:
        """Open a PayBill number, or return the one that has it. Raises InvalidShortCode."""
        merchant: Merchant = await self._executor.execute(
            RegisterMerchant(short_code=parse_short_code(short_code), name=name)
        )
        return merchant

    async def register_subscriber(self, phone: PhoneNumber, pin: str) -> Subscriber:
        """Open a wallet with a PIN of four digits. Raises InvalidPin, SubscriberExists."""
        pin_hash = self._pins.hash(check_pin(pin))
        subscriber: Subscriber = await self._executor.execute(RegisterSubscriber(phone=phone, pin_hash=pin_hash))
        return subscriber

    async def issue_float(self, phone: PhoneNumber, amount: Money, reference: str) -> None:
        """Put money into a wallet; a repeat with the same reference and amount changes nothing.

        Raises SubscriberNotFound, InvalidAmount, and DuplicateJournal for a reference used for something else.
        """
        subscriber = await self.subscriber(phone)
        await self._executor.execute(
            IssueFloatToSubscriber(phone=phone, wallet=subscriber.wallet, amount=amount, reference=reference)
        )

    async def accept_push(self, command: AcceptPush) -> StkPush:
        """Open a push. Raises SubscriberBusy, MerchantNotFound, CheckoutIdTaken."""
        push: StkPush = await self._executor.execute(command)
        return push

    async def enter_pin(self, checkout_request_id: str, pin: str) -> Settled:
        """Answer a push with a PIN, right or wrong. Raises InvalidPin, PushNotFound, PushEnded."""
        push = await self._push(checkout_request_id)
        subscriber = await self.subscriber(push.phone)
        right = self._pins.matches(check_pin(pin), subscriber.pin_hash)
        return await self._answer(push, PinAnswer.RIGHT if right else PinAnswer.WRONG)

    async def end_push(self, checkout_request_id: str, result: PushResult) -> Settled:
        """End a push without money. Raises PushNotFound, PushEnded."""
        return await self._answer(await self._push(checkout_request_id), result)

    async def find_push(self, short_code: str, checkout_request_id: str) -> StkPush | None:
        """A merchant's own push; another's is not found."""
        push = await self._books.push(checkout_request_id)
        return push if push is not None and push.short_code == short_code else None

    async def open_pushes(self) -> Sequence[StkPush]:
        return await self._books.open_pushes()

    async def overdue_pushes(self, limit: int) -> Sequence[StkPush]:
        return await self._books.overdue_pushes(limit)

    async def merchant(self, short_code: str) -> Merchant:
        """Raises MerchantNotFound."""
        merchant = await self._books.merchant(short_code)
        if merchant is None:
            raise MerchantNotFound
        return merchant

    async def subscriber(self, phone: PhoneNumber) -> Subscriber:
        """Raises SubscriberNotFound."""
        subscriber = await self._books.subscriber(phone)
        if subscriber is None:
            raise SubscriberNotFound
        return subscriber

    async def balances(self) -> OperatorBalances:
        return await self._books.balances()

    async def _push(self, checkout_request_id: str) -> StkPush:
        push = await self._books.push(checkout_request_id)
        if push is None:
            raise PushNotFound
        return push

    async def _answer(self, push: StkPush, answer: PinAnswer | PushResult) -> Settled:
        merchant = await self.merchant(push.short_code)
        settled: Settled = await self._executor.execute(AnswerPush(push=push, merchant=merchant, answer=answer))
        return settled
