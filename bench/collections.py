"""C2B confirmations over HTTP at our API on a durable PostgreSQL: what `make bench` measures as `c2b_confirmations`.

The API is `penpay serve`, a process of its own. Every confirmation is another receipt for the next of ten thousand
customers, who has an invoice open, and is answered once it is stored, posted and allocated. Afterwards they are
counted. The ratio compares with the same framework on the same server answering nothing.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.serving import HttpRound, ask, served
from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.invoicing import CreateInvoice
from penpay.bootstrap import System, build, real_ports
from penpay.config import load_settings
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.line import LineItem
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.keys import KEY_BYTES
from penpay.infrastructure.sql.collections_tables import payments
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import upgrade

CONNECTIONS: Final = 256
CUSTOMERS: Final = 10_000
_A_ROUND: Final = 60_000
_AT_ONCE: Final = 1_000
_SERVES: Final = re.compile(r"serves http://127\.0\.0\.1:(\d+)")
_ANSWER: Final = ("ResultDesc",)
SHORT_CODE: Final = "600600"


@dataclass
class Confirmations:
    """An API ready to be told."""

    port: int
    told: int = 0
    answered: int = 0

    def round(self, connections: int = CONNECTIONS) -> HttpRound:
        """Tell it of new payments for a while."""
        requests = [self._request(self.told + number) for number in range(_A_ROUND)]
        self.told += _A_ROUND
        found = ask(self.port, requests, once=True, answer=_ANSWER, connections=connections)
        self.answered += len(found.answers)
        return found

    def nothing(self, connections: int = CONNECTIONS) -> HttpRound:
        """The same server, asked for a page that it has not."""
        request = "GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        return ask(self.port, [request], once=False, answer=("code",), connections=connections, status=404)

    @staticmethod
    def _request(number: int) -> str:
        body = orjson.dumps(
            {
                "TransactionType": "Pay Bill",
                "TransID": f"B{number:09d}",
                "TransTime": "20260203120000",
                "TransAmount": "10.00",
                "BusinessShortCode": SHORT_CODE,
                "BillRefNumber": f"CUST-{number % CUSTOMERS + 1:03d}",
                "InvoiceNumber": "",
                "OrgAccountBalance": "100.00",
                "ThirdPartyTransID": "",
                "MSISDN": "2547 ***** 126",
                "FirstName": "BENCH",
            }
        ).decode()
        return (
            "POST /api/webhooks/mpesa HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Confirmations]:
    """An API with its customers on the empty database at this address.

    At the end it is stopped. Exits unless exactly the confirmations that were answered with 200 are booked.
    """
    engine = open_engine(url)
    await upgrade(engine)
    environment = _environment(url)
    await _bill(environment)
    with served(environment, "serve", told=_SERVES) as port:
        confirmations = Confirmations(port)
        yield confirmations
    booked = await _booked(engine)
    await engine.dispose()
    if booked != confirmations.answered:
        sys.exit(f"{confirmations.answered} confirmations were answered and {booked} are booked.")


async def _booked(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(payments))).scalar_one())


def _environment(url: str) -> Mapping[str, str]:
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return {
        "APP_ENV": "testing",
        "DATABASE_URL": url,
        "PENPAY_HTTP_PORT": "0",
        "MPESA_CONSUMER_KEY": secrets.token_hex(16),
        "MPESA_CONSUMER_SECRET": secrets.token_hex(16),
        "MPESA_SHORT_CODE": SHORT_CODE,
        "MPESA_PASSKEY": secrets.token_hex(16),
        "MPESA_CALLBACK_URL": "http://127.0.0.1:9/api/v1/callbacks/stk",
        "MPESA_BASE_URL": "http://127.0.0.1:9",
        "DERIV_ENDPOINT": "ws://127.0.0.1:9",
        "DERIV_APP_ID": "1",
        "DERIV_TOKEN": secrets.token_hex(16),
        "DERIV_LOGIN_ID": "CR90000001",
        "PENPAY_FIELD_KEYS": f"bench:{key}",
        "PENPAY_MASTER_KEY": key,
    }


async def _bill(environment: Mapping[str, str]) -> None:
    """Customers, each with one invoice larger than what she will pay."""
    system: System = build(load_settings(environment), real_ports())
    try:
        await system.start_executor()
        for first in range(1, CUSTOMERS + 1, _AT_ONCE):
            numbers = [f"CUST-{number:03d}" for number in range(first, first + _AT_ONCE)]
            await asyncio.gather(
                *(
                    system.executor.execute(CreateCustomer(contact=Contact(name="Bench"), number=number, by="bench"))
                    for number in numbers
                )
            )
            await asyncio.gather(
                *(
                    system.executor.execute(
                        CreateInvoice(
                            customer_number=number,
                            items=(LineItem(description="Goods", unit_price=Money(100_000_000, Currency.KES)),),
                            by="bench",
                        )
                    )
                    for number in numbers
                )
            )
    finally:
        await system.stop()
