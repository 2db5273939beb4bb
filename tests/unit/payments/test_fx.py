"""Exchange rates: exact as typed, never of one person alone, never stale."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penpay.application.payments.fx import (
    LAST_APPROVED,
    ApproveRate,
    ApproveRateHandler,
    EnterRate,
    EnterRateHandler,
    lock_rate,
    moved_more_than,
    parse_mid,
)
from penpay.application.payments.rows import FX_RATES, FxRate
from penpay.application.shared.unit_of_work import AUDIT, EVENTS, Work
from penpay.domain.shared.errors import FxUnavailable, InvalidRequest, NotFound, RateNotApprovable
from penpay.domain.shared.ids import BatchId, FxRateId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency
from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom

ENTER = EnterRate(
    base=Currency.USD,
    quote=Currency.KES,
    mid_e8=12_950_000_000,
    source="central bank",
    entered_by="user_one",
    valid_from=None,
)
RATE = FxRate(
    id=FxRateId(UUID(int=1)),
    base=Currency.USD,
    quote=Currency.KES,
    mid_e8=12_950_000_000,
    source="central bank",
    valid_from=MORNING,
    entered_by="user_one",
    approved_by="user_two",
    approved_at=MORNING - timedelta(hours=1),
    created_at=MORNING - timedelta(hours=1),
)
ENTERED = replace(RATE, id=FxRateId(UUID(int=2)), approved_by=None, approved_at=None)
DAY = timedelta(hours=24)
HANDLER = ApproveRateHandler(max_move_bps=300)


def locked(rate: FxRate | None, after: timedelta) -> LockedRate:
    return lock_rate(rate, now=MORNING + after, max_age=DAY, spread_bps=200, lock_for=timedelta(minutes=15))


def work() -> Work:
    ids = UuidV7(HandClock(), SeededRandom())
    return Work(batch_id=BatchId(ids.new()), now=MORNING, ids=ids, subscriptions={})


async def approval(command: ApproveRate, rate: FxRate | None, last: FxRate | None) -> tuple[Work, FxRate]:
    """Run an approval on a database that holds this rate, and `last` as the one approved before it."""
    batch = work()

    async def find(index: Any, keys: Collection[Any]) -> Mapping[Any, Any]:
        assert index == LAST_APPROVED
        found = {} if last is None else dict.fromkeys(keys, last)
        batch.looked_up(index, found)
        return found

    footprint = await HANDLER.footprint([command], find)
    assert {FX_RATES: {command.rate_id}} == footprint.rows
    batch.loaded(FX_RATES, {command.rate_id: rate})
    return batch, HANDLER.handle(command, batch)


def by(name: str, *, confirm_move: bool = False) -> ApproveRate:
    return ApproveRate(rate_id=ENTERED.id, approved_by=name, confirm_move=confirm_move)


# -- locking


def test_a_locked_rate_is_the_current_one_for_a_while() -> None:
    """A transaction keeps the rate it met, with the spread, for a quarter of an hour."""
    rate = locked(RATE, timedelta(hours=1))

    assert (RATE.mid_e8, 200, "central bank") == (rate.mid_e8, rate.spread_bps, rate.source)
    assert Decimal("132.09") == rate.deposit_rate
    assert not rate.is_expired(MORNING + timedelta(minutes=74))
    assert rate.is_expired(MORNING + timedelta(minutes=75))


def test_a_rate_serves_to_the_last_moment_of_its_age() -> None:
    """Twenty-four hours old is still good; a microsecond more is not."""
    assert locked(RATE, DAY)
    with pytest.raises(FxUnavailable, match="too old"):
        locked(RATE, DAY + timedelta(microseconds=1))


@pytest.mark.parametrize(
    "rate",
    [None, ENTERED],
    ids=["no rate", "not approved"],
)
def test_without_a_usable_rate_nothing_is_quoted(rate: FxRate | None) -> None:
    """No rate and an unapproved rate each end in fx_unavailable."""
    with pytest.raises(FxUnavailable):
        locked(rate, timedelta(0))


def test_a_rate_that_became_valid_while_the_batch_waited_is_locked_from_that_moment() -> None:
    """The batch began at eight, found the rate of a second later as the current one, and locks it from then on."""
    second = timedelta(seconds=1)
    quoted = locked(replace(RATE, valid_from=MORNING + second), timedelta(0))

    assert (MORNING + second, MORNING + second + timedelta(minutes=15)) == (quoted.locked_at, quoted.expires_at)


# -- reading a rate


@given(st.integers(min_value=1, max_value=10**15 - 1))
def test_every_rate_is_read_exactly(mid_e8: int) -> None:
    """A rate typed with up to eight places is the integer it says, without a float in between."""
    assert mid_e8 == parse_mid(f"{Decimal(mid_e8).scaleb(-8):f}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.00000000",
        "-1",
        "+1",
        "1e2",
        "1,5",
        "129.",
        ".5",
        "0129",
        "1.123456789",
        "10000000",
        " 1",
        "\uff11\uff12\uff19",
        "nan",
    ],
)
def test_a_rate_that_is_not_plain_is_refused(text: str) -> None:
    """Zero, signs, exponents, commas, blanks, wide digits and too many places are refused."""
    with pytest.raises(InvalidRequest):
        parse_mid(text)


# -- entering


def test_an_entered_rate_waits() -> None:
    """A new rate is kept unapproved, holds from now unless told otherwise, and is on record."""
    batch = work()

    rate = EnterRateHandler().handle(ENTER, batch)

    assert isinstance(rate, FxRate)
    assert (None, None, MORNING, "user_one") == (rate.approved_by, rate.approved_at, rate.valid_from, rate.entered_by)
    assert ["FxRateEntered"] == [stored.event.name for stored in batch.appended(EVENTS)]
    assert ["operator:user_one"] == [record.actor for record in batch.appended(AUDIT)]


@pytest.mark.parametrize(
    "command",
    [
        replace(ENTER, quote=Currency.USD),
        replace(ENTER, mid_e8=0),
        replace(ENTER, source=""),
        replace(ENTER, source="a\nb"),
        replace(ENTER, source="x" * 65),
        replace(ENTER, entered_by="User One"),
        replace(ENTER, entered_by="w"),
    ],
)
def test_a_malformed_entry_is_refused(command: EnterRate) -> None:
    """One currency, no value, no source, or a handle that is not one: nothing is kept."""
    batch = work()
    with pytest.raises(InvalidRequest):
        EnterRateHandler().handle(command, batch)
    assert [] == batch.changes(FX_RATES)


# -- approving


async def test_a_second_person_makes_a_rate_count() -> None:
    """User Two approves what User One entered, and both are on record."""
    batch, rate = await approval(by("user_two"), ENTERED, RATE)

    assert ("user_two", MORNING) == (rate.approved_by, rate.approved_at)
    assert ["FxRateApproved"] == [stored.event.name for stored in batch.appended(EVENTS)]
    assert ["operator:user_two"] == [record.actor for record in batch.appended(AUDIT)]


async def test_nobody_approves_her_own_rate() -> None:
    """The maker cannot be the checker, not even spelt in capitals."""
    with pytest.raises(RateNotApprovable, match="entered"):
        await approval(by("user_one"), ENTERED, RATE)
    with pytest.raises(InvalidRequest):
        await approval(by("USER_ONE"), ENTERED, RATE)


async def test_approving_again_changes_nothing() -> None:
    """A repeat by the same person is answered as before; another person is told it is done."""
    approved = replace(ENTERED, approved_by="user_two", approved_at=MORNING)

    batch, rate = await approval(by("user_two"), approved, RATE)

    assert approved == rate
    assert [] == batch.changes(FX_RATES)
    assert [] == list(batch.appended(EVENTS))
    with pytest.raises(RateNotApprovable, match="already"):
        await approval(by("achieng"), approved, RATE)


async def test_an_unknown_rate_is_not_found() -> None:
    """An id that was mistyped approves nothing."""
    with pytest.raises(NotFound):
        await approval(by("user_two"), None, None)


async def test_a_far_move_needs_a_second_look() -> None:
    """A slip of a digit is refused until the approver says that it is no slip, which stays on record."""
    slipped = replace(ENTERED, mid_e8=19_250_000_000)
    with pytest.raises(RateNotApprovable) as refused:
        await approval(by("user_two"), slipped, RATE)

    batch, _ = await approval(by("user_two", confirm_move=True), slipped, RATE)

    assert {"max_move_bps": 300} == refused.value.details
    assert [{"move_confirmed": True}] == [dict(record.facts) for record in batch.appended(AUDIT)]


async def test_the_first_rate_of_a_pair_has_nothing_to_be_far_from() -> None:
    """Without an approved rate before it any rate may be approved."""
    _, rate = await approval(by("user_two"), ENTERED, None)

    assert "user_two" == rate.approved_by


@pytest.mark.parametrize(
    ("mid_e8", "far"),
    [(10_300_000_000, False), (10_300_000_001, True), (9_700_000_000, False), (9_699_999_999, True)],
)
def test_three_per_cent_is_not_far_and_a_hair_more_is(mid_e8: int, far: bool) -> None:  # noqa: FBT001  (a table of cases)
    """The bound holds to the last digit, up and down."""
    assert far is moved_more_than(300, mid_e8, 10_000_000_000)
