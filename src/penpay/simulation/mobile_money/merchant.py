"""Another merchant: what it asks of Daraja through our own client, what it was answered, and what it was told."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from penpay.config import Settings
from penpay.domain.mpesa.b2c_result import parse_b2c_result
from penpay.domain.mpesa.balance_result import BalanceResult, parse_balance_result
from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.gateway import (
    B2cPayment,
    C2bAddresses,
    CallAnswer,
    CallOutcome,
    PaymentOutcome,
    PullWindow,
    Reversal,
    SimulatedPayment,
    StatusQuestion,
    UnansweredValidation,
)
from penpay.domain.mpesa.reversal_result import parse_reversal_result
from penpay.domain.mpesa.status_result import StatusResult, parse_status_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.receipts import DarajaReceipts
from penpay.infrastructure.mpesa.security_credential import Initiator
from penpay.infrastructure.mpesa.session import DarajaSession
from penpay.simulation.mobile_money.merchant_sandbox import HOME_PORT, LATEST_MS, PORT, MerchantSandbox
from penpay.simulation.nemesis import Notes
from penpay.simulation.ports import SimClock
from penpay.simulation.template import SHORT_CODE

_HOME: Final = f"http://127.0.0.1:{HOME_PORT}"
_PHONES: Final = tuple(PhoneNumber.parse(f"25471200000{number}") for number in range(1, 4))
_TRIES: Final = 30
_RESULT_SECONDS: Final = 200
_DAY: Final = timedelta(days=1)


class _Sealed(Initiator):
    """Carries a credential made before: what OpenSSL draws must not come into a trace."""

    def __init__(self) -> None:
        self.name = "testapi"
        self._credential = base64.b64encode(bytes(range(256))).decode("ascii")
        self._password = "of nobody at all"  # noqa: S105  (as it says)


@dataclass(slots=True)
class Bill:
    """What one customer was to pay, under a reference of its own."""

    reference: str
    cents: int
    is_refused: bool
    """Whether the merchant refuses it when it is asked."""
    outcome: CallOutcome
    confirmations: list[str] = field(default_factory=list)
    """The receipts that were confirmed."""


@dataclass(slots=True)
class Payout:
    """What one customer is to be paid, under an id of ours and with an amount that no other has."""

    id: str
    cents: int
    phone: PhoneNumber
    outcomes: list[CallOutcome] = field(default_factory=list)
    results: list[ResultOutcome] = field(default_factory=list)
    statuses: list[StatusResult] = field(default_factory=list)


@dataclass(slots=True)
class GivenBack:
    """A payment that the merchant wants to give back, and how often that was said to be done."""

    receipt: str
    cents: int
    done: set[str] = field(default_factory=set)
    """The receipts of what was given back."""


class Merchant:
    """Acts until `live` has ended; `finish` asks what it still wants to know."""

    def __init__(
        self, *, sandbox: MerchantSandbox, clock: SimClock, chance: random.Random, settings: Settings, notes: Notes
    ) -> None:
        session = DarajaSession(
            http=sandbox.client(),
            clock=clock,
            base_url=f"http://127.0.0.1:{PORT}",
            consumer_key=settings.mpesa_consumer_key.get_secret_value(),
            consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
        )
        self._pay = DarajaDisbursements(
            session=session,
            initiator=_Sealed(),
            short_code=SHORT_CODE,
            result_base_url=f"{_HOME}/results",
            timeout_base_url=f"{_HOME}/timeouts",
        )
        self._receipts = DarajaReceipts(session=session, short_code=SHORT_CODE)
        self._clock = clock
        self._chance = chance
        self._notes = notes
        self._asked = 0
        self.bills: dict[str, Bill] = {}
        self.payouts: dict[str, Payout] = {}
        self.given_back: dict[str, GivenBack] = {}
        self.balance: BalanceResult | None = None
        self.pulled: dict[str, int] = {}
        """By receipt: the cents that the list has, at the end."""
        self.told: dict[str, set[int]] = {}
        """By receipt: every amount that was told of it, in cents."""
        self.broken: list[str] = []

    # -- what it wants

    async def live(self) -> None:
        """Be told where to post, then do some things, one after another."""
        await self._until(self._register)
        doings = [self._bill, self._bill, self._payout, self._give_back, self._ask_balance]
        for _ in range(self._chance.randint(4, 9)):
            await asyncio.sleep(self._chance.randint(0, 20))
            await self._chance.choice(doings)()
        if self._chance.randrange(3):
            await asyncio.sleep(self._chance.randint(5, 20))
            await self._give_back()

    async def _register(self) -> CallAnswer:
        addresses = C2bAddresses(
            confirmation_url=f"{_HOME}/confirmed",
            validation_url=f"{_HOME}/validated",
            unanswered=UnansweredValidation.CANCEL,
        )
        return await self._receipts.register_addresses(addresses)

    async def _until(self, ask: Callable[[], Awaitable[CallAnswer]]) -> bool:
        """Ask until it is accepted, for what is safe to repeat; whether it was."""
        for _ in range(_TRIES):
            if (await ask()).outcome is CallOutcome.ACCEPTED:
                return True
            await asyncio.sleep(self._chance.randint(1, 8))
        return False

    async def _bill(self) -> None:
        """A customer pays; nobody sends that twice."""
        number = len(self.bills)
        cents = (100 + self._chance.randint(0, 400)) * 100
        bill = Bill(f"BILL-{number}", cents, self._chance.randrange(4) == 0, CallOutcome.UNKNOWN)
        self.bills[bill.reference] = bill
        payment = SimulatedPayment(
            phone=self._chance.choice(_PHONES), amount=_kes(cents), bill_reference=bill.reference
        )
        bill.outcome = (await self._receipts.simulate_payment(payment)).outcome
        self._notes.reach(f"merchant bill {bill.outcome}")

    async def _payout(self) -> None:
        """Pay a customer; under the same id again while that may be needed, and sometimes when it is not."""
        number = len(self.payouts)
        payout = Payout(f"{SHORT_CODE}-{number:06d}", (500 + number) * 100, self._chance.choice(_PHONES))
        self.payouts[payout.id] = payout
        for _ in range(self._chance.randint(1, 3)):
            token = self._token("b2c", payout.id)
            answer = await self._pay.pay_customer(
                B2cPayment(
                    originator_conversation_id=payout.id,
                    callback_token=token,
                    phone=payout.phone,
                    amount=_kes(payout.cents),
                    remarks="Payout",
                )
            )
            payout.outcomes.append(answer.outcome)
            self._notes.reach(f"merchant payout {answer.outcome}{' existed' if answer.existed else ''}")
            if answer.outcome is CallOutcome.ACCEPTED and self._chance.randrange(2):
                return
            await asyncio.sleep(self._chance.randint(1, 40))

    async def _give_back(self) -> None:
        """Give a confirmed payment back, sometimes twice at once."""
        known = [(one, bill) for bill in self.bills.values() for one in bill.confirmations]
        if not known:
            return
        receipt, bill = self._chance.choice(known)
        self.given_back.setdefault(receipt, GivenBack(receipt, bill.cents))
        await asyncio.gather(*(self._reverse(receipt, bill.cents) for _ in range(self._chance.randint(1, 2))))

    async def _reverse(self, receipt: str, cents: int) -> None:
        reversal = Reversal(
            callback_token=self._token("reversal", receipt), receipt=receipt, amount=_kes(cents), remarks="Wrong number"
        )
        self._notes.reach(f"merchant reversal {(await self._pay.reverse(reversal)).outcome}")

    async def _ask_balance(self) -> None:
        await self._pay.account_balance(self._token("balance", "0"))

    async def _ask_status(self, payout: Payout) -> CallAnswer:
        question = StatusQuestion(callback_token=self._token("status", payout.id), originator_conversation_id=payout.id)
        return await self._pay.transaction_status(question)

    async def finish(self) -> None:
        """Once everything works and what was on its way has come: learn what became of everything."""
        await asyncio.sleep(LATEST_MS // 1_000 + 90)
        for payout in self.payouts.values():
            payout.statuses.clear()
            await self._answered(partial(self._ask_status, payout), partial(bool, payout.statuses))
        self.balance = None
        await self._answered(
            lambda: self._pay.account_balance(self._token("balance", "0")), lambda: self.balance is not None
        )
        await self._list()

    async def _answered(self, ask: Callable[[], Awaitable[CallAnswer]], known: Callable[[], bool]) -> None:
        """Ask, and wait for the Result: nothing is lost any more."""
        await self._until(ask)
        for _ in range(_RESULT_SECONDS):
            if known():
                return
            await asyncio.sleep(1)
        self.broken.append("M5: a question gets no Result, and all is repaired")

    async def _list(self) -> None:
        now, offset = self._clock.now(), 0
        while True:
            page = await self._receipts.pull(PullWindow(since=now - _DAY, until=now + _DAY, offset=offset))
            if page.outcome is not CallOutcome.ACCEPTED or page.unreadable:
                self.broken.append(f"M5: the list of payments cannot be read: {page.code}")
                return
            for row in page.transactions:
                self.pulled[row.receipt] = row.amount.cents
                self._hear(row.receipt, row.amount)
            if page.next_offset is None:
                return
            offset = page.next_offset

    def _token(self, kind: str, about: str) -> str:
        self._asked += 1
        return f"{kind}_{about}_{self._asked:024d}"

    # -- what it is told

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The merchant's addresses, as an ASGI application."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = bool(message.get("more_body", False))
        said = json.dumps(self._take(str(scope["path"]).strip("/"), body)).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    def _take(self, path: str, body: bytes) -> Mapping[str, str]:
        place, _, token = path.partition("/")
        self._notes.reach(f"merchant is told at {place}")
        if place == "validated":
            bill = self.bills.get(parse_c2b_payment(body).bill_reference)
            accepted = bill is not None and not bill.is_refused
            return {"ResultCode": "0", "ResultDesc": "Accepted"} if accepted else _REFUSED
        if place == "confirmed":
            self._confirmed(body)
        elif place == "results":
            kind, about, _ = token.split("_")
            self._result(kind, about, body)
        return {"ResultCode": "0", "ResultDesc": "Accepted"}

    def _confirmed(self, body: bytes) -> None:
        payment = parse_c2b_payment(body)
        self._hear(payment.receipt, payment.amount)
        bill = self.bills.get(payment.bill_reference)
        if bill is None:
            self.broken.append(f"M1: a payment of {payment.bill_reference} is confirmed, which nobody was to make")
        elif payment.receipt not in bill.confirmations:
            bill.confirmations.append(payment.receipt)

    def _result(self, kind: str, about: str, body: bytes) -> None:
        if kind == "b2c":
            paid = parse_b2c_result(body)
            self.payouts[about].results.append(paid.outcome)
            if paid.outcome is ResultOutcome.SUCCEEDED:
                self._hear(paid.receipt, paid.amount.money)
        elif kind == "reversal":
            back = parse_reversal_result(body)
            if back.outcome is ResultOutcome.SUCCEEDED:
                self._hear(back.receipt, back.amount.money)
                self.given_back[about].done.add(str(back.receipt))
        elif kind == "status":
            status = parse_status_result(body)
            self.payouts[about].statuses.append(status)
            if status.payment is PaymentOutcome.PAID:
                self._hear(status.receipt, status.amount.money)
        else:
            self.balance = parse_balance_result(body)

    def _hear(self, receipt: str | None, amount: Money | None) -> None:
        if receipt is None or amount is None:
            self.broken.append("M4: a success is told without receipt or amount")
        else:
            self.told.setdefault(receipt, set()).add(amount.cents)


_REFUSED: Final[Mapping[str, str]] = {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}


def _kes(cents: int) -> Money:
    return Money(cents, Currency.KES)
