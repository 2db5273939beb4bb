"""The people, funds and settings of the bench of whole payments, and its books compared at the end."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from penpay.application.identity.deriv_tokens import BindDerivToken
from penpay.application.identity.users import CreateUser
from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.application.wallet.funding import FundAccount
from penpay.application.wallet.postings import DERIV_AGENT
from penpay.application.wallet.withdrawal_postings import UTILITY
from penpay.bootstrap import Sandbox, System, build, kept_certificate, real_ports
from penpay.config import Settings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.credential import API_KEY_BYTES, api_key_hash, api_key_text
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.security.keys import KEY_BYTES
from penpay.sandbox.deriv.book import Account, AgentTerms
from penpay.sandbox.phone import Habit, StandingAnswer
from tests.servers.process import free_port

PEOPLE: Final = 600
_PIN: Final = "1234"
PIN_LOG2_COST: Final = 4
"""Nobody guesses here, and a handset that enters its PIN is not what is measured."""
_AGENT: Final = "CR90000001"
_SHORT_CODE: Final = "174379"
_AGENT_FUNDS: Final = Money(100_000_000_00, Currency.USD)
_FLOAT: Final = Money(100_000_000_00, Currency.KES)
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Somebody:
    """A user, with what she needs at each of the three."""

    phone: PhoneNumber
    login_id: str
    api_key: str


def people_of_the_bench() -> Sequence[Somebody]:
    """As many users as there are, each with a key of her own."""
    return [
        Somebody(
            PhoneNumber(f"+2547{40_000_000 + number:08}"),
            f"CR{1_000_000 + number}",
            api_key_text(os.urandom(API_KEY_BYTES)),
        )
        for number in range(PEOPLE)
    ]


def environment_of(url: str, folder: Path, daraja: int, deriv: int) -> Mapping[str, str]:
    """The settings of both programs, whose providers listen at these ports, with keys of their own."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    operator = f"sqlite+aiosqlite:///{folder / 'operator.db'}"
    port = free_port()
    return {
        "APP_ENV": "testing",
        "DATABASE_URL": url,
        "OPERATOR_DATABASE_URL": operator,
        "PENPAY_HTTP_PORT": str(port),
        "MPESA_CONSUMER_KEY": secrets.token_hex(16),
        "MPESA_CONSUMER_SECRET": secrets.token_hex(16),
        "MPESA_SHORT_CODE": _SHORT_CODE,
        "MPESA_PASSKEY": secrets.token_hex(16),
        "MPESA_CALLBACK_URL": f"http://127.0.0.1:{port}/api/v1/callbacks/stk",
        "MPESA_BASE_URL": f"http://127.0.0.1:{daraja}",
        "MPESA_INITIATOR_NAME": "bench",
        "MPESA_INITIATOR_PASSWORD": secrets.token_hex(16),
        "MPESA_CERTIFICATE": str(kept_certificate(operator, datetime.now(UTC))),
        "DERIV_ENDPOINT": f"ws://127.0.0.1:{deriv}",
        "DERIV_APP_ID": "1089",
        "DERIV_TOKEN": secrets.token_hex(16),
        "DERIV_LOGIN_ID": _AGENT,
        "PENPAY_FIELD_KEYS": f"bench:{key}",
        "PENPAY_MASTER_KEY": key,
    }


async def fill_sandbox(sandbox: Sandbox, settings: Settings, people: Sequence[Somebody]) -> None:
    """Everybody's handset, shillings, account and dollars, and ours."""
    await sandbox.operator.issue_to_merchant(_SHORT_CODE, _FLOAT, "bench-float")
    agent = Account(
        login_id=_AGENT,
        first_name="PenPay",
        last_name="Agent",
        email="agent@penpay.example",
        agent=AgentTerms(name="PenPay", min_cents=200, day_cents=_AGENT_FUNDS.cents, day_count=10**9),
    )
    token = settings.deriv_token.get_secret_value()
    await sandbox.deriv_book.open_account(agent, balance_cents=_AGENT_FUNDS.cents, token=token, scopes="read payments")
    for one in people:
        await sandbox.operator.register_subscriber(one.phone, _PIN)
        await sandbox.operator.issue_float(one.phone, Money(10_000_000, Currency.KES), f"bench-{one.login_id}")
        sandbox.daraja.phone(one.phone).standing_answer = StandingAnswer(habit=Habit.ENTER_PIN, pin=_PIN)
        account = Account(
            login_id=one.login_id, first_name="User", last_name=one.login_id, email=f"{one.login_id}@penpay.example"
        )
        await sandbox.deriv_book.open_account(
            account, balance_cents=10_000_000, token=f"token-of-{one.login_id}", scopes="read payments"
        )


async def fill_books(settings: Settings, people: Sequence[Somebody]) -> None:
    """Our users, their tokens, our funds and a rate."""
    system: System = build(settings, real_ports())
    try:
        await system.start_executor()
        do = system.executor.execute
        for first in range(0, len(people), _AT_ONCE):
            some = people[first : first + _AT_ONCE]
            await asyncio.gather(*(do(_user(one)) for one in some))
            await asyncio.gather(*(do(_token(one)) for one in some))
        await do(FundAccount(account=DERIV_AGENT, amount=_AGENT_FUNDS, reference="bench", entered_by="bench"))
        await do(FundAccount(account=UTILITY, amount=_FLOAT, reference="bench-float", entered_by="bench"))
        rate = await do(
            EnterRate(
                base=Currency.USD,
                quote=Currency.KES,
                mid_e8=parse_mid("129.5"),
                source="bench",
                entered_by="bench-maker",
                valid_from=None,
            )
        )
        await do(ApproveRate(rate_id=rate.id, approved_by="bench-checker"))
    finally:
        await system.stop()


def _user(one: Somebody) -> CreateUser:
    return CreateUser(
        email=Email(f"{one.login_id.lower()}@penpay.example"),
        phone=one.phone,
        phone_verified=True,
        deriv_login_id=DerivLoginId(one.login_id),
        api_key_hash=api_key_hash(one.api_key) or "",
    )


def _token(one: Somebody) -> BindDerivToken:
    token = f"token-of-{one.login_id}"
    return BindDerivToken(deriv_login_id=DerivLoginId(one.login_id), token=token, good_for=timedelta(days=1))


async def compare(settings: Settings, sandbox: Sandbox) -> None:
    """Exit unless our books are sound and the providers hold what they say."""
    system: System = build(settings, real_ports())
    try:
        findings = await system.ledger_books.verify()
        held = {row.code: row.debit_cents - row.credit_cents for row in await system.ledger_books.trial_balance()}
    finally:
        await system.stop()
    merchants = dict((await sandbox.operator.books.balances()).merchants)
    theirs = (merchants[_SHORT_CODE].cents, await sandbox.deriv_book.balance_of(_AGENT))
    ours = (held.get("mpesa:collection", 0) + held["mpesa:utility"], held["deriv:agent"])
    if findings or theirs != ours:
        sys.exit(f"The books do not agree: {findings}, {theirs} and {ours}")
