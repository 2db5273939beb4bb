"""The mailbox of the simulator's clients: the codes Deriv mails them, each good once and for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from penpay.application.shared.ports import Clock, Random
from penpay.sandbox.deriv.book import Book, milliseconds_of, tables

_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"
_LENGTH: Final = 8
_GOOD_MS: Final = 3_600_000
"""The real time is not known (deriv.md §2.11)."""

_mail = sa.Table(
    "deriv_sim_mail",
    tables,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("login_id", sa.ForeignKey("deriv_sim_accounts.login_id"), nullable=False),
    sa.Column("email", sa.String(120), nullable=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("code", sa.String(128), nullable=False),
    sa.Column("sent_at_ms", sa.BigInteger, nullable=False),
    sa.Column("is_used", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail with a code."""

    number: int
    login_id: str
    email: str
    type: str
    code: str
    sent_at_ms: int
    is_used: bool


class Mailbox:
    """Every client's mails, in the simulator's database."""

    def __init__(self, book: Book, *, clock: Clock, random: Random) -> None:
        self._book = book
        self._clock = clock
        self._random = random

    async def send_code(self, login_id: str, email: str, type_: str) -> None:
        """Mail a new code; the one outstanding before it is good no more."""
        code = "".join(_LETTERS[self._random.below(len(_LETTERS))] for _ in range(_LENGTH))
        async with self._book.begin() as connection:
            await connection.execute(
                _mail.update().where(_mail.c.login_id == login_id, _mail.c.type == type_).values(is_used=True)
            )
            await connection.execute(
                _mail.insert().values(
                    login_id=login_id,
                    email=email,
                    type=type_,
                    code=code,
                    sent_at_ms=milliseconds_of(self._clock),
                    is_used=False,
                )
            )

    async def use_code(self, login_id: str, type_: str, code: str) -> bool:
        """Use a code up; False for one that is wrong, used or too old."""
        good = sa.and_(
            _mail.c.login_id == login_id,
            _mail.c.type == type_,
            _mail.c.code == code,
            _mail.c.is_used.is_(False),
            _mail.c.sent_at_ms > milliseconds_of(self._clock) - _GOOD_MS,
        )
        async with self._book.begin() as connection:
            return (await connection.execute(_mail.update().where(good).values(is_used=True))).rowcount == 1

    async def mails(self, limit: int = 20) -> list[Mail]:
        """The newest mails, newest first."""
        query = _mail.select().order_by(_mail.c.number.desc()).limit(limit)
        async with self._book.begin() as connection:
            return [Mail(**row) for row in (await connection.execute(query)).mappings()]
