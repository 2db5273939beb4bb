"""A user whose deposit fails when her rate has expired, and the program that tells her, driven by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import UUID

from penpay.application.identity.users import CreateUser
from penpay.application.payments.collecting import ClaimMpesaRequest
from penpay.application.payments.deposit import CreateDeposit, InitiateDeposit
from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.bootstrap import System
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.payments.notification import Notification
from penpay.domain.shared.delivery import Channel
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import LostLicence
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.workers.notification import NotificationWorker
from tests.contract.mpesa.scripted_daraja import Received, Reply, ScriptedDaraja, said
from tests.contract.notifications.post_office import PostOffice
from tests.contract.office import stage as offices
from tests.support.ports import HandClock

GATEWAY: Final = "/version1/messaging"
PHONE: Final = PhoneNumber("+254712345678")
ADDRESS: Final = Email("user@penpay.example")
SENDER: Final = "told@pay.example"
NOT_MADE: Final = "Your deposit of USD 10.00 to Deriv account CR123456 was not made. You were not charged."


def taken(_: Received) -> Reply:
    """The gateway takes it."""
    return told(101, "ATXid_1")


def told(code: int, message_id: str = "None") -> Reply:
    """The gateway's answer about one recipient."""
    recipient = {"statusCode": code, "number": PHONE.e164, "status": "x", "cost": "0", "messageId": message_id}
    return said(201, {"SMSMessageData": {"Message": "Sent to 1/1", "Recipients": [recipient]}})


def form(request: Received) -> dict[str, str]:
    """The fields of a form that was posted."""
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


@dataclass(frozen=True)
class Stage:
    """The program, and who carries its messages."""

    system: System
    clock: HandClock
    user: UserId
    post_office: PostOffice
    gateway: ScriptedDaraja

    async def failed_deposit(self) -> TransactionId:
        """A deposit that nobody could prompt for before its rate had expired."""
        execute = self.system.executor.execute
        view = await execute(
            CreateDeposit(user_id=self.user, amount=Money(1_000, Currency.USD), deriv_login_id="CR123456")
        )
        transaction_id = TransactionId(UUID(str(view["id"])))
        await execute(InitiateDeposit(transaction_id=transaction_id, user_id=self.user))
        self.advance(timedelta(minutes=16))
        (due,) = await self.system._due.due_mpesa_requests(self.clock.now(), 10)
        assert await execute(ClaimMpesaRequest(request_id=due)) is None
        return transaction_id

    def advance(self, by: timedelta) -> None:
        self.clock.moment += by

    async def messages(self, transaction_id: TransactionId) -> dict[Channel, Notification]:
        found = await self.system.notification_books.of_transaction(transaction_id)
        assert len({one.key for one in found}) == len(found)
        return {one.key.channel: one for one in found}

    @property
    def worker(self) -> NotificationWorker:
        return NotificationWorker(executor=self.system.executor, carriers=self.system._carriers)

    async def deliver(self) -> int:
        """Deliver all that is due, as the worker does; how many there were."""
        found = await self.system.notification_books.due(self.clock.now(), 100, self.system._carriers)
        for due in found:
            try:
                await self.worker.handle(due)
            except LostLicence:  # another one has it, which the worker's runtime passes over
                continue
        return len(found)

    async def rows(self, table: str) -> list[Any]:
        async with self.system.engine.connect() as connection:
            return list((await connection.exec_driver_sql(f"SELECT * FROM {table}")).all())


@asynccontextmanager
async def opened(
    url: str,
    post_office: PostOffice | None,
    gateway: ScriptedDaraja | None,
    changes: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Stage]:
    """A stage on an empty database; a channel whose carrier is None has no settings."""
    settings: dict[str, str] = {}
    if gateway is not None:
        settings |= {
            "PENPAY_SMS_URL": gateway.url + GATEWAY,
            "PENPAY_SMS_USERNAME": "penpay",
            "PENPAY_SMS_API_KEY": "atsk_secret",
            "PENPAY_SMS_FROM": "PENPAY",
        }
    if post_office is not None:
        settings |= {
            "PENPAY_SMTP_URL": f"smtp+plain://us:pass%40word@127.0.0.1:{post_office.port}",
            "PENPAY_MAIL_FROM": SENDER,
        }
    async with offices.opened(url, changes={**settings, **changes}) as office:
        execute = office.system.executor.execute
        user = await execute(
            CreateUser(
                email=ADDRESS,
                phone=PHONE,
                phone_verified=True,
                deriv_login_id=DerivLoginId("CR123456"),
                api_key_hash="0" * 64,
            )
        )
        rate = await execute(
            EnterRate(
                base=Currency.USD,
                quote=Currency.KES,
                mid_e8=parse_mid("129.5"),
                source="test",
                entered_by="test-maker",
                valid_from=None,
            )
        )
        await execute(ApproveRate(rate_id=rate.id, approved_by="test-checker"))
        yield Stage(office.system, office.clock, user.id, post_office or PostOffice(), gateway or ScriptedDaraja())
