"""An operator with people on it, and the question every test ends with: whether the books agree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from penpay.application.mobile_money.float_issue import AssignFloat
from penpay.application.mobile_money.moving import Move
from penpay.application.mobile_money.rows import Address, UserType
from penpay.application.mobile_money.tariffs import SetCharge
from penpay.bootstrap.operator import OperatorProcess
from penpay.bootstrap.ports import Ports
from penpay.config import OperatorSettings, load_operator_settings
from penpay.domain.mobile_money.administrator import Administrator, AdministratorRole
from penpay.domain.mobile_money.customer import Customer, CustomerType
from penpay.domain.mobile_money.policy import OPEN, OperatorPolicy
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.deriv.connection import websocket_connect
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from tests.support.ports import HandClock, SeededRandom

PASSWORD = "secret-enough"


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


def settings(url: str) -> OperatorSettings:
    """Settings of an operator whose secrets are worth nothing."""
    key = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
    return load_operator_settings(
        {
            "APP_ENV": "testing",
            "OPERATOR_DATABASE_URL": url,
            "PENPAY_FIELD_KEYS": f"test:{key}",
            "PENPAY_MASTER_KEY": key,
        }
    )


@dataclass
class Stage:
    process: OperatorProcess
    clock: HandClock
    administrator: Administrator
    people: dict[str, Customer] = field(default_factory=dict)
    """By the name a test gives them."""

    async def customer(self, name: str, kind: CustomerType, *, phone: str | None = None) -> Customer:
        """Register somebody under `name`@example.org."""
        operator = self.process.operator
        person = await operator.person(
            name=name.title(),
            email=Email(f"{name}@example.org"),
            phone=None if phone is None else PhoneNumber.parse(phone),
            password=PASSWORD,
        )
        self.people[name] = await operator.register(UserType.of(kind), person)
        return self.people[name]

    async def network(self, shillings: int = 10_000) -> None:
        """A super agent with float, an agent with this much of it, two subscribers and a merchant with nothing."""
        from penpay.application.mobile_money.care import SetSuperAgent  # noqa: PLC0415 -- used here alone

        chief = await self.customer("chief", CustomerType.AGENT)
        await self.customer("agent", CustomerType.AGENT)
        await self.customer("shop", CustomerType.MERCHANT)
        await self.customer("first", CustomerType.SUBSCRIBER, phone="0712000001")
        await self.customer("second", CustomerType.SUBSCRIBER, phone="0712000002")
        await self.do(SetSuperAgent(agent=chief.id, super_agent=True, by=self.administrator.id))
        await self.assign_float(shillings)
        await self.move(Operation.DEPOSIT, "chief", "agent", shillings)

    async def do(self, command: object) -> dict[str, object]:
        answer: dict[str, object] = await self.process.operator.do(command)
        return answer

    async def assign_float(self, shillings: int, bank_reference: str | None = None) -> dict[str, object]:
        return await self.do(
            AssignFloat(
                holder=self.people["chief"].id,
                amount=kes(shillings),
                bank_reference=bank_reference,
                by=self.administrator.id,
            )
        )

    def moving(self, operation: Operation, source: str, target: str, amount: Money) -> Move:
        payer, payee = self.people[source], self.people[target]
        return Move(
            operation=operation,
            source=payer.id,
            source_type=payer.type,
            target=Address.email(UserType.of(payee.type), Email(f"{target}@example.org")),
            amount=amount,
        )

    async def move(self, operation: Operation, source: str, target: str, shillings: int) -> dict[str, object]:
        return await self.do(self.moving(operation, source, target, kes(shillings)))

    async def charge(self, operation: Operation, source: CustomerType, target: CustomerType, cents: int) -> None:
        for charge in await self.process.operator.books.charges():
            if (charge.operation, charge.source_type, charge.target_type) == (operation, source, target):
                fee = Money(cents, Currency.KES)
                await self.do(SetCharge(charge_id=charge.id, fee=fee, by=self.administrator.id))

    async def cents(self, name: str) -> int:
        return (await self.process.operator.books.balance(self.people[name])).cents

    async def texts(self, name: str) -> list[str]:
        """What somebody's phone has been sent, newest first."""
        return [one.text for one in await self.process.operator.books.messages(self.people[name].id, 50, None)]

    async def agrees(self) -> bool:
        """Whether the trust account holds what is owed, and the ledger is sound."""
        found = await self.process.operator.books.reconciliation()
        return found.difference.cents == 0 and not await SqlLedgerBooks(self.process.engine).verify()


@asynccontextmanager
async def opened(
    url: str, policy: OperatorPolicy = OPEN, administrator: Administrator | None = None
) -> AsyncIterator[Stage]:
    """An operator with its first administrator on an empty database, or again on one that has her."""
    engine = open_engine(url)
    await migrations.upgrade(engine)
    await engine.dispose()
    clock = HandClock()
    ports = Ports(
        clock=clock,
        random=SeededRandom(1 if administrator is None else 2),
        http=httpx.AsyncClient,
        deriv=lambda *_: websocket_connect("ws://", 1),
    )
    process = OperatorProcess(settings(url), ports, policy=policy, pin_log2_cost=4)
    await process.start()
    try:
        if administrator is None:
            person = await process.operator.person(
                name="Administrator", email=Email("admin@example.org"), phone=None, password=PASSWORD
            )
            administrator = await process.operator.register_administrator(person, AdministratorRole.SUPER, None)
        yield Stage(process, clock, administrator)
    finally:
        await process.stop()
