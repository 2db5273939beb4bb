"""Rows of the whole program, written and read one unit of work at a time, without a command in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import select

from penpay.application.identity.users import CreateUser
from penpay.application.payments.rows import DERIV_WITHDRAWALS, TRANSACTIONS
from penpay.application.shared.unit_of_work import Footprint, Index, Kind, Work
from penpay.bootstrap import System
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.payments.evidence import (
    DerivWithdrawal,
    EvidenceState,
    MpesaDisbursement,
    Purpose,
    short_reference,
)
from penpay.domain.payments.transaction import Transaction, create_transaction
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import BatchId, DerivWithdrawalId, MpesaDisbursementId, TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.unit_of_work import SqlDatabase, SqlUnitOfWork
from tests.contract.office import stage as offices
from tests.support.ports import MORNING

K = TypeVar("K")
V = TypeVar("V")

PHONE: Final = PhoneNumber.parse("254712000001")
LOGIN_ID: Final = "CR100001"
USD_10: Final = Money(1_000, Currency.USD)


class Rows:
    """The repositories and finders of a System, as its executor uses them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.now: datetime = system.clock.now()
        self._database = SqlDatabase(system.engine, system._schema())

    @asynccontextmanager
    async def unit(self, footprint: Footprint) -> AsyncIterator[tuple[SqlUnitOfWork, Work]]:
        """One unit of work with these rows read and locked; not committed."""
        work = Work(batch_id=BatchId(self.system.ids.new()), now=self.now, ids=self.system.ids, subscriptions={})
        async with self._database.unit_of_work() as unit:
            await unit.lock(work, footprint)
            yield unit, work

    async def do(self, footprint: Footprint, change: Callable[[Work], object]) -> None:
        """Change something and commit."""
        async with self.unit(footprint) as (unit, work):
            change(work)
            await unit.flush(work)
            await unit.commit()

    async def put(self, kind: Kind[K, V], key: K, value: V | None) -> None:
        """Add, replace or remove one row."""
        await self.do(Footprint().add(kind, key), lambda work: work.put(kind, key, value))

    async def get(self, kind: Kind[K, V], key: K) -> V | None:
        """One row as it is read and locked."""
        async with self.unit(Footprint().add(kind, key)) as (_, work):
            return work.get(kind, key)

    async def find(self, index: Index[K, V], keys: Collection[K]) -> Mapping[K, V]:
        """What a footprint would find."""
        async with self.unit(Footprint()) as (unit, _):
            return await unit.find(index, keys)

    async def table(self, name: str) -> list[Any]:
        """Every row of a table, as it is stored."""
        async with self.system.engine.connect() as connection:
            return list(await connection.execute(select(metadata.tables[name])))

    # -- what most stories begin with

    async def user(self, number: int = 1) -> UserId:
        """Somebody with a phone and an account at Deriv."""
        made = await self.system.executor.execute(
            CreateUser(
                email=Email(f"user{number}@example.com"),
                phone=PhoneNumber.parse(f"2547120000{number:02d}"),
                phone_verified=True,
                deriv_login_id=DerivLoginId(f"CR1000{number:02d}"),
                api_key_hash=f"{number:064d}",
            )
        )
        return UserId(made.id)

    async def withdrawal(self, user: UserId, amount: Money = USD_10) -> Transaction:
        """A withdrawal at 129.5 less 2 %, of which nothing was sent; its debit is not there yet."""
        rate = LockedRate(
            base=Currency.USD,
            quote=Currency.KES,
            mid_e8=12_950_000_000,
            spread_bps=200,
            source="test",
            locked_at=self.now,
            expires_at=self.now + timedelta(minutes=15),
        )
        made, event = create_transaction(
            transaction_id=TransactionId(self.system.ids.new()),
            user_id=user,
            amount=amount,
            deriv_login_id=LOGIN_ID,
            rate=rate,
            quote=rate.quote_withdrawal(amount),
            at=self.now,
        )

        def create(work: Work) -> None:
            work.add(TRANSACTIONS, made.id, made)
            work.record(event)

        await self.do(Footprint(), create)
        return made

    async def debit(self, state: EvidenceState = EvidenceState.INTENDED, **fields: Any) -> DerivWithdrawal:
        """The debit of a new withdrawal of somebody who exists already or is `user`, in this state."""
        user = fields.pop("user", None)
        transaction = await self.withdrawal(user if user is not None else await self.user())
        made = debit_of(transaction, state, self.system.ids.new(), **fields)
        await self.put(DERIV_WITHDRAWALS, made.id, made)
        return made


def debit_of(transaction: Transaction, state: EvidenceState, named: UUID, **fields: Any) -> DerivWithdrawal:
    """The debit of a withdrawal, under a reference drawn from `named`."""
    given: dict[str, Any] = {
        "id": DerivWithdrawalId(transaction.id),
        "purpose": Purpose.PAYOUT,
        "subject_id": transaction.id,
        "state": state,
        "amount": transaction.quote.usd,
        "due_at": MORNING,
        "created_at": MORNING,
        "reference": "PX" + short_reference(named.int, 20),
        "deriv_login_id": LOGIN_ID,
    }
    return DerivWithdrawal(**given | fields)


def payout_of(transaction: Transaction, state: EvidenceState, id_: UUID, **fields: Any) -> MpesaDisbursement:
    """A payout of a withdrawal's shillings."""
    given: dict[str, Any] = {
        "id": MpesaDisbursementId(id_),
        "purpose": Purpose.PAYOUT,
        "subject_id": transaction.id,
        "state": state,
        "amount": transaction.quote.kes,
        "due_at": MORNING,
        "created_at": MORNING,
        "originator_conversation_id": f"174379-{id_}",
        "phone": PHONE,
    }
    return MpesaDisbursement(**given | fields)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Rows]:
    """The rows of a database, with the program's executor to make people."""
    async with offices.opened(url) as office:
        yield Rows(office.system)
