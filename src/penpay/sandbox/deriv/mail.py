"""The mailbox of the simulator's clients: the codes Deriv mails them, each good once and for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penpay.application.shared.ports import Random
from penpay.sandbox.deriv.book import Book
from penpay.sandbox.deriv.standing import MailedCode, Sheet
from penpay.sandbox.deriv.tables import mails

_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"
_LENGTH: Final = 8
_GOOD_MS: Final = 3_600_000
"""The real time is not known (deriv.md §2.11)."""


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

    def __init__(self, book: Book, *, random: Random) -> None:
        self._book = book
        self._random = random

    async def send_code(self, login_id: str, email: str, type_: str) -> None:
        """Mail a new code; the one outstanding before it is good no more."""
        code = "".join(_LETTERS[self._random.below(len(_LETTERS))] for _ in range(_LENGTH))

        def send(sheet: Sheet) -> None:
            standing = sheet.standing
            _use_up(sheet, login_id, type_)
            standing.last_mail += 1
            sheet.write(
                mails.insert(),
                number=standing.last_mail,
                login_id=login_id,
                email=email,
                type=type_,
                code=code,
                sent_at_ms=sheet.now_ms,
                is_used=False,
            )
            standing.codes[login_id, type_] = MailedCode(standing.last_mail, code, sheet.now_ms)

        await self._book.change(send)

    async def use_code(self, login_id: str, type_: str, code: str) -> bool:
        """Use a code up; False for one that is wrong, used or too old."""

        def use(sheet: Sheet) -> bool:
            good = sheet.standing.codes.get((login_id, type_))
            if good is None or good.code != code or good.sent_at_ms <= sheet.now_ms - _GOOD_MS:
                return False
            _use_up(sheet, login_id, type_)
            return True

        return await self._book.change(use)

    async def mails(self, limit: int = 20) -> list[Mail]:
        """The newest mails, newest first."""
        query = mails.select().order_by(mails.c.number.desc()).limit(limit)
        return [Mail(**row._mapping) for row in await self._book.read(query)]  # noqa: SLF001  (see Book)


def _use_up(sheet: Sheet, login_id: str, type_: str) -> None:
    before = sheet.standing.codes.pop((login_id, type_), None)
    if before is not None:
        sheet.write(mails.update().where(mails.c.number == before.number).values(is_used=True))
