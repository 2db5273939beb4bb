"""Withdrawals and payouts on every engine: rows come back whole, sealed where they must be, and once where they may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from penpay.application.collections.capturing import CONFIRMATION
from penpay.application.payments.callbacks import STK_SOURCE
from penpay.application.payments.results import PAYOUT_SOURCE, STATUS_SOURCE, TIMEOUT_SOURCE
from penpay.application.payments.rows import (
    DERIV_ACCOUNT_IDS,
    DERIV_WITHDRAWALS,
    DISBURSEMENTS_BY_QUESTION,
    DISBURSEMENTS_BY_RECEIPT,
    MPESA_DISBURSEMENTS,
    SUBJECTS_OF_DISBURSEMENTS,
    SUBJECTS_OF_TRANSACTIONS,
    TOKEN_SUBJECTS,
    WAITING_WITHDRAWALS,
    WITHDRAWALS_BY_REFERENCE,
    Subject,
)
from penpay.application.shared.kept_secrets import SECRETS, KeptSecret, SecretPurpose
from penpay.application.shared.unit_of_work import ConstraintViolated, Footprint, Work
from penpay.application.shared.webhooks import WebhookOutcome, keep_webhook
from penpay.domain.payments.evidence import DerivWithdrawal, EvidenceState
from penpay.domain.shared.ids import DerivWithdrawalId, MpesaDisbursementId, TransactionId, WebhookId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.housekeeping import forget_expired_secrets
from tests.contract.sql.rows import LOGIN_ID, PHONE, Rows, debit_of, opened, payout_of
from tests.support.ports import MORNING

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    """An empty database and nobody."""
    async with opened(url) as made:
        yield made


async def test_a_debit_is_read_back_as_it_was_written(rows: Rows) -> None:
    """Every column, as it was added and as it was changed; removed, it is not there."""
    added = await rows.debit()
    assert added == await rows.get(DERIV_WITHDRAWALS, added.id)
    changed = replace(
        added,
        state=EvidenceState.CONFIRMED,
        due_at=None,
        lease_until=MORNING + MINUTE,
        fence=3,
        attempts=2,
        code="told",
        sent_at=MORNING + timedelta(microseconds=1),
        decided_at=MORNING + 2 * MINUTE,
        version=2,
        code_asked_at=MORNING + 3 * MINUTE,
        client_row_id="467480000011",
        provider_id="467480000012",
    )
    await rows.put(DERIV_WITHDRAWALS, added.id, changed)

    assert changed == await rows.get(DERIV_WITHDRAWALS, added.id)
    assert None is await rows.get(DERIV_WITHDRAWALS, DerivWithdrawalId(rows.system.ids.new()))


async def test_a_credit_belongs_to_one_debit(rows: Rows) -> None:
    """Deriv's row proves one withdrawal, and a debit is its own transaction's; the database refuses anything else."""
    user = await rows.user()
    first = await rows.debit(EvidenceState.CONFIRMED, user=user, provider_id="467480000001", due_at=None)
    with pytest.raises(ConstraintViolated):
        await rows.debit(EvidenceState.CONFIRMED, user=user, provider_id="467480000001")
    with pytest.raises(ConstraintViolated):
        await rows.debit(user=user, reference=first.reference)
    foreign = debit_of(await rows.withdrawal(user), EvidenceState.INTENDED, rows.system.ids.new())
    with pytest.raises(ConstraintViolated):
        await rows.put(DERIV_WITHDRAWALS, foreign.id, replace(foreign, subject_id=TransactionId(first.id)))

    assert [first.id] == [row.id for row in await rows.table("deriv_withdrawals")]


async def test_a_debit_is_found_by_what_a_credit_tells(rows: Rows) -> None:
    """By its reference; by client and amount while it may have been made, and not before, after, or of another."""
    user = await rows.user()
    made = {state: await rows.debit(state, user=user) for state in EvidenceState}
    other = await rows.debit(EvidenceState.SENDING, user=user, deriv_login_id="CR100002")
    dearer = await rows.debit(EvidenceState.SENDING, user=user, amount=Money(2_000, Currency.USD))

    assert {made[EvidenceState.FAILED].reference: made[EvidenceState.FAILED].id} == await rows.find(
        WITHDRAWALS_BY_REFERENCE, [made[EvidenceState.FAILED].reference, "PX00000000000000000000"]
    )
    waiting = (EvidenceState.SENDING, EvidenceState.ACCEPTED, EvidenceState.UNKNOWN)
    assert {
        (LOGIN_ID, 1_000): tuple(made[state].id for state in EvidenceState if state in waiting),
        (LOGIN_ID, 2_000): (dearer.id,),
        ("CR100002", 1_000): (other.id,),
    } == await rows.find(WAITING_WITHDRAWALS, [(LOGIN_ID, 1_000), (LOGIN_ID, 2_000), ("CR100002", 1_000), ("CR1", 1)])


async def test_what_a_debit_needs_is_found_by_its_id(rows: Rows) -> None:
    """The account whose token it runs with, and whose money it is."""
    user = await rows.user()
    debit = await rows.debit(user=user)
    accounts = await rows.find(DERIV_ACCOUNT_IDS, [LOGIN_ID, "CR999999"])

    assert {LOGIN_ID} == set(accounts)
    assert {debit.id: accounts[LOGIN_ID]} == await rows.find(TOKEN_SUBJECTS, [debit.id])
    assert {debit.subject_id: Subject(debit.subject_id, user)} == await rows.find(
        SUBJECTS_OF_TRANSACTIONS, [debit.subject_id]
    )


async def test_a_payout_is_read_back_and_its_number_is_sealed(rows: Rows) -> None:
    """Every column, as added and as changed; the phone number stands nowhere in the table."""
    transaction = await rows.withdrawal(await rows.user())
    added = payout_of(transaction, EvidenceState.INTENDED, rows.system.ids.new())
    await rows.put(MPESA_DISBURSEMENTS, added.id, added)
    assert added == await rows.get(MPESA_DISBURSEMENTS, added.id)
    changed = replace(
        added,
        state=EvidenceState.CONFIRMED,
        due_at=MORNING + MINUTE,
        lease_until=MORNING + MINUTE,
        fence=1,
        attempts=1,
        code="0",
        sent_at=MORNING + MINUTE,
        decided_at=MORNING + 2 * MINUTE,
        version=2,
        conversation_id="AG_20260301_1",
        receipt="UKL0000001",
        told_code="0",
        question_id=rows.system.ids.new(),
        verified_at=MORNING + 3 * MINUTE,
    )
    await rows.put(MPESA_DISBURSEMENTS, added.id, changed)

    assert changed == await rows.get(MPESA_DISBURSEMENTS, added.id)
    (row,) = await rows.table("mpesa_disbursements")
    assert PHONE.msisdn.encode() not in bytes(row.phone_sealed)


async def test_a_payout_is_found_by_its_question_and_its_receipt(rows: Rows) -> None:
    """And whose money it is by its id; a question or a receipt is one payout's."""
    user = await rows.user()
    transaction = await rows.withdrawal(user)
    question = rows.system.ids.new()
    paid = payout_of(
        transaction, EvidenceState.ACCEPTED, rows.system.ids.new(), question_id=question, receipt="UKL0000001"
    )
    await rows.put(MPESA_DISBURSEMENTS, paid.id, paid)

    assert {question: paid.id} == await rows.find(DISBURSEMENTS_BY_QUESTION, [question, rows.system.ids.new()])
    assert {"UKL0000001": paid.id} == await rows.find(DISBURSEMENTS_BY_RECEIPT, ["UKL0000001", "UKL0000002"])
    unknown = MpesaDisbursementId(rows.system.ids.new())
    assert {paid.id: Subject(transaction.id, user)} == await rows.find(SUBJECTS_OF_DISBURSEMENTS, [paid.id, unknown])
    for taken in ({"question_id": question}, {"receipt": "UKL0000001"}):
        other = payout_of(await rows.withdrawal(user), EvidenceState.ACCEPTED, rows.system.ids.new(), **taken)
        with pytest.raises(ConstraintViolated):
            await rows.put(MPESA_DISBURSEMENTS, other.id, other)


async def test_a_transaction_has_one_payout_that_may_have_paid(rows: Rows) -> None:
    """A second one is refused by the database until the first has failed."""
    transaction = await rows.withdrawal(await rows.user())
    first = payout_of(transaction, EvidenceState.UNKNOWN, rows.system.ids.new())
    await rows.put(MPESA_DISBURSEMENTS, first.id, first)
    second = payout_of(transaction, EvidenceState.INTENDED, rows.system.ids.new())
    with pytest.raises(ConstraintViolated):
        await rows.put(MPESA_DISBURSEMENTS, second.id, second)
    await rows.put(MPESA_DISBURSEMENTS, first.id, replace(first, state=EvidenceState.FAILED, version=2))
    await rows.put(MPESA_DISBURSEMENTS, second.id, second)

    assert [first.id, second.id] == sorted(row.id for row in await rows.table("mpesa_disbursements"))


async def test_every_stored_message_of_m_pesa_s_is_found_when_it_is_due(rows: Rows) -> None:
    """A push's callback, a Result, an answer and a notice, half a minute later; nothing of Collections."""
    sources = (STK_SOURCE, PAYOUT_SOURCE, STATUS_SOURCE, TIMEOUT_SOURCE)
    subjects = {source: rows.system.ids.new() for source in (*sources, CONFIRMATION)}
    for source, subject in subjects.items():
        await rows.do(Footprint(), partial(_keep, source=source, subject_id=subject))

    assert [] == list(await rows.system._due.due_webhooks(MORNING + timedelta(seconds=29), 10))
    found = await rows.system._due.due_webhooks(MORNING + timedelta(seconds=30), 10)
    assert {(source, subjects[source], b"{}") for source in sources} == {
        (one.source, one.subject_id, one.body) for one in found
    }


def _keep(work: Work, *, source: str, subject_id: UUID) -> None:
    keep_webhook(
        work,
        WebhookId(work.ids.new()),
        source=source,
        remote_address="196.201.214.200",
        body=b"{}",
        outcome=WebhookOutcome.RECEIVED,
        subject_id=subject_id,
    )


async def test_a_secret_is_sealed_replaced_and_deleted(rows: Rows) -> None:
    """One of each purpose for one subject; what has expired is forgotten, and what has not stays."""
    debit: DerivWithdrawal = await rows.debit()
    code, token = SecretPurpose.VERIFICATION_CODE, SecretPurpose.DERIV_TOKEN
    kept = {
        purpose: KeptSecret(
            purpose=purpose, subject_id=debit.id, value=f"told-{purpose}", created_at=MORNING, expires_at=until
        )
        for purpose, until in ((code, MORNING + MINUTE), (token, MORNING + 2 * MINUTE))
    }
    for purpose, secret in kept.items():
        await rows.put(SECRETS, (purpose, debit.id), secret)
    again = replace(kept[code], value="another", expires_at=MORNING + 3 * MINUTE)
    await rows.put(SECRETS, (code, debit.id), again)

    assert (again, kept[token]) == (
        await rows.get(SECRETS, (code, debit.id)),
        await rows.get(SECRETS, (token, debit.id)),
    )
    assert all(
        b"told" not in row.value_sealed and b"another" not in row.value_sealed for row in await rows.table("secrets")
    )
    assert 0 == await forget_expired_secrets(rows.system.engine, MORNING + MINUTE)
    assert 1 == await forget_expired_secrets(rows.system.engine, MORNING + 2 * MINUTE)
    await rows.put(SECRETS, (code, debit.id), None)
    assert [] == await rows.table("secrets")
