"""The state of one batch: what a command changed, and that forgetting it takes back exactly that."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from penpay.application.shared.unit_of_work import (
    AUDIT,
    DELIVERIES,
    EVENTS,
    Appended,
    Change,
    Delivery,
    Footprint,
    Kind,
    NotLocked,
    Work,
)
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import BatchId
from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom

COLOURS: Kind[str, str] = Kind("colours")
SHAPES: Kind[str, str] = Kind("shapes")
NOTES: Appended[str] = Appended("notes")
PAINTED = DomainEvent("Painted", "Wall", UUID(int=5), 3, {"colour": "red"})


@pytest.fixture
def work() -> Work:
    """A batch that has read two colours, one of which there is no row for."""
    made = Work(
        batch_id=BatchId(UUID(int=9)),
        now=MORNING,
        ids=UuidV7(HandClock(), SeededRandom()),
        subscriptions={"Painted": ("gallery", "insurance")},
    )
    made.loaded(COLOURS, {"wall": "white", "door": None})
    made.begin()
    return made


def test_what_was_read_can_be_replaced_added_and_removed(work: Work) -> None:
    """Commands see the batch as it is now; the database is told what is now other than what was read."""
    work.put(COLOURS, "wall", "red")
    work.put(COLOURS, "door", "blue")
    work.put(COLOURS, "wall", None)

    assert (None, "blue") == (work.get(COLOURS, "wall"), work.get(COLOURS, "door"))
    assert [Change("white", None), Change(None, "blue")] == work.changes(COLOURS)
    assert [] == work.changes(SHAPES)


def test_what_came_back_to_what_it_was_is_not_written(work: Work) -> None:
    """A row put back, or added and removed again, is no change."""
    white = work.get(COLOURS, "wall")
    work.put(COLOURS, "wall", "red")
    work.put(COLOURS, "wall", white)
    work.put(COLOURS, "door", "blue")
    work.put(COLOURS, "door", None)

    assert [] == work.changes(COLOURS)


def test_only_the_footprint_is_touched(work: Work) -> None:
    """A row that was not read is asked for, whether it is read or written."""
    touches: list[Callable[[], object]] = [
        lambda: work.get(COLOURS, "roof"),
        lambda: work.put(COLOURS, "roof", "red"),
        lambda: work.get(SHAPES, "roof"),
        lambda: work.put(SHAPES, "roof", "flat"),
    ]
    for touch in touches:
        with pytest.raises(NotLocked) as missing:
            touch()
        assert ("roof",) == missing.value.keys
    assert work.seen(COLOURS, "roof") is None


def test_forgetting_a_command_keeps_those_before_it(work: Work) -> None:
    """Rows, records, events, deliveries and audit of the first stay; of the second nothing does."""
    work.put(COLOURS, "wall", "red")
    work.add(SHAPES, "roof", "flat")
    work.append(NOTES, "first")
    work.record(PAINTED)
    work.audit("painter", "painted", "wall", 5)
    kept = (work.changes(COLOURS), work.changes(SHAPES), work.changes(DELIVERIES), list(work.appended(NOTES)))
    written = (list(work.appended(EVENTS)), list(work.appended(AUDIT)))

    work.begin()
    work.put(COLOURS, "wall", "green")
    work.put(COLOURS, "wall", None)
    work.put(COLOURS, "door", "blue")
    work.add(SHAPES, "roof", "steep")
    work.add(SHAPES, "floor", "flat")
    work.append(NOTES, "second")
    work.record(PAINTED)
    work.audit("painter", "painted", "wall", 5)
    work.forget()

    assert kept == (work.changes(COLOURS), work.changes(SHAPES), work.changes(DELIVERIES), list(work.appended(NOTES)))
    assert written == (list(work.appended(EVENTS)), list(work.appended(AUDIT)))
    assert "red" == work.get(COLOURS, "wall")


def test_forgetting_the_first_command_leaves_nothing(work: Work) -> None:
    """Kinds that only it has added to are empty again."""
    work.append(NOTES, "first")
    work.add(SHAPES, "roof", "flat")
    work.record(PAINTED)
    work.forget()

    assert ([], [], []) == (list(work.appended(NOTES)), list(work.appended(EVENTS)), work.changes(SHAPES))
    assert [] == work.changes(DELIVERIES)
    assert frozenset() == work.owed_to


def test_a_row_that_a_forgotten_command_added_is_not_known_to_be_missing(work: Work) -> None:
    """Nobody has looked it up in the database, so the next command must."""
    work.add(SHAPES, "roof", "flat")
    work.forget()

    with pytest.raises(NotLocked):
        work.get(SHAPES, "roof")
    assert work.seen(SHAPES, "roof") is None


def test_an_event_owes_one_delivery_to_each_subscriber(work: Work) -> None:
    """Each is due at once, keyed by the aggregate, in the order of its events."""
    work.record(PAINTED)
    (stored,) = work.appended(EVENTS)

    assert (PAINTED, MORNING) == (stored.event, stored.recorded_at)
    assert [Delivery(consumer, stored.id, UUID(int=5), 3, MORNING) for consumer in ("gallery", "insurance")] == [
        change.after for change in work.changes(DELIVERIES)
    ]
    assert frozenset({"gallery", "insurance"}) == work.owed_to


def test_footprints_join(work: Work) -> None:
    """The batch's footprint names each row once, whoever asked for it."""
    one = Footprint().add(COLOURS, "wall", "door")
    other = Footprint().add(COLOURS, "door", "roof").add(SHAPES, "roof")

    assert {COLOURS: {"wall", "door", "roof"}, SHAPES: {"roof"}} == one.merge(other).rows
