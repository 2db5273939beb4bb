"""History replayed against the tables, and every table that says otherwise told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, update

from penpay.application.shared.replaying import Difference
from penpay.domain.payments.transaction import Transaction, TransactionStatus, create_transaction
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql import replay
from penpay.infrastructure.sql.payments import TransactionRepository
from penpay.infrastructure.sql.replay import SqlHistory
from penpay.infrastructure.sql.tables import (
    command_batches,
    domain_events,
    event_positions,
    ledger_accounts,
    ledger_entries,
    transactions,
    users,
)
from penpay.infrastructure.sql.unit_of_work import document
from tests.contract.sql.publishers import Press, move_some, rows_of, run, take_guards_away
from tests.contract.sql.world import World
from tests.support.ports import MORNING

_t, _e, _p, _a, _l = transactions.c, domain_events.c, event_positions.c, ledger_accounts.c, ledger_entries.c
USER_ONE, USER_TWO = UserId(UUID(int=1)), UserId(UUID(int=2))
DONE, NEW = TransactionId(UUID(int=11)), TransactionId(UUID(int=12))
_S = TransactionStatus


@pytest.fixture
async def history(world: World) -> World:
    """Three moves between wallets, a deposit that has arrived and a new one, all with positions and no guards."""
    await move_some(world, 3)
    people = [
        {"id": user, "status": "ACTIVE", "email_sealed": b"x", "email_index": str(user), "created_at": MORNING}
        for user in (USER_ONE, USER_TWO)
    ]
    await run(world, insert(users).values(people))
    await happened(world, *deposit(DONE, 5))
    await happened(world, *deposit(NEW, 1))
    await Press(world).run()
    await take_guards_away(world.engine)
    return world


def deposit(transaction_id: TransactionId, steps: int) -> tuple[Transaction, list[DomainEvent]]:
    """A deposit of 10 USD after so many of its events."""
    amount = Money(1_000, Currency.USD)
    rate = LockedRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=12_950_000_000,
        spread_bps=200,
        source="test",
        locked_at=MORNING,
        expires_at=MORNING + timedelta(minutes=15),
    )
    transaction, event = create_transaction(
        transaction_id=transaction_id,
        user_id=USER_ONE,
        amount=amount,
        deriv_login_id="CR123456",
        rate=rate,
        quote=rate.quote_deposit(amount),
        at=MORNING,
    )
    events = [event]
    for number, (name, status, facts) in enumerate(_LIFE[: steps - 1], 1):
        transaction, event = transaction.moved(name, status, MORNING + timedelta(seconds=number), **facts)
        events.append(event)
    return transaction, events


_LIFE: tuple[tuple[str, TransactionStatus, dict[str, Any]], ...] = (
    ("DepositInitiated", _S.PROCESSING, {}),
    ("MpesaPaymentReceived", _S.VERIFYING_MPESA_PAYMENT, {"receipt": "UKJ1ABCDEF"}),
    ("DerivTransferInitiated", _S.AWAITING_DERIV_CONFIRMATION, {}),
    ("TransactionCompleted", _S.COMPLETED, {"recovered_by": "statement"}),
)


async def happened(world: World, transaction: Transaction, events: list[DomainEvent]) -> None:
    """The row and its events, committed in one batch."""
    batch = world.executor._ids.new()
    names = [column.name for column in transactions.columns]
    rows = [
        {
            "id": world.executor._ids.new(),
            "name": event.name,
            "schema_version": event.schema_version,
            "aggregate_type": event.aggregate_type,
            "aggregate_id": event.aggregate_id,
            "sequence": event.sequence,
            "payload": document(event.payload),
            "recorded_at": MORNING,
            "batch_id": batch,
        }
        for event in events
    ]
    head = {"batch_id": batch, "state": "COMMITTED", "recorded_at": MORNING, "pending_rows": len(events)}
    row = dict(zip(names, TransactionRepository().row(transaction), strict=True))
    await run(
        world,
        insert(command_batches).values(head),
        insert(transactions).values(row),
        insert(domain_events).values(rows),
    )


async def differences(world: World) -> list[Difference]:
    return list((await SqlHistory(world.engine).check()).differences)


async def told(world: World) -> set[tuple[str, str, str]]:
    """Where the tables and the history differ, without the values."""
    return {(one.subject_type, one.subject, one.field) for one in await differences(world)}


async def test_what_was_done_follows_from_its_history(history: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deposits and accounts, to the cent and the microsecond; read a row at a time it is the same."""
    whole = await SqlHistory(history.engine).check()
    monkeypatch.setattr(replay, "_SUBJECTS", 1)
    monkeypatch.setattr(replay, "_PAGE", 1)

    assert [] == list(whole.differences)
    assert (2, 6, 5, 8) == (whole.transactions, whole.events, whole.accounts, whole.entries)
    assert whole == await SqlHistory(history.engine).check()


CHANGES: dict[str, tuple[Any, str]] = {
    "user_id": (USER_TWO, "user_id"),
    "type": ("WITHDRAWAL", "type"),
    "status": ("IN_REVIEW", "status"),
    "amount_cents": (1_001, "amount"),
    "currency": ("KES", "amount"),
    "deriv_login_id": ("CR654321", "deriv_login_id"),
    "usd_cents": (1_001, "quote"),
    "kes_at_mid_cents": (1, "quote"),
    "kes_priced_cents": (1, "quote"),
    "kes_charged_cents": (1, "quote"),
    "rate_mid_e8": (12_950_000_001, "rate"),
    "rate_spread_bps": (201, "rate"),
    "rate_source": ("Test", "rate"),
    "rate_locked_at": (MORNING + timedelta(microseconds=1), "rate"),
    "rate_expires_at": (MORNING + timedelta(minutes=16), "rate"),
    "receipt": ("UKJ1ABCDEG", "receipt"),
    "failure_code": ("wrong_pin", "failure_code"),
    "recovered_by": (None, "recovered_by"),
    "created_at": (MORNING - timedelta(microseconds=1), "created_at"),
    "updated_at": (MORNING, "updated_at"),
    "version": (6, "version"),
}
"""Another value for every column that a transaction's events tell of, and the field it is found in."""


@pytest.mark.parametrize("column", [column.name for column in transactions.columns if column.name != "id"])
async def test_any_changed_field_of_a_transaction_is_told(history: World, column: str) -> None:
    """Whatever somebody writes into the row, its events say what stood there."""
    value, field = CHANGES[column]
    await run(history, update(transactions).where(_t.id == DONE).values({column: value}))

    found = await differences(history)
    # A withdrawal's four amounts mean other things than a deposit's.
    expected = [field, "quote"] if field == "type" else [field]
    assert [("transaction", str(DONE), one) for one in expected] == [
        (one.subject_type, one.subject, one.field) for one in found
    ]
    assert all(one.kept != one.replayed for one in found)


async def test_a_row_without_history_and_a_history_without_row_are_told(history: World) -> None:
    """A transaction nobody created, one that was deleted, and one whose events were."""
    unknown, _ = deposit(TransactionId(UUID(int=13)), 1)
    names = [column.name for column in transactions.columns]
    row = dict(zip(names, TransactionRepository().row(unknown), strict=True))
    await run(history, insert(transactions).values(row), delete(transactions).where(_t.id == NEW))

    assert {("transaction", str(unknown.id), "events"), ("transaction", str(NEW), "row")} == await told(history)

    lost = [event["id"] for event in await rows_of(history, domain_events) if event["aggregate_id"] == DONE][1:3]
    await run(history, delete(domain_events).where(_e.id.in_(lost)))
    assert ("transaction", str(DONE), "events") in await told(history)


async def test_what_cannot_be_read_is_told(history: World) -> None:
    """A fraction in an event, and a status nobody knows, end nothing but the comparison of their transaction."""
    await run(
        history,
        update(domain_events).where(_e.aggregate_id == DONE, _e.sequence == 2).values(payload='{"status":1.5}'),
        update(transactions).where(_t.id == NEW).values(status="DREAMING"),
    )

    assert {("transaction", str(DONE), "events"), ("transaction", str(NEW), "row")} == await told(history)


async def test_changed_books_are_told(history: World) -> None:
    """A balance, a count, a moment or an entry that the others contradict, each where it is."""
    (account,) = [row for row in await rows_of(history, ledger_accounts) if row["code"] == "trust:unevidenced"]
    mine = _a.id == account["id"]
    for name in ("balance_cents", "version", "last_recorded_at"):
        one = timedelta(microseconds=1) if name == "last_recorded_at" else 1
        await run(history, update(ledger_accounts).where(mine).values({name: account[name] + one}))
        assert {("account", "trust:unevidenced", name)} == await told(history)
        await run(history, update(ledger_accounts).where(mine).values({name: account[name]}))

    await run(history, update(ledger_entries).where(_l.account_id == account["id"]).values(amount_cents=1))
    assert {
        ("account", "trust:unevidenced", "entry 1, balance_after_cents"),
        ("account", "trust:unevidenced", "balance_cents"),
    } == await told(history)

    await run(history, delete(ledger_accounts).where(mine))
    assert {("account", str(account["id"]), "row")} == await told(history)


async def test_an_entry_taken_out_is_told_once(history: World) -> None:
    """The one after it has the wrong number; what follows from that is not told again."""
    (payer,) = [row for row in await rows_of(history, ledger_accounts) if row["version"] == 4]
    await run(history, delete(ledger_entries).where(_l.account_id == payer["id"], _l.account_seq == 2))

    told_of_payer = {field for _, subject, field in await told(history) if subject == payer["code"]}
    assert {"entry 3, its number", "entry 3, balance_after_cents", "balance_cents", "version"} == told_of_payer


async def test_positions_that_are_wrong_are_told(history: World) -> None:
    """An event without one, a gap, and two events of a deposit turned round."""
    places = {row["event_id"]: row["position"] for row in await rows_of(history, event_positions)}
    last = max(places, key=lambda event: places[event])
    await run(history, delete(event_positions).where(_p.event_id == last))
    assert {("event", str(last), "position")} == await told(history)

    await run(history, insert(event_positions).values(position=places[last] + 1, event_id=last))
    assert {("event_positions", "all", "position")} == await told(history)

    await run(history, update(event_positions).where(_p.event_id == last).values(position=places[last]))
    first, second = (
        row["id"]
        for row in await rows_of(history, domain_events)
        if row["aggregate_id"] == DONE and row["sequence"] <= 2
    )
    await run(
        history,
        delete(event_positions).where(_p.event_id.in_([first, second])),
        insert(event_positions).values(event_id=first, position=places[second]),
        insert(event_positions).values(event_id=second, position=places[first]),
    )
    assert {("event", str(second), "position")} <= await told(history)


async def test_a_batch_that_waits_for_its_place_is_no_difference(history: World) -> None:
    """Between a commit and the next publication an event has no position, as it must be."""
    await move_some(history, 1, start=9)

    assert [] == await differences(history)


def test_every_kind_of_change_is_another_value() -> None:
    """The list above covers the table, so that a new column is not forgotten by the fold."""
    assert {column.name for column in transactions.columns} - {"id"} == set(CHANGES)
    transaction, _ = deposit(DONE, 5)
    assert transaction != replace(transaction, version=CHANGES["version"][0])
