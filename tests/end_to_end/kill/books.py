"""The three books side by side: ours, M-Pesa's and Deriv's, read from three databases that know nothing of another."""

from __future__ import annotations

from dataclasses import dataclass

from penpay.demo.world import AGENT_FUNDS, AGENT_LOGIN_ID, SHORT_CODE
from tests.end_to_end.kill.databases import Database
from tests.end_to_end.kill.stage import WALLET, Stage


@dataclass(frozen=True, slots=True)
class Outside:
    """What the simulators have done for one deposit, by their own books."""

    pushes: int
    payments: int
    transfers: int


def state_of(stage: Stage, transaction_id: str) -> tuple[str, str, str]:
    """What is committed of a deposit: its newest event, and the states of its push and of its transfer."""
    rows = stage.database.query(
        "SELECT (SELECT name FROM domain_events e WHERE e.aggregate_id = t.id ORDER BY e.sequence DESC LIMIT 1), "
        "(SELECT state FROM mpesa_requests m WHERE m.subject_id = t.id), "
        "(SELECT state FROM deriv_transfers d WHERE d.subject_id = t.id) "
        f"FROM transactions t WHERE t.id = {stage.database.literal(transaction_id)}"
    )
    ((event, push, transfer),) = rows
    return event, push, transfer


def outside(stage: Stage, transaction_id: str) -> Outside:
    """How often M-Pesa was asked for this deposit, how often it was paid, and how often Deriv was."""
    pushes = payments = transfers = 0
    for (reference,) in stage.database.query(
        f"SELECT account_reference FROM mpesa_requests WHERE subject_id = {stage.database.literal(transaction_id)}"
    ):
        states = stage.operator.query(f"SELECT state FROM stk_pushes WHERE account_reference = '{reference}'")
        pushes += len(states)
        payments += states.count(("PAID",))
    for (reference,) in stage.database.query(
        f"SELECT reference FROM deriv_transfers WHERE subject_id = {stage.database.literal(transaction_id)}"
    ):
        transfers += len(_transfers(stage, reference))
    return Outside(pushes, payments, transfers)


def licences(stage: Stage, transaction_id: str, kind: str) -> int:
    """How often somebody here was allowed to send for this deposit; `kind` is mpesa_request or deriv_transfer."""
    evidence = stage.database.query(
        f"SELECT id FROM {kind}s WHERE subject_id = {stage.database.literal(transaction_id)}"
    )
    claimed = stage.database.query(
        f"SELECT subject_id FROM audit_logs WHERE action = '{kind}.claimed' AND facts LIKE '%SENDING%'"
    )
    return sum(claimed.count(one) for one in evidence)


def _transfers(stage: Stage, reference: str) -> list[tuple[str, ...]]:
    return list(
        stage.deriv.query(
            "SELECT amount_cents FROM deriv_sim_rows "
            f"WHERE login_id = '{AGENT_LOGIN_ID}' AND action = 'withdrawal' AND remark LIKE '%{reference}%'"
        )
    )


def compare(stage: Stage, *, unseen_kes: int = 0, unsent_usd: int = 0) -> None:
    """Every book agrees to the cent, and ours is sound in itself.

    `unseen_kes` was paid to M-Pesa and we have not been told; `unsent_usd` is in flight and never reached Deriv.
    """
    operator = stage.operator_balances()
    deriv = _balances(stage.deriv, "SELECT login_id, balance_cents FROM deriv_sim_accounts")
    ours = _balances(stage.database, "SELECT code, balance_cents FROM ledger_accounts")
    usd = {client.login_id: 0 for client in stage.people}
    for login_id, dollars in stage.database.query(
        "SELECT deriv_login_id, usd_cents FROM transactions WHERE status = 'COMPLETED'"
    ):
        usd[login_id] += int(dollars)
    confirmed = stage.database.query("SELECT amount_cents FROM mpesa_requests WHERE state = 'CONFIRMED'")
    kes = sum(int(cents) for (cents,) in confirmed)
    spent = sum(WALLET.cents - operator[client.phone.msisdn] for client in stage.people)
    assert (kes, kes + unseen_kes) == (ours["mpesa:collection"], operator[SHORT_CODE])
    assert operator[SHORT_CODE] == spent
    left = AGENT_FUNDS.cents - sum(usd.values())
    assert (left, left) == (ours["deriv:agent"], deriv[AGENT_LOGIN_ID])
    assert usd == {client.login_id: deriv[client.login_id] for client in stage.people}
    assert unsent_usd == ours["deriv:in_flight"]
    assert [] == stage.ledger_findings()


def _balances(database: Database, statement: str) -> dict[str, int]:
    return {name: int(cents) for name, cents in database.query(statement)}
