"""Commands that try the executor: money arriving and moving, refusals with and without a trace, and poison."""

# ruff: noqa: ARG002 -- the Handler protocol gives every handler more than most of these need

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from penpay.application.shared.executor import Handler, Lane, Refused
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.application.wallet.ledger import ACCOUNTS
from penpay.domain.shared.errors import Forbidden, Overdrawn
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import wallet_code

UNENCODABLE = "\ud800"
"""Half of a surrogate pair: a Python string, and no text in any database."""


_FREE = Money.zero(Currency.KES)


def payment_id(reference: str) -> UUID:
    """The id of the payment that a test knows by this name."""
    return uuid5(NAMESPACE_OID, reference)


def wallet(number: int) -> str:
    """The code of somebody's wallet in shillings."""
    return wallet_code(UUID(int=number), Currency.KES)


@dataclass(frozen=True, slots=True)
class Issue:
    """Money arrives; it goes through the lane of what nobody repeats."""

    holder: str
    cents: int
    reference: str


class Issuing:
    async def footprint(self, commands: Sequence[Issue], find: Find) -> Footprint:
        footprint = Footprint()
        for command in commands:
            postings.float_issued_footprint(footprint, holder=command.holder, reference=command.reference)
        return footprint

    def handle(self, command: Issue, work: Work) -> dict[str, object]:
        amount = Money(command.cents, Currency.KES)
        new = postings.float_issued(work, holder=command.holder, amount=amount, reference=command.reference)
        return {"new": new, "balance": postings.balance(work, command.holder, Currency.KES).cents}


@dataclass(frozen=True, slots=True)
class Move:
    """Money moves between two holders; new work, refused when the queue is full."""

    payer: str
    payee: str
    cents: int
    reference: str


def _move(command: Move, work: Work) -> dict[str, object]:
    postings.operator_payment(
        work,
        payer=command.payer,
        payee=command.payee,
        amount=Money(command.cents, Currency.KES),
        payer_fee=_FREE,
        payee_fee=_FREE,
        excise=_FREE,
        id_=payment_id(command.reference),
    )
    work.audit("test", "money_moved", "journal", work.batch_id)
    return {"reference": command.reference, "left": postings.balance(work, command.payer, Currency.KES).cents}


class Moving:
    async def footprint(self, commands: Sequence[Move], find: Find) -> Footprint:
        footprint = Footprint()
        for command in commands:
            postings.operator_payment_footprint(footprint, payer=command.payer, payee=command.payee)
        return footprint

    def handle(self, command: Move, work: Work) -> dict[str, object]:
        return _move(command, work)


@dataclass(frozen=True, slots=True)
class MoveUnprepared:
    """The same, by a handler whose footprint names nothing."""

    move: Move


class MovingUnprepared:
    async def footprint(self, commands: Sequence[MoveUnprepared], find: Find) -> Footprint:
        return Footprint()

    def handle(self, command: MoveUnprepared, work: Work) -> dict[str, object]:
        return _move(command.move, work)


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody tries what is not theirs: refused, and the attempt is kept."""

    who: str


class Knocking:
    async def footprint(self, commands: Sequence[Knock], find: Find) -> Footprint:
        return Footprint()

    def handle(self, command: Knock, work: Work) -> Refused:
        work.audit(command.who, "refused", "door", "1", attempts=1)
        return Refused(Forbidden())


@dataclass(frozen=True, slots=True)
class RefuseLate:
    """Refused after everything was done: nothing of it may stay."""

    move: Move


class RefusingLate:
    async def footprint(self, commands: Sequence[RefuseLate], find: Find) -> Footprint:
        return await Moving().footprint([command.move for command in commands], find)

    def handle(self, command: RefuseLate, work: Work) -> dict[str, object]:
        _move(command.move, work)
        raise Overdrawn(account=command.move.payer)


@dataclass(frozen=True, slots=True)
class Crash:
    """A bug in a handler, met after it has changed rows."""

    move: Move


class Crashing:
    async def footprint(self, commands: Sequence[Crash], find: Find) -> Footprint:
        return await Moving().footprint([command.move for command in commands], find)

    def handle(self, command: Crash, work: Work) -> dict[str, object]:
        _move(command.move, work)
        raise RuntimeError("a bug in a handler")


@dataclass(frozen=True, slots=True)
class CrashEarly:
    """A bug in a footprint."""


class CrashingEarly:
    async def footprint(self, commands: Sequence[CrashEarly], find: Find) -> Footprint:
        raise RuntimeError("a bug in a footprint")

    def handle(self, command: CrashEarly, work: Work) -> dict[str, object]:
        raise AssertionError("its footprint has failed")


@dataclass(frozen=True, slots=True)
class Hear:
    """A consumer takes in an event it was owed."""

    name: str


class Hearing:
    async def footprint(self, commands: Sequence[Hear], find: Find) -> Footprint:
        return Footprint()

    def handle(self, command: Hear, work: Work) -> None:
        work.audit(command.name, "heard", "event", "1")


@dataclass(frozen=True, slots=True)
class Peek:
    """Reads a balance and changes nothing."""

    code: str


class Peeking:
    async def footprint(self, commands: Sequence[Peek], find: Find) -> Footprint:
        return Footprint().add(ACCOUNTS, *(command.code for command in commands))

    def handle(self, command: Peek, work: Work) -> int:
        return postings.balance(work, command.code, Currency.KES).cents


def handlers() -> Mapping[type, tuple[Handler[Any, Any], Lane]]:
    return {
        Issue: (Issuing(), Lane.RESOLUTION),
        Move: (Moving(), Lane.REQUEST),
        MoveUnprepared: (MovingUnprepared(), Lane.REQUEST),
        Knock: (Knocking(), Lane.REQUEST),
        RefuseLate: (RefusingLate(), Lane.REQUEST),
        Crash: (Crashing(), Lane.REQUEST),
        CrashEarly: (CrashingEarly(), Lane.REQUEST),
        Hear: (Hearing(), Lane.RESOLUTION),
        Peek: (Peeking(), Lane.REQUEST),
    }
