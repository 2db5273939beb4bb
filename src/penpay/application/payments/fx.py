"""Exchange rates: entered by one person, approved by another, and locked for one transaction at a time.

Two guards stand between a slip of the keyboard and a customer's money. At approval, a rate more than `max_move_bps`
away from the last approved one of its pair is refused unless the approver confirms the move by name, so no such rate
ever becomes current unseen. Approvals of one pair come one after another, each at a moment of its own: of two at once,
the second is compared with the first. At quoting, a rate older than its maximum age is refused with `fx_unavailable`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from penpay.application.payments.rows import FX_RATES, FxRate
from penpay.application.payments.views import moment
from penpay.application.shared.unit_of_work import Find, Footprint, Index, Work
from penpay.domain.shared.errors import FxUnavailable, InvalidRequest, NotFound, RateNotApprovable
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import FxRateId
from penpay.domain.shared.locked_rate import BASIS_POINTS, LockedRate
from penpay.domain.shared.money import Currency

LAST_APPROVED: Final[Index[FxRateId, FxRate]] = Index("last_approved_rates")
"""For a rate, the rate of the same pair that was approved last; nothing when the pair never had one.

Looking it up holds the pair: until the batch has ended nobody else approves a rate of it, so what was found stays true.
"""

_TICK: Final = timedelta(microseconds=1)
"""The least by which two moments differ in a database."""
_DECIMAL_PLACES: Final = 8
_MID: Final = re.compile(r"(?P<whole>0|[1-9][0-9]{0,6})(?:\.(?P<fraction>[0-9]{1,8}))?", re.ASCII)
_HANDLE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}", re.ASCII)
_SOURCE: Final = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
_SOURCE_LENGTH: Final = 64


def lock_rate(
    current: FxRate | None, *, now: datetime, max_age: timedelta, spread_bps: int, lock_for: timedelta
) -> LockedRate:
    """Fix a pair's current rate for one transaction, from `now` for `lock_for`.

    `current` was looked up after `now` was read: one that became valid in between is fixed from that moment on.
    A rate's age counts from `valid_from`. Raises FxUnavailable when there is no current rate, when it is not approved,
    and when it is older than `max_age`.
    """
    if current is None or current.approved_at is None:
        raise FxUnavailable
    if now - current.valid_from > max_age:
        raise FxUnavailable("The last approved exchange rate is too old.")
    locked_at = max(now, current.valid_from)
    return LockedRate(
        base=current.base,
        quote=current.quote,
        mid_e8=current.mid_e8,
        spread_bps=spread_bps,
        source=current.source,
        locked_at=locked_at,
        expires_at=locked_at + lock_for,
    )


def parse_mid(text: str) -> int:
    """Read a mid rate such as "129.5" as an integer of 10⁻⁸, exactly.

    Raises InvalidRequest for zero, signs, exponents, separators, blanks, a ninth decimal and ten million or more.
    """
    match = _MID.fullmatch(text)
    if match is None:
        raise InvalidRequest("A rate is a plain decimal with at most eight places, such as 129.5.")
    mid_e8 = int(match["whole"] + (match["fraction"] or "").ljust(_DECIMAL_PLACES, "0"))
    if mid_e8 == 0:
        raise InvalidRequest("A rate is above zero.")
    return mid_e8


def parse_operator(text: str) -> str:
    """Check an operator's handle: 2 to 32 of a-z, 0-9, dot, hyphen, underscore. Raises InvalidRequest.

    One spelling only, so that nobody approves her own rate in capitals.
    """
    if not _HANDLE.fullmatch(text):
        raise InvalidRequest("An operator's handle has 2 to 32 lower-case letters, digits, dots or hyphens.")
    return text


def moved_more_than(max_move_bps: int, mid_e8: int, last_e8: int) -> bool:
    """Whether a rate is more than so many basis points above or below the last one."""
    return abs(mid_e8 - last_e8) * BASIS_POINTS > last_e8 * max_move_bps


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterRate:
    """A mid rate as one person read it from `source`: `mid_e8`/10⁸ of `quote` for one `base`."""

    base: Currency
    quote: Currency
    mid_e8: int
    source: str
    entered_by: str
    valid_from: datetime | None
    """None: from the moment it is entered."""


class EnterRateHandler:
    """Keeps a rate for approval; each entry is a rate of its own."""

    async def footprint(self, commands: Sequence[EnterRate], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint()

    def handle(self, command: EnterRate, work: Work) -> FxRate:
        """Raises InvalidRequest."""
        if command.base is command.quote:
            raise InvalidRequest("A rate is between two currencies.")
        if command.mid_e8 <= 0:
            raise InvalidRequest("A rate is above zero.")
        if len(command.source) > _SOURCE_LENGTH or not _SOURCE.fullmatch(command.source):
            raise InvalidRequest(f"A source has 1 to {_SOURCE_LENGTH} printable characters.")
        rate = FxRate(
            id=FxRateId(work.ids.new()),
            base=command.base,
            quote=command.quote,
            mid_e8=command.mid_e8,
            source=command.source,
            valid_from=command.valid_from or work.now,
            entered_by=parse_operator(command.entered_by),
            approved_by=None,
            approved_at=None,
            created_at=work.now,
        )
        work.add(FX_RATES, rate.id, rate)
        facts = {"base": rate.base.value, "quote": rate.quote.value, "mid_e8": rate.mid_e8}
        valid_from = moment(rate.valid_from)
        work.record(DomainEvent("FxRateEntered", "FxRate", rate.id, 1, {**facts, "valid_from": valid_from}))
        work.audit(f"operator:{rate.entered_by}", "fx_rate.entered", "fx_rate", rate.id, **facts)
        return rate


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveRate:
    """A second person's word that a rate is right; `confirm_move` says that an unusual move was looked at."""

    rate_id: FxRateId
    approved_by: str
    confirm_move: bool = False


class _Approval(NamedTuple):
    at: datetime
    mid_e8: int


class ApproveRateHandler:
    """Makes a rate count. `max_move_bps` is how far it may be from the last approved one without confirmation."""

    def __init__(self, *, max_move_bps: int) -> None:
        self._max_move_bps = max_move_bps

    async def footprint(self, commands: Sequence[ApproveRate], find: Find) -> Footprint:
        ids = {command.rate_id for command in commands}
        await find(LAST_APPROVED, ids)
        return Footprint().add(FX_RATES, *ids)

    def handle(self, command: ApproveRate, work: Work) -> FxRate:
        """Approve once; a repeat by the same person changes nothing.

        Raises NotFound, and RateNotApprovable when the approver entered the rate herself, when somebody else has
        approved it, and when it moved too far without confirmation.
        """
        checker = parse_operator(command.approved_by)
        rate = work.get(FX_RATES, command.rate_id)
        if rate is None:
            raise NotFound("There is no such exchange rate.")
        if rate.approved_by is not None:
            if rate.approved_by == checker:
                return rate
            raise RateNotApprovable("The exchange rate has been approved already.")
        if rate.entered_by == checker:
            raise RateNotApprovable("Whoever entered an exchange rate cannot approve it.")
        last = _last_approval(rate, work)
        moved = last is not None and moved_more_than(self._max_move_bps, rate.mid_e8, last.mid_e8)
        if moved and not command.confirm_move:
            raise RateNotApprovable(
                f"The rate is more than {self._max_move_bps} basis points from the last approved one; "
                "look again, and confirm the move if it is right.",
                max_move_bps=self._max_move_bps,
            )
        approved_at = work.now if last is None else max(work.now, last.at + _TICK)
        approved = replace(rate, approved_by=checker, approved_at=approved_at)
        work.put(FX_RATES, rate.id, approved)
        work.record(DomainEvent("FxRateApproved", "FxRate", rate.id, 2, {"move_confirmed": moved}))
        work.audit(f"operator:{checker}", "fx_rate.approved", "fx_rate", rate.id, move_confirmed=moved)
        return approved


def _last_approval(rate: FxRate, work: Work) -> _Approval | None:
    """The last one in the rate's pair: from before this batch, or by a command before this one in it."""
    pair = rate.base, rate.quote
    rates = (work.found(LAST_APPROVED, rate.id), *(change.after for change in work.changes(FX_RATES)))
    return max(
        (
            _Approval(one.approved_at, one.mid_e8)
            for one in rates
            if one is not None and one.approved_at is not None and (one.base, one.quote) == pair
        ),
        default=None,
    )
