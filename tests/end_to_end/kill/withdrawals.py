"""The stage of the kill tests with what withdrawals need: a payout account, tokens, mail, and the three books."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from penpay.application.identity.deriv_tokens import BindDerivToken
from penpay.bootstrap import Sandbox, build, kept_certificate, real_ports
from penpay.config import Settings, load_settings
from penpay.demo.world import AGENT_FUNDS, AGENT_LOGIN_ID, SHORT_CODE
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.shared.money import Currency, Money
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.deriv.limits import RateLimits
from tests.end_to_end.kill.databases import Database
from tests.end_to_end.kill.stage import WALLET, Client, Stage, until

DOLLARS: Final = 20_000
"""What each client has at Deriv, in cents."""
SHILLINGS: Final = Money(4_000_000, Currency.KES)
"""What the short code that pays out has at M-Pesa, of which our books know nothing."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the simulators have done for one withdrawal, by their own books."""

    mails: int
    debits: int
    payouts: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is committed of a withdrawal: its newest event, and the states of its debit and of its payout."""

    event: str
    debit: str
    payout: str = ""


class WithdrawalStage(Stage):
    """Two programs of which one may also pay out."""

    def __init__(self, folder: Path, database: Database, people: tuple[Client, ...]) -> None:
        super().__init__(folder, database, people)
        self.environment |= {
            "MPESA_INITIATOR_NAME": "penpay",
            "MPESA_INITIATOR_PASSWORD": os.urandom(16).hex(),
            "MPESA_CERTIFICATE": str(kept_certificate(self.operator.url, datetime.now(UTC))),
            "PENPAY_PAYOUT_FIRST_STATUS_SECONDS": "1",
        }

    def seed(self) -> None:
        """As for deposits; then dollars and tokens for everybody, and shillings to pay out."""
        super().seed()
        asyncio.run(_give_funds(load_settings(self.environment), self))

    def ask_for_withdrawal(self, client: Client, usd_cents: int, key: str) -> str:
        """Ask our API for a withdrawal and return its id."""
        body = {"amount_cents": usd_cents, "currency": "USD", "deriv_login_id": client.login_id, "idempotency_key": key}
        response = self.api.post("/api/v1/withdrawals", json=body, headers=client.headers)
        assert 202 == response.status_code, response.text
        return str(response.json(parse_float=str)["id"])

    def mailed_code(self, client: Client) -> str:
        """The newest code in her mailbox that is still good, once there is one."""
        until("Deriv has mailed a code", lambda: bool(self._codes(client)))
        return self._codes(client)[0]

    def give_code(self, client: Client, transaction_id: str) -> None:
        """Hand over the mailed code."""
        body = {"verification_code": self.mailed_code(client)}
        path = f"/api/v1/withdrawals/{transaction_id}/confirm"
        response = self.api.post(path, json=body, headers=client.headers)
        assert 202 == response.status_code, response.text

    def _codes(self, client: Client) -> list[str]:
        found: list[dict[str, Any]] = self.daraja.get("/sandbox/deriv/mail").json(parse_float=str)["mails"]
        return [mail["code"] for mail in found if mail["login_id"] == client.login_id and not mail["is_used"]]

    def recorded(self, transaction_id: str) -> Recorded:
        """What is committed of it."""
        ((event, debit, payout),) = self.database.query(
            "SELECT (SELECT name FROM domain_events e WHERE e.aggregate_id = t.id ORDER BY e.sequence DESC LIMIT 1), "
            "(SELECT state FROM deriv_withdrawals d WHERE d.id = t.id), "
            "(SELECT state FROM mpesa_disbursements m WHERE m.subject_id = t.id) "
            f"FROM transactions t WHERE t.id = {self.database.literal(transaction_id)}"
        )
        return Recorded(event, debit, payout)

    def outside(self, client: Client, transaction_id: str) -> Outside:
        """How often Deriv mailed her a code, debited her for it, and M-Pesa paid for it."""
        mails = self.deriv.query(f"SELECT code FROM deriv_sim_mail WHERE login_id = '{client.login_id}'")
        debits = payouts = 0
        wanted = f"= {self.database.literal(transaction_id)}"
        for (reference,) in self.database.query(f"SELECT reference FROM deriv_withdrawals WHERE id {wanted}"):
            debits += len(
                self.deriv.query(
                    "SELECT amount_cents FROM deriv_sim_rows "
                    f"WHERE login_id = '{AGENT_LOGIN_ID}' AND action = 'deposit' AND remark LIKE '%{reference}%'"
                )
            )
        for (ours,) in self.database.query(
            f"SELECT originator_conversation_id FROM mpesa_disbursements WHERE subject_id {wanted}"
        ):
            payouts += len(
                self.operator.query(
                    f"SELECT id FROM daraja_requests WHERE originator_conversation_id = '{ours}' AND state = 'DONE'"
                )
            )
        return Outside(len(mails), debits, payouts)

    def is_verified(self, transaction_id: str) -> bool:
        """Whether our own question has confirmed the payout."""
        literal = self.database.literal(transaction_id)
        ((moment,),) = self.database.query(f"SELECT verified_at FROM mpesa_disbursements WHERE subject_id = {literal}")
        return moment not in {"", "None"}

    def compare(self) -> None:
        """Every book agrees to the cent, ours is sound in itself, and no code or question is left."""
        operator = self.operator_balances()
        deriv = _figures(self.deriv, "SELECT login_id, balance_cents FROM deriv_sim_accounts")
        ours = _figures(self.database, "SELECT code, balance_cents FROM ledger_accounts")
        usd, kes = dict.fromkeys((one.login_id for one in self.people), 0), 0
        for login_id, dollars, shillings in self.database.query(
            "SELECT deriv_login_id, usd_cents, kes_charged_cents FROM transactions WHERE status = 'COMPLETED'"
        ):
            usd[login_id] += int(dollars)
            kes += int(shillings)
        assert SHILLINGS.cents - kes == operator[SHORT_CODE]
        assert kes == abs(ours["mpesa:utility"])
        assert kes == sum(operator[client.phone.msisdn] - WALLET.cents for client in self.people)
        held = AGENT_FUNDS.cents + sum(usd.values())
        assert (held, held) == (ours["deriv:agent"], deriv[AGENT_LOGIN_ID])
        assert {login_id: DOLLARS - spent for login_id, spent in usd.items()} == {
            client.login_id: deriv[client.login_id] for client in self.people
        }
        assert 0 == ours["mpesa:payout_in_flight"]
        assert [] == self.ledger_findings()
        assert [] == self.database.query("SELECT subject_id FROM secrets WHERE purpose = 'VERIFICATION_CODE'")


def _figures(database: Database, statement: str) -> dict[str, int]:
    return {name: int(cents) for name, cents in database.query(statement)}


async def _give_funds(settings: Settings, stage: Stage) -> None:
    sandbox = Sandbox(
        settings,
        real_ports(),
        switches=DarajaSwitches(),
        deriv_url=settings.deriv_sandbox_database_url,
        deriv_limits=RateLimits(),
    )
    system = build(settings)
    try:
        await sandbox.start()
        await sandbox.operator.issue_to_merchant(SHORT_CODE, SHILLINGS, "float-to-pay-out")
        await system.start_executor()
        for client in stage.people:
            token = f"token-of-{client.login_id}"
            await sandbox.deriv_book.set_token(client.login_id, token, "read payments")
            await sandbox.deriv.exchange.top_up(client.login_id, DOLLARS)
            await system.executor.execute(
                BindDerivToken(deriv_login_id=DerivLoginId(client.login_id), token=token, good_for=timedelta(days=1))
            )
    finally:
        await system.stop()
        await sandbox.stop()
