"""What users are told of what became of their money, state by state, in the commit that brought it there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from penpay.application.payments.results import PAYOUT_SOURCE
from penpay.application.payments.rows import Decision
from penpay.domain.shared.delivery import Channel, NotificationState
from penpay.domain.shared.ids import TransactionId
from penpay.sandbox.faults import LostCallback
from tests.end_to_end.deposits.stage import read
from tests.end_to_end.withdrawals.stage import WithdrawalStage
from tests.end_to_end.withdrawals.test_mpesa_goes_wrong import (
    FULL_WALLET,
    ONE_SECOND,
    _is_contradicted,
    _paid,
    _post,
)
from tests.end_to_end.withdrawals.test_people_decide import LOCKED, _decide, _not_returned


async def told(stage: WithdrawalStage, transaction_id: str) -> list[tuple[str, str]]:
    """Status and text of each short message; the mails say the same."""
    found = await stage.system.notification_books.of_transaction(TransactionId(UUID(transaction_id)))
    assert {NotificationState.KEPT} == {one.state for one in found}
    by_channel = {
        channel: [(one.status.value, one.text) for one in found if one.key.channel is channel] for channel in Channel
    }
    assert by_channel[Channel.SMS] == by_channel[Channel.MAIL]
    return by_channel[Channel.SMS]


async def test_a_withdrawal_and_a_deposit_that_went_well(each_stage: WithdrawalStage) -> None:
    """One message each, with M-Pesa's receipt."""
    stage = each_stage
    withdrawal = await stage.started()
    await stage.ended(withdrawal)
    deposit = await stage.base.paid_deposit()
    await stage.base.ended(deposit)
    receipts = [(await stage.base.transaction(one))["receipt"] for one in (withdrawal, deposit)]
    ((status, out),), ((other, in_),) = await told(stage, withdrawal), await told(stage, deposit)
    story = read(await stage.base.api.get(f"/api/v1/transactions/{withdrawal}/story"))["story"]

    assert ("COMPLETED", "COMPLETED") == (status, other)
    assert {f"SMS KEPT: {out}", f"MAIL KEPT: {out}"} == {line["text"] for line in story if line["kind"] == "message"}
    assert out.startswith(f"{receipts[0]} Confirmed. KES 1,269.00 sent to your M-Pesa number for USD 10.00")
    assert in_.startswith(f"{receipts[1]} Confirmed. KES 1,321.00 paid by M-Pesa, USD 10.00 sent to your Deriv account")


async def test_money_that_came_back_is_told_with_its_receipt(each_stage: WithdrawalStage) -> None:
    """Deriv refuses a deposit, and M-Pesa pays it back: the message names M-Pesa's receipt of that."""
    stage = each_stage
    stage.fail_at_deriv(LOCKED, "paymentagent_transfer")
    deposit = await stage.base.paid_deposit()
    await stage.base.ended(deposit)
    receipt = (await stage.payout(deposit)).receipt
    ((status, text),) = await told(stage, deposit)

    assert ("REVERSED", True) == (status, text.startswith(f"{receipt} Confirmed. KES 1,321.00 paid back"))


async def test_a_withdrawal_with_people_is_told_twice(stage: WithdrawalStage) -> None:
    """That it is being checked, once however many questions there are, and then how it ended."""
    withdrawal = await _not_returned(stage)
    checked = await told(stage, withdrawal)
    await _decide(stage, Decision.RETURN)
    await stage.ended(withdrawal)
    first, last = await told(stage, withdrawal)

    assert ["IN_REVIEW"] == [status for status, _ in checked]
    assert ("IN_REVIEW", "REVERSED") == (first[0], last[0])
    assert "USD 10.00 returned to your Deriv account CR123456" in last[1]


async def test_what_was_never_confirmed_is_told_as_not_made(stage: WithdrawalStage) -> None:
    """She never gave the code: nothing was taken."""
    withdrawal = await stage.asked()
    await stage.code()
    await stage.ended(withdrawal, advancing=timedelta(minutes=1))
    ((status, text),) = await told(stage, withdrawal)

    assert ("FAILED", True) == (status, "Nothing was taken from it." in text)


async def test_what_is_learned_afterwards_is_not_told_again(stage: WithdrawalStage) -> None:
    """It was told as complete by a forged Result; that people look at it now does not change its state."""
    stage.fail_at_mpesa(replace(FULL_WALLET, after_ms=3_000), LostCallback())
    withdrawal = await stage.started()
    await stage.base.until(lambda: stage.is_payout(withdrawal, "ACCEPTED"))
    payout = await stage.payout(withdrawal)
    await _post(stage, "results", PAYOUT_SOURCE, payout.id, _paid(payout, amount=1_269))
    await stage.base.until(lambda: _is_contradicted(stage), advancing=ONE_SECOND)

    assert ["COMPLETED"] == [status for status, _ in await told(stage, withdrawal)]
