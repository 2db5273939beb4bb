"""What a fault excuses: a review it has given cause for, an error in the log that it had to bring about.

Only faults that did strike in this seed excuse anything. One that could have, and did not, explains nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from penpay.simulation.books import Books, Payment
from penpay.simulation.profile import Hazard
from penpay.simulation.quiet import moment

if TYPE_CHECKING:
    from penpay.simulation.world import World

H = Hazard
_INTERRUPTED: Final = frozenset(
    {
        *(H.CRASH, H.PAUSE, H.OWN_OUTAGE, H.COMMIT_LOST, H.DATABASE_BUSY, H.DATABASE_LOST, H.DISK_FULL),
        *(H.REPLY_LOST, H.REQUEST_LOST, H.SLOW_NETWORK, H.CLOCK_JUMP),
    }
)
"""What can cut a call off, or make a lease lapse, at our side."""
_JUSTIFIED: Final[Mapping[str, Collection[Hazard]]] = {
    "AMOUNT_OR_PHONE_MISMATCH": {H.CALLBACK_ALTERED, H.FORGER},
    "IDENTITY_MISMATCH": {H.FORGER},
    "PAYMENT_REFUTED": {H.FORGER},
    "CONTRADICTION": {H.FORGER, H.CALLBACK_ALTERED, H.FORGED_RESULT},
    "PAYMENT_UNRESOLVED": {
        H.PENDING_FOR_EVER,
        H.PUSH_SPOILT,
        H.PUSH_REFUSED,
        H.SLOW_REPLY,
        H.CALLBACK_FIRST,
        H.FORGER,
        H.MANGLED_ANSWER,
        *_INTERRUPTED,
    },
    "DERIV_REFUSED": {H.DERIV_REFUSES},
    "DERIV_UNRESOLVED": {
        *(H.DERIV_DROP_BEFORE, H.DERIV_WRONG_ANSWER, H.DERIV_LATE_ANSWER, H.DERIV_REFUSES, H.DERIV_DOWN),
        *(H.DERIV_STATEMENT_LAG, H.DERIV_DROP_AFTER, H.DERIV_RATE_LIMITED),
        *(H.HALF_OPEN, H.MANGLED_ANSWER),
        *_INTERRUPTED,
    },
    "DERIV_DUPLICATE": (),
    "CONFIRMED_LATE": {H.FORGER, H.CALLBACK_ALTERED, *_INTERRUPTED, H.DARAJA_DOWN},
    "DELIVERY_DEAD": (),
    "DISBURSEMENT_UNRESOLVED": {
        *(H.FORGED_RESULT, H.PAYOUT_REFUSED, H.PAYOUT_SPOILT, H.STATUS_SPOILT, H.DARAJA_DOWN, H.CALLBACK_LOST),
        *(H.CALLBACK_LATE, H.FOREIGN_ADDRESS, H.TOKEN_SPOILT, H.MANGLED_ANSWER, *_INTERRUPTED),
    },
    "NOT_RETURNED": {
        *(H.DERIV_REFUSES, H.AGENT_EMPTY, H.FORCED_RESULT, H.PAYOUT_FAILED, H.PAYOUT_FLOAT, H.STATUS_SPOILT),
        H.FORGED_RESULT,
    },
}
"""By reason: the faults one of which must have struck; a review without cause is work for nobody's good."""
_ON_AN_ITEM: Final = ("penpay.workers.runtime", "worker %s failed on an item")
_DATABASE_AWAY: Final = frozenset({H.DATABASE_BUSY, H.DATABASE_LOST, H.COMMIT_LOST, H.DISK_FULL, H.PAUSE})
"""A process that stops with the write lock in hand makes the others wait for longer than they will."""
_FORESEEN: Final[Mapping[tuple[str, str], Mapping[str, Collection[Hazard]]]] = {
    _ON_AN_ITEM: dict.fromkeys(("Transient", "CommitUnknown", "Overloaded"), _DATABASE_AWAY),
    ("penpay.workers.runtime", "worker %s could not look for work"): {"Transient": _DATABASE_AWAY},
    ("penpay.workers.runtime", "nobody could be told what is due"): {"Transient": _DATABASE_AWAY},
    ("penpay.infrastructure.deriv.credits", "the credit %s could not be taken and will be offered again"): {
        "Overloaded": _DATABASE_AWAY
    },
    ("penpay.application.payments.callbacks", "a stored callback could not be applied yet: %s"): {
        "Overloaded": _DATABASE_AWAY
    },
    ("penpay.application.collections.doors", "a stored confirmation could not be applied yet: %s"): dict.fromkeys(
        ("Transient", "CommitUnresolved", "Overloaded"), _DATABASE_AWAY
    ),
    ("penpay.application.collections.till_door", "a stored callback could not be applied yet: %s"): dict.fromkeys(
        ("Transient", "CommitUnresolved", "Overloaded"), _DATABASE_AWAY
    ),
}
"""By the logger and what it says: the exceptions that are foreseen there, and the faults that bring them about."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One error in the log."""

    logger: str
    message: str
    """Before anything was filled in."""
    kind: str
    """The exception's class, empty where there was none."""
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class ErrorLog(logging.Handler):
    """Collects what the program logs as errors: nothing unforeseen may happen unseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[Logged] = []

    def emit(self, record: logging.LogRecord) -> None:
        raised = record.exc_info and record.exc_info[0]
        told = str(record.args[-1]) if isinstance(record.args, tuple) and record.args else ""
        kind = raised.__name__ if raised else told
        self.records.append(Logged(record.name, str(record.msg), kind, record.getMessage()))


def has_struck(world: World, hazards: Collection[Hazard]) -> bool:
    """Whether one of these has happened in this seed.

    Two that nobody counts are taken to happen wherever they may: what a script lays down, and a prompt whose outcome
    M-Pesa never tells, which is put into force when the rest is repaired.
    """
    return any(
        world.reached[f"fault {hazard}"]
        or ((world.script is not None or hazard is H.PENDING_FOR_EVER) and world.profile.level(hazard))
        for hazard in hazards
    )


def without_cause(world: World, books: Books, payment: Payment) -> list[str]:
    """Its reasons for a review that nothing in this seed can have brought about."""
    reasons = [reason for reason in sorted(payment.reasons) if not has_struck(world, _JUSTIFIED[reason])]
    if "DERIV_UNRESOLVED" in reasons and _was_too_frequent(world, books, payment):
        reasons.remove("DERIV_UNRESOLVED")
    # What people have said did not happen is refused by their word, and what they have sent may be refused again.
    return [reason for reason in reasons if not (payment.decisions and reason in _OF_DECISIONS)]


_OF_DECISIONS: Final = frozenset({"DERIV_REFUSED", "NOT_RETURNED"})


def _was_too_frequent(world: World, books: Books, payment: Payment) -> bool:
    """Whether Deriv has moved the same amount between the same two just before: then it says so, and no more.

    No fault is needed for that, only a user who asks for the same twice. The answer may stand for one that was executed
    (deriv.md §3), so people decide.
    """
    skews, call = world.wrongness.skews, timedelta(seconds=world.settings.lease_seconds)
    out = [(transfer, -transfer["amount_cents"]) for transfer in payment.transfers]
    for evidence, cents in (*out, *((debit, debit["amount_cents"]) for debit in payment.debits)):
        sent = moment(evidence["sent_at"] or evidence["created_at"])
        for row in books.derivs(_MOVED, payment.transaction["deriv_login_id"], cents):
            at = datetime.fromtimestamp(row["happened_at_ms"] // 1_000, UTC)
            if -max(skews) - _REPEAT_GUARD <= at - sent <= call - min(skews):
                return True
    return False


_REPEAT_GUARD: Final = timedelta(seconds=60)
"""How long the simulated Deriv refuses to move the same again."""
_MOVED: Final = "SELECT happened_at_ms FROM deriv_sim_rows WHERE counterpart = ? AND amount_cents = ?"


def unforeseen(world: World, errors: Sequence[Logged]) -> Iterator[str]:
    """I15: no error that nobody foresaw, no task that ended in one unseen."""
    for error in errors:
        if not has_struck(world, _FORESEEN.get((error.logger, error.message), {}).get(error.kind, ())):
            yield f"I15: {error}"
    for task in world.loop.tasks:
        if task.done() and not task.cancelled() and task._log_traceback:  # noqa: SLF001  (whether anybody has looked)
            yield f"I15: task {task.get_name()} ended in {task.exception()!r}"
