"""The operator as its interfaces see it. Secrets are hashed and compared here, outside the unit of work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, cast

from penpay.application.mobile_money import (
    c2b,
    care,
    cash_out,
    daraja_requests,
    dormancy,
    float_issue,
    registration,
    reversing,
    settling,
    stk_payments,
    tariffs,
)
from penpay.application.mobile_money.approving import Actor, Decide, DecideHandler
from penpay.application.mobile_money.books import OperatorBooks, RequestBooks
from penpay.application.mobile_money.moving import Move, MoveHandler, Mover
from penpay.application.mobile_money.paying_out import PayingMerchants, PayingOut, ReversingByReceipt
from penpay.application.mobile_money.pins import PinAnswer
from penpay.application.mobile_money.quoting import Quote, QuoteHandler
from penpay.application.mobile_money.registration import Person
from penpay.application.mobile_money.rows import Address, UserType
from penpay.application.mobile_money.secret_hasher import SecretHasher
from penpay.application.shared.executor import Executor, Handler, Lane
from penpay.application.shared.idempotency import Answer, IdempotencyKey
from penpay.application.shared.ports import Random
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, AdministratorRole
from penpay.domain.mobile_money.cash_out import CODE_DIGITS
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType, check_password, check_pin
from penpay.domain.mobile_money.errors import (
    CustomerNotActive,
    CustomerNotFound,
    MerchantNotFound,
    PushNotFound,
    ShortCodeTaken,
)
from penpay.domain.mobile_money.merchant import Merchant, NumberKind, parse_short_code
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.stk_push import PushResult, StkPush
from penpay.domain.mobile_money.tariff import ExciseRates, PayBillPlan
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import WrongCredentials
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

_PICKED_FROM: Final = 5_000_000
_PICKS: Final = 20
"""Numbers tried for a merchant before she is told that none was found."""


def handlers(policy: OperatorPolicy, excise: ExciseRates) -> Mapping[type, tuple[Handler[Any, Any], Lane]]:
    """The operator's use cases for its executor. Answers to prompts go ahead of new work: they free a phone."""
    mover = Mover(policy, excise)
    actions = (
        float_issue.AssignFloatHandler(policy),
        tariffs.SetChargeHandler(policy),
        tariffs.LoadTariffHandler(policy),
        care.ChangeStatusHandler(policy),
        reversing.ReverseHandler(policy),
        cash_out.BuyFloatHandler(mover),
    )
    assign, charge, load, status, reverse, buy = actions
    requests: dict[type, Handler[Any, Any]] = {
        registration.RegisterCustomer: registration.RegisterCustomerHandler(),
        registration.RegisterAdministrator: registration.RegisterAdministratorHandler(),
        registration.RegisterSubscriber: registration.RegisterSubscriberHandler(),
        registration.RegisterMerchant: registration.RegisterMerchantHandler(),
        Move: MoveHandler(mover),
        Quote: QuoteHandler(mover),
        float_issue.AssignFloat: assign,
        float_issue.EnterBankDeposit: float_issue.EnterBankDepositHandler(),
        float_issue.Sweep: float_issue.SweepHandler(),
        float_issue.PayCommission: float_issue.PayCommissionHandler(),
        float_issue.IssueToSubscriber: float_issue.IssueToSubscriberHandler(),
        tariffs.SetCharge: charge,
        tariffs.LoadTariff: load,
        care.NoteLogin: care.NoteLoginHandler(policy),
        care.SetPin: care.SetPinHandler(policy),
        care.EditCustomer: care.EditCustomerHandler(),
        care.ChangeStatus: status,
        care.RemoveCustomer: care.RemoveCustomerHandler(),
        care.SetSuperAgent: care.SetSuperAgentHandler(),
        care.ChangeAdministrator: care.ChangeAdministratorHandler(),
        dormancy.MarkDormant: dormancy.MarkDormantHandler(),
        reversing.Reverse: reverse,
        cash_out.MakeCode: cash_out.MakeCodeHandler(mover),
        cash_out.RedeemCode: cash_out.RedeemCodeHandler(mover),
        cash_out.BuyFloat: buy,
        Decide: DecideHandler(actions),
        stk_payments.AcceptPush: stk_payments.AcceptPushHandler(),
        daraja_requests.AcceptRequest: daraja_requests.AcceptRequestHandler(),
        settling.SettleCharges: settling.SettleChargesHandler(excise),
        c2b.RegisterUrls: c2b.RegisterUrlsHandler(),
        c2b.RegisterPull: c2b.RegisterPullHandler(),
        c2b.ReserveReceipt: c2b.ReserveReceiptHandler(mover),
    }
    carry_out = daraja_requests.CarryOutHandler(PayingOut(mover), PayingMerchants(), ReversingByReceipt())
    return {
        **{command: (handler, Lane.REQUEST) for command, handler in requests.items()},
        stk_payments.AnswerPush: (stk_payments.AnswerPushHandler(mover), Lane.RESOLUTION),
        daraja_requests.CarryOut: (carry_out, Lane.RESOLUTION),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """How PINs, passwords and codes are kept."""

    hasher: SecretHasher
    codes: bytes
    """Keys the digests of cash-out codes."""


class Operator:
    """A mobile-money operator on its own database. Every method that changes something returns after the commit."""

    def __init__(
        self, *, executor: Executor, books: OperatorBooks, requests: RequestBooks, secrets: Secrets, random: Random
    ) -> None:
        self._executor = executor
        self.books = books
        self.requests = requests
        self._secrets = secrets
        self._random = random
        self._merchants: dict[str, Merchant] = {}

    async def do(self, command: object, key: IdempotencyKey | None = None) -> Any:
        """Run one command. Under an idempotency key its answer is stored, and a repeat gets the first one."""
        if key is None:
            return await self._executor.execute(command)
        return json.loads(await self._executor.execute(command, idempotency=key), parse_float=Decimal)

    # -- people

    async def register(self, user_type: UserType, person: Person) -> Customer:
        """Open an account for a customer. Raises CustomerExists."""
        kind = user_type.customer_type
        customer: Customer = await self.do(registration.RegisterCustomer(type=kind, person=person))
        return customer

    async def register_administrator(
        self, person: Person, role: AdministratorRole, by: AdministratorId | None
    ) -> Administrator:
        """`by` None: the first administrator, who becomes SUPER. Raises CustomerExists, Forbidden."""
        made: Administrator = await self.do(registration.RegisterAdministrator(person=person, role=role, by=by))
        return made

    async def person(self, *, name: str, email: Email, phone: PhoneNumber | None, password: str) -> Person:
        """What somebody registers with. Raises InvalidPassword."""
        hashed = await self._secrets.hasher.hash(check_password(password))
        return Person(name=name, email=email, phone=phone, password_hash=hashed)

    async def log_in(self, user_type: UserType, email: Email, password: str) -> Customer | Administrator:
        """Who this is. Raises WrongCredentials alike for an unknown address and a wrong password, and LoginLocked.

        Raises CustomerNotActive for one who is suspended or closed, if the password is right.
        """
        found = await self.books.login(user_type, email)
        if found is None or found.login is None:
            await self._secrets.hasher.hash(password)  # as long as a comparison takes
            raise WrongCredentials
        right = await self._secrets.hasher.matches(password, found.login.password_hash)
        clean = found.login.wrong_passwords == 0 and found.login.locked_until is None
        if not (right and clean):
            who = _actor(found)
            await self.do(care.NoteLogin(who=who, right=right))
        may = found.is_active if isinstance(found, Administrator) else found.status.may_log_in
        if not may:
            raise CustomerNotActive
        return found

    async def pin_answer(self, customer_id: CustomerId, pin: str | None) -> PinAnswer | None:
        """What comparing a PIN shows; None when none was given. Raises InvalidPin, CustomerNotFound."""
        if pin is None:
            return None
        customer = await self.books.customer(customer_id)
        if customer is None:
            raise CustomerNotFound
        return await self._compare(customer, pin)

    async def set_pin(self, customer_id: CustomerId, new: str, old: str | None) -> None:
        """The first PIN, or another one. Raises InvalidPin, WrongPin, PinLocked."""
        answer = await self.pin_answer(customer_id, old)
        hashed = await self._secrets.hasher.hash(check_pin(new))
        await self.do(care.SetPin(customer_id=customer_id, pin_hash=hashed, old=answer))

    async def require(self, address: Address) -> Customer:
        """The customer at an address. Raises CustomerNotFound."""
        customer = await self.books.at(address)
        if customer is None:
            raise CustomerNotFound
        return customer

    # -- cash-out codes

    async def make_code(self, customer_id: CustomerId, amount: Money, pin: str | None) -> Answer:
        """See `cash_out.MakeCode`. A repeat makes another code and voids the first: no code is kept."""
        code = f"{self._random.below(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        digest = cash_out.code_digest(self._secrets.codes, customer_id, code)
        answer = await self.pin_answer(customer_id, pin)
        command = cash_out.MakeCode(customer_id=customer_id, amount=amount, code=code, digest=digest, pin=answer)
        made: Answer = await self.do(command)
        return made

    async def redeem_code(
        self, agent: CustomerId, customer: Address, amount: Money, code: str, key: IdempotencyKey | None
    ) -> Answer:
        """See `cash_out.RedeemCode`. Raises CustomerNotFound."""
        payer = await self.require(customer)
        digests = {payer.id: cash_out.code_digest(self._secrets.codes, payer.id, code)}
        command = cash_out.RedeemCode(agent=agent, customer=customer, amount=amount, digests=digests)
        redeemed: Answer = await self.do(command, key)
        return redeemed

    # -- numbers of merchants

    async def open_number(
        self, customer_id: CustomerId, short_code: str | None, name: str, kind: NumberKind, plan: PayBillPlan
    ) -> Merchant:
        """A PayBill or till number for a merchant; without one named, a free one of seven digits is picked.

        Naming one that the merchant has already changes nothing. Raises InvalidShortCode, ShortCodeTaken,
        CustomerNotFound.
        """
        command = registration.RegisterMerchant(
            short_code=self._picked() if short_code is None else parse_short_code(short_code),
            name=name,
            kind=kind,
            plan=plan,
            customer_id=customer_id,
            by=f"customer:{customer_id}",
            unused=short_code is None,
        )
        for _ in range(_PICKS if command.unused else 0):
            with suppress(ShortCodeTaken):
                return cast("Merchant", await self.do(command))
            command = replace(command, short_code=self._picked())
        return cast("Merchant", await self.do(command))

    def _picked(self) -> str:
        """Any number of seven digits from the upper half, which leaves those in use elsewhere alone."""
        return str(_PICKED_FROM + self._random.below(_PICKED_FROM))

    # -- wallets that come with a SIM, and payments pushed to them

    async def register_merchant(self, short_code: str, name: str) -> Merchant:
        """Open a PayBill number, or return the one that has it. Raises InvalidShortCode."""
        command = registration.RegisterMerchant(short_code=parse_short_code(short_code), name=name)
        merchant: Merchant = await self.do(command)
        return merchant

    async def register_subscriber(self, phone: PhoneNumber, pin: str) -> Customer:
        """Open a wallet with a PIN of four digits. Raises InvalidPin, CustomerExists."""
        pin_hash = await self._secrets.hasher.hash(check_pin(pin))
        subscriber: Customer = await self.do(registration.RegisterSubscriber(phone=phone, pin_hash=pin_hash))
        return subscriber

    async def subscriber(self, phone: PhoneNumber) -> Customer:
        """Raises CustomerNotFound."""
        return await self.require(Address.phone(UserType.SUBSCRIBER, phone))

    async def issue_float(self, phone: PhoneNumber, amount: Money, reference: str) -> None:
        """Put money into a wallet; a repeat with the same reference and amount changes nothing.

        Raises CustomerNotFound, InvalidAmount, and DuplicateJournal for a reference used for something else.
        """
        subscriber = await self.subscriber(phone)
        await self.do(float_issue.IssueToSubscriber(customer_id=subscriber.id, amount=amount, reference=reference))

    async def issue_to_merchant(self, short_code: str, amount: Money, reference: str) -> None:
        """As `issue_float`, for whoever has this number. Raises MerchantNotFound."""
        owner = (await self.merchant(short_code)).customer_id
        kind = CustomerType.MERCHANT
        await self.do(float_issue.IssueToSubscriber(customer_id=owner, amount=amount, reference=reference, type=kind))

    async def enter_pin(self, checkout_request_id: str, pin: str) -> StkPush:
        """Answer a push with a PIN, right or wrong. Raises InvalidPin, PushNotFound, PushEnded."""
        return await self.enter_pin_for(await self._push(checkout_request_id), pin)

    async def enter_pin_for(self, push: StkPush, pin: str) -> StkPush:
        """The same for a push in hand, however long ago it was read."""
        check_pin(pin)
        customer = None if push.customer_id is None else await self.books.customer(push.customer_id)
        if customer is None:
            raise CustomerNotFound
        return await self._answer(push, await self._compare(customer, pin))

    async def end_push(self, checkout_request_id: str, result: PushResult) -> StkPush:
        """End a push without money. Raises PushNotFound, PushEnded."""
        return await self._answer(await self._push(checkout_request_id), result)

    async def find_push(self, short_code: str, checkout_request_id: str) -> StkPush | None:
        """A merchant's own push; another's is not found."""
        push = await self.books.push(checkout_request_id)
        return push if push is not None and push.short_code == short_code else None

    async def merchant(self, short_code: str) -> Merchant:
        """A number that was registered never changes, so each is read once. Raises MerchantNotFound."""
        merchant = self._merchants.get(short_code) or await self.books.merchant(short_code)
        if merchant is None:
            raise MerchantNotFound
        self._merchants[short_code] = merchant
        return merchant

    async def messages(self, phone: PhoneNumber, limit: int) -> Sequence[str]:
        """The newest messages on a phone, oldest first. Raises CustomerNotFound."""
        subscriber = await self.subscriber(phone)
        newest = await self.books.messages(subscriber.id, limit, None)
        return [message.text for message in reversed(newest)]

    async def _compare(self, customer: Customer, pin: str) -> PinAnswer:
        """A customer who never set a PIN has none that is right."""
        check_pin(pin)
        stored = customer.pin_hash
        right = stored is not None and await self._secrets.hasher.matches(pin, stored)
        return PinAnswer(right, compared_with=stored)

    async def _push(self, checkout_request_id: str) -> StkPush:
        push = await self.books.push(checkout_request_id)
        if push is None:
            raise PushNotFound
        return push

    async def _answer(self, push: StkPush, answer: PinAnswer | PushResult) -> StkPush:
        merchant = await self.merchant(push.paid_number)
        ended: StkPush = await self.do(stk_payments.AnswerPush(push=push, merchant=merchant, answer=answer))
        return ended


def _actor(who: Customer | Administrator) -> Actor:
    return Actor.administrator(who.id) if isinstance(who, Administrator) else Actor.customer(who.id)
