"""Transfers over HTTP at a serving operator: what `make bench` measures as `operator_transfers`.

The operator is `penpay operator serve`, a process of its own with its own database; who asks is `bench.load`, another
one. `hot` has one pair of customers who pay each other; `spread` draws payer and payee from thousands. Every transfer
costs a fee, so that the accounts of fees and of excise duty are in all of them. Afterwards the money is counted.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import orjson
from sqlalchemy import select

from bench.postings import Variant
from bench.serving import HttpRound, ask, environment, opened, served
from penpay.application.mobile_money.care import SetSuperAgent
from penpay.application.mobile_money.float_issue import AssignFloat
from penpay.application.mobile_money.moving import Move
from penpay.application.mobile_money.registration import Person, RegisterCustomer
from penpay.application.mobile_money.rows import Address, UserType
from penpay.application.mobile_money.tariffs import SetCharge
from penpay.bootstrap import OperatorProcess
from penpay.domain.mobile_money.administrator import Administrator, AdministratorRole
from penpay.domain.mobile_money.customer import Customer, CustomerType
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.migrations import upgrade
from penpay.infrastructure.sql.operator_tables import operator_transactions
from penpay.infrastructure.sql.queries import SqlLedgerBooks

CUSTOMERS: Final = 4_000
EACH_HAS: Final = Money(1_000_000_00, Currency.KES)
AMOUNT: Final = Money(10_00, Currency.KES)
FEE: Final = Money(1_00, Currency.KES)
_SUBSCRIBER: Final = CustomerType.SUBSCRIBER
_SERVES: Final = re.compile(r"The operator serves http://127\.0\.0\.1:(\d+)\.")


class Transfers:
    """A serving operator and its customers, ready to be asked."""

    def __init__(self, port: int, requests: Mapping[Variant, Sequence[str]]) -> None:
        self._port = port
        self._requests = requests
        self.answered: list[str] = []
        """The id of every transfer that a customer was told of."""

    def round(self, variant: Variant) -> HttpRound:
        """Measure for a while, after a warm-up. Exits when anything but 200 is answered."""
        found = ask(self._port, self._requests[variant], once=False, answer=("data", "transactionId"))
        self.answered += found.answers
        return found


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Transfers]:
    """An operator with customers on the empty database at `url`, serving while the block runs.

    At the end it is stopped and its books are read. Exits unless every transfer that was answered with 200 stands in
    them once, nothing else does, and the money adds up.
    """
    settings = environment(url)
    engine = open_engine(url)
    await upgrade(engine)
    await engine.dispose()
    async with opened(settings) as process:
        requests = await _prepare(process)
    with served(settings, "operator", "serve", told=_SERVES) as port:
        transfers = Transfers(port, requests)
        yield transfers
    async with opened(settings) as process:
        await _count(process, transfers.answered)


async def _prepare(process: OperatorProcess) -> Mapping[Variant, Sequence[str]]:
    """Customers with money, the fee, and every request that will be sent, with the token of who sends it."""
    operator = process.operator
    administrator = await operator.register_administrator(
        await operator.person(name="Administrator", email=_email("admin"), phone=None, password=secrets.token_hex()),
        AdministratorRole.SUPER,
        None,
    )
    await _set_fee(process, administrator)
    password_hash = administrator.login.password_hash  # nobody here logs in, and a hash of one's own takes long

    async def register(kind: CustomerType, name: str) -> Customer:
        person = Person(name=name.title(), email=_email(name), phone=None, password_hash=password_hash)
        customer: Customer = await operator.do(RegisterCustomer(type=kind, person=person))
        return customer

    chief = await register(CustomerType.AGENT, "chief")
    agent = await register(CustomerType.AGENT, "agent")
    await operator.do(SetSuperAgent(agent=chief.id, super_agent=True, by=administrator.id))
    float_ = Money(EACH_HAS.cents * CUSTOMERS, Currency.KES)
    await operator.do(AssignFloat(holder=chief.id, amount=float_, bank_reference=None, by=administrator.id))
    await operator.do(_deposit(chief, agent, float_))
    people = await asyncio.gather(*(register(_SUBSCRIBER, f"subscriber{number}") for number in range(CUSTOMERS)))
    await asyncio.gather(*(operator.do(_deposit(agent, person, EACH_HAS)) for person in people))
    chance = random.Random(1)  # noqa: S311  (a bench is to be repeatable)
    pairs = [chance.sample(people, 2) for _ in people]
    first, second = people[:2]
    return {
        "spread": [_request(process, payer, payee) for payer, payee in pairs],
        "hot": [_request(process, first, second), _request(process, second, first)],
    }


async def _set_fee(process: OperatorProcess, administrator: Administrator) -> None:
    for charge in await process.operator.books.charges():
        if (charge.operation, charge.source_type, charge.target_type) == (Operation.TRANSFER, _SUBSCRIBER, _SUBSCRIBER):
            await process.operator.do(SetCharge(charge_id=charge.id, fee=FEE, by=administrator.id))


def _deposit(agent: Customer, customer: Customer, amount: Money) -> Move:
    return Move(
        operation=Operation.DEPOSIT,
        source=agent.id,
        source_type=agent.type,
        target=Address.email(UserType.of(customer.type), _address(customer)),
        amount=amount,
    )


def _request(process: OperatorProcess, payer: Customer, payee: Customer) -> str:
    token = process.access_tokens.issue(payer, process.clock.now())
    body = orjson.dumps(
        {
            "amount": AMOUNT.cents // 100,
            "accountNo": _address(payee).address,
            "customerType": payee.type.value.lower(),
        }
    ).decode()
    return (
        "POST /api/transaction/transfer HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"\r\n{body}"
    )


def _email(name: str) -> Email:
    return Email(f"{name}@example.org")


def _address(customer: Customer) -> Email:
    if customer.email is None:
        raise ValueError("every customer of this bench has an e-mail address")
    return customer.email


async def _count(process: OperatorProcess, answered: Sequence[str]) -> None:
    """Exit, saying what is wrong, unless the books hold exactly what customers were told."""
    of_transfers = operator_transactions.c.operation == Operation.TRANSFER.value
    async with process.engine.connect() as connection:
        found = await connection.execute(select(operator_transactions.c.id).where(of_transfers))
        booked = [str(id_) for id_ in found.scalars()]
    books = await process.operator.books.reconciliation()
    paid_in, fees = EACH_HAS.cents * CUSTOMERS, FEE.cents * len(answered)
    faults = [
        *(["transfers were answered twice with one id"] if len(set(answered)) != len(answered) else []),
        *(["transfers that were answered and those booked differ"] if sorted(answered) != sorted(booked) else []),
        *([f"the two sides of the trust account differ by {books.difference}"] if books.difference.cents else []),
        *([f"wallets hold {books.wallets}"] if books.wallets.cents != paid_in - fees else []),
        *(
            [f"fees came to {books.own_funds} and excise to {books.excise_payable}"]
            if (books.own_funds + books.excise_payable).cents != fees
            else []
        ),
        *(f"{one.check}: {one.subject}: {one.detail}" for one in await SqlLedgerBooks(process.engine).verify()),
    ]
    if faults:
        sys.exit(f"After {len(answered)} transfers the money does not add up:\n" + "\n".join(faults))
