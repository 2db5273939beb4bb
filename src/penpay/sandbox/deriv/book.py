"""The simulator's own book of accounts: what Deriv would know if this were Deriv.

It shares no code with the product's ledger, so that the two can be compared. Balances are integer cents; every
movement appends one row a side under a globally increasing transaction id and is committed before anybody is told.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.shared.ports import Clock

_FIRST_TRANSACTION_ID = 467_480_000_001
"""Ids of twelve digits, as the real ones, so that nothing downstream gets away with 32 bits."""

tables = sa.MetaData()

_accounts = sa.Table(
    "deriv_sim_accounts",
    tables,
    sa.Column("login_id", sa.String(32), primary_key=True),
    sa.Column("first_name", sa.String(80), nullable=False),
    sa.Column("last_name", sa.String(80), nullable=False),
    sa.Column("email", sa.String(120), nullable=False),
    sa.Column("country", sa.String(2), nullable=False),
    sa.Column("currency", sa.String(20), nullable=False),
    sa.Column("is_virtual", sa.Boolean, nullable=False),
    sa.Column("statuses", sa.String(300), nullable=False),
    sa.Column("balance_cents", sa.BigInteger, sa.CheckConstraint("balance_cents >= 0"), nullable=False),
    sa.Column("balance_limit_cents", sa.BigInteger),
    sa.Column("agent_name", sa.String(80)),
    sa.Column("agent_countries", sa.String(300)),
    sa.Column("agent_min_cents", sa.BigInteger),
    sa.Column("agent_max_cents", sa.BigInteger),
    sa.Column("agent_day_cents", sa.BigInteger),
    sa.Column("agent_day_count", sa.Integer),
    sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
)

_rows = sa.Table(
    "deriv_sim_rows",
    tables,
    sa.Column("transaction_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("login_id", sa.ForeignKey("deriv_sim_accounts.login_id"), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("amount_cents", sa.BigInteger, sa.CheckConstraint("amount_cents <> 0"), nullable=False),
    sa.Column("balance_after_cents", sa.BigInteger, sa.CheckConstraint("balance_after_cents >= 0"), nullable=False),
    sa.Column("counterpart", sa.String(32)),
    sa.Column("remark", sa.String(600), nullable=False),
    sa.Column("app_id", sa.BigInteger),
    sa.Column("happened_at_ms", sa.BigInteger, nullable=False),
    sa.Index("deriv_sim_rows_by_account", "login_id", "happened_at_ms"),
)

_tokens = sa.Table(
    "deriv_sim_tokens",
    tables,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("login_id", sa.ForeignKey("deriv_sim_accounts.login_id"), nullable=False),
    sa.Column("scopes", sa.String(200), nullable=False),
)

_APPEND_ONLY = tuple(
    sa.text(
        f"CREATE TRIGGER IF NOT EXISTS deriv_sim_rows_no_{verb} BEFORE {verb} ON deriv_sim_rows "
        "BEGIN SELECT RAISE(ABORT, 'rows are never changed'); END"
    )
    for verb in ("update", "delete")
)


class MovementRefused(Exception):
    """The book itself refuses a movement; `message` is in Deriv's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTerms:
    """What makes an account a payment agent's; the default limits are old public figures (deriv.md §2.15)."""

    name: str
    countries: frozenset[str] = frozenset({"ke"})
    min_cents: int = 10_00
    max_cents: int = 2_000_00
    day_cents: int = 100_000_00
    day_count: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    login_id: str
    first_name: str
    last_name: str
    email: str
    country: str = "ke"
    currency: str = "USD"
    is_virtual: bool = False
    statuses: frozenset[str] = frozenset()
    """Such as cashier_locked, disabled, document_expired (deriv.md §2.5)."""
    balance_limit_cents: int | None = None
    agent: AgentTerms | None = None
    opened_at_ms: int = 0
    """Set by the book."""

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One side of a movement."""

    transaction_id: int
    login_id: str
    action: str
    """deposit or withdrawal; adjustment for an opening balance."""
    amount_cents: int
    """Signed."""
    balance_after_cents: int
    counterpart: str | None
    remark: str
    app_id: int | None
    happened_at_ms: int


@dataclass(frozen=True, slots=True)
class TokenHolder:
    login_id: str
    scopes: frozenset[str]


class Book:
    """Accounts, rows and tokens in an SQLite database of the simulator's own.

    One process writes it; a killed process loses nothing that was answered or pushed.
    """

    def __init__(self, engine: AsyncEngine, *, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        # One at a time: a balance is read and written back, and all connections may be the same one in memory.
        self._turn = asyncio.Lock()

    async def create(self) -> None:
        """Make the tables; a repeat does nothing."""
        async with self._turn, self._engine.begin() as connection:
            await connection.run_sync(tables.create_all)
            for trigger in _APPEND_ONLY:
                await connection.execute(trigger)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction of its own on the book's database, in turn with the book's."""
        async with self._turn, self._engine.begin() as connection:
            yield connection

    async def open_account(
        self, account: Account, *, balance_cents: int = 0, token: str = "", scopes: str = ""
    ) -> None:
        """Open an account with an opening balance and, if `token` is given, a token of these blank-separated scopes.

        An account that is there already stays as it is, balance and token included.
        """
        async with self._turn, self._engine.begin() as connection:
            if await _account(connection, account.login_id) is not None:
                return
            await connection.execute(_accounts.insert().values(**_account_values(account, self._now_ms())))
            if token:
                await connection.execute(
                    _tokens.insert().values(digest=_digest(token), login_id=account.login_id, scopes=scopes)
                )
            if balance_cents:
                await self._append(connection, account.login_id, "adjustment", balance_cents, remark="Opening balance")

    async def set_token(self, login_id: str, token: str, scopes: str) -> None:
        """Make this the one token of an account; whosever it was before, it opens no other account any more."""
        mine = sa.or_(_tokens.c.digest == _digest(token), _tokens.c.login_id == login_id)
        async with self._turn, self._engine.begin() as connection:
            await connection.execute(_tokens.delete().where(mine))
            await connection.execute(_tokens.insert().values(digest=_digest(token), login_id=login_id, scopes=scopes))

    async def set_statuses(self, login_id: str, statuses: frozenset[str]) -> None:
        """Replace an account's statuses, for instance to lock its cashier."""
        async with self._turn, self._engine.begin() as connection:
            await connection.execute(
                _accounts.update().where(_accounts.c.login_id == login_id).values(statuses=" ".join(sorted(statuses)))
            )

    async def account(self, login_id: str) -> Account | None:
        """The account, or None."""
        async with self._turn, self._engine.connect() as connection:
            return await _account(connection, login_id)

    async def holder_of(self, token: str) -> TokenHolder | None:
        """Whose token this is and what it may do, or None."""
        async with self._turn, self._engine.connect() as connection:
            found = (await connection.execute(_tokens.select().where(_tokens.c.digest == _digest(token)))).one_or_none()
        return None if found is None else TokenHolder(found.login_id, frozenset(found.scopes.split()))

    async def balance_of(self, login_id: str) -> int:
        """The balance in cents; raises KeyError for an unknown account."""
        async with self._turn, self._engine.connect() as connection:
            return await _balance(connection, login_id)

    async def rows(self, login_id: str) -> list[Row]:
        """Every row of one account, oldest first."""
        query = _rows.select().where(_rows.c.login_id == login_id).order_by(_rows.c.transaction_id)
        async with self._turn, self._engine.connect() as connection:
            return [_row(found) for found in await connection.execute(query)]

    async def statement(
        self, login_id: str, *, action: str | None, from_ms: int, before_ms: int, limit: int, offset: int
    ) -> list[Row]:
        """One page of rows with from_ms <= happened_at_ms < before_ms, newest first."""
        query = (
            _rows.select()
            .where(_rows.c.login_id == login_id, _rows.c.happened_at_ms >= from_ms, _rows.c.happened_at_ms < before_ms)
            .order_by(_rows.c.transaction_id.desc())
            .limit(limit)
            .offset(offset)
        )
        if action is not None:
            query = query.where(_rows.c.action == action)
        async with self._turn, self._engine.connect() as connection:
            return [_row(found) for found in await connection.execute(query)]

    async def sent_since(self, login_id: str, since_ms: int) -> tuple[int, int]:
        """Sum in cents and number of what this account sent to others since then."""
        query = sa.select(sa.func.coalesce(-sa.func.sum(_rows.c.amount_cents), 0), sa.func.count()).where(
            _rows.c.login_id == login_id,
            _rows.c.action == "withdrawal",
            _rows.c.counterpart.is_not(None),
            _rows.c.happened_at_ms >= since_ms,
        )
        async with self._turn, self._engine.connect() as connection:
            total, count = (await connection.execute(query)).one()
        return int(total), int(count)

    async def move(
        self, *, sender: str, receiver: str, cents: int, remark: str, app_id: int | None, repeat_guard_ms: int
    ) -> tuple[Row, Row]:
        """Move money and return the sender's and the receiver's row, committed; raises MovementRefused.

        The same movement again within `repeat_guard_ms` is refused as too frequent (deriv.md §2.10 #18).
        """
        async with self._turn, self._engine.begin() as connection:
            if await _balance(connection, sender) < cents:
                raise MovementRefused("Your account balance is insufficient for this transaction.")
            if await _has_twin(connection, sender, receiver, cents, self._now_ms() - repeat_guard_ms):
                raise MovementRefused("Request too frequent. Please try again later.")
            limit = await connection.scalar(
                sa.select(_accounts.c.balance_limit_cents).where(_accounts.c.login_id == receiver)
            )
            if limit is not None and await _balance(connection, receiver) + cents > limit:
                raise MovementRefused("This transfer will exceed your account limit of the receiving account.")
            sent = await self._append(
                connection, sender, "withdrawal", -cents, remark=remark, counterpart=receiver, app_id=app_id
            )
            got = await self._append(
                connection, receiver, "deposit", cents, remark=remark, counterpart=sender, app_id=app_id
            )
        return sent, got

    async def deposit(self, login_id: str, cents: int, remark: str) -> Row:
        """Credit an account from outside the book, as a cashier does, and return its committed row."""
        async with self._turn, self._engine.begin() as connection:
            return await self._append(connection, login_id, "deposit", cents, remark=remark)

    async def _append(
        self,
        connection: AsyncConnection,
        login_id: str,
        action: str,
        cents: int,
        *,
        remark: str,
        counterpart: str | None = None,
        app_id: int | None = None,
    ) -> Row:
        balance = await _balance(connection, login_id) + cents
        last = await connection.scalar(sa.select(sa.func.max(_rows.c.transaction_id)))
        row = Row(
            transaction_id=_FIRST_TRANSACTION_ID if last is None else last + 1,
            login_id=login_id,
            action=action,
            amount_cents=cents,
            balance_after_cents=balance,
            counterpart=counterpart,
            remark=remark,
            app_id=app_id,
            happened_at_ms=self._now_ms(),
        )
        await connection.execute(
            _accounts.update().where(_accounts.c.login_id == login_id).values(balance_cents=balance)
        )
        await connection.execute(_rows.insert().values({name: getattr(row, name) for name in Row.__slots__}))
        return row

    def _now_ms(self) -> int:
        return milliseconds_of(self._clock)


def milliseconds_of(clock: Clock) -> int:
    """The present moment in whole milliseconds since 1970."""
    now = clock.now()
    return int(now.replace(microsecond=0).timestamp()) * 1_000 + now.microsecond // 1_000


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def _balance(connection: AsyncConnection, login_id: str) -> int:
    balance = await connection.scalar(sa.select(_accounts.c.balance_cents).where(_accounts.c.login_id == login_id))
    if balance is None:
        raise KeyError(login_id)
    return int(balance)


async def _has_twin(connection: AsyncConnection, sender: str, receiver: str, cents: int, since_ms: int) -> bool:
    query = sa.select(sa.func.count()).where(
        _rows.c.login_id == sender,
        _rows.c.counterpart == receiver,
        _rows.c.amount_cents == -cents,
        _rows.c.happened_at_ms > since_ms,
    )
    return bool(await connection.scalar(query))


async def _account(connection: AsyncConnection, login_id: str) -> Account | None:
    found = (await connection.execute(_accounts.select().where(_accounts.c.login_id == login_id))).one_or_none()
    if found is None:
        return None
    agent = None
    if found.agent_name is not None:
        agent = AgentTerms(
            name=found.agent_name,
            countries=frozenset(found.agent_countries.split()),
            min_cents=found.agent_min_cents,
            max_cents=found.agent_max_cents,
            day_cents=found.agent_day_cents,
            day_count=found.agent_day_count,
        )
    return Account(
        login_id=found.login_id,
        first_name=found.first_name,
        last_name=found.last_name,
        email=found.email,
        country=found.country,
        currency=found.currency,
        is_virtual=found.is_virtual,
        statuses=frozenset(found.statuses.split()),
        balance_limit_cents=found.balance_limit_cents,
        agent=agent,
        opened_at_ms=found.opened_at_ms,
    )


def _account_values(account: Account, opened_at_ms: int) -> dict[str, Any]:
    agent = account.agent
    return {
        "login_id": account.login_id,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "email": account.email,
        "country": account.country,
        "currency": account.currency,
        "is_virtual": account.is_virtual,
        "statuses": " ".join(sorted(account.statuses)),
        "balance_cents": 0,
        "balance_limit_cents": account.balance_limit_cents,
        "agent_name": agent and agent.name,
        "agent_countries": agent and " ".join(sorted(agent.countries)),
        "agent_min_cents": agent and agent.min_cents,
        "agent_max_cents": agent and agent.max_cents,
        "agent_day_cents": agent and agent.day_cents,
        "agent_day_count": agent and agent.day_count,
        "opened_at_ms": opened_at_ms,
    }


def _row(found: sa.Row[Any]) -> Row:
    return Row(**found._mapping)  # noqa: SLF001  (the public name of a row's columns, in spite of its underscore)
