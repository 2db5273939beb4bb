"""What a movement costs and earns, as tables an accountant can hold beside the published ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from importlib.resources import files

import pytest

from penpay.application.mobile_money.tariff_file import parse_excise, parse_tariff
from penpay.domain.mobile_money.tariff import (
    Band,
    CommissionBand,
    ExciseRates,
    Fees,
    PayBillPlan,
    Service,
    Tariff,
    excise_in,
    tariff_in_force,
)
from penpay.domain.shared.errors import AmountOutOfRange, CurrencyMismatch, InvalidAmount
from penpay.domain.shared.money import Currency, Money

DATA = files("penpay") / "data"
PUBLIC = parse_tariff((DATA / "mpesa-2023-07.json").read_bytes())
EXCISE = parse_excise((DATA / "excise-kenya.json").read_bytes())
SHARED, CUSTOMER, BUSINESS = PayBillPlan.SHARED, PayBillPlan.CUSTOMER_PAYS, PayBillPlan.BUSINESS_PAYS
FeeRow = tuple[int, int, int, int | None, int, int, int]


def ksh(shillings: int, cents: int = 0) -> Money:
    return Money(shillings * 100 + cents, Currency.KES)


def band(smallest: int, largest: int, payer: int = 0, payee: int = 0) -> Band:
    return Band(smallest=ksh(smallest), largest=ksh(largest), payer_fee=ksh(payer), payee_fee=ksh(payee))


def tariff(*bands: Band, valid_from: date = date(2023, 7, 1), name: str = "test") -> Tariff:
    return Tariff(name=name, valid_from=valid_from, bands={Service.SEND_MONEY: bands}, commissions={})


# Columns: first and last shilling of the band; fee for sending, for withdrawing; PayBill in all, then the payer's and
# the merchant's share of it where they share.
# fmt: off
FEES: list[FeeRow] = [
    (     1,      49,   0, None,   0,  0,  0),
    (    50,     100,   0,   11,   0,  0,  0),
    (   101,     500,   7,   29,   5,  5,  0),
    (   501,   1_000,  13,   29,  10, 10,  0),
    ( 1_001,   1_500,  23,   29,  15, 10,  5),
    ( 1_501,   2_500,  33,   29,  20, 13,  7),
    ( 2_501,   3_500,  53,   52,  25, 16,  9),
    ( 3_501,   5_000,  57,   69,  34, 16, 18),
    ( 5_001,   7_500,  78,   87,  42, 17, 25),
    ( 7_501,  10_000,  90,  115,  48, 18, 30),
    (10_001,  15_000, 100,  167,  57, 18, 39),
    (15_001,  20_000, 105,  185,  62, 19, 43),
    (20_001,  25_000, 108,  197,  67, 20, 47),
    (25_001,  30_000, 108,  197,  72, 20, 52),
    (30_001,  35_000, 108,  197,  83, 21, 62),
    (35_001,  40_000, 108,  278,  99, 23, 76),
    (40_001,  45_000, 108,  278, 103, 23, 80),
    (45_001,  50_000, 108,  278, 108, 24, 84),
    (50_001, 250_000, 108,  309, 108, 24, 84),
]
DEPOSIT_COMMISSION = [
    (    50,     100,   4),
    (   101,     510,   8),
    (   511,   1_010,   9),
    ( 1_011,   1_510,  10),
    ( 1_511,   2_510,  11),
    ( 2_511,   3_510,  12),
    ( 3_511,   5_010,  14),
    ( 5_011,   7_510,  20),
    ( 7_511,  10_010,  28),
    (10_011,  15_010,  40),
    (15_011,  20_020,  55),
    (20_021,  25_020,  71),
    (25_021,  30_020,  87),
    (30_021,  35_020, 103),
    (35_021,  40_020, 119),
    (40_021,  45_020, 135),
    (45_021,  50_020, 150),
    (50_021, 250_000, 190),
]
WITHDRAWAL_COMMISSION = [
    (    50,     100,   5),
    (   101,     500,   8),
    (   501,   1_000,  10),
    ( 1_001,   1_500,  12),
    ( 1_501,   2_500,  15),
    ( 2_501,   3_500,  20),
    ( 3_501,   5_000,  25),
    ( 5_001,   7_500,  30),
    ( 7_501,  10_000,  35),
    (10_001,  15_000,  45),
    (15_001,  20_000,  60),
    (20_001,  25_000,  65),
]
# In cents: the fee; the rate in basis points; the duty inside.
EXCISE_IN_FEES = [
    (   23_00, 1_500,   3_00),
    (   29_00, 1_500,   3_78),  # 3.7826
    (   15_00, 1_500,   1_96),  # 1.9565
    (    7_00, 1_500,     91),  # 0.9130
    (  108_00, 1_500,  14_09),  # 14.0870
    (  309_00, 1_500,  40_30),  # 40.3043
    (  105_00, 1_200,  11_25),
    (   11_00, 1_000,   1_00),
    (       3, 2_000,      0),  # half a cent, to the even one
    (       9, 2_000,      2),  # a cent and a half, to the even one
    (    7_00,     0,      0),
    (       0, 1_500,      0),
]
# fmt: on
EDGES = [(edge, row) for row in FEES for edge in row[:2]]


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_the_public_tariff_is_charged_at_both_edges_of_every_band(edge: int, row: FeeRow) -> None:
    """Sending and withdrawing are paid by the customer alone; a PayBill payment as its plan says."""
    _, _, send, withdraw, total, payer, payee = row
    amount = ksh(edge)

    assert Fees(payer=ksh(send), payee=ksh(0)) == PUBLIC.fees(Service.SEND_MONEY, amount)
    assert Fees(payer=ksh(payer), payee=ksh(payee)) == PUBLIC.fees(Service.PAY_BILL, amount, plan=SHARED)
    assert Fees(payer=ksh(total), payee=ksh(0)) == PUBLIC.fees(Service.PAY_BILL, amount, plan=CUSTOMER)
    assert Fees(payer=ksh(0), payee=ksh(total)) == PUBLIC.fees(Service.PAY_BILL, amount, plan=BUSINESS)
    if withdraw is None:
        with pytest.raises(AmountOutOfRange):
            PUBLIC.fees(Service.WITHDRAW_AT_AGENT, amount)
    else:
        assert Fees(payer=ksh(withdraw), payee=ksh(0)) == PUBLIC.fees(Service.WITHDRAW_AT_AGENT, amount)


@pytest.mark.parametrize("plan", PayBillPlan)
@pytest.mark.parametrize("row", FEES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_operator_receives_the_same_under_every_plan(row: FeeRow, plan: PayBillPlan) -> None:
    """The two sides' shares add up to the published total."""
    assert ksh(row[4]) == PUBLIC.fees(Service.PAY_BILL, ksh(row[0]), plan=plan).total


@pytest.mark.parametrize(
    ("service", "shillings"),
    [(Service.SEND_MONEY, 250_001), (Service.WITHDRAW_AT_AGENT, 49), (Service.PAY_BILL, 250_001)],
)
def test_an_amount_outside_the_bands_is_refused_with_the_bounds(service: Service, shillings: int) -> None:
    """The refusal tells what could be moved."""
    with pytest.raises(AmountOutOfRange) as refused:
        PUBLIC.fees(service, ksh(shillings))

    smallest = 50_00 if service is Service.WITHDRAW_AT_AGENT else 1_00
    assert {"currency": "KES", "minimum_cents": smallest, "maximum_cents": 250_000_00} == refused.value.details


@pytest.mark.parametrize("service", [Service.BUY_GOODS, Service.DEPOSIT_AT_AGENT])
def test_a_service_without_bands_costs_nothing(service: Service) -> None:
    """Whatever the amount."""
    assert Fees(payer=ksh(0), payee=ksh(0)) == PUBLIC.fees(service, ksh(1_000_000))


def test_cents_lift_an_amount_to_the_next_shilling() -> None:
    """100.00 is sent free; one cent more costs what 101 does, and one cent above the last band is too much."""
    assert ksh(0) == PUBLIC.fees(Service.SEND_MONEY, ksh(100)).payer
    assert ksh(7) == PUBLIC.fees(Service.SEND_MONEY, ksh(100, cents=1)).payer
    assert ksh(8) == PUBLIC.commission(Service.DEPOSIT_AT_AGENT, ksh(510))
    assert ksh(9) == PUBLIC.commission(Service.DEPOSIT_AT_AGENT, ksh(510, cents=1))
    with pytest.raises(AmountOutOfRange):
        PUBLIC.fees(Service.SEND_MONEY, ksh(250_000, cents=1))


@pytest.mark.parametrize("service", Service)
def test_nothing_and_other_currencies_have_no_price(service: Service) -> None:
    """Not even where everything is free."""
    for price in (PUBLIC.fees, PUBLIC.commission):
        for amount in (ksh(0), ksh(-100)):
            with pytest.raises(InvalidAmount):
                price(service, amount)
        with pytest.raises(CurrencyMismatch):
            price(service, Money(100_00, Currency.USD))


def test_a_plan_changes_nothing_but_paybill() -> None:
    """A receiver who shares the fee of a transfer goes on sharing it."""
    shared = Tariff(
        name="t", valid_from=date(2023, 7, 1), bands={Service.SEND_MONEY: (band(1, 9, 3, 2),)}, commissions={}
    )
    for plan in PayBillPlan:
        assert Fees(payer=ksh(3), payee=ksh(2)) == shared.fees(Service.SEND_MONEY, ksh(5), plan=plan)


@pytest.mark.parametrize(
    ("service", "bands"),
    [(Service.DEPOSIT_AT_AGENT, DEPOSIT_COMMISSION), (Service.WITHDRAW_AT_AGENT, WITHDRAWAL_COMMISSION)],
)
def test_an_agent_earns_the_stated_commission(service: Service, bands: list[tuple[int, int, int]]) -> None:
    """At both edges of every band; a shilling below the first and above the last nothing is agreed."""
    for smallest, largest, earned in bands:
        assert ksh(earned) == PUBLIC.commission(service, ksh(smallest))
        assert ksh(earned) == PUBLIC.commission(service, ksh(largest))
    assert ksh(0) == PUBLIC.commission(service, ksh(bands[0][0] - 1))
    assert ksh(0) == PUBLIC.commission(service, ksh(bands[-1][1] + 1))
    assert ksh(0) == PUBLIC.commission(Service.SEND_MONEY, ksh(bands[0][0]))


@pytest.mark.parametrize(
    "bands",
    [
        pytest.param([band(1, 100), band(100, 200)], id="overlap"),
        pytest.param([band(1, 100), band(102, 200)], id="gap"),
        pytest.param([band(101, 200), band(1, 100)], id="order"),
        pytest.param([band(1, 100), band(1, 100)], id="twice"),
    ],
)
def test_bands_that_do_not_join_are_refused(bands: list[Band]) -> None:
    """Every amount has one price or none, for fees and commissions alike."""
    with pytest.raises(InvalidAmount, match=r"SEND_MONEY: the band from KES .* does not begin one shilling above"):
        tariff(*bands)
    earned = tuple(CommissionBand(smallest=one.smallest, largest=one.largest, commission=ksh(1)) for one in bands)
    with pytest.raises(InvalidAmount, match="DEPOSIT_AT_AGENT"):
        replace(PUBLIC, commissions={Service.DEPOSIT_AT_AGENT: earned})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("smallest", ksh(0)),
        ("smallest", ksh(1, cents=50)),
        ("smallest", ksh(101)),
        ("largest", ksh(100, cents=1)),
        ("payer_fee", ksh(-1)),
        ("payee_fee", ksh(0, cents=-1)),
    ],
)
def test_a_band_that_means_nothing_is_refused(field: str, value: Money) -> None:
    """It lies between whole shillings, the right way round, and takes nothing below zero."""
    with pytest.raises(InvalidAmount):
        replace(band(1, 100, 5, 5), **{field: value})


def test_a_commission_below_zero_is_refused() -> None:
    """An agent does not pay for serving customers."""
    with pytest.raises(InvalidAmount):
        CommissionBand(smallest=ksh(1), largest=ksh(2), commission=ksh(-1))


def test_a_fee_may_have_cents() -> None:
    """The operator's first API sets fees in cents."""
    cents = tariff(replace(band(1, 100), payer_fee=ksh(2, cents=55)))

    assert ksh(2, cents=55) == cents.fees(Service.SEND_MONEY, ksh(50)).payer


def test_the_newest_tariff_that_has_begun_is_in_force() -> None:
    """From its first day on, in whatever order they are given; of two from one day, the later given."""
    old, new, newer = (
        tariff(valid_from=day, name=day.isoformat()) for day in (date(2021, 1, 1), *[date(2023, 7, 1)] * 2)
    )
    newer = replace(newer, name="corrected")

    assert tariff_in_force([new, old], date(2020, 12, 31)) is None
    assert tariff_in_force([], date(2023, 7, 1)) is None
    assert old is tariff_in_force([new, old], date(2021, 1, 1))
    assert old is tariff_in_force([new, old], date(2023, 6, 30))
    assert new is tariff_in_force([old, new], date(2023, 7, 1))
    assert new is tariff_in_force([newer, old, new], date(2026, 1, 1))
    assert newer is tariff_in_force([new, newer, old], date(2026, 1, 1))


@pytest.mark.parametrize(
    ("day", "rate_bps"),
    [
        (date(2013, 1, 31), 0),
        (date(2013, 2, 1), 1_000),
        (date(2018, 6, 30), 1_000),
        (date(2018, 7, 1), 1_200),
        (date(2023, 6, 30), 1_200),
        (date(2023, 7, 1), 1_500),
        (date(2026, 7, 9), 1_500),
    ],
)
def test_excise_follows_its_dates(day: date, rate_bps: int) -> None:
    """Each rate holds from its first day to the day before the next."""
    assert rate_bps == EXCISE.rate_on(day)


@pytest.mark.parametrize(("gross", "rate_bps", "excise"), EXCISE_IN_FEES)
def test_the_excise_inside_a_fee(gross: int, rate_bps: int, excise: int) -> None:
    """Rounded to the cent; a tie goes to the even one."""
    assert Money(excise, Currency.KES) == excise_in(Money(gross, Currency.KES), rate_bps)


def test_net_and_excise_of_every_fee_in_the_file_add_up() -> None:
    """For each fee of the public tariff: duty is 15 % of the net within a cent, and the two are the fee."""
    fees = {fee for bands in PUBLIC.bands.values() for band in bands for fee in (band.payer_fee, band.payee_fee)}
    assert len(fees) > 40
    for fee in fees:
        excise = excise_in(fee, 1_500)
        net = fee - excise
        assert fee == net + excise
        assert abs(net.cents * Fraction(15, 100) - excise.cents) < 1


@pytest.mark.parametrize(("cents", "rate_bps"), [(-1, 1_500), (100, -1), (100, 10_001)])
def test_excise_in_what_is_no_fee_or_at_no_rate_is_refused(cents: int, rate_bps: int) -> None:
    """Neither means anything."""
    with pytest.raises(InvalidAmount):
        excise_in(Money(cents, Currency.KES), rate_bps)


@pytest.mark.parametrize(
    "rates",
    [
        ((date(2023, 7, 1), 1_500), (date(2018, 7, 1), 1_200)),
        ((date(2023, 7, 1), 1_500), (date(2023, 7, 1), 1_200)),
        ((date(2023, 7, 1), -1),),
    ],
)
def test_excise_rates_out_of_order_or_bounds_are_refused(rates: tuple[tuple[date, int], ...]) -> None:
    """A day has one rate."""
    with pytest.raises(InvalidAmount):
        ExciseRates(rates=rates)
