"""The simulator's own book of accounts: what Deriv would know if this were Deriv.

It shares no code with the product's ledger, so that the two can be compared. Balances are integer cents; every
movement appends one row a side under a globally increasing transaction id and is committed before anybody is told.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.shared.ports import Clock
from penpay.sandbox.deriv import tables
from penpay.sandbox.deriv.standing import (
    Account,
    AgentTerms,
    Row,
    Sent,
    Sheet,
    Standing,
    TokenHolder,
    account_values,
    load,
)

__all__ = ["Account", "AgentTerms", "Book", "MovementRefused", "Row", "TokenHolder", "milliseconds_of"]

T = TypeVar("T")


class MovementRefused(Exception):
    """The book itself refuses a movement; `message` is in Deriv's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CommitUnanswered(Exception):
    """The simulator stopped while it was writing."""


class Book:
    """Accounts, rows and tokens in an SQLite database of the simulator's own.

    One process writes it, so it keeps in memory what it says; all changes that wait go into one commit. A killed
    process loses nothing that was answered or pushed.
    """

    def __init__(self, engine: AsyncEngine, *, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        # One at a time: a balance is read and written back, and all connections may be the same one in memory.
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Callable[[Sheet], Any], asyncio.Future[Any]]] = []
        self._standing: Standing | None = None
        """None before it is read, and when a commit was refused or not answered: then it is read again."""

    async def create(self) -> None:
        """Make the tables; a repeat does nothing."""
        async with self._turn, self._engine.begin() as connection:
            await connection.run_sync(tables.create)

    async def change(self, apply: Callable[[Sheet], T]) -> T:
        """Have `apply` write on the sheet of the next commit; return what it returns once that is done.

        What it raises is raised here. It must raise before it writes.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((apply, future))
        try:
            async with self._turn:
                if not future.done():
                    await self._commit()
            return await future
        finally:
            future.cancel()  # of effect only for who stopped waiting: the change is left out

    async def _commit(self) -> None:
        waiting = [(apply, future) for apply, future in self._waiting if not future.done()]
        self._waiting = []
        try:
            answers = await self._write([apply for apply, _ in waiting])
        except BaseException as fault:
            self._standing = None
            for _, future in waiting:
                _settle(future, fault if isinstance(fault, Exception) else CommitUnanswered())
            if not isinstance(fault, Exception):
                raise
        else:
            for (_, future), answer in zip(waiting, answers, strict=True):
                _settle(future, answer)

    async def _write(self, changes: list[Callable[[Sheet], Any]]) -> list[Any]:
        """What each returned or raised, committed."""
        async with self._engine.begin() as connection:
            if self._standing is None:
                self._standing = await load(connection, self._now_ms())
            sheet = Sheet(self._standing, self._now_ms())
            answers = [_answer(change, sheet) for change in changes]
            await sheet.execute(connection)
        sheet.committed()
        return answers

    async def _known(self) -> Standing:
        """What the book says."""
        standing = self._standing
        if standing is None:
            async with self._turn:
                if self._standing is None:
                    async with self._engine.begin() as connection:
                        self._standing = await load(connection, self._now_ms())
                standing = self._standing
        return standing

    async def open_account(
        self, account: Account, *, balance_cents: int = 0, token: str = "", scopes: str = ""
    ) -> None:
        """Open an account with an opening balance and, if `token` is given, a token of these blank-separated scopes.

        An account that is there already stays as it is, balance and token included.
        """

        def open_(sheet: Sheet) -> None:
            if account.login_id in sheet.standing.accounts:
                return
            opened = replace(account, opened_at_ms=sheet.now_ms)
            sheet.write(tables.accounts.insert(), **account_values(opened))
            sheet.standing.accounts[account.login_id] = opened
            sheet.standing.told[account.login_id] = sheet.standing.balances[account.login_id] = 0
            if token:
                _give(sheet, account.login_id, token, scopes)
            if balance_cents:
                sheet.append(account.login_id, "adjustment", balance_cents, remark="Opening balance")

        await self.change(open_)

    async def set_token(self, login_id: str, token: str, scopes: str) -> None:
        """Make this the one token of an account; whosever it was before, it opens no other account any more."""

        def give(sheet: Sheet) -> None:
            holders, of = sheet.standing.holders, tables.tokens.c
            sheet.write(tables.tokens.delete().where(sa.or_(of.digest == _digest(token), of.login_id == login_id)))
            for digest in [digest for digest, holder in holders.items() if holder.login_id == login_id]:
                del holders[digest]
            _give(sheet, login_id, token, scopes)

        await self.change(give)

    async def set_statuses(self, login_id: str, statuses: frozenset[str]) -> None:
        """Replace an account's statuses, for instance to lock its cashier."""

        def lock(sheet: Sheet) -> None:
            account = sheet.standing.accounts[login_id]
            mine = tables.accounts.update().where(tables.accounts.c.login_id == login_id)
            sheet.write(mine.values(statuses=" ".join(sorted(statuses))))
            sheet.standing.accounts[login_id] = replace(account, statuses=statuses)

        await self.change(lock)

    async def account(self, login_id: str) -> Account | None:
        """The account, or None."""
        return (await self._known()).accounts.get(login_id)

    async def holder_of(self, token: str) -> TokenHolder | None:
        """Whose token this is and what it may do, or None."""
        return (await self._known()).holders.get(_digest(token))

    async def balance_of(self, login_id: str) -> int:
        """The balance in cents; raises KeyError for an unknown account."""
        return (await self._known()).told[login_id]

    async def rows(self, login_id: str) -> list[Row]:
        """Every row of one account, oldest first."""
        of = tables.rows.c
        return await self._read(tables.rows.select().where(of.login_id == login_id).order_by(of.transaction_id))

    async def statement(
        self, login_id: str, *, action: str | None, from_ms: int, before_ms: int, limit: int, offset: int
    ) -> list[Row]:
        """One page of rows with from_ms <= happened_at_ms < before_ms, newest first."""
        of = tables.rows.c
        query = (
            tables.rows.select()
            .where(of.login_id == login_id, of.happened_at_ms >= from_ms, of.happened_at_ms < before_ms)
            .order_by(of.happened_at_ms.desc(), of.transaction_id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._read(query if action is None else query.where(of.action == action))

    async def sent_since(self, login_id: str, since_ms: int) -> tuple[int, int]:
        """Sum in cents and number of what this account sent to others since then."""
        standing = await self._known()
        sent = standing.sent.get(login_id)
        if sent is None or sent.since_ms != since_ms:
            of = tables.rows.c
            query = sa.select(sa.func.coalesce(-sa.func.sum(of.amount_cents), 0), sa.func.count()).where(
                of.login_id == login_id,
                of.action == "withdrawal",
                of.counterpart.is_not(None),
                of.happened_at_ms >= since_ms,
            )
            async with self._turn, self._engine.connect() as connection:
                total, count = (await connection.execute(query)).one()
            sent = standing.sent[login_id] = Sent(since_ms, int(total), int(count))
        return sent.cents, sent.count

    async def move(
        self, *, sender: str, receiver: str, cents: int, remark: str, app_id: int | None, repeat_guard_ms: int
    ) -> tuple[Row, Row]:
        """Move money and return the sender's and the receiver's row, committed; raises MovementRefused.

        The same movement again within `repeat_guard_ms` is refused as too frequent (deriv.md §2.10 #18).
        """

        def move(sheet: Sheet) -> tuple[Row, Row]:
            standing = sheet.standing
            if standing.balances[sender] < cents:
                raise MovementRefused("Your account balance is insufficient for this transaction.")
            if standing.has_moved(sender, receiver, cents, sheet.now_ms - repeat_guard_ms):
                raise MovementRefused("Request too frequent. Please try again later.")
            limit = standing.accounts[receiver].balance_limit_cents
            if limit is not None and standing.balances[receiver] + cents > limit:
                raise MovementRefused("This transfer will exceed your account limit of the receiving account.")
            return (
                sheet.append(sender, "withdrawal", -cents, remark=remark, counterpart=receiver, app_id=app_id),
                sheet.append(receiver, "deposit", cents, remark=remark, counterpart=sender, app_id=app_id),
            )

        return await self.change(move)

    async def deposit(self, login_id: str, cents: int, remark: str) -> Row:
        """Credit an account from outside the book, as a cashier does, and return its committed row."""
        return await self.change(lambda sheet: sheet.append(login_id, "deposit", cents, remark=remark))

    async def read(self, query: sa.Select[Any]) -> list[Any]:
        """The rows of a query, in turn with the book's own."""
        async with self._turn, self._engine.connect() as connection:
            return list(await connection.execute(query))

    async def _read(self, query: sa.Select[Any]) -> list[Row]:
        # The public name of a row's columns, in spite of its underscore.
        return [Row(**found._mapping) for found in await self.read(query)]  # noqa: SLF001

    def _now_ms(self) -> int:
        return milliseconds_of(self._clock)


def milliseconds_of(clock: Clock) -> int:
    """The present moment in whole milliseconds since 1970."""
    now = clock.now()
    return int(now.replace(microsecond=0).timestamp()) * 1_000 + now.microsecond // 1_000


def _answer(change: Callable[[Sheet], Any], sheet: Sheet) -> Any:
    try:
        return change(sheet)
    except (MovementRefused, KeyError) as refused:
        return refused


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _give(sheet: Sheet, login_id: str, token: str, scopes: str) -> None:
    digest = _digest(token)
    sheet.write(tables.tokens.insert(), digest=digest, login_id=login_id, scopes=scopes)
    sheet.standing.holders[digest] = TokenHolder(login_id, frozenset(scopes.split()))
