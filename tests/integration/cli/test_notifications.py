"""What users were told, read at a terminal."""

from __future__ import annotations

import asyncio
from uuid import UUID

from penpay.application.payments.collecting import ClaimMpesaRequest, RecordPushAnswer
from penpay.application.payments.deposit import CreateDeposit, InitiateDeposit
from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.bootstrap import build
from penpay.config import load_settings
from penpay.domain.mpesa.gateway import PushAnswer, PushOutcome
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.money import Currency, Money
from tests.integration.cli.conftest import Terminal
from tests.integration.cli.looking import USER_ONE


def test_messages_are_listed_and_shown_with_numbers_masked(terminal: Terminal) -> None:
    """A deposit that M-Pesa refused: its messages are kept, since nobody carries any, and name no number whole."""
    assert [] == terminal.json("notifications", "list")
    user = UserId(UUID(terminal.json("users", "create", *USER_ONE)["user_id"]))
    deposit = asyncio.run(refused_deposit(terminal, user))

    listed = terminal.json("notifications", "list")
    shown = terminal.run("notifications", "show", str(deposit)).stdout
    told = terminal.json("notifications", "show", str(deposit))

    assert {("SMS", "KEPT", "FAILED"), ("MAIL", "KEPT", "FAILED")} == {
        (one["channel"], one["state"], one["status"]) for one in listed
    }
    assert {"+2547******78", "u***@example.com"} == {one["to"] for one in told}
    assert "You were not charged." in shown
    assert "712345678" not in shown
    assert "user_one" not in shown
    assert [] == terminal.json("notifications", "list", "--state", "GIVEN_UP")
    assert "KEPT" in terminal.run("notifications", "list", "--state", "kept").stdout
    assert "There are no such messages." in terminal.run("notifications", "list", "--state", "sent").stdout
    assert "not_found" == terminal.refused("notifications", "show", str(user))


async def refused_deposit(terminal: Terminal, user: UserId) -> TransactionId:
    """A deposit whose prompt M-Pesa would not send."""
    system = build(load_settings(terminal.env))
    execute = system.executor.execute
    try:
        await system.start_executor()
        rate = await execute(
            EnterRate(
                base=Currency.USD,
                quote=Currency.KES,
                mid_e8=parse_mid("129.5"),
                source="test",
                entered_by="test-maker",
                valid_from=None,
            )
        )
        await execute(ApproveRate(rate_id=rate.id, approved_by="test-checker"))
        view = await execute(CreateDeposit(user_id=user, amount=Money(1_000, Currency.USD), deriv_login_id="CR900001"))
        deposit = TransactionId(UUID(str(view["id"])))
        await execute(InitiateDeposit(transaction_id=deposit, user_id=user))
        (due,) = await system._due.due_mpesa_requests(system.clock.now(), 10)
        claimed = await execute(ClaimMpesaRequest(request_id=due))
        answer = PushAnswer(outcome=PushOutcome.FAILED, code="400.002.02")
        await execute(RecordPushAnswer(request_id=due, fence=claimed.fence, answer=answer))
    finally:
        await system.stop()
    return deposit
