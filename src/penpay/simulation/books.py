"""What stands in the databases, read by plain SQL past the product, for the invariants to look at."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

_MONEY: Final = (
    "SELECT code, balance_cents, version FROM ledger_accounts ORDER BY code",
    "SELECT id, status, receipt, failure_code FROM transactions ORDER BY id",
    "SELECT id, state, receipt, disputed_cents, due_at IS NULL FROM mpesa_requests ORDER BY id",
    "SELECT id, state, provider_id, due_at IS NULL FROM deriv_transfers ORDER BY id",
    "SELECT id, state, provider_id, due_at IS NULL FROM deriv_withdrawals ORDER BY id",
    "SELECT id, state, receipt, due_at IS NULL FROM mpesa_disbursements ORDER BY id",
    "SELECT consumer, event_id FROM deliveries ORDER BY event_id",
)
"""All that a repeated message must leave as it is."""

_PAID_OUT: Final = """SELECT t.*, r.originator_conversation_id ocid FROM operator_transactions t
    JOIN daraja_requests r ON r.transaction_id = t.id WHERE r.kind = 'B2C' ORDER BY t.id"""
Row = sqlite3.Row


@dataclass(frozen=True, slots=True)
class Payment:
    """One transaction with everything that hangs on it."""

    transaction: Row
    requests: Sequence[Row]
    transfers: Sequence[Row]
    reviews: Sequence[Row]
    debits: Sequence[Row] = ()
    """The call that takes a withdrawal's dollars from Deriv; none of a deposit."""
    payouts: Sequence[Row] = ()

    @property
    def id(self) -> str:
        return identifier(self.transaction["id"])

    @property
    def status(self) -> str:
        return str(self.transaction["status"])

    @property
    def is_deposit(self) -> bool:
        return bool(self.transaction["type"] == "DEPOSIT")

    @property
    def reasons(self) -> set[str]:
        """Why people must look at it, or had to."""
        return {str(review["reason"]) for review in self.reviews}

    @property
    def open_reviews(self) -> list[Row]:
        """Those that nobody has decided."""
        return [review for review in self.reviews if review["resolved_at"] is None]

    @property
    def decisions(self) -> set[str]:
        """What people have decided about it."""
        return {str(review["decision"]) for review in self.reviews if review["resolved_at"] is not None}

    @property
    def about(self) -> str:
        """Its state in a few words."""
        evidence = [row["state"] for row in (*self.requests, *self.debits, *self.payouts, *self.transfers)]
        return f"{self.status} {'/'.join(evidence)} {','.join(sorted(self.reasons))}".strip()


class Books:
    """The books of one seed: ours, the operator's under Daraja, Deriv's, and those of mobile money where it is used.

    Each is opened once: a new connection reads the schema first, which costs more than most questions asked here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: dict[str, sqlite3.Connection] = {}

    def close(self) -> None:
        """Let go of the files."""
        while self._opened:
            self._opened.popitem()[1].close()

    def ours(self, query: str, *parameters: Any) -> list[Row]:
        """Rows of the product's database."""
        return self._rows("penpay.db", query, parameters)

    def operators(self, query: str, *parameters: Any) -> list[Row]:
        """Rows of the sandbox operator's database."""
        return self._rows("operator.db", query, parameters)

    def derivs(self, query: str, *parameters: Any) -> list[Row]:
        """Rows of the Deriv simulator's database."""
        return self._rows("deriv.db", query, parameters)

    def mobile_money(self, query: str, *parameters: Any) -> list[Row]:
        """Rows of the database of the operator that people use over its own interface."""
        return self._rows("mobile_money.db", query, parameters)

    def merchants(self, query: str, *parameters: Any) -> list[Row]:
        """Rows of the database under the Daraja of another merchant."""
        return self._rows("merchant.db", query, parameters)

    def payments(self) -> Iterator[Payment]:
        """Every transaction with its evidence and reviews."""
        requests = self.ours("SELECT * FROM mpesa_requests")
        transfers = self.ours("SELECT * FROM deriv_transfers")
        reviews = self.ours("SELECT * FROM reviews")
        debits = self.ours("SELECT * FROM deriv_withdrawals")
        payouts = self.ours("SELECT * FROM mpesa_disbursements ORDER BY id")
        for transaction in self.ours("SELECT * FROM transactions ORDER BY id"):
            own = transaction["id"]
            yield Payment(
                transaction,
                [row for row in requests if row["subject_id"] == own],
                [row for row in transfers if row["subject_id"] == own],
                [row for row in reviews if row["transaction_id"] == own],
                [row for row in debits if row["subject_id"] == own],
                [row for row in payouts if row["subject_id"] == own],
            )

    def deposits(self) -> Iterator[Payment]:
        """Those of the transactions that are deposits."""
        return (payment for payment in self.payments() if payment.is_deposit)

    def withdrawals(self) -> Iterator[Payment]:
        """The others."""
        return (payment for payment in self.payments() if not payment.is_deposit)

    def is_reopened(self, transaction_id: str) -> bool:
        """Whether people have found that the payout by which it ended was never made."""
        refuted = self.ours("SELECT aggregate_id FROM domain_events WHERE name = 'PayoutRefuted'")
        return any(identifier(row["aggregate_id"]) == transaction_id for row in refuted)

    def paid_out(self) -> list[Row]:
        """What M-Pesa has paid to phones from our number, with the OriginatorConversationID it was asked for under."""
        return self.operators(_PAID_OUT)

    def balance(self, code: str) -> int:
        """Cents on an account of ours, positive on its normal side; 0 for one that was never opened."""
        return sum(row["balance_cents"] for row in self.ours("SELECT * FROM ledger_accounts WHERE code = ?", code))

    def collected(self, request: Row) -> int:
        """Cents that the journals about one push put on the collection account, reversals counted."""
        rows = self.ours(
            """SELECT e.side, e.amount_cents FROM ledger_entries e
               JOIN ledger_accounts a ON a.id = e.account_id
               JOIN ledger_journals j ON j.id = e.journal_id
               LEFT JOIN ledger_journals r ON r.id = j.reverses_id
               WHERE a.code = 'mpesa:collection' AND coalesce(r.reference, j.reference) = ?""",
            identifier(request["id"]),
        )
        return sum(row["amount_cents"] if row["side"] == "DEBIT" else -row["amount_cents"] for row in rows)

    def money(self, *, receipts: bool) -> list[tuple[Any, ...]]:
        """Everything a repeated message must leave as it is, with or without the receipts that were attached."""
        queries = _MONEY if receipts else [query.replace("receipt,", "") for query in _MONEY]
        return [tuple(row) for query in queries for row in self.ours(query)]

    def balances(self) -> list[tuple[Any, ...]]:
        """Every balance, and every transaction that has ended."""
        ended = "SELECT id, status FROM transactions WHERE status IN ('COMPLETED', 'FAILED', 'REVERSED') ORDER BY id"
        return [tuple(row) for query in (_MONEY[0], ended) for row in self.ours(query)]

    def reviews(self) -> list[tuple[Any, ...]]:
        """Every question to people."""
        return [tuple(row) for row in self.ours("SELECT transaction_id, reason, amount_cents, currency FROM reviews")]

    def _rows(self, name: str, query: str, parameters: Sequence[Any]) -> list[Row]:
        if name not in self._opened:
            self._opened[name] = sqlite3.connect(self._folder / name, isolation_level=None)
            self._opened[name].row_factory = sqlite3.Row
        return self._opened[name].execute(query, parameters).fetchall()


def identifier(stored: str | bytes) -> str:
    """An id as text, however the table holds it."""
    return stored if isinstance(stored, str) else str(UUID(bytes=stored))
