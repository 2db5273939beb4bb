"""A business with somebody in each role, and what M-Pesa tells it, for tests of the back office over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from penpay.application.collections.receiving import ReceivePayment
from penpay.domain.collections.payment import Payer, PaymentSource
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.office.stage import ACCOUNTANT, CASHIER, OWNER, Office
from tests.integration.http.stage import read

CUSTOMER: Mapping[str, Any] = {"name": "Wanjiku Traders", "phone": "0712345678", "email": "Wanjiku@example.com"}


@dataclass
class Desk:
    """A business with somebody in each role, as scripts that act for them."""

    office: Office
    owner: httpx.AsyncClient
    accountant: httpx.AsyncClient
    cashier: httpx.AsyncClient
    stranger: httpx.AsyncClient

    async def customer(self, **changes: Any) -> dict[str, Any]:
        return done(await self.cashier.post("/api/customers", json={**CUSTOMER, **changes}), 201)

    async def invoice(self, cents: int, customer_id: str = "CUST-001", **changes: Any) -> dict[str, Any]:
        body = {"customer_id": customer_id, "amount_cents": cents, **changes}
        return done(await self.accountant.post("/api/invoices", json=body), 201)

    async def sale(self, cents: int, **changes: Any) -> dict[str, Any]:
        return done(await self.cashier.post("/api/pos", json={"amount_cents": cents, **changes}), 201)

    async def paid(self, receipt: str, cents: int, reference: str | None) -> None:
        """M-Pesa tells of a payment to the PayBill."""
        await self.office.system.executor.execute(
            ReceivePayment(
                receipt=receipt,
                source=PaymentSource.C2B,
                amount=Money(cents, Currency.KES),
                bill_reference=reference,
                payer=Payer.of(PhoneNumber("+254712345678"), "WANJIKU"),
            )
        )

    async def balance(self, customer_id: str = "CUST-001") -> int:
        found = done(await self.cashier.get("/api/customers", params={"customerId": customer_id}))
        balance: int = found["balance_cents"]
        return balance


def done(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The body of an answer with this status."""
    assert status == answer.status_code, answer.text
    return read(answer)


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert "application/problem+json" == answer.headers["content-type"], answer.text
    return answer.status_code, read(answer)["code"]


@asynccontextmanager
async def staffed(office: Office) -> AsyncIterator[Desk]:
    """The business with an accountant and a cashier beside the owner, all logged in."""
    await office.hire(ACCOUNTANT, StaffRole.ACCOUNTANT)
    await office.hire(CASHIER, StaffRole.CASHIER)
    async with AsyncExitStack() as stack:
        owner, accountant, cashier = [
            await stack.enter_async_context(office.client(await office.token(email)))
            for email in (OWNER, ACCOUNTANT, CASHIER)
        ]
        stranger = await stack.enter_async_context(office.client())
        yield Desk(office, owner, accountant, cashier, stranger)
