"""Whatever the order in which batches are found, and whatever a transaction went through."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penpay.application.shared.audit_chain import GENESIS, next_seal
from penpay.application.shared.publishing import PendingBatch, PendingEvent, in_causal_order
from penpay.domain.payments.transaction import (
    ALLOWED,
    BrokenHistory,
    Transaction,
    TransactionStatus,
    create_transaction,
    rebuilt,
)
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import BatchId, EventId, TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from tests.support.ports import MORNING

RATE = LockedRate(
    base=Currency.USD,
    quote=Currency.KES,
    mid_e8=12_950_000_000,
    spread_bps=200,
    source="test",
    locked_at=MORNING,
    expires_at=MORNING + timedelta(minutes=15),
)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def histories(draw: st.DrawFn) -> list[PendingBatch]:
    """Batches in the order of their commits, with ids in any order: events of a few aggregates, each counted from 1."""
    touched = draw(st.lists(st.lists(st.integers(1, 4), max_size=5), max_size=12))
    ids = draw(st.permutations(range(1, len(touched) + 1)))
    sequences: dict[int, int] = {}
    batches = []
    for number, aggregates in zip(ids, touched, strict=True):
        events = []
        for place, aggregate in enumerate(aggregates, 1):
            sequences[aggregate] = sequences.get(aggregate, 0) + 1
            event_id = EventId(UUID(int=number * 100 + place))
            events.append(PendingEvent(event_id, UUID(int=aggregate), sequences[aggregate]))
        batches.append(PendingBatch(BatchId(UUID(int=number * 100)), tuple(events), ()))
    return batches


@given(histories(), st.randoms())
def test_every_batch_has_one_place_and_every_aggregate_its_order(
    batches: list[PendingBatch], random: st.DataObject
) -> None:
    """However they are found, nothing is lost, nothing stands twice, and sequences only grow."""
    found = list(batches)
    random.shuffle(found)  # type: ignore[attr-defined]  # hypothesis gives a random.Random

    ordered = in_causal_order(found)

    assert sorted(batch.id for batch in batches) == sorted(batch.id for batch in ordered)
    heard: dict[UUID, int] = {}
    for event in (event for batch in ordered for event in batch.events):
        assert event.sequence == heard.get(event.aggregate_id, 0) + 1
        heard[event.aggregate_id] = event.sequence


def test_a_circle_holds_nobody_up() -> None:
    """Two batches that follow each other cannot be; if they are, they and the rest still get a place."""
    one, two, three = (UUID(int=number) for number in (1, 2, 3))
    event = EventId(three)
    first = PendingBatch(BatchId(one), (PendingEvent(event, one, 1), PendingEvent(event, two, 2)), ())
    second = PendingBatch(BatchId(two), (PendingEvent(event, one, 2), PendingEvent(event, two, 1)), ())
    third = PendingBatch(BatchId(three), (), ())

    assert [third, first, second] == in_causal_order([first, second, third])


@given(hashes, st.integers(1, 2**62), st.uuids(), st.lists(hashes, max_size=4), st.data())
def test_a_seal_depends_on_every_bit_it_seals(
    previous: str, position: int, batch: UUID, rows: list[str], data: st.DataObject
) -> None:
    """Another predecessor, position, batch, row or order of rows gives another seal."""
    seal = next_seal(previous, position, BatchId(batch), rows)
    bit = 1 << data.draw(st.integers(0, 127))

    assert seal == next_seal(previous, position, BatchId(batch), rows)
    assert seal != next_seal(f"{int(previous, 16) ^ bit:064x}", position, BatchId(batch), rows)
    assert seal != next_seal(previous, position + 1, BatchId(batch), rows)
    assert seal != next_seal(previous, position, BatchId(UUID(int=batch.int ^ bit)), rows)
    assert seal != next_seal(previous, position, BatchId(batch), [*rows, GENESIS])
    if rows:
        assert seal != next_seal(previous, position, BatchId(batch), rows[:-1])
        changed = [*rows[:-1], f"{int(rows[-1], 16) ^ bit:064x}"]
        assert seal != next_seal(previous, position, BatchId(batch), changed)
    with pytest.raises(ValueError, match="hex"):
        next_seal(previous.upper() if previous.upper() != previous else previous[2:], position, BatchId(batch), rows)


def created(cents: int) -> tuple[Transaction, DomainEvent]:
    amount = Money(cents, Currency.USD)
    return create_transaction(
        transaction_id=TransactionId(UUID(int=1)),
        user_id=UserId(UUID(int=2)),
        amount=amount,
        deriv_login_id="CR123456",
        rate=RATE,
        quote=RATE.quote_deposit(amount),
        at=MORNING,
    )


@st.composite
def lives(draw: st.DrawFn) -> tuple[Transaction, list[DomainEvent]]:
    """A transaction after any moves that are drawn, and all it has told."""
    transaction, event = created(draw(st.integers(200, 100_000)))
    events = [event]
    for second in range(draw(st.integers(0, 8))):
        to = draw(st.sampled_from(sorted({transaction.status, *ALLOWED[transaction.status]})))
        facts = draw(
            st.dictionaries(
                st.sampled_from(["receipt", "failure_code", "recovered_by", "review_id"]), st.text(max_size=3)
            )
        )
        moment = MORNING + timedelta(seconds=second, microseconds=draw(st.integers(0, 999_999)))
        transaction, event = transaction.moved("Moved", TransactionStatus(to), moment, **facts)
        events.append(event)
    return transaction, events


@given(lives())
def test_events_alone_rebuild_the_transaction(life: tuple[Transaction, list[DomainEvent]]) -> None:
    """Every field, to the microsecond."""
    transaction, events = life

    assert transaction == rebuilt(events)


@given(lives(), st.data())
def test_a_history_with_a_hole_is_none(life: tuple[Transaction, list[DomainEvent]], data: st.DataObject) -> None:
    """An event taken out from anywhere but the end is missed, and without the first there is nothing."""
    _, events = life
    hole = data.draw(st.integers(0, len(events) - 1))
    left = events[:hole] + events[hole + 1 :]

    if left and hole == len(events) - 1:
        assert len(left) == rebuilt(left).version
    else:
        with pytest.raises(BrokenHistory):
            rebuilt(left)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": {"status": "PENDING"}},
        {"name": "DepositInitiated"},
        {"schema_version": 2},
        {"payload_of": {"amount_cents": "ten"}},
        {"payload_of": {"user_id": 7}},
        {"payload_of": {"status": "DREAMING"}},
        {"payload_of": {"at": None}},
    ],
)
def test_a_beginning_that_cannot_be_is_told(change: dict[str, object]) -> None:
    """Whatever stands in a changed event, the answer is that this history is broken."""
    _, event = created(1_000)
    payload_of = change.pop("payload_of", {})
    assert isinstance(payload_of, dict)
    if payload_of:
        change = {"payload": {**event.payload, **payload_of}}

    with pytest.raises(BrokenHistory):
        rebuilt([replace(event, **change)])  # type: ignore[arg-type]  # the fields of the case


def test_a_move_that_is_not_drawn_is_told() -> None:
    """PENDING does not become COMPLETED, whoever wrote the event."""
    transaction, event = created(1_000)
    jump = DomainEvent("TransactionCompleted", "Transaction", transaction.id, 2, {"status": "COMPLETED"})

    with pytest.raises(BrokenHistory, match="Event 2, TransactionCompleted"):
        rebuilt([event, jump])
