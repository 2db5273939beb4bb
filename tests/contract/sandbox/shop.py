"""A merchant who has registered C2B addresses: what she answers to validations, and what she is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penpay.application.mobile_money.moving import Move
from penpay.application.mobile_money.pins import PinAnswer
from penpay.application.mobile_money.registration import Person, RegisterMerchant
from penpay.application.mobile_money.rows import Address, UserType
from penpay.domain.mobile_money.customer import CustomerType
from penpay.domain.mobile_money.merchant import Merchant, NumberKind
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.email import Email
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.sandbox.world import PAYBILL, PAYER, World, kes, serving

TILL = "5012345"
ACCEPTED = b'{"ResultCode":"0","ResultDesc":"Accepted"}'
KEYS = (
    "TransactionType",
    "TransID",
    "TransTime",
    "TransAmount",
    "BusinessShortCode",
    "BillRefNumber",
    "InvoiceNumber",
    "OrgAccountBalance",
    "ThirdPartyTransID",
    "MSISDN",
    "FirstName",
    "MiddleName",
    "LastName",
)
"""Of a validation and of a confirmation, in order."""
_PATIENCE_SECONDS = 10
_QUIET_MS = 120
"""Many times as long as the worlds of these tests need to tell something."""


class Shop:
    """Addresses for validation and confirmation. `answer` and `status` go to a validation, once it `may_answer`."""

    def __init__(self) -> None:
        self.answer = ACCEPTED
        self.status = 200
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked: list[bytes] = []
        self.told: list[bytes] = []
        self.hosts: list[str] = []
        self.url = ""
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.app = Starlette(
            routes=[
                Route("/ask", self._validation, methods=["POST"]),
                Route("/tell", self._confirmation, methods=["POST"]),
            ]
        )

    async def next(self) -> dict[str, Any]:
        """The next confirmation."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return read(await self._queue.get())

    async def is_asked(self, times: int = 1) -> None:
        """Wait until so many validations have come in."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(self.asked) < times:
                await asyncio.sleep(0.005)

    async def _validation(self, request: Request) -> Response:
        self.asked.append(await request.body())
        await self.may_answer.wait()
        return Response(self.answer, status_code=self.status, media_type="application/json")

    async def _confirmation(self, request: Request) -> Response:
        body = await request.body()
        self.hosts.append(request.headers["host"])
        self.told.append(body)
        self._queue.put_nowait(body)
        return Response(b'{"ResultCode":0,"ResultDesc":"Success"}', media_type="application/json")


def read(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body, parse_float=Decimal)
    return found


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """A shop served on loopback."""
    shop = Shop()
    async with serving(shop.app) as url:
        shop.url = url
        yield shop
        shop.may_answer.set()  # or the server would wait for it


async def register(world: World, shop: Shop, version: str = "v2", **changes: Any) -> httpx.Response:
    """Register the shop's addresses as a merchant does; a change of None leaves the field out."""
    body = {
        "ShortCode": PAYBILL,
        "ResponseType": "Completed",
        "ConfirmationURL": f"{shop.url}/tell",
        "ValidationURL": f"{shop.url}/ask",
    } | changes
    sent = {key: value for key, value in body.items() if value is not None}
    response = await world.post(f"/mpesa/c2b/{version}/registerurl", **sent)
    world.what_runs_now_never_ends()
    return response


async def simulate(world: World, msisdn: str, shillings: int, version: str = "v2", **changes: Any) -> httpx.Response:
    """Pay the PayBill number as if from a handset."""
    body = {
        "ShortCode": int(PAYBILL),
        "CommandID": "CustomerPayBillOnline",
        "Amount": shillings,
        "Msisdn": int(msisdn),
        "BillRefNumber": "ACC-1",
    } | changes
    return await world.post(f"/mpesa/c2b/{version}/simulate", **body)


async def named_subscriber(world: World, msisdn: str, name: str, *, shillings: int) -> None:
    """A wallet whose owner has told her name."""
    person = Person(
        name=name, email=Email("user_one@example.org"), phone=PhoneNumber("+" + msisdn), password_hash="not used"
    )
    await world.operator.register(UserType.SUBSCRIBER, person)
    await world.issue(msisdn, shillings, reference=f"seed-{msisdn}")


async def till_of_the_paybill(world: World, short_code: str = TILL) -> Merchant:
    """A till of the merchant who has the PayBill number."""
    owner = (await world.operator.merchant(PAYBILL)).customer_id
    made: Merchant = await world.operator.do(
        RegisterMerchant(short_code=short_code, name="PENPAY SHOP", kind=NumberKind.TILL, customer_id=owner)
    )
    return made


async def wish(world: World, msisdn: str, shillings: int, account: str = "ACC-1") -> Move:
    """A payment to the PayBill number as the operator's own interface asks for it."""
    payer = await world.operator.subscriber(PhoneNumber("+" + msisdn))
    return Move(
        operation=Operation.TRANSFER,
        source=payer.id,
        source_type=CustomerType.SUBSCRIBER,
        target=Address.short_code(PAYBILL),
        amount=kes(shillings),
        bill_reference=account,
        pin=PinAnswer(right=True, compared_with=payer.pin_hash),
    )


async def quiet(world: World) -> None:
    """Wait until everything that was to be told has been told."""
    await world.clock.sleep(_QUIET_MS)
    await world.settled()


async def pay(world: World, shillings: int, **changes: Any) -> httpx.Response:
    """Pay the PayBill number over the sandbox's own route."""
    body = {
        "phone": PAYER,
        "short_code": PAYBILL,
        "account": "ACC-1",
        "amount_cents": kes(shillings).cents,
    } | changes
    return await world.client.post("/sandbox/c2b", json=body)


def of(found: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    """What a JSON object holds under these keys."""
    return tuple(found[key] for key in keys)
