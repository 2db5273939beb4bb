"""A withdrawal that goes well: what she sees, what is asked of her, and every cent in four books."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.end_to_end.deposits.stage import read
from tests.end_to_end.withdrawals.stage import COMPLETED, UNTOUCHED, WithdrawalStage


@pytest.mark.path(saga="withdrawal", step="result", fault="none", outcome="COMPLETED")
async def test_dollars_leave_deriv_and_shillings_reach_the_phone(each_stage: WithdrawalStage) -> None:
    """USD 10.00 at 126.91 are 1,269 shillings on her phone; our own question has verified it."""
    stage = each_stage
    withdrawal = await stage.started()

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    assert COMPLETED == await stage.books()
    assert [("PAYOUT", "CONFIRMED")] == await stage.payouts(withdrawal)
    assert 0 == await stage.codes_kept()
    await stage.base.until(lambda: stage.is_verified(withdrawal), advancing=timedelta(seconds=1))
    assert COMPLETED == await stage.books()
    assert (await stage.base.transaction(withdrawal))["receipt"]


async def test_the_answer_shows_the_quote_before_anything_moves(stage: WithdrawalStage) -> None:
    """What leaves Deriv, what the phone is paid, the rate, and until when it holds."""
    shown = read(await stage.ask())

    assert ("WITHDRAWAL", "PENDING", 1_000, 126_900, "126.91") == (
        shown["type"],
        shown["status"],
        shown["usd_cents"],
        shown["kes_cents"],
        shown["rate"],
    )
    assert UNTOUCHED == await stage.books()


async def test_an_amount_in_shillings_is_paid_to_the_shilling(stage: WithdrawalStage) -> None:
    """KES 1,269 cost the fewest cents that are worth it: 1,269.00 ÷ 126.91 is a little less than 10.00."""
    shown = read(await stage.ask(126_900, "KES"))

    assert (1_000, 126_900) == (shown["usd_cents"], shown["kes_cents"])


@pytest.mark.parametrize(
    ("cents", "currency", "code"),
    [(499, "USD", "amount_out_of_range"), (100_001, "USD", "amount_out_of_range"), (126_950, "KES", "invalid_amount")],
)
async def test_what_is_too_little_too_much_or_not_whole_is_refused(
    stage: WithdrawalStage, cents: int, currency: str, code: str
) -> None:
    """Below USD 5.00, above USD 1,000.00, or with cents of a shilling: nothing is asked of Deriv."""
    refused = await stage.ask(cents, currency)

    assert (422, code) == (refused.status_code, read(refused)["code"])
    assert [] == await stage.sandbox.deriv_mailbox.mails()


async def test_a_repeated_request_is_one_withdrawal_and_a_repeated_confirmation_one_payout(
    stage: WithdrawalStage,
) -> None:
    """The same key gets the same bytes; the code given twice starts nothing twice."""
    first, again = await stage.ask(), await stage.ask()
    assert first.content == again.content
    withdrawal = str(read(first)["id"])
    code = await stage.code()
    assert 202 == (await stage.give_code(withdrawal, code)).status_code
    assert 202 == (await stage.give_code(withdrawal, code)).status_code

    assert ("COMPLETED", None, None) == await stage.ended(withdrawal)
    assert 202 == (await stage.give_code(withdrawal, code)).status_code
    assert 1 == await stage.received()
    assert COMPLETED == await stage.books()
