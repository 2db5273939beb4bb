"""A business: customers and invoices, what M-Pesa posts to it, and what an accountant asks of its tables."""

from __future__ import annotations

import json
from typing import Any

import httpx
from sqlalchemy import text

from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.doors import C2B_PURPOSE, token_subject
from penpay.application.collections.invoicing import CreateInvoice
from penpay.demo.world import SHORT_CODE
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.line import LineItem
from penpay.domain.mpesa.gateway import C2bAddresses, UnansweredValidation
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.notifications import BillPayment
from tests.end_to_end.deposits.stage import Stage

STAFF = "staff:wanjiru"
WORKED_EXAMPLE = {
    "TransID": "QGK12XYZ9",
    "TransAmount": "5000.00",
    "BillRefNumber": "INV-20260203-0001",
    "MSISDN": "254708374149",
}


def kes(shillings: int, cents: int = 0) -> Money:
    return Money(shillings * 100 + cents, Currency.KES)


class Shop:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.system = stage.system

    @property
    def path(self) -> str:
        """The secret path of our number."""
        token = self.system._tokens.sign(C2B_PURPOSE, token_subject(self.stage.settings.mpesa_short_code))
        return f"/api/webhooks/c2b/{token}"

    async def do(self, command: object) -> Any:
        return await self.system.executor.execute(command)

    async def customer(self, number: str | None = None) -> str:
        command = CreateCustomer(contact=Contact(name="Amina"), number=number, by=STAFF)
        return str((await self.do(command))["customer_id"])

    async def invoice(self, customer: str, amount: Money, number: str | None = None) -> str:
        command = CreateInvoice(
            customer_number=customer,
            items=(LineItem(description="Goods", unit_price=amount),),
            number=number,
            by=STAFF,
        )
        return str((await self.do(command))["invoice_id"])

    async def told(self, body: dict[str, Any] | bytes, *, path: str | None = None, **headers: str) -> httpx.Response:
        """Post what M-Pesa would post."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        where = self.path + "/confirmation" if path is None else path
        return await self.stage.api.post(where, content=content, headers=headers)

    async def registered(self, unanswered: UnansweredValidation = UnansweredValidation.COMPLETE) -> C2bAddresses:
        """Our addresses, registered at the sandbox."""
        addresses = self.system.capture.addresses(unanswered)
        await self.system.capture.registrar(self.system.receipts).register(addresses, by=STAFF)
        return addresses

    async def paid(self, phone: PhoneNumber, amount: Money, reference: str | None) -> None:
        """A subscriber of the sandbox pays our number from her handset."""
        await self.stage.sandbox.daraja._c2b.pay_bill(
            BillPayment(phone=phone, short_code=SHORT_CODE, account=reference, amount=amount)
        )

    async def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with self.system.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def one(self, statement: str, **values: object) -> Any:
        """The single figure a statement asks for."""
        ((value,),) = await self.rows(statement, **values)
        return value

    async def account(self, code: str) -> int:
        found = await self.rows("SELECT balance_cents FROM ledger_accounts WHERE code = :code", code=code)
        return int(found[0][0]) if found else 0

    async def outcomes(self, source: str = "c2b_confirmation") -> list[str]:
        """What became of the messages of a kind, oldest first."""
        found = await self.rows(
            "SELECT outcome FROM webhook_logs WHERE source = :source ORDER BY created_at, id", source=source
        )
        return [outcome for (outcome,) in found]

    async def settled(self, count: int) -> list[str]:
        """The same once that many have come and been applied."""

        async def done() -> bool:
            found = await self.outcomes()
            return len(found) == count and "RECEIVED" not in found

        await self.stage.until(done)
        return await self.outcomes()
