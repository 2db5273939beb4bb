"""What seeds have reached of all there is to reach: states, moves, answers, reviews, faults.

A check that is never put to the test holds for nothing, so what no seed has reached is listed. Transactions tell their
states in their events; evidence has none, so triggers in the seeds' databases write its moves down, and only those that
were committed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from penpay.application.payments.rows import Decision, ReviewReason
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.mpesa.gateway import CallOutcome, PaymentOutcome, PushOutcome
from penpay.domain.payments import evidence, transaction
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import TransactionStatus
from penpay.simulation.books import Books
from penpay.simulation.mobile_money.reachable import universe as operators_universe
from penpay.simulation.profile import Hazard

_S = TypeVar("_S", bound=str)

BEFORE_THE_FIRST: Final = ""
"""Where a thing comes from that has just been made."""
STATUS: Final = "status"
STATE: Final = "evidence"
EVENTS: Final = (
    "SELECT aggregate_id, payload ->> 'status' FROM domain_events WHERE aggregate_type = ? ORDER BY 1, sequence"
)

_ANSWERS: Final[Mapping[str, tuple[str, type[StrEnum]]]] = {
    "push": ("mpesa_request.answered", PushOutcome),
    "question": ("mpesa_request.asked", PaymentOutcome),
    "transfer": ("deriv_transfer.answered", TransferOutcome),
    "debit": ("deriv_withdrawal.answered", TransferOutcome),
    "code": ("deriv_withdrawal.code_asked", TransferOutcome),
    "payout": ("mpesa_disbursement.answered", CallOutcome),
}
"""What providers can answer, by the kind of call; the audit trail notes which answer it was."""


def watch(database: Path) -> None:
    """Have this database, and every copy of it, write down how evidence moves."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TABLE simulated_moves (evidence BLOB NOT NULL, origin TEXT NOT NULL, state TEXT NOT NULL)"
        )
        for table in ("mpesa_requests", "deriv_transfers", "deriv_withdrawals", "mpesa_disbursements"):
            note = "BEGIN INSERT INTO simulated_moves VALUES"
            connection.execute(
                f"CREATE TRIGGER {table}_begins AFTER INSERT ON {table} {note}"
                f" (NEW.id, '{BEFORE_THE_FIRST}', NEW.state); END"
            )
            connection.execute(
                f"CREATE TRIGGER {table}_moves AFTER UPDATE OF state ON {table} {note}"
                " (NEW.id, OLD.state, NEW.state); END"
            )


def seen(books: Books) -> Counter[str]:
    """What one seed's transactions, evidence, reviews and journals have been through."""
    reached: Counter[str] = Counter()
    told = [(None, BEFORE_THE_FIRST), *books.ours(EVENTS, transaction.AGGREGATE)]
    for (one, before), (other, after) in pairwise(told):
        reached.update(_move(STATUS, before if one == other else BEFORE_THE_FIRST, after))
    for origin, state in books.ours("SELECT origin, state FROM simulated_moves"):
        reached.update(_move(STATE, origin, state))
    reached.update(f"review {reason}" for (reason,) in books.ours("SELECT reason FROM reviews"))
    decided = books.ours("SELECT decision FROM reviews WHERE resolved_at IS NOT NULL")
    reached.update(f"decision {decision}" for (decision,) in decided)
    reached.update(f"webhook {outcome}" for (outcome,) in books.ours("SELECT outcome FROM webhook_logs"))
    for kind, (action, _) in _ANSWERS.items():
        answers = books.ours("SELECT facts ->> 'outcome' FROM audit_logs WHERE action = ?", action)
        reached.update(f"{kind} {outcome}" for (outcome,) in answers)
    booked = books.ours("SELECT kind FROM ledger_journals WHERE transaction_id IS NOT NULL")
    reached.update(f"journal {kind}" for (kind,) in booked)
    return reached


def _move(kind: str, origin: str, to: str) -> Iterator[str]:
    """A state is reached when something comes into it from another, and by the edge between the two."""
    if origin != to:
        yield f"{kind} {to}"
        if origin != BEFORE_THE_FIRST:
            yield f"{kind} {_edge(origin, to)}"


def _edge(origin: str, to: str) -> str:
    return f"{origin} → {to}"


def universe() -> dict[str, list[str]]:
    """Everything that ought to be reached sooner or later, by its kind: the first word of what is reached."""
    return {
        STATUS: [*TransactionStatus, *_edges(transaction.ALLOWED)],
        STATE: [*EvidenceState, *_edges(evidence.ALLOWED)],
        "review": list(ReviewReason),
        "decision": list(Decision),
        "webhook": list(WebhookOutcome),
        **{kind: list(outcomes) for kind, (_, outcomes) in _ANSWERS.items()},
        "fault": list(Hazard),
        "operator": operators_universe(),
    }


def _edges(allowed: Mapping[_S, frozenset[_S]]) -> Iterator[str]:
    for origin, reachable in allowed.items():
        yield from (_edge(origin, to) for to in allowed if to in reachable)
