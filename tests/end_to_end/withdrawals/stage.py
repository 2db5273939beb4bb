"""What a withdrawal story needs beside the stage of deposits: funds at both providers, the mailbox, and the books."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from sqlalchemy import select

from penpay.demo.world import AGENT_FUNDS, LOGIN_ID, PHONE, SHORT_CODE
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.payout_tables import deriv_withdrawals, mpesa_disbursements, secrets
from penpay.sandbox.daraja.notifications import BillPayment
from penpay.sandbox.deriv.faults import CallFault, PushFault
from penpay.sandbox.deriv.faults import FaultRule as DerivRule
from penpay.sandbox.faults import Fault
from tests.end_to_end.deposits.stage import PATIENCE_SECONDS, Stage, read

HER_DOLLARS: Final = 20_000
OUR_SHILLINGS: Final = 4_000_000
FILLER: Final = PhoneNumber.parse("254711000001")
ENDED: Final = ("COMPLETED", "FAILED", "REVERSED", "IN_REVIEW")
USD_10: Final = 1_000
"""At 129.5 less 2 %, 126.91, it is KES 1,269.10: 1,269 shillings. M is 1,295.00, the spread 25.90, and 0.10 is left."""


@dataclass(frozen=True, kw_only=True)
class Books:
    """Every balance a withdrawal can touch, in cents: ours, then the operator's own, then Deriv's own."""

    utility: int = 0
    payout_in_flight: int = 0
    charges: int = 0
    wallet_kes: int = 0
    wallet_usd: int = 0
    suspense_usd: int = 0
    in_flight: int = 0
    agent: int = AGENT_FUNDS.cents
    spread: int = 0
    rounding: int = 0
    recovery: int = 0
    at_operator_payee: int = 5_000_000
    at_operator_paybill: int = OUR_SHILLINGS
    at_deriv_agent: int = AGENT_FUNDS.cents
    at_deriv_client: int = HER_DOLLARS


UNTOUCHED: Final = Books()
TAKEN: Final = replace(UNTOUCHED, at_deriv_agent=1_001_000, at_deriv_client=19_000)
"""Deriv has moved USD 10.00 to our account; our books say nothing yet."""
DEBITED: Final = replace(TAKEN, agent=1_001_000, wallet_usd=1_000)
CONVERTED: Final = replace(DEBITED, wallet_usd=0, wallet_kes=126_900, spread=2_590, rounding=10)
IN_FLIGHT: Final = replace(CONVERTED, wallet_kes=0, payout_in_flight=126_900)
COMPLETED: Final = replace(
    CONVERTED, wallet_kes=0, utility=126_900, at_operator_payee=5_126_900, at_operator_paybill=3_873_100
)
"""`utility` is what left it: the mirror of an account we have not funded in our own books."""
PAID_UNSEEN: Final = replace(IN_FLIGHT, at_operator_payee=5_126_900, at_operator_paybill=3_873_100)


class WithdrawalStage:
    """A deposit stage, `base`, with what withdrawals need."""

    def __init__(self, base: Stage) -> None:
        self.base = base
        self.clock, self.sandbox = base.clock, base.sandbox

    @property
    def system(self) -> Any:
        return self.base.system

    async def give_funds(self) -> None:
        """Dollars on her account at Deriv, and shillings on our PayBill, of which our books know nothing."""
        await self.sandbox.deriv.exchange.top_up(LOGIN_ID, HER_DOLLARS)
        await self.sandbox.operator.register_subscriber(FILLER, "1234")
        await self.sandbox.operator.issue_float(FILLER, Money(OUR_SHILLINGS, Currency.KES), "filler")
        payment = BillPayment(
            phone=FILLER, short_code=SHORT_CODE, account="X", amount=Money(OUR_SHILLINGS, Currency.KES), pin="1234"
        )
        await self.sandbox.daraja._c2b.pay_bill(payment)

    # -- what she does

    async def ask(self, amount_cents: int = USD_10, currency: str = "USD", key: str = "story") -> httpx.Response:
        return await self.base.api.post("/api/v1/withdrawals", json=self.base.request(amount_cents, currency, key))

    async def asked(self, amount_cents: int = USD_10, key: str = "story") -> str:
        """Ask for a withdrawal; its id."""
        created = await self.ask(amount_cents, key=key)
        assert 202 == created.status_code, created.text
        return str(read(created)["id"])

    async def code(self) -> str:
        """The newest code that was mailed and not used, once it is there."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                unused = [mail for mail in await self.sandbox.deriv_mailbox.mails() if not mail.is_used]
                if unused:
                    return unused[0].code
                await asyncio.sleep(0.02)

    async def give_code(self, transaction_id: str, code: str | None = None) -> httpx.Response:
        body = {"verification_code": await self.code() if code is None else code}
        return await self.base.api.post(f"/api/v1/withdrawals/{transaction_id}/confirm", json=body)

    async def started(self, amount_cents: int = USD_10, key: str = "story") -> str:
        """A withdrawal that was asked for and confirmed with the mailed code; its id."""
        transaction_id = await self.asked(amount_cents, key)
        confirmed = await self.give_code(transaction_id)
        assert 202 == confirmed.status_code, confirmed.text
        return transaction_id

    # -- what goes wrong

    def fail_at_deriv(self, fault: CallFault | PushFault, call: str = "paymentagent_withdraw") -> None:
        self.sandbox.deriv_faults.add(DerivRule(fault=fault, call=call))

    def fail_at_mpesa(self, *faults: Fault, times: int | None = 1) -> None:
        self.base.fail(*faults, times=times)

    # -- waiting and looking

    async def ended(self, transaction_id: str, *, advancing: timedelta = timedelta(0)) -> tuple[str, Any, Any]:
        """Its status, failure code and recovery once it has ended or is with people."""
        await self.base.until(lambda: self.base.is_in(transaction_id, *ENDED), advancing=advancing)
        return await self.base.outcome(transaction_id)

    async def until_books(self, expected: Books) -> None:
        """Wait until every book stands so, or tell how it stands instead."""
        try:
            await self.base.until(lambda: self._stands(expected))
        except TimeoutError:
            assert expected == await self.books()

    async def _stands(self, expected: Books) -> bool:
        return await self.books() == expected

    async def payouts(self, transaction_id: str) -> list[tuple[str, str]]:
        """Purpose and state of each payout, oldest first."""
        table = mpesa_disbursements.c
        statement = select(table.purpose, table.state).where(table.subject_id == UUID(transaction_id))
        async with self.system.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(statement.order_by(table.id))]

    async def payout(self, transaction_id: str) -> Any:
        table = mpesa_disbursements
        statement = select(table).where(table.c.subject_id == UUID(transaction_id)).order_by(table.c.id.desc())
        async with self.system.engine.connect() as connection:
            return (await connection.execute(statement)).first()

    async def debit_state(self, transaction_id: str) -> str:
        statement = select(deriv_withdrawals.c.state).where(deriv_withdrawals.c.id == UUID(transaction_id))
        async with self.system.engine.connect() as connection:
            return str((await connection.execute(statement)).scalar_one())

    async def reference(self, transaction_id: str) -> str:
        """What a credit's remark must hold to be this withdrawal's."""
        statement = select(deriv_withdrawals.c.reference).where(deriv_withdrawals.c.id == UUID(transaction_id))
        async with self.system.engine.connect() as connection:
            return str((await connection.execute(statement)).scalar_one())

    async def is_debit(self, transaction_id: str, state: str) -> bool:
        return await self.debit_state(transaction_id) == state

    async def is_payout(self, transaction_id: str, state: str) -> bool:
        found = await self.payout(transaction_id)
        return found is not None and found.state == state

    async def is_verified(self, transaction_id: str) -> bool:
        found = await self.payout(transaction_id)
        return found is not None and found.verified_at is not None

    async def codes_kept(self) -> int:
        statement = select(secrets.c.subject_id).where(secrets.c.purpose == "VERIFICATION_CODE")
        async with self.system.engine.connect() as connection:
            return len((await connection.execute(statement)).all())

    async def received(self) -> int:
        """How many payments Deriv has on its own book from her to our account."""
        query = "SELECT count(*) FROM deriv_sim_rows WHERE action = 'withdrawal' AND login_id = ?"
        async with self.sandbox._deriv_engine.connect() as connection:
            return int((await connection.exec_driver_sql(query, (LOGIN_ID,))).scalar_one())

    async def books(self) -> Books:
        """Every book at this moment; ours must pass `ledger verify` whenever anybody looks."""
        assert [] == list(await self.system.ledger_books.verify())
        rows = await self.system.ledger_books.trial_balance()
        ours = {row.code: abs(row.debit_cents - row.credit_cents) for row in rows}
        operator = await self.sandbox.operator.books.balances()
        deriv = self.sandbox.deriv_book

        def wallets(currency: str) -> int:
            return sum(cents for code, cents in ours.items() if code.startswith("wallet:") and code.endswith(currency))

        return Books(
            utility=ours.get("mpesa:utility", 0),
            payout_in_flight=ours.get("mpesa:payout_in_flight", 0),
            charges=ours.get("expense:mpesa_charges", 0),
            wallet_kes=wallets("KES"),
            wallet_usd=wallets("USD"),
            suspense_usd=ours.get("suspense:USD", 0),
            in_flight=ours.get("deriv:in_flight", 0),
            agent=ours.get("deriv:agent", 0),
            spread=ours.get("revenue:fx_spread", 0),
            rounding=ours.get("revenue:rounding", 0),
            recovery=ours.get("receivable:recovery:KES", 0),
            at_operator_payee=dict(operator.subscribers)[PHONE].cents,
            at_operator_paybill=dict(operator.merchants)[SHORT_CODE].cents,
            at_deriv_agent=await deriv.balance_of(self.base.settings.deriv_login_id),
            at_deriv_client=await deriv.balance_of(LOGIN_ID),
        )
