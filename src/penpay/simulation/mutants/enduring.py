"""Bugs that show when trouble lasts, or at a limit: a full disk, pages that cannot be read, rates, amounts."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from penpay.application.payments import deposit, fx
from penpay.application.shared.unit_of_work import ConstraintViolated
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.payments.limits import DepositLimits
from penpay.domain.shared.errors import AmountOutOfRange
from penpay.domain.shared.money import Money
from penpay.infrastructure.deriv.statement import Statement
from penpay.infrastructure.sql import unit_of_work
from penpay.infrastructure.sql.due import Queue, SqlDue
from penpay.simulation.mutants.planting import Function, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_MUCH: Final = Level.EXTREME


def _full_disk_is_a_constraint(right: Function) -> Function:
    def translated(error: Exception) -> Exception:
        raw = getattr(error, "orig", error)
        raw = getattr(raw, "__cause__", None) or raw
        if getattr(raw, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            return ConstraintViolated("constraint")
        found: Exception = right(error)
        return found

    return translated


def _lost_is_a_fault(right: Function) -> Function:
    def translated(error: Exception) -> Exception:
        found: Exception = right(error)
        return error if "no active connection" in str(error) else found

    return translated


def _row_skipped(right: Function) -> Function:
    async def read(*asked: Any) -> Any:
        return replace(await right(*asked), is_whole=True)

    return read


def _callbacks_unwatched(right: Function) -> Function:
    async def stirring(due: Any, at: Any) -> Any:
        return [queue for queue in await right(due, at) if queue is not Queue.WEBHOOKS]

    return stirring


def _leap_unseen(right: Function) -> Function:
    def moved(*about: int) -> bool:
        right(*about)
        return False

    return moved


def _of_any_age(right: Function) -> Function:
    def lock_rate(current: Any, **given: Any) -> Any:
        return right(current, **{**given, "max_age": timedelta.max})

    return lock_rate


def _old_after_an_hour(right: Function) -> Function:
    def lock_rate(current: Any, **given: Any) -> Any:
        return right(current, **{**given, "max_age": timedelta(hours=1)})

    return lock_rate


def _limits_left_out(right: Function) -> Function:
    def check(self: Any, quote: Any) -> None:
        right(self, quote)
        if quote.usd in {self.smallest, self.largest}:
            raise AmountOutOfRange

    return check


def _a_cent_beyond(right: Function) -> Function:
    def check(self: Any, quote: Any) -> None:
        cent = Money(1, quote.usd.currency)
        right(replace(self, smallest=self.smallest - cent, largest=self.largest + cent), quote)

    return check


def _each_alone(right: Function) -> Function:
    def paid_on_day_of(self: Any, at: Any) -> Any:
        return right(replace(self, last_payment=None), at)

    return paid_on_day_of


ENDURING: Final[tuple[Mutant, ...]] = (
    Mutant(
        name="full_disk_taken_for_a_constraint",
        bug="A disk without room counts as a row that breaks a rule, so the command is at fault and never tried again.",
        breaks=("I15",),
        within=10,
        hazards={Hazard.DISK_FULL: _MUCH},
        replacements=(Replacement(unit_of_work, "translated", _full_disk_is_a_constraint),),
    ),
    Mutant(
        name="lost_connection_taken_for_a_fault",
        bug="A connection that breaks in the middle of a transaction counts as a fault of the command.",
        breaks=("I15",),
        hazards={Hazard.DATABASE_LOST: _MUCH},
        replacements=(Replacement(unit_of_work, "translated", _lost_is_a_fault),),
    ),
    Mutant(
        name="unreadable_row_skipped",
        bug="A row of the statement that cannot be read is left out, and the page counts as read.",
        breaks=("I2",),
        hazards={
            Hazard.STATEMENT_UNREADABLE: _MUCH,
            Hazard.STRANGE_CREDIT: _MUCH,
            Hazard.OWN_OUTAGE: _MUCH,
            Hazard.ENDURING: _MUCH,
        },
        replacements=(Replacement(Statement, "_read", _row_skipped),),
    ),
    Mutant(
        name="queue_not_watched",
        bug="Nobody is woken for a stored message that could not be applied when it came.",
        breaks=("I5", "I7"),
        within=90,
        hazards={Hazard.DATABASE_BUSY: _MUCH, Hazard.CRASH: _MUCH},
        replacements=(Replacement(SqlDue, "stirring", _callbacks_unwatched),),
    ),
    Mutant(
        name="leap_of_the_rate_unseen",
        bug="A rate far from the last one is approved without another look.",
        breaks=("I11",),
        within=10,
        hazards={Hazard.RATE_LEAPS: _MUCH},
        replacements=(Replacement(fx, "moved_more_than", _leap_unseen),),
    ),
    Mutant(
        name="rate_of_any_age",
        bug="A deposit is quoted at the last exchange rate, however old that is.",
        breaks=("I11",),
        within=5,
        hazards={Hazard.RATE_STALE: _MUCH},
        replacements=(Replacement(deposit, "lock_rate", _of_any_age),),
    ),
    Mutant(
        name="rate_old_after_an_hour",
        bug="An exchange rate counts as too old long before it is, and users are refused.",
        breaks=("I11",),
        within=5,
        replacements=(Replacement(deposit, "lock_rate", _old_after_an_hour),),
    ),
    Mutant(
        name="limits_left_out",
        bug="The least and the most that may be asked for are refused themselves.",
        breaks=("I12",),
        within=5,
        hazards={Hazard.AMOUNT_AT_LIMIT: _MUCH},
        replacements=(Replacement(DepositLimits, "check", _limits_left_out),),
    ),
    Mutant(
        name="a_cent_beyond_the_limits",
        bug="A cent less than the least and a cent more than the most are taken.",
        breaks=("I12",),
        within=5,
        hazards={Hazard.AMOUNT_AT_LIMIT: _MUCH},
        replacements=(Replacement(DepositLimits, "check", _a_cent_beyond),),
    ),
    Mutant(
        name="daily_limit_for_each_payment",
        bug="The operator holds each payment alone against its limit for a day.",
        breaks=("I13",),
        within=5,
        hazards={Hazard.DAILY_LIMIT: _MUCH},
        replacements=(Replacement(Customer, "paid_on_day_of", _each_alone),),
    ),
)
"""Bugs in what must outlast trouble."""
