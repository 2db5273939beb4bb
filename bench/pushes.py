"""STK pushes over HTTP at the sandbox on its embedded database: what `make bench` measures as `sandbox_pushes`.

The sandbox is `penpay sandbox --no-log`, a process of its own. Every push goes to a phone of its own, whose owner has a
wallet and does nothing: what is measured is how many are accepted. Afterwards they are counted.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import httpx
import orjson
from sqlalchemy import select

from bench.serving import HttpRound, ask, environment, opened, served
from penpay.application.mobile_money.registration import RegisterSubscriber
from penpay.bootstrap import real_ports
from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import upgrade
from penpay.infrastructure.sql.operator_tables import stk_pushes
from penpay.sandbox.seeds import PASSKEY, SHORT_CODE

_A_ROUND: Final = 25_000
"""Phones; more than a round can reach."""
_AT_ONCE: Final = 5_000
"""Fewer than the queue of the executor takes."""
_SERVES: Final = re.compile(r"^M-Pesa sandbox on http://127\.0\.0\.1:(\d+)$")


class Pushes:
    """A serving sandbox and its subscribers, ready to be asked."""

    def __init__(self, port: int, token: str, at: datetime) -> None:
        self._port = port
        self._token = token
        self._timestamp = at.astimezone(EAST_AFRICA).strftime("%Y%m%d%H%M%S")
        self._phones = iter(_phones())
        self.answered: list[str] = []
        """The MerchantRequestID of every push that was accepted."""

    def round(self) -> HttpRound:
        """Measure for a while, after a warm-up. Exits when anything but 200 is answered."""
        requests = [self._request(next(self._phones)) for _ in range(_A_ROUND)]
        found = ask(self._port, requests, once=True, answer=("MerchantRequestID",))
        self.answered += found.answers
        return found

    def _request(self, phone: PhoneNumber) -> str:
        body = orjson.dumps(
            {
                "BusinessShortCode": int(SHORT_CODE),
                "Password": base64.b64encode(f"{SHORT_CODE}{PASSKEY}{self._timestamp}".encode()).decode(),
                "Timestamp": self._timestamp,
                "TransactionType": "CustomerPayBillOnline",
                "Amount": 10,
                "PartyA": int(phone.msisdn),
                "PartyB": int(SHORT_CODE),
                "PhoneNumber": int(phone.msisdn),
                "CallBackURL": "http://127.0.0.1:9/callback",
                "AccountReference": "BENCH",
                "TransactionDesc": "Bench",
            }
        ).decode()
        return (
            "POST /mpesa/stkpush/v1/processrequest HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\n"
            f"Authorization: Bearer {self._token}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"\r\n{body}"
        )


@asynccontextmanager
async def serving(url: str, deriv_url: str, rounds: int) -> AsyncIterator[Pushes]:
    """A sandbox with subscribers for so many rounds on the empty databases at these addresses.

    At the end it is stopped. Exits unless exactly the pushes that were answered with 200 stand in its books.
    """
    key, secret = secrets.token_hex(16), secrets.token_hex(16)
    settings = {
        **environment(url),
        "PENPAY_DERIV_SANDBOX_DATABASE_URL": deriv_url,
        "MPESA_CONSUMER_KEY": key,
        "MPESA_CONSUMER_SECRET": secret,
        "DERIV_TOKEN": secrets.token_hex(16),
    }
    engine = open_engine(url)
    await upgrade(engine)
    await engine.dispose()
    await _register(settings, rounds)
    command = ("sandbox", "--no-log", "--port", "0", "--deriv-port", "0")
    with served(settings, *command, told=_SERVES) as port:
        pushes = Pushes(port, await _token(port, key, secret), real_ports().clock.now())
        yield pushes
    async with opened(settings) as process, process.engine.connect() as connection:
        booked = list((await connection.execute(select(stk_pushes.c.merchant_request_id))).scalars())
    if sorted(booked) != sorted(pushes.answered):
        sys.exit(f"{len(pushes.answered)} pushes were accepted and {len(booked)} are in the books.")


async def _register(settings: Mapping[str, str], rounds: int) -> None:
    async with opened(settings) as process:
        pin_hash = secrets.token_hex(16)  # nobody here enters a PIN, and a hash of one's own takes long
        phones = _phones()[: rounds * _A_ROUND]
        for first in range(0, len(phones), _AT_ONCE):
            chunk = phones[first : first + _AT_ONCE]
            await asyncio.gather(
                *(process.operator.do(RegisterSubscriber(phone=phone, pin_hash=pin_hash)) for phone in chunk)
            )


async def _token(port: int, key: str, secret: str) -> str:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/oauth/v1/generate?grant_type=client_credentials", auth=(key, secret))
        return str(answer.json()["access_token"])


def _phones() -> Sequence[PhoneNumber]:
    return [PhoneNumber(f"+2547{number:08}") for number in range(30_000_000, 30_100_000)]
