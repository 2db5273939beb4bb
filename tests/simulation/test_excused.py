"""A fault excuses what it has brought about, where it happened, and nothing else."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from penpay.simulation.excused import ErrorLog, has_struck, unforeseen, without_cause
from penpay.simulation.profile import Hazard, Level, profile_of
from penpay.simulation.script import Script
from penpay.simulation.watched import Wrongness

CALM = replace(profile_of(1), hazards={})


def world(*, may: Hazard | None = None, did: Hazard | None = None, scripted: bool = False) -> Any:
    """As much of a world as excuses are drawn from: what could have gone wrong in it, and what did."""
    profile = CALM if may is None else CALM.with_hazards({may: Level.MILD})
    reached = Counter() if did is None else Counter({f"fault {did}": 1})
    return SimpleNamespace(
        profile=profile,
        reached=reached,
        script=Script() if scripted else None,
        loop=SimpleNamespace(tasks=[]),
        wrongness=Wrongness(),
        settings=SimpleNamespace(lease_seconds=180),
    )


NO_BOOKS: Any = None
"""Nobody looks into them."""


def reviewed(*reasons: str, transfers: Any = (), decisions: Any = ()) -> Any:
    """A deposit that people look at for these reasons, and have decided so about."""
    return SimpleNamespace(
        reasons=set(reasons),
        transfers=transfers,
        debits=(),
        decisions=set(decisions),
        transaction={"deriv_login_id": "CR500001"},
    )


def logged(logger: str, message: str, fault: Exception) -> ErrorLog:
    """The log after one error."""
    log = ErrorLog()
    raised = (type(fault), fault, None)
    log.emit(logging.LogRecord(logger, logging.ERROR, __file__, 1, message, ("publisher",), raised))
    return log


def test_a_fault_that_did_not_strike_excuses_nothing() -> None:
    """A refusal of Deriv's that was possible in a seed explains no review in it; one that came does."""
    possible = world(may=Hazard.DERIV_REFUSES)
    struck = world(may=Hazard.DERIV_REFUSES, did=Hazard.DERIV_REFUSES)

    assert without_cause(possible, NO_BOOKS, reviewed("DERIV_REFUSED")) == ["DERIV_REFUSED"]
    assert without_cause(struck, NO_BOOKS, reviewed("DERIV_REFUSED", "DERIV_DUPLICATE")) == ["DERIV_DUPLICATE"]


@pytest.mark.parametrize(("earlier", "found"), [(59, []), (62, ["DERIV_UNRESOLVED"])])
def test_the_same_amount_within_a_minute_excuses_a_transfer_that_people_decide_on(
    earlier: int, found: list[str]
) -> None:
    """Deriv refuses a transfer that equals the last one, and that answer may stand for one that was executed."""
    sent = datetime(2026, 1, 1, 6, 2, tzinfo=UTC)
    transfer = {"sent_at": f"{sent:%Y-%m-%d %H:%M:%S.%f}", "amount_cents": 200}
    twin = {"happened_at_ms": int((sent - timedelta(seconds=earlier)).timestamp()) * 1_000}
    books: Any = SimpleNamespace(derivs=lambda *_: [twin])

    assert without_cause(world(), books, reviewed("DERIV_UNRESOLVED", transfers=[transfer])) == found


def test_what_people_have_said_did_not_happen_is_refused_by_their_word() -> None:
    """A transfer that people settle as not made needs no refusal of Deriv; all else still needs its cause."""
    about = reviewed("DERIV_REFUSED", "PAYMENT_REFUTED", decisions={"IT_DID_NOT"})

    assert without_cause(world(), NO_BOOKS, about) == ["PAYMENT_REFUTED"]


def test_what_a_script_lays_down_counts_as_having_happened() -> None:
    """Nobody counts how often a script's faults strike, so what it owns up to is believed."""
    assert has_struck(world(may=Hazard.DERIV_REFUSES, scripted=True), {Hazard.DERIV_REFUSES})
    assert not has_struck(world(scripted=True), {Hazard.DERIV_REFUSES})


class Transient(Exception):
    """Named as the product names a database that is away for a moment."""


class OperationalError(Exception):
    """Named as the library names what a driver says of a broken connection."""


def test_a_broken_connection_excuses_a_look_for_work_that_fails() -> None:
    """It is named as the executor names it: the database cannot do it now."""
    log = logged("penpay.workers.runtime", "worker %s could not look for work", Transient())

    assert list(unforeseen(world(did=Hazard.DATABASE_LOST), log.records)) == []


@pytest.mark.parametrize(
    ("logger", "message", "fault", "did"),
    [
        ("penpay.application.shared.executor", "%s failed", Transient(), Hazard.DATABASE_BUSY),
        ("penpay.workers.runtime", "worker %s failed on an item", ValueError("Transient"), Hazard.DATABASE_BUSY),
        ("penpay.workers.runtime", "worker %s failed on an item", Transient(), Hazard.FORGER),
        ("penpay.workers.runtime", "worker %s could not look for work", OperationalError(), Hazard.DATABASE_LOST),
    ],
    ids=["another place", "another exception", "another fault", "the driver's own word"],
)
def test_an_error_is_excused_by_its_place_its_class_and_a_fault_together(
    logger: str, message: str, fault: Exception, did: Hazard
) -> None:
    """A busy database explains that a worker's item fails for it, and no more than that."""
    excused = logged("penpay.workers.runtime", "worker %s failed on an item", Transient())
    assert list(unforeseen(world(did=Hazard.DATABASE_BUSY), excused.records)) == []

    (found,) = unforeseen(world(did=did), logged(logger, message, fault).records)

    assert found.startswith(f"I15: {type(fault).__name__}: ")
