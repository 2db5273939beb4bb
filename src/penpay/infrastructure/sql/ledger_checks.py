"""What must hold in the books at any moment, each as one set-based query that finds where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, case, func, literal, or_, select

from penpay.application.wallet.queries import Finding
from penpay.domain.payments.evidence import FINAL, EvidenceState, Purpose
from penpay.domain.payments.transaction import TERMINAL
from penpay.domain.wallet.account import AccountType, LedgerSide
from penpay.infrastructure.sql.payout_tables import mpesa_disbursements
from penpay.infrastructure.sql.tables import (
    deriv_transfers,
    ledger_accounts,
    ledger_entries,
    ledger_journals,
    transactions,
)

DERIV_IN_FLIGHT: Final = "deriv:in_flight"
PAYOUT_IN_FLIGHT: Final = "mpesa:payout_in_flight"
_a, _j, _e = ledger_accounts.c, ledger_journals.c, ledger_entries.c

_DEBIT_NORMAL: Final = tuple(type_.value for type_ in AccountType if type_.normal_side is LedgerSide.DEBIT)
_DEBITED: Final[ColumnElement[int]] = case((_e.side == LedgerSide.DEBIT.value, _e.amount_cents), else_=-_e.amount_cents)
"""An entry's amount, positive for a debit."""
_GROWTH: Final[ColumnElement[int]] = case((_a.type.in_(_DEBIT_NORMAL), _DEBITED), else_=-_DEBITED)
"""What an entry adds to its account's balance."""
_ACCOUNTS_AND_ENTRIES: Final = ledger_accounts.outerjoin(ledger_entries, _e.account_id == _a.id)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. Its query gives subject, currency, difference_cents and place for every breach."""

    name: str
    detail: str
    """May hold {place}."""
    statement: Select[Any]

    def finding(self, row: Any) -> Finding:
        difference = int(row.difference_cents or 0)  # PostgreSQL sums BIGINT to NUMERIC
        return Finding(self.name, str(row.subject), self.detail.format(place=row.place), difference, row.currency)


def _breaches(
    subject: ColumnElement[Any],
    currency: ColumnElement[Any],
    difference: ColumnElement[Any],
    place: ColumnElement[Any] | None = None,
) -> Select[Any]:
    return select(
        subject.label("subject"),
        currency.label("currency"),
        difference.label("difference_cents"),
        (literal(0) if place is None else place).label("place"),
    )


def _journal_balance() -> Select[Any]:
    difference = func.sum(_DEBITED)
    return (
        _breaches(_e.journal_id, _a.currency, difference)
        .join(ledger_accounts, _a.id == _e.account_id)
        .group_by(_e.journal_id, _a.currency)
        .having(difference != 0)
    )


def _journal_empty() -> Select[Any]:
    entries = ledger_journals.outerjoin(ledger_entries, _e.journal_id == _j.id)
    return _breaches(_j.id, literal(""), literal(0)).select_from(entries).where(_e.journal_id.is_(None))


def _account_balance() -> Select[Any]:
    entries = func.coalesce(func.sum(_GROWTH), 0)
    return (
        _breaches(_a.code, _a.currency, _a.balance_cents - entries)
        .select_from(_ACCOUNTS_AND_ENTRIES)
        .group_by(_a.id, _a.code, _a.currency, _a.balance_cents)
        .having(_a.balance_cents != entries)
    )


def _running_balance() -> Select[Any]:
    expected = func.sum(_GROWTH).over(partition_by=_e.account_id, order_by=_e.account_seq)
    running = (
        select(_a.code, _a.currency, _e.account_seq, (_e.balance_after_cents - expected).label("difference"))
        .join(ledger_accounts, _a.id == _e.account_id)
        .cte()
    )
    entry = running.c
    wrong = select(entry.code, func.min(entry.account_seq).label("seq")).where(entry.difference != 0)
    first = wrong.group_by(entry.code).subquery()
    return _breaches(entry.code, entry.currency, entry.difference, entry.account_seq).join_from(
        running, first, and_(first.c.code == entry.code, first.c.seq == entry.account_seq)
    )


def _account_sequence() -> Select[Any]:
    count, first, last = func.count(_e.account_seq), func.min(_e.account_seq), func.max(_e.account_seq)
    gapless = and_(count == _a.version, or_(count == 0, and_(first == 1, last == count)))
    return (
        _breaches(_a.code, _a.currency, literal(0), count)
        .select_from(_ACCOUNTS_AND_ENTRIES)
        .group_by(_a.id, _a.code, _a.currency, _a.version)
        .having(~gapless)
    )


def _recorded_order() -> Select[Any]:
    steps = (
        select(
            _a.code,
            _a.currency,
            _e.account_seq,
            _j.recorded_at,
            func.lag(_j.recorded_at).over(partition_by=_e.account_id, order_by=_e.account_seq).label("before"),
        )
        .select_from(ledger_entries)
        .join(ledger_journals, _j.id == _e.journal_id)
        .join(ledger_accounts, _a.id == _e.account_id)
        .subquery()
    ).c
    return _breaches(steps.code, steps.currency, literal(0), steps.account_seq).where(steps.recorded_at < steps.before)


def _overdraft() -> Select[Any]:
    lowest = func.min(func.coalesce(_e.balance_after_cents, _a.balance_cents))
    deepest = case((lowest < _a.balance_cents, lowest), else_=_a.balance_cents)
    return (
        _breaches(_a.code, _a.currency, deepest)
        .select_from(_ACCOUNTS_AND_ENTRIES)
        .where(~_a.may_go_negative)
        .group_by(_a.id, _a.code, _a.currency, _a.balance_cents)
        .having(deepest < 0)
    )


def _ended_transaction() -> Select[Any]:
    """Nothing of a transaction that has ended stays on a wallet or on its way."""
    t = transactions.c
    passed_through = or_(_a.code.startswith("wallet:", autoescape=True), _a.code.endswith("in_flight", autoescape=True))
    left = func.sum(_GROWTH)
    return (
        _breaches(t.id, _a.currency, left, _a.code)
        .select_from(transactions)
        .join(ledger_journals, _j.transaction_id == t.id)
        .join(ledger_entries, _e.journal_id == _j.id)
        .join(ledger_accounts, _a.id == _e.account_id)
        .where(t.status.in_(sorted(TERMINAL)), passed_through)
        .group_by(t.id, _a.id, _a.code, _a.currency)
        .having(left != 0)
    )


def _in_flight(account: str, currency: str, evidence: Table) -> Select[Any]:
    """What is on its way by the ledger, less what the evidence says may be.

    What Collections pays back is in flight in its own books; `collections verify` looks at it.
    """
    states = sorted(state for state in EvidenceState if state not in FINAL)
    open_ = select(func.coalesce(func.sum(evidence.c.amount_cents), 0)).where(
        evidence.c.state.in_(states), evidence.c.purpose != Purpose.COLLECTIONS_REFUND.value
    )
    held = select(func.coalesce(func.sum(_a.balance_cents), 0)).where(_a.code == account).scalar_subquery()
    owed = open_.scalar_subquery()
    return _breaches(literal(account), literal(currency), held - owed).where(held != owed)


def _one_outflow() -> Select[Any]:
    """Each table of outflows holds one open one for a subject; between the two tables no key can."""
    t, d = deriv_transfers.c, mpesa_disbursements.c
    return (
        _breaches(t.open_outflow_of, literal(""), literal(0))
        .select_from(deriv_transfers)
        .join(mpesa_disbursements, d.open_outflow_of == t.open_outflow_of)
    )


CHECKS: Final = (
    Check("journal_balance", "The debits of the journal exceed its credits by the difference.", _journal_balance()),
    Check("journal_empty", "The journal has no entries.", _journal_empty()),
    Check("account_balance", "The balance exceeds the sum of the entries by the difference.", _account_balance()),
    Check("running_balance", "Entry {place} is the first to carry a wrong balance.", _running_balance()),
    Check("account_sequence", "The {place} entries are not numbered from 1 to the version.", _account_sequence()),
    Check("recorded_order", "Entry {place} is recorded before the one it follows.", _recorded_order()),
    Check("overdraft", "The account may not go below zero, and did.", _overdraft()),
    Check("ended_transaction", "The transaction has ended and left money on {place}.", _ended_transaction()),
    Check(
        "in_flight",
        "The account exceeds the open transfers by the difference.",
        _in_flight(DERIV_IN_FLIGHT, "USD", deriv_transfers),
    ),
    Check(
        "payouts_in_flight",
        "The account exceeds the open payouts by the difference.",
        _in_flight(PAYOUT_IN_FLIGHT, "KES", mpesa_disbursements),
    ),
    Check("one_outflow", "The money was sent on by M-Pesa and by Deriv.", _one_outflow()),
)
"""Every rule `ledger verify` applies."""
