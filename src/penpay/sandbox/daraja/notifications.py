"""What a merchant is asked and told about payments to its numbers: validation before, confirmation after (§3.3, §3.4).

Payments are found where they are committed, whoever made them and by which interface, so that none can pass by and a
refused or repeated request is never told. Registrations are in the operator's database and in memory. A confirmation
that was due when the sandbox stopped is lost, as it may be in life.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import httpx
from sqlalchemy.exc import SQLAlchemyError

from penpay.application.mobile_money.c2b import C2bBooks, MerchantPayment, RegisterUrls, ReserveReceipt
from penpay.application.mobile_money.moving import Move
from penpay.application.mobile_money.operator import Operator
from penpay.application.mobile_money.pins import PinAnswer
from penpay.application.mobile_money.rows import Address
from penpay.application.shared.ports import Clock
from penpay.application.shared.unit_of_work import Transient
from penpay.domain.mobile_money.c2b import C2bUrls, C2bVersion, DefaultAction
from penpay.domain.mobile_money.customer import Customer, CustomerType
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.transaction import Operation, OperatorTransactionId
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.callbacks import Callback, CallbackSender
from penpay.sandbox.daraja.fields import text_of
from penpay.sandbox.daraja.stk import Spawn
from penpay.sandbox.daraja.switches import CallbackOrder, SwitchBoard
from penpay.sandbox.daraja.wire import MalformedJson, decimal_of, digits_of_time, read_object, write_json

_OK = 200
_READ_AT_ONCE = 100
_LONGEST_ID = 64


class PaymentRejected(DomainError):
    code = "payment_rejected"
    title = "The merchant has refused the payment."


class PaymentUnanswered(DomainError):
    code = "payment_unanswered"
    title = "The merchant did not answer in time, and its default action cancels such payments."


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPayment:
    """A subscriber's wish to pay a merchant's number."""

    phone: PhoneNumber
    short_code: str
    account: str | None
    """None for a till."""
    amount: Money
    pin: str | None = None
    """None: she has given it to her handset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What both bodies are made of."""

    receipt: str
    at: datetime
    number: Merchant
    payer: Customer
    amount: Money
    account: str | None
    balance: Money | None = None
    third_party_id: str = ""


def c2b_body(told: _Told, api: C2bVersion, *, plain: bool) -> str:
    """The JSON text of a validation (no balance) or a confirmation; `plain`: the payer's number as it is."""
    first, middle, last = _names(told.payer.name)
    return write_json(
        {
            "TransactionType": "Pay Bill" if told.number.is_paybill else "Buy Goods",
            "TransID": told.receipt,
            "TransTime": digits_of_time(told.at),
            "TransAmount": str(decimal_of(told.amount.cents)),
            "BusinessShortCode": told.number.short_code,
            "BillRefNumber": told.account or "",
            "InvoiceNumber": "",
            "OrgAccountBalance": "" if told.balance is None else str(decimal_of(told.balance.cents)),
            "ThirdPartyTransID": told.third_party_id,
            "MSISDN": _msisdn(told.payer.phone, api, plain=plain),
            "FirstName": first,
            "MiddleName": middle,
            "LastName": last,
        }
    )


def _names(name: str) -> tuple[str, str, str]:
    first, *others = name.split() or [""]
    return first, " ".join(others[:-1]), others[-1] if others else ""


def _msisdn(phone: PhoneNumber | None, api: C2bVersion, *, plain: bool) -> str:
    """Version 1 hashes, version 2 masks (daraja.md §3.4)."""
    if phone is None:
        return ""
    if plain:
        return phone.msisdn
    if api is C2bVersion.V1:
        return hashlib.sha256(phone.msisdn.encode()).hexdigest()
    return f"{phone.msisdn[:4]} ***** {phone.msisdn[-3:]}"


class C2bDesk:
    """Takes payments to merchants' numbers, asks the merchants before and tells them after."""

    def __init__(
        self,
        *,
        operator: Operator,
        books: C2bBooks,
        callbacks: CallbackSender,
        switches: SwitchBoard,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self.books = books
        self._operator = operator
        self._callbacks = callbacks
        self._switches = switches
        self._clock = clock
        self._spawn = spawn
        self._log = logging.getLogger(__name__)
        self._urls: dict[str, C2bUrls] = {}
        self._last_seen: OperatorTransactionId | None = None
        self._looking = False
        self._third_party_ids: dict[str, str] = {}
        self._told: dict[str, asyncio.Event] = {}

    async def resume(self) -> None:
        """Know the registrations that were made before the sandbox stopped; call once, before serving."""
        self._last_seen = await self.books.newest()
        self._urls = {urls.short_code: urls for urls in await self.books.urls()}
        self._look()

    async def register(self, urls: C2bUrls) -> None:
        """Tell payments to a number at these addresses from now on. Raises MerchantNotFound, UrlsRegistered."""
        command = RegisterUrls(urls=urls, once=self._switches.now.register_once)
        self._urls[urls.short_code] = await self._operator.do(command)
        self._look()

    # -- paying

    async def simulate(self, payment: BillPayment, left: asyncio.Event) -> None:
        """Let a payment take its course after its request was accepted; what becomes of it is told by callback only.

        `left` is set when the answer to the request has left.
        """
        told = asyncio.Event()
        order = self._switches.now.callback_order
        self._spawn(self._simulate(payment, told, left if order is CallbackOrder.AFTER else None))
        if order is CallbackOrder.BEFORE:
            self._spawn(self._set_later(told, self._switches.now.callback_before_at_most_ms))
            await told.wait()

    async def pay_bill(self, payment: BillPayment, told: asyncio.Event | None = None) -> str:
        """Pay a merchant's number and return the receipt; a repeat pays again, if the rules let it.

        `told` is set when the merchant has been told, or if there is nobody to tell. Raises MerchantNotFound,
        CustomerNotFound, PaymentRejected, PaymentUnanswered, and whatever refuses a payment at the operator.
        """
        number = await self._operator.merchant(payment.short_code)
        payer = await self._operator.subscriber(payment.phone)
        pin = await self._operator.pin_answer(payer.id, payment.pin)
        move = Move(
            operation=Operation.TRANSFER,
            source=payer.id,
            source_type=CustomerType.SUBSCRIBER,
            target=Address.short_code(payment.short_code),
            amount=payment.amount,
            bill_reference=payment.account,
            pin=PinAnswer(right=True, compared_with=payer.pin_hash) if pin is None else pin,
        )
        receipt: str = await self._operator.do(ReserveReceipt(move=move))
        urls = self._urls.get(payment.short_code)
        try:
            if urls is not None and self._switches.now.external_validation:
                asked = _Told(
                    receipt=receipt,
                    at=self._clock.now(),
                    number=number,
                    payer=payer,
                    amount=payment.amount,
                    account=payment.account,
                )
                self._third_party_ids[receipt] = await self._validated(asked, urls)
            if told is not None and urls is not None:
                self._told[receipt] = told
            await self._operator.do(replace(move, receipt=receipt))
        except BaseException:
            self._third_party_ids.pop(receipt, None)
            self._told.pop(receipt, None)
            raise
        if told is not None and urls is None:
            told.set()
        return receipt

    async def _simulate(self, payment: BillPayment, told: asyncio.Event, left: asyncio.Event | None) -> None:
        if left is not None:
            await left.wait()
        try:
            await self.pay_bill(payment, told)
        except (DomainError, Transient, SQLAlchemyError, OSError) as fault:
            self._log.info("a simulated payment was not made: %s", type(fault).__name__)
            told.set()

    # -- asking before

    async def _validated(self, asked: _Told, urls: C2bUrls) -> str:
        """The merchant's own id of the payment, if it gave one. Raises PaymentRejected, PaymentUnanswered."""
        answer = await self._asked(urls.validation_url, self._body(asked, urls))
        code = "" if answer is None else text_of(answer, "ResultCode")
        if answer is None or not code:
            if urls.default_action is DefaultAction.CANCELLED:
                raise PaymentUnanswered
            return ""
        if code != "0":
            raise PaymentRejected(result_code=code)
        return text_of(answer, "ThirdPartyTransID")[:_LONGEST_ID]

    async def _asked(self, url: str, body: str) -> dict[str, object] | None:
        """What a merchant says to a validation; None if it says nothing in time, or nothing that can be read."""
        patience = timedelta(milliseconds=self._switches.now.validation_timeout_ms)
        try:
            async with asyncio.timeout(patience.total_seconds()):
                response = await self._callbacks.post(url, body)
            return read_object(response.content) if response.status_code == _OK else None
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, MalformedJson) as fault:
            self._log.warning("a validation was not answered: %s", type(fault).__name__)
            return None

    # -- telling after

    def _look(self) -> None:
        if self._urls and not self._looking:
            self._looking = True
            self._spawn(self._look_for_ever())

    async def _look_for_ever(self) -> None:
        """Find every payment to a registered number, whoever made it and how. What cannot be read now is read later."""
        while True:
            try:
                found = await self.books.payments_after(self._last_seen, _READ_AT_ONCE)
            except (Transient, SQLAlchemyError, OSError) as fault:
                self._log.warning("payments must be looked for again: %s", type(fault).__name__)
                found = []
            for payment in found:
                self._last_seen = payment.transaction.id
                self._tell(payment)
            if len(found) < _READ_AT_ONCE:
                await self._clock.sleep(self._switches.now.confirm_every_ms)

    def _tell(self, payment: MerchantPayment) -> None:
        transaction = payment.transaction
        third_party_id = self._third_party_ids.pop(transaction.receipt, "")
        event = self._told.pop(transaction.receipt, None)
        urls = self._urls.get(payment.merchant.short_code)
        early = urls is None or transaction.happened_at < urls.registered_at
        if urls is None or early or (payment.pushed and not self._switches.now.push_confirmation):
            return
        told = _Told(
            receipt=transaction.receipt,
            at=transaction.happened_at,
            number=payment.merchant,
            payer=payment.payer,
            amount=transaction.amount,
            account=transaction.bill_reference,
            balance=payment.balance,
            third_party_id=third_party_id,
        )
        phone = payment.payer.phone
        callback = Callback(
            url=urls.confirmation_url,
            body=self._body(told, urls),
            about=f"payment {transaction.id}",
            msisdn=None if phone is None else phone.msisdn,
            amount_cents=transaction.amount.cents,
        )
        self._spawn(self._send(callback, event))

    async def _send(self, callback: Callback, event: asyncio.Event | None) -> None:
        await self._callbacks.send(callback)
        if event is not None:
            event.set()

    def _body(self, told: _Told, urls: C2bUrls) -> str:
        return c2b_body(told, urls.api, plain=self._switches.now.plain_c2b_phone)

    async def _set_later(self, event: asyncio.Event, milliseconds: int) -> None:
        await self._clock.sleep(milliseconds)
        event.set()
