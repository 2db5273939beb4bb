"""What the simulator's book says: accounts, rows and codes, kept in memory as they were last written.

What is asked again and again is not asked of the database: whose an account and a token is, what it holds, what an
agent has sent today, and what moved just now.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.sandbox.deriv import tables

_FIRST_TRANSACTION_ID: Final = 467_480_000_001
"""Ids of twelve digits, as the real ones, so that nothing downstream gets away with 32 bits."""
_REMEMBERED_MS: Final = 3_600_000
"""How long ago a movement was that can still make an equal one too frequent, when the book is opened."""


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


@dataclass(frozen=True, slots=True)
class MailedCode:
    """The code that a client was mailed last and has not used."""

    number: int
    code: str
    sent_at_ms: int


@dataclass(slots=True)
class Sent:
    """What an account has sent to others since a moment."""

    since_ms: int
    cents: int
    count: int


@dataclass(slots=True, kw_only=True)
class Standing:
    """What the book says."""

    accounts: dict[str, Account]
    told: dict[str, int]
    """Balances, as committed."""
    balances: dict[str, int]
    """Balances, with what is being written."""
    holders: dict[str, TokenHolder]
    """By the digest of the token."""
    codes: dict[tuple[str, str], MailedCode]
    """By client and purpose."""
    last_row: int
    last_mail: int
    moved: OrderedDict[tuple[str, str, int], int]
    """When this sender last sent this receiver so many cents; the longest ago first."""
    sent: dict[str, Sent] = field(default_factory=dict)

    def has_moved(self, sender: str, receiver: str, cents: int, since_ms: int) -> bool:
        """Whether the same moved after this moment; what was before it is forgotten."""
        while self.moved and next(iter(self.moved.values())) <= since_ms:
            self.moved.popitem(last=False)
        return (sender, receiver, cents) in self.moved


@dataclass(slots=True)
class Sheet:
    """The changes of one commit. Who writes on it has checked before, for nothing can be taken back."""

    standing: Standing
    now_ms: int
    rows: list[Row] = field(default_factory=list)
    statements: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    def write(self, statement: Any, **values: Any) -> None:
        """Have this executed before the rows are written."""
        self.statements.append((statement, values))

    def append(
        self,
        login_id: str,
        action: str,
        cents: int,
        *,
        remark: str,
        counterpart: str | None = None,
        app_id: int | None = None,
    ) -> Row:
        """One side of a movement. Raises KeyError for an unknown account."""
        standing = self.standing
        balance = standing.balances[login_id] = standing.balances[login_id] + cents
        standing.last_row += 1
        row = Row(
            transaction_id=standing.last_row,
            login_id=login_id,
            action=action,
            amount_cents=cents,
            balance_after_cents=balance,
            counterpart=counterpart,
            remark=remark,
            app_id=app_id,
            happened_at_ms=self.now_ms,
        )
        self.rows.append(row)
        if counterpart is not None and cents < 0:
            moved = (login_id, counterpart, -cents)
            standing.moved.pop(moved, None)
            standing.moved[moved] = self.now_ms
            sent = standing.sent.get(login_id)
            if sent is not None and self.now_ms >= sent.since_ms:
                sent.cents -= cents
                sent.count += 1
        return row

    async def execute(self, connection: AsyncConnection) -> None:
        """Write everything."""
        for statement, values in self.statements:
            await connection.execute(statement, values)
        if self.rows:
            changed = {row.login_id: row.balance_after_cents for row in self.rows}
            await connection.execute(_SET_BALANCE, [{"of": of, "cents": cents} for of, cents in changed.items()])
            await connection.execute(
                tables.rows.insert(), [{name: getattr(row, name) for name in Row.__slots__} for row in self.rows]
            )

    def committed(self) -> None:
        """What was written may be told."""
        self.standing.told.update((row.login_id, row.balance_after_cents) for row in self.rows)


_SET_BALANCE: Final = (
    tables.accounts.update()
    .where(tables.accounts.c.login_id == sa.bindparam("of"))
    .values(balance_cents=sa.bindparam("cents"))
)


async def load(connection: AsyncConnection, now_ms: int) -> Standing:
    """What the tables say, read in a transaction that may write: after whatever is still being written."""
    accounts = (await connection.execute(tables.accounts.select())).all()
    balances = {found.login_id: int(found.balance_cents) for found in accounts}
    holders = (await connection.execute(tables.tokens.select())).all()
    codes = (await connection.execute(tables.mails.select().where(tables.mails.c.is_used.is_(False)))).all()
    rows = tables.rows.c
    last = sa.func.max(rows.happened_at_ms)
    moved = (
        sa.select(rows.login_id, rows.counterpart, -rows.amount_cents, last)
        .where(rows.amount_cents < 0, rows.counterpart.is_not(None), rows.happened_at_ms > now_ms - _REMEMBERED_MS)
        .group_by(rows.login_id, rows.counterpart, rows.amount_cents)
        .order_by(last)
    )
    return Standing(
        accounts={found.login_id: _account(found) for found in accounts},
        told=dict(balances),
        balances=balances,
        holders={found.digest: TokenHolder(found.login_id, frozenset(found.scopes.split())) for found in holders},
        codes={(found.login_id, found.type): MailedCode(found.number, found.code, found.sent_at_ms) for found in codes},
        last_row=await connection.scalar(sa.select(sa.func.max(rows.transaction_id))) or _FIRST_TRANSACTION_ID - 1,
        last_mail=await connection.scalar(sa.select(sa.func.max(tables.mails.c.number))) or 0,
        moved=OrderedDict(((found[0], found[1], found[2]), found[3]) for found in await connection.execute(moved)),
    )


def _account(found: sa.Row[Any]) -> Account:
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


def account_values(account: Account) -> dict[str, Any]:
    """The row of an account that is opened, with nothing in it yet."""
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
        "opened_at_ms": account.opened_at_ms,
    }
