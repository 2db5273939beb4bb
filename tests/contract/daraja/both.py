"""The real sandbox and the real Daraja client, each on a socket, with an inbox for what M-Pesa posts to us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penpay.domain.mpesa.balance_result import AccountFunds, parse_balance_result
from penpay.domain.mpesa.callback import StkCallback, parse_stk_callback
from penpay.domain.mpesa.gateway import (
    B2bCommand,
    B2bPayment,
    B2cPayment,
    C2bAddresses,
    CallAnswer,
    PullAnswer,
    PullWindow,
    PushAnswer,
    Reversal,
    SimulatedPayment,
    StatusQuestion,
    StkPush,
    UnansweredValidation,
)
from penpay.domain.mpesa.status_result import StatusResult, parse_status_result
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.receipts import C2bVersion, DarajaReceipts
from penpay.infrastructure.mpesa.security_credential import Initiator
from penpay.infrastructure.system import SystemClock
from penpay.sandbox.faults import Fault, FaultRule
from penpay.sandbox.phone import Habit, StandingAnswer
from tests.contract.sandbox.organisation import PASSWORD
from tests.contract.sandbox.shop import ACCEPTED
from tests.contract.sandbox.world import KEY, OTHER_PAYER, PASSKEY, PAYBILL, PAYER, SECRET, World, kes

USER = PhoneNumber("+" + PAYER)
"""Has KES 10,000 in her wallet."""
RECEIVER = PhoneNumber("+" + OTHER_PAYER)
"""Has KES 5 in his wallet."""
STRANGER = PhoneNumber("+254722999999")
"""Has no wallet."""
SUPPLIER, SUPPLIERS_TILL = "600400", "600401"
UTILITY, WORKING = 20_000, 10_000
"""What our PayBill holds at the beginning, in shillings."""
_PATIENCE_SECONDS = 10
_POLLED_SECONDS = 0.005

_Read = TypeVar("_Read")


class Inbox:
    """Takes whatever M-Pesa posts: the first part of the path says what it is, the second is the call's token."""

    def __init__(self) -> None:
        self.url = ""
        self.came: list[tuple[str, str, bytes]] = []
        self.taken: dict[tuple[str, str], int] = {}
        self.says = ACCEPTED
        """To a validation, once it `may_answer`."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.statuses: list[int] = []
        """Answered first, in order; then 200."""
        self.app = Starlette(routes=[Route("/{kind}/{token}", self._take, methods=["POST"])])

    def bodies(self, kind: str, token: str) -> list[bytes]:
        """All that has come so far, oldest first."""
        return [body for *where, body in self.came if where == [kind, token]]

    async def next(self, kind: str, token: str) -> bytes:
        """The next one of this kind with this token, waited for."""
        index = self.taken[kind, token] = self.taken.get((kind, token), 0) + 1
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(found := self.bodies(kind, token)) < index:
                await asyncio.sleep(_POLLED_SECONDS)
        return found[index - 1]

    async def _take(self, request: Request) -> Response:
        kind, token = request.path_params["kind"], request.path_params["token"]
        self.came.append((kind, token, await request.body()))
        if kind == "ask":
            await self.may_answer.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return Response(self.says, status_code=status, media_type="application/json")


@dataclass(frozen=True)
class Client:
    """The three parts of the Daraja client, on one session."""

    stk: DarajaClient
    pay: DarajaDisbursements
    receipts: DarajaReceipts


@dataclass(frozen=True, slots=True)
class Books:
    """What is where, in shillings."""

    user: int
    receiver: int
    utility: int
    working: int

    def __sub__(self, other: Books) -> Books:
        return Books(
            user=self.user - other.user,
            receiver=self.receiver - other.receiver,
            utility=self.utility - other.utility,
            working=self.working - other.working,
        )


START = Books(user=10_000, receiver=5, utility=UTILITY, working=WORKING)


class Both:
    """Sandbox and client. Every call gets a token of its own, by which its messages are found."""

    def __init__(self, *, world: World, http: httpx.AsyncClient, inbox: Inbox, certificate: bytes) -> None:
        self.world = world
        self.inbox = inbox
        self.certificate = certificate
        self._http = http
        self._made = 0
        self._earlier = Books(user=0, receiver=0, utility=0, working=0)
        self.client = self.make_client()

    def make_client(
        self,
        *,
        http: httpx.AsyncClient | None = None,
        short_code: str = PAYBILL,
        secret: str = SECRET,
        password: str = PASSWORD,
        version: C2bVersion = C2bVersion.V2,
        home: str | None = None,
        deadline_seconds: int = 10,
    ) -> Client:
        """A client with a session, and so a token, of its own. `home`: where it wants to be told."""
        home = self.inbox.url if home is None else home
        stk = DarajaClient(
            http=http or self._http,
            clock=SystemClock(),
            base_url=str(self.world.client.base_url),
            consumer_key=KEY,
            consumer_secret=secret,
            short_code=short_code,
            passkey=PASSKEY,
            callback_base_url=f"{home}/stk",
            exchange_deadline_seconds=deadline_seconds,
        )
        pay = DarajaDisbursements(
            session=stk.session,
            initiator=Initiator(name="testapi", password=password, certificate=self.certificate),
            short_code=short_code,
            result_base_url=f"{home}/result",
            timeout_base_url=f"{home}/timeout",
        )
        return Client(stk, pay, DarajaReceipts(session=stk.session, short_code=short_code, version=version))

    # -- what is asked

    def name(self) -> str:
        """A token or an id that was never used before."""
        self._made += 1
        return f"{PAYBILL}-{self._made:032d}"

    def push(self, shillings: int = 100) -> StkPush:
        return StkPush(
            callback_token=self.name(), account_reference="ACC-1", phone=USER, amount=kes(shillings), description="Test"
        )

    def payout(self, shillings: int = 100, phone: PhoneNumber = RECEIVER) -> B2cPayment:
        name = self.name()
        return B2cPayment(
            originator_conversation_id=name, callback_token=name, phone=phone, amount=kes(shillings), remarks="Payout"
        )

    def bill(
        self, shillings: int = 100, receiver: str = SUPPLIER, command: B2bCommand = B2bCommand.PAY_BILL
    ) -> B2bPayment:
        return B2bPayment(
            callback_token=self.name(),
            command=command,
            receiver=receiver,
            amount=kes(shillings),
            account_reference="INV-1",
            remarks="Rent",
        )

    def reversal(self, receipt: str, shillings: int = 100) -> Reversal:
        return Reversal(callback_token=self.name(), receipt=receipt, amount=kes(shillings), remarks="Wrong number")

    def addresses(
        self, unanswered: UnansweredValidation = UnansweredValidation.COMPLETE, home: str | None = None
    ) -> C2bAddresses:
        home = self.inbox.url if home is None else home
        return C2bAddresses(
            confirmation_url=f"{home}/tell/c2b", validation_url=f"{home}/ask/c2b", unanswered=unanswered
        )

    def simulated(self, shillings: int = 100, bill_reference: str | None = "ACC-1") -> SimulatedPayment:
        return SimulatedPayment(phone=USER, amount=kes(shillings), bill_reference=bill_reference)

    async def register(self, unanswered: UnansweredValidation = UnansweredValidation.COMPLETE) -> CallAnswer:
        """Have payments told to the inbox."""
        answer = await self.client.receipts.register_addresses(self.addresses(unanswered))
        self.world.what_runs_now_never_ends()
        return answer

    # -- what happens around it

    def user_pays(self, pin: str = "1234") -> None:
        """From now on every prompt is answered at once."""
        self.world.phone(PAYER).standing_answer = StandingAnswer(habit=Habit.ENTER_PIN, pin=pin)

    def goes_wrong(self, fault: Fault, *, times: int | None = 1) -> None:
        self.world.sandbox.faults.add(FaultRule(fault=fault, times=times))

    async def paid(self, shillings: int = 100) -> tuple[PushAnswer, StkCallback]:
        """A push that is paid, and what is told of it."""
        self.user_pays()
        push = self.push(shillings)
        answer = await self.client.stk.stk_push(push)
        return answer, await self.told_stk(push)

    async def earned(self, shillings: int = 100) -> str:
        """A push that is paid; its receipt."""
        receipt = (await self.paid(shillings))[1].receipt
        assert receipt is not None
        return receipt

    # -- what is told

    async def told_stk(self, push: StkPush) -> StkCallback:
        return parse_stk_callback(await self.inbox.next("stk", push.callback_token))

    async def told(self, token: str, parse: Callable[[bytes], _Read]) -> _Read:
        """The Result of the call with this token, read by the client's own reader."""
        return parse(await self.inbox.next("result", token))

    async def status(self, *, receipt: str | None = None, id_: str | None = None) -> StatusResult:
        """Ask what became of a payment, and read what is told."""
        question = StatusQuestion(callback_token=self.name(), receipt=receipt, originator_conversation_id=id_)
        answer = await self.client.pay.transaction_status(question)
        assert "ACCEPTED" == answer.outcome
        return await self.told(question.callback_token, parse_status_result)

    async def pulled(self) -> PullAnswer:
        """The first page of the last payments."""
        now = self.world.clock.now()
        await self.client.receipts.register_pull(nominated_phone=USER, callback_url=f"{self.inbox.url}/pull/c2b")
        return await self.client.receipts.pull(PullWindow(since=now.replace(hour=0, minute=0, second=0), until=now))

    async def begin(self) -> None:
        """Count what moves from here on: the books show `START` now."""
        self._earlier = await self.held() - START

    async def books(self) -> Books:
        """What is where when nothing is under way any more, as if the test had begun with `START`."""
        await self.world.settled()
        return await self.books_now()

    async def books_now(self) -> Books:
        """The same while something waits."""
        return await self.held() - self._earlier

    async def balance(self) -> Mapping[str, AccountFunds]:
        """What the client is told of our accounts, as they are."""
        token = self.name()
        await self.client.pay.account_balance(token)
        return (await self.told(token, parse_balance_result)).accounts

    async def held(self) -> Books:
        """What there is. The trust account and the sums of all entries have been found right."""
        operator = self.world.operator.books
        balances, trust = await operator.balances(), await operator.reconciliation()
        assert (0, True) == (trust.difference.cents, trust.is_covered)
        assert {} == {code: cents for code, cents in (await self.world._books()).items() if cents}
        wallets = {phone.msisdn: money.whole_units() for phone, money in balances.subscribers}
        return Books(
            user=wallets[PAYER],
            receiver=wallets[OTHER_PAYER],
            utility=dict(balances.merchants)[PAYBILL].whole_units(),
            working=trust.working.whole_units(),
        )
