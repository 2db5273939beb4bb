"""A merchant with money, its initiator, and an endpoint that takes results and time-outs."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from penpay.application.mobile_money.books import Reconciliation
from penpay.application.mobile_money.care import ChangeStatus
from penpay.domain.mobile_money.administrator import AdministratorId, AdministratorRole
from penpay.domain.mobile_money.customer import CustomerStatus
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.domain.shared.email import Email
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.sandbox.world import PAYBILL, PAYER, World, items, paid

PASSWORD = "Safaricom999!*!"
UNREADABLE = base64.b64encode(b"\x01" * 256).decode()
"""Of the right form, and encrypted for somebody else."""
OTHER_PAYBILL, TILL = "600100", "600200"
_PATIENCE_SECONDS = 10


@dataclass
class Results:
    """What was posted to a merchant: results and time-outs, in the order of their coming."""

    url: str = ""
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and body."""
    _queue: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    @property
    def app(self) -> Starlette:
        routes = [Route(path, self._receive, methods=["POST"]) for path in ("/result", "/timeout")]
        return Starlette(routes=routes)

    async def next(self) -> dict[str, Any]:
        """The next body, whichever it is."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await self._queue.get()

    async def _receive(self, request: Request) -> JSONResponse:
        body: dict[str, Any] = json.loads(await request.body(), parse_float=Decimal)
        self.posted.append((request.url.path, body))
        self._queue.put_nowait(body)
        return JSONResponse({"ResultCode": 0, "ResultDesc": "Accepted"})


class Organisation:
    """Asks as a merchant's back office does; a field of None is left out."""

    def __init__(self, world: World, results: Results) -> None:
        self.world = world
        self.results = results

    async def pay(self, phone: str, shillings: int, **changes: Any) -> httpx.Response:
        """B2C v1, or v3 if an OriginatorConversationID is given."""
        version = "v3" if "OriginatorConversationID" in changes else "v1"
        body = {
            "InitiatorName": "testapi",
            "CommandID": "BusinessPayment",
            "Amount": shillings,
            "PartyA": int(PAYBILL),
            "PartyB": int(phone),
            "Occassion": "",
        }
        return await self.ask(f"/mpesa/b2c/{version}/paymentrequest", body | changes)

    async def pay_merchant(self, command: str, short_code: str, shillings: int, **changes: Any) -> httpx.Response:
        body = {
            "Initiator": "testapi",
            "CommandID": command,
            "SenderIdentifierType": "4",
            "RecieverIdentifierType": "4",
            "Amount": shillings,
            "PartyA": PAYBILL,
            "PartyB": short_code,
            "AccountReference": "INV-1",
        }
        return await self.ask("/mpesa/b2b/v1/paymentrequest", body | changes)

    async def status(self, receipt: str = "", **changes: Any) -> httpx.Response:
        body = {
            "Initiator": "testapi",
            "CommandID": "TransactionStatusQuery",
            "TransactionID": receipt,
            "PartyA": PAYBILL,
            "IdentifierType": "4",
            "Occasion": "",
        }
        return await self.ask("/mpesa/transactionstatus/v1/query", body | changes)

    async def balance(self, **changes: Any) -> httpx.Response:
        body = {"Initiator": "testapi", "CommandID": "AccountBalance", "PartyA": PAYBILL, "IdentifierType": "4"}
        return await self.ask("/mpesa/accountbalance/v1/query", body | changes)

    async def reverse(self, receipt: str, shillings: int, **changes: Any) -> httpx.Response:
        body = {
            "Initiator": "testapi",
            "CommandID": "TransactionReversal",
            "TransactionID": receipt,
            "Amount": str(shillings),
            "ReceiverParty": PAYBILL,
            "RecieverIdentifierType": "11",
        }
        return await self.ask("/mpesa/reversal/v1/request", body | changes)

    async def ask(self, path: str, fields: Mapping[str, Any], *, token: str | None = None) -> httpx.Response:
        common = {
            "SecurityCredential": UNREADABLE,
            "Remarks": "remarked",
            "QueueTimeOutURL": f"{self.results.url}/timeout",
            "ResultURL": f"{self.results.url}/result",
        }
        sent = {key: value for key, value in {**common, **fields}.items() if value is not None}
        bearer = {"Authorization": f"Bearer {self.world.token if token is None else token}"}
        return await self.world.client.post(path, json=sent, headers=bearer)

    async def result(self) -> dict[str, Any]:
        """The next result, out of its envelope."""
        found: dict[str, Any] = (await self.results.next())["Result"]
        return found

    async def earned(self, shillings: int, msisdn: str = PAYER) -> str:
        """A customer pays by push; the receipt."""
        await self.world.subscriber(msisdn, shillings=shillings + 1_000)
        await paid(self.world, msisdn, shillings)
        return str(items(await self.world.callback())["MpesaReceiptNumber"])

    async def other_merchants(self) -> None:
        """A PayBill of somebody else, and a till."""
        await self.world.operator.register_merchant(OTHER_PAYBILL, "SUPPLIER")
        till = await self.world.operator.register_merchant("600300", "SHOP")
        await self.world.operator.open_number(
            till.customer_id, TILL, "SHOP TILL", NumberKind.TILL, PayBillPlan.CUSTOMER_PAYS
        )

    async def set_status(self, status: CustomerStatus, *, phone: str | None = None, number: str | None = None) -> None:
        """Give a customer, or the merchant with this number, another status."""
        operator = self.world.operator
        by = await self.administrator()
        if number is not None:
            chosen = (await operator.merchant(number)).customer_id
        else:
            chosen = (await operator.subscriber(PhoneNumber(f"+{phone}"))).id
        await operator.do(ChangeStatus(customer_id=chosen, status=status, reason="any", by=by))

    async def administrator(self) -> AdministratorId:
        """The one administrator, made when she is first needed."""
        operator = self.world.operator
        for known in await operator.books.administrators():
            return known.id
        person = await operator.person(
            name="Administrator", email=Email("admin@example.org"), phone=None, password="secret-enough"
        )
        return (await operator.register_administrator(person, AdministratorRole.SUPER, None)).id

    async def books(self) -> Reconciliation:
        """Both sides of the trust account, which agree after whatever was done."""
        found = await self.world.operator.books.reconciliation()
        assert (0, True) == (found.difference.cents, found.is_covered)
        return found

    async def accounts(self) -> tuple[int, int, int]:
        """Utility, Working and Charges Paid of all merchants together, in cents."""
        found = await self.books()
        return found.merchants.cents, found.working.cents, found.charges_paid.cents


def parameters(result: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a result's parameters by key; None for one without."""
    return {one["Key"]: one.get("Value") for one in result["ResultParameters"]["ResultParameter"]}


def sealed(certificate: bytes, password: str) -> str:
    """A SecurityCredential, made as clients make it."""
    public = x509.load_pem_x509_certificate(certificate).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    return base64.b64encode(public.encrypt(password.encode(), padding.PKCS1v15())).decode()
