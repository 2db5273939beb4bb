"""Revision 0004 on the database of an operator that had subscribers, a merchant, money and prompts."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import column, func, insert, select, table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penpay.application.mobile_money.operator import Operator
from penpay.application.mobile_money.secret_hasher import SecretHasher
from penpay.application.mobile_money.stk_payments import AcceptPush
from penpay.bootstrap.operator import OperatorProcess, kenyan_policy
from penpay.bootstrap.ports import real_ports
from penpay.config import load_operator_settings
from penpay.domain.mobile_money.customer import CustomerStatus, CustomerType
from penpay.domain.mobile_money.errors import CustomerExists
from penpay.domain.mobile_money.policy import KycTier
from penpay.domain.mobile_money.stk_push import PushState
from penpay.domain.mobile_money.transaction import CHARGED
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.domain.wallet.account import opened
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.operator_tables import operator_receipts, stk_pushes
from penpay.infrastructure.sql.tables import domain_events, ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.sql.types import Identifier, Sealed
from penpay.infrastructure.system import SystemRandom, at_once
from tests.contract.migrations.test_publishing_revision import upgrade_to

PAYER, LOCKED = PhoneNumber("+254712345678"), PhoneNumber("+254110000001")
PAYER_ID, LOCKED_ID, MERCHANT_ID, PAID_ID, OPEN_ID = (UUID(int=number) for number in range(1, 6))
FLOAT_ID, PAYMENT_ID, BATCH_ID = (UUID(int=number) for number in range(6, 9))
PAYBILL, PIN = "174379", "1234"
REGISTERED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ACCOUNTS = {
    "trust:unevidenced": (UUID(int=11), 2_000_00),
    f"subscriber:{PAYER_ID}:KES": (UUID(int=12), 1_500_00),
    f"merchant:{MERCHANT_ID}:KES": (UUID(int=13), 500_00),
}
TRUST, WALLET, TAKINGS = ACCOUNTS


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


class Before:
    """The rows of revision 0003, sealed and hashed as that version did."""

    def __init__(self, url: str) -> None:
        self.settings = load_operator_settings(
            {
                "OPERATOR_DATABASE_URL": url,
                "PENPAY_FIELD_KEYS": f"test:{base64.b64encode(b'f' * 32).decode()}",
                "PENPAY_MASTER_KEY": base64.b64encode(b"m" * 32).decode(),
            }
        )
        self._cipher = FieldCipher(self.settings.key_ring, SystemRandom())
        self._index = BlindIndex(self.settings.derived_key(KeyPurpose.BLIND_INDEX))
        self._hasher = SecretHasher(
            pepper=self.settings.derived_key(KeyPurpose.DIGEST), random=SystemRandom(), aside=at_once, log2_cost=4
        )

    async def write(self, connection: AsyncConnection) -> None:
        await connection.execute(insert(_table("operator_merchants", "id", "short_code", "name")), self._merchants())
        await connection.execute(insert(_customers()), self._subscribers(await self._hasher.hash(PIN)))
        await connection.execute(insert(stk_pushes), [self._push(PAID_ID, 500), self._push(OPEN_ID, 300)])
        counter = {"name": "mpesa", "day": datetime.now(UTC).date().isoformat(), "used": 1, "version": 1}
        await connection.execute(insert(operator_receipts), counter)
        await connection.execute(
            insert(domain_events), [_registered(id_) for id_ in (PAYER_ID, LOCKED_ID, MERCHANT_ID)]
        )
        await self._books(connection)

    def _merchants(self) -> list[dict[str, Any]]:
        return [{"id": MERCHANT_ID, "short_code": PAYBILL, "name": "PENPAY"}]

    def _subscribers(self, pin_hash: str) -> list[dict[str, Any]]:
        return [
            self._subscriber(PAYER_ID, PAYER, pin_hash, status="ACTIVE", wrong_pins=1, open_push_id=OPEN_ID),
            self._subscriber(LOCKED_ID, LOCKED, pin_hash, status="PIN_LOCKED", wrong_pins=3, open_push_id=None),
        ]

    def _subscriber(self, id_: UUID, phone: PhoneNumber, pin_hash: str, **facts: Any) -> dict[str, Any]:
        return {
            "id": id_,
            "type": "SUBSCRIBER",
            "phone_sealed": self._cipher.seal(phone.e164.encode(), f"operator_customers.phone_sealed:{id_}"),
            "phone_index": self._index.digest(phone.e164, field="operator_customers.phone"),
            "pin_hash": pin_hash,
            "version": 4,
        } | facts

    def _push(self, id_: UUID, shillings: int) -> dict[str, Any]:
        checkout = f"ws_CO_{id_.int}"
        details = {"checkout_request_id": checkout, "phone": PAYER.e164, "callback_url": "http://127.0.0.1/callback"}
        paid = id_ == PAID_ID
        return {
            "id": id_,
            "merchant_request_id": "1-2-3",
            "checkout_index": self._index.digest(checkout, field="stk_pushes.checkout_request_id"),
            "details_sealed": self._cipher.seal(json.dumps(details).encode(), f"stk_pushes.details_sealed:{id_}"),
            "short_code": PAYBILL,
            "customer_id": PAYER_ID,
            "amount_cents": shillings * 100,
            "account_reference": "ACC-1",
            "state": "PAID" if paid else "PROMPTED",
            "result_code": "0" if paid else None,
            "result_text": "The service request is processed successfully." if paid else None,
            "receipt": "UKL5A6B7C8" if paid else None,
            "accepted_at": REGISTERED,
            "due_at": REGISTERED + timedelta(seconds=60),
            "ended_at": REGISTERED if paid else None,
            "version": int(paid),
        }

    async def _books(self, connection: AsyncConnection) -> None:
        """Float of 2,000 for the payer, 500 of it paid to the merchant."""
        accounts = []
        for code, (id_, cents) in ACCOUNTS.items():
            account = opened(code, id_, REGISTERED)  # type: ignore[arg-type]  # a NewType of UUID
            accounts.append(
                {
                    "id": id_,
                    "code": code,
                    "name": account.name,
                    "type": account.type.value,
                    "currency": "KES",
                    "owner_id": None,
                    "may_go_negative": False,
                    "balance_cents": cents,
                    "version": 2 if code == WALLET else 1,
                    "last_recorded_at": REGISTERED,
                }
            )
        await connection.execute(insert(ledger_accounts), accounts)
        journals = [(FLOAT_ID, "float_issued", "seed"), (PAYMENT_ID, "operator_payment", str(PAID_ID))]
        for id_, kind, reference in journals:
            moments = {"happened_at": REGISTERED, "recorded_at": REGISTERED}
            await connection.execute(
                insert(ledger_journals), {"id": id_, "kind": kind, "reference": reference} | moments
            )
        entries = [
            (TRUST, 1, FLOAT_ID, "DEBIT", 2_000_00, 2_000_00),
            (WALLET, 1, FLOAT_ID, "CREDIT", 2_000_00, 2_000_00),
            (WALLET, 2, PAYMENT_ID, "DEBIT", 500_00, 1_500_00),
            (TAKINGS, 1, PAYMENT_ID, "CREDIT", 500_00, 500_00),
        ]
        for code, sequence, journal, side, cents, after in entries:
            row = {"account_id": ACCOUNTS[code][0], "account_seq": sequence, "journal_id": journal, "side": side}
            await connection.execute(
                insert(ledger_entries), row | {"amount_cents": cents, "balance_after_cents": after}
            )


def _table(name: str, *columns: str) -> Any:
    return table(name, *(column(one, Identifier) if one.endswith("id") else column(one) for one in columns))


def _customers() -> Any:
    plain: list[Any] = [column(one) for one in ("type", "phone_index", "pin_hash", "status", "wrong_pins", "version")]
    ids = [column(one, Identifier) for one in ("id", "open_push_id")]
    return table("operator_customers", column("phone_sealed", Sealed), *ids, *plain)


def _registered(id_: UUID) -> dict[str, Any]:
    return {
        "id": UUID(int=100 + id_.int),
        "name": "Registered",
        "schema_version": 1,
        "aggregate_type": "Subscriber",
        "aggregate_id": id_,
        "sequence": 1,
        "payload": "{}",
        "recorded_at": REGISTERED,
        "batch_id": BATCH_ID,
    }


@asynccontextmanager
async def migrated(engine: AsyncEngine, url: str) -> AsyncIterator[Operator]:
    """The operator serving the database that was used in revision 0003."""
    before = Before(url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade_to, "0003")
    async with engine.begin() as connection:
        await before.write(connection)
    await migrations.upgrade(engine)
    process = OperatorProcess(before.settings, real_ports(), policy=kenyan_policy(), pin_log2_cost=4)
    await process.start()
    try:
        yield process.operator
    finally:
        await process.stop()


@pytest.fixture
async def operator(engine: AsyncEngine, each_url: str) -> AsyncIterator[Operator]:
    async with migrated(engine, each_url) as made:
        yield made


async def test_everybody_is_who_they_were(operator: Operator) -> None:
    """The same ids, phones, PINs and locks; checked at the counter, so of the highest tier."""
    payer, locked = await operator.subscriber(PAYER), await operator.subscriber(LOCKED)
    assert [
        (PAYER_ID, CustomerType.SUBSCRIBER, CustomerStatus.ACTIVE, KycTier.FULL, 1, False, OPEN_ID, REGISTERED),
        (LOCKED_ID, CustomerType.SUBSCRIBER, CustomerStatus.ACTIVE, KycTier.FULL, 3, True, None, REGISTERED),
    ] == [
        (one.id, one.type, one.status, one.tier, one.wrong_pins, one.pin_locked, one.open_push_id, one.created_at)
        for one in (payer, locked)
    ]
    assert (PAYER, None, "", None) == (payer.phone, payer.email, payer.name, payer.login)
    with pytest.raises(CustomerExists):
        await operator.register_subscriber(PAYER, PIN)

    merchant = await operator.merchant(PAYBILL)
    owner = await operator.books.customer(merchant.customer_id)
    assert owner is not None
    assert (CustomerType.MERCHANT, TAKINGS, TAKINGS, REGISTERED) == (
        owner.type,
        owner.wallet,
        merchant.account,
        owner.created_at,
    )
    assert (True, "PENPAY") == (merchant.is_paybill, merchant.name)


async def test_the_money_is_where_it_was_and_the_open_prompt_can_be_paid(operator: Operator) -> None:
    """Balances as they were; then the right PIN pays the prompt that was open, and the paid one stays paid."""
    before = await operator.books.balances()
    assert (kes(2_000), {PAYER: kes(1_500), LOCKED: kes(0)}, {PAYBILL: kes(500)}) == (
        before.trust_unevidenced,
        dict(before.subscribers),
        dict(before.merchants),
    )
    paid, waiting = await operator.books.push(f"ws_CO_{PAID_ID.int}"), await operator.books.open_pushes()
    assert paid is not None
    assert (PushState.PAID, "UKL5A6B7C8", [OPEN_ID]) == (paid.state, paid.receipt, [push.id for push in waiting])

    ended = await operator.enter_pin(f"ws_CO_{OPEN_ID.int}", PIN)
    assert PushState.PAID is ended.state
    after = await operator.books.balances()
    assert (kes(2_000), kes(1_200), kes(800)) == (
        after.trust_unevidenced,
        dict(after.subscribers)[PAYER],
        dict(after.merchants)[PAYBILL],
    )
    payer = await operator.subscriber(PAYER)
    assert (0, None) == (payer.wrong_pins, payer.open_push_id)
    assert kes(0) == (await operator.books.reconciliation()).difference
    assert [f"{ended.receipt} Confirmed."] == [text[:21] for text in await operator.messages(PAYER, 5)]


async def test_a_wrong_pin_is_still_wrong_and_a_locked_one_locked(operator: Operator) -> None:
    """One more wrong one counts on; the right one does not open a lock."""
    wrong = await operator.enter_pin(f"ws_CO_{OPEN_ID.int}", "9999")
    assert wrong.result is not None
    assert ("2001", 2) == (wrong.result.code, (await operator.subscriber(PAYER)).wrong_pins)

    push = AcceptPush(
        merchant_request_id="1-2-4",
        checkout_request_id="ws_CO_new",
        short_code=PAYBILL,
        phone=LOCKED,
        amount=kes(10),
        account_reference="ACC-2",
        callback_url="http://127.0.0.1/callback",
        lives_ms=60_000,
    )
    await operator.do(push)
    locked = await operator.enter_pin("ws_CO_new", PIN)
    assert locked.result is not None
    assert "8006" == locked.result.code


async def test_the_eight_charges_are_free_and_the_same_everywhere(operator: Operator, engine: AsyncEngine) -> None:
    """As the original interface begins, under ids that no installation makes for itself."""
    charges = await operator.books.charges()
    assert {(one.operation, one.source_type, one.target_type) for one in charges} == set(CHARGED)
    assert [kes(0)] * 8 == [one.fee for one in charges]
    assert 8 == len({one.id for one in charges})
    async with engine.connect() as connection:
        assert 2 == await connection.scalar(select(func.count()).select_from(stk_pushes))
