"""The daily look at M-Pesa's own balances: what is missing between two receipts is named, kept and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final, NewType, Protocol
from uuid import UUID

from penpay.application.shared.executor import Executor
from penpay.application.shared.unit_of_work import Find, Footprint, Kind, Work
from penpay.domain.collections.continuity import BalancePoint, Continuity, Gap, Outflow, follow, sum_of
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.money import Money

BalanceCheckId = NewType("BalanceCheckId", UUID)
AGGREGATE: Final = "balance_check"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceCheck:
    """What following one number's balances through one day of Nairobi has shown, the last time somebody looked."""

    id: BalanceCheckId
    short_code: str
    day: date
    continuity: Continuity
    told: int = 0
    """How often gaps were told as an event."""
    checked_at: datetime
    checked_by: str
    version: int = 1

    @property
    def missing(self) -> Money:
        """What came and is not in the books, less what left without our knowing."""
        return sum_of(gap.missing for gap in self.continuity.gaps)


BALANCE_CHECKS: Final[Kind[tuple[str, date], BalanceCheck]] = Kind("balance_checks")


class BalanceBooks(Protocol):
    """Reading what is known of M-Pesa's balances; nothing is locked."""

    async def points(self, short_code: str, since: datetime, until: datetime) -> Sequence[BalancePoint]:
        """The receipts of a span that tell a balance, deposits among them, in no order."""
        ...

    async def preceding(self, short_code: str, before: datetime) -> BalancePoint | None:
        """The last receipt before a moment that tells a balance."""
        ...

    async def outflows(self, since: datetime, until: datetime) -> Sequence[Outflow]:
        """What is known to have left the account in a span."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBalanceCheck:
    short_code: str
    day: date
    continuity: Continuity
    by: str


class RecordBalanceCheckHandler:
    async def footprint(self, commands: Sequence[RecordBalanceCheck], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(BALANCE_CHECKS, *((command.short_code, command.day) for command in commands))

    def handle(self, command: RecordBalanceCheck, work: Work) -> BalanceCheck:
        """Keep the result in the place of the day's last one; gaps that this one did not have are told."""
        key = (command.short_code, command.day)
        before = work.get(BALANCE_CHECKS, key)
        check = BalanceCheck(
            id=before.id if before else BalanceCheckId(work.ids.new()),
            short_code=command.short_code,
            day=command.day,
            continuity=command.continuity,
            told=before.told if before else 0,
            checked_at=work.now,
            checked_by=command.by,
            version=before.version + 1 if before else 1,
        )
        known = set(before.continuity.gaps) if before else set()
        new = [gap for gap in command.continuity.gaps if gap not in known]
        if new:
            check = replace(check, told=check.told + 1)
            work.record(_told(check, new[0]))
        work.put(BALANCE_CHECKS, key, check)
        work.audit(
            command.by,
            "balance.checked",
            "balance_check",
            check.id,
            day=str(check.day),
            gaps=len(check.continuity.gaps),
        )
        return check


def _told(check: BalanceCheck, first: Gap) -> DomainEvent:
    return DomainEvent(
        "BalanceGapFound",
        AGGREGATE,
        check.id,
        check.told,
        {
            "short_code": check.short_code,
            "day": str(check.day),
            "gaps": len(check.continuity.gaps),
            "missing_cents": check.missing.cents,
            "first_after": first.after,
            "first_before": first.before,
            "first_missing_cents": first.missing.cents,
        },
    )


async def check_balance(
    executor: Executor, books: BalanceBooks, *, short_code: str, day: date, by: str
) -> BalanceCheck:
    """Follow the balances of one day of Nairobi and keep the result; a repeat takes the place of the last one."""
    since = datetime.combine(day, time(), EAST_AFRICA_TIME)
    until = since + timedelta(days=1)
    points = await books.points(short_code, since, until)
    preceding = await books.preceding(short_code, since)
    outflows = await books.outflows(since if preceding is None else preceding.at, until)
    continuity = follow(points, outflows, preceding=preceding)
    checked: BalanceCheck = await executor.execute(
        RecordBalanceCheck(short_code=short_code, day=day, continuity=continuity, by=by)
    )
    return checked


def nairobi_day(moment: datetime) -> date:
    """The day of business a moment belongs to."""
    return moment.astimezone(EAST_AFRICA_TIME).date()
