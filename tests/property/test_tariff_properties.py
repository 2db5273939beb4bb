"""What holds for every amount under the public tariff, and for every fee at every rate."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.domain.mobile_money.tariff import PayBillPlan, Service, excise_in
from penpay.domain.shared.errors import AmountOutOfRange
from penpay.domain.shared.money import MAX_CENTS, Currency, Money

PUBLIC = parse_tariff((files("penpay") / "data" / "mpesa-2023-07.json").read_bytes())
SERVICES = [Service.SEND_MONEY, Service.WITHDRAW_AT_AGENT, Service.PAY_BILL]
LARGEST = 250_000

shillings = st.integers(1, LARGEST)
below_the_end = st.integers(1, (LARGEST - 1) * 100).map(lambda cents: Money(cents, Currency.KES))


@given(whole=shillings, service=st.sampled_from(SERVICES))
@example(whole=49, service=Service.WITHDRAW_AT_AGENT)
def test_an_amount_has_one_band_or_is_refused(whole: int, service: Service) -> None:
    """Exactly one band holds it and names its fees; only withdrawals below fifty shillings have none."""
    amount = Money(whole * 100, Currency.KES)
    holding = [band for band in PUBLIC.bands[service] if band.smallest <= amount <= band.largest]

    if service is Service.WITHDRAW_AT_AGENT and whole < 50:
        assert not holding
        with pytest.raises(AmountOutOfRange):
            PUBLIC.fees(service, amount)
    else:
        (band,) = holding
        fees = PUBLIC.fees(service, amount)
        assert (band.payer_fee, band.payee_fee) == (fees.payer, fees.payee)


@given(amount=below_the_end, more=st.integers(0, 100), plan=st.sampled_from(PayBillPlan))
def test_more_never_costs_less(amount: Money, more: int, plan: PayBillPlan) -> None:
    """Of two amounts up to a shilling apart the larger costs each side at least as much; the file has no exception."""
    larger = amount + Money(more, Currency.KES)
    for service in SERVICES:
        if service is Service.WITHDRAW_AT_AGENT and amount.cents <= 49_00:
            continue
        less, more_ = PUBLIC.fees(service, amount, plan=plan), PUBLIC.fees(service, larger, plan=plan)
        assert less.payer <= more_.payer
        assert less.payee <= more_.payee


@given(gross=st.integers(0, MAX_CENTS), rate_bps=st.integers(0, 10_000))
def test_net_and_excise_are_the_fee(gross: int, rate_bps: int) -> None:
    """The duty is within half a cent of its exact share, and neither part is below zero."""
    fee = Money(gross, Currency.KES)
    excise = excise_in(fee, rate_bps)
    net = fee - excise

    assert fee == net + excise
    assert abs(Fraction(gross * rate_bps, 10_000 + rate_bps) - excise.cents) <= Fraction(1, 2)
    assert net.cents >= 0
    assert excise.cents >= 0
