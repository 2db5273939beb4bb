"""A rate that is too old, or cannot be right: nobody is asked for money at it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penpay.application.payments.fx import ApproveRate, EnterRate, parse_mid
from penpay.domain.shared.errors import RateNotApprovable
from penpay.domain.shared.money import Currency
from tests.end_to_end.deposits.books import COMPLETED, UNTOUCHED
from tests.end_to_end.deposits.stage import Stage, read


@pytest.mark.path(saga="deposit", step="quote", fault="the rate is stale", outcome="REFUSED")
async def test_a_stale_rate_refuses_deposits(stage: Stage) -> None:
    """A day after two people agreed on it, it is no rate any more: 503, and nobody is prompted."""
    stage.clock.advance(timedelta(hours=24, minutes=1))
    refused = await stage.api.post("/api/v1/deposits", json=stage.request(1_000, "USD", "stale"))

    assert (503, "fx_unavailable") == (refused.status_code, read(refused)["code"])
    assert UNTOUCHED == await stage.books()
    assert 0 == await stage.prompts_made()


@pytest.mark.path(saga="withdrawal", step="quote", fault="the rate is stale", outcome="REFUSED")
async def test_a_stale_rate_refuses_withdrawals(stage: Stage) -> None:
    """The same for withdrawals: no code is mailed."""
    stage.clock.advance(timedelta(hours=24, minutes=1))
    refused = await stage.api.post("/api/v1/withdrawals", json=stage.request(1_000, "USD", "stale"))

    assert (503, "fx_unavailable") == (refused.status_code, read(refused)["code"])
    assert UNTOUCHED == await stage.books()
    assert [] == await stage.sandbox.deriv_mailbox.mails()


@pytest.mark.path(saga="deposit", step="quote", fault="an absurd rate is entered", outcome="COMPLETED")
async def test_an_absurd_rate_is_not_approved_unseen(stage: Stage) -> None:
    """Somebody types ten times the rate: a second person is stopped, and deposits go on at the rate before."""
    rate = await stage.system.executor.execute(
        EnterRate(
            base=Currency.USD,
            quote=Currency.KES,
            mid_e8=parse_mid("1295"),
            source="test",
            entered_by="test-maker",
            valid_from=None,
        )
    )
    with pytest.raises(RateNotApprovable):
        await stage.system.executor.execute(ApproveRate(rate_id=rate.id, approved_by="test-checker"))
    deposit = await stage.paid_deposit()

    assert ("COMPLETED", None, None) == await stage.ended(deposit)
    assert COMPLETED == await stage.books()
