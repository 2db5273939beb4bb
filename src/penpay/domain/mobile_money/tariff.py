"""What the operator charges for a movement, what an agent earns by it, and the excise duty inside a fee.

Fees are what is taken, excise included: duty is split out of a fee and never added to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeVar

from penpay.domain.shared.errors import AmountOutOfRange, CurrencyMismatch, InvalidAmount
from penpay.domain.shared.locked_rate import BASIS_POINTS, divide_half_even
from penpay.domain.shared.money import Currency, Money

_NOTHING: Final = Money.zero(Currency.KES)
_SHILLING: Final = Money(1_00, Currency.KES)


class Service(StrEnum):
    """What a tariff can put a price or a commission on."""

    SEND_MONEY = "SEND_MONEY"
    """From one wallet to another."""
    WITHDRAW_AT_AGENT = "WITHDRAW_AT_AGENT"
    """The customer pays the fee, the agent earns the commission."""
    DEPOSIT_AT_AGENT = "DEPOSIT_AT_AGENT"
    """Free for customers in Kenya, but the agent earns a commission."""
    PAY_BILL = "PAY_BILL"
    """To a PayBill number; the business chooses who bears the fee."""
    BUY_GOODS = "BUY_GOODS"
    """To a till."""
    PAY_CUSTOMER = "PAY_CUSTOMER"
    """A merchant's payout to a registered customer; the merchant bears the fee."""


class PayBillPlan(StrEnum):
    """Who bears the fee of a PayBill payment; whatever the plan, the operator receives the same."""

    SHARED = "SHARED"
    """Mgao: each side bears its part of the band."""
    CUSTOMER_PAYS = "CUSTOMER_PAYS"
    """Business bouquet: the payer bears both parts."""
    BUSINESS_PAYS = "BUSINESS_PAYS"
    """Customer bouquet: the merchant bears both parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What each side of one movement is charged, in KES with excise."""

    payer: Money
    payee: Money

    @property
    def total(self) -> Money:
        """What the operator receives; excise is taken out of this sum once, so that no plan changes it."""
        return self.payer + self.payee


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The fees of all amounts from `smallest` to `largest`, both included, in whole shillings."""

    smallest: Money
    largest: Money
    payer_fee: Money
    payee_fee: Money = _NOTHING

    def __post_init__(self) -> None:
        _check_span(self.smallest, self.largest)
        if min(self.payer_fee, self.payee_fee) < _NOTHING:
            raise InvalidAmount("A fee is not below zero.")

    def fees(self, plan: PayBillPlan) -> Fees:
        """The fees of this band as the plan lays them on the two sides."""
        shared = Fees(payer=self.payer_fee, payee=self.payee_fee)
        match plan:
            case PayBillPlan.SHARED:
                return shared
            case PayBillPlan.CUSTOMER_PAYS:
                return Fees(payer=shared.total, payee=_NOTHING)
            case PayBillPlan.BUSINESS_PAYS:
                return Fees(payer=_NOTHING, payee=shared.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionBand:
    """What an agent earns by any amount from `smallest` to `largest`, both included, in whole shillings."""

    smallest: Money
    largest: Money
    commission: Money

    def __post_init__(self) -> None:
        _check_span(self.smallest, self.largest)
        if self.commission < _NOTHING:
            raise InvalidAmount("A commission is not below zero.")


_Banded = TypeVar("_Banded", Band, CommissionBand)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Every fee and commission in force from one day on. Raises InvalidAmount for bands that overlap or leave a gap."""

    name: str
    valid_from: date
    """The first day in East Africa Time on which it holds."""
    source: str = ""
    """Where its figures come from, for people."""
    bands: Mapping[Service, tuple[Band, ...]]
    """Smallest amounts first."""
    commissions: Mapping[Service, tuple[CommissionBand, ...]]

    def __post_init__(self) -> None:
        for service, bands in self.bands.items():
            _check_joined(service, bands)
        for service, commissions in self.commissions.items():
            _check_joined(service, commissions)

    def fees(self, service: Service, amount: Money, *, plan: PayBillPlan = PayBillPlan.SHARED) -> Fees:
        """What payer and payee are charged for this amount; only PAY_BILL heeds a plan.

        An amount with cents falls in the band of the next whole shilling. A service without bands costs nothing; in
        one that has bands, an amount outside them raises AmountOutOfRange. Raises InvalidAmount for an amount that is
        not above zero, CurrencyMismatch for one that is not in KES.
        """
        shillings = _rounded_up(amount)
        bands = self.bands.get(service, ())
        if not bands:
            return Fees(payer=_NOTHING, payee=_NOTHING)
        band = _band_of(bands, shillings)
        if band is None:
            smallest, largest = bands[0].smallest, bands[-1].largest
            raise AmountOutOfRange(
                f"The amount is between {smallest} and {largest}.",
                currency=Currency.KES.value,
                minimum_cents=smallest.cents,
                maximum_cents=largest.cents,
            )
        return band.fees(plan if service is Service.PAY_BILL else PayBillPlan.SHARED)

    def commission(self, service: Service, amount: Money) -> Money:
        """What the agent earns by this amount; nothing where no commission is agreed.

        An amount outside the commission bands is not refused: whether it may move is for the fees and limits to say.
        Raises InvalidAmount and CurrencyMismatch as `fees` does.
        """
        band = _band_of(self.commissions.get(service, ()), _rounded_up(amount))
        return _NOTHING if band is None else band.commission


def tariff_in_force(tariffs: Iterable[Tariff], day: date) -> Tariff | None:
    """The newest tariff that holds on this day in East Africa Time, or None before the first.

    Of two that begin on the same day the later in `tariffs` holds.
    """
    begun = [tariff for tariff in tariffs if tariff.valid_from <= day]
    return max(reversed(begun), key=lambda tariff: tariff.valid_from, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExciseRates:
    """The duty on fees in basis points of the net fee, each rate from its first day (East Africa Time) on."""

    source: str = ""
    """Where the rates come from, for people."""
    rates: tuple[tuple[date, int], ...]
    """Oldest first."""

    def __post_init__(self) -> None:
        if any(later <= earlier for (earlier, _), (later, _) in pairwise(self.rates)):
            raise InvalidAmount("Excise rates stand in the order of their days, one a day.")
        for _, rate_bps in self.rates:
            _check_rate(rate_bps)

    def rate_on(self, day: date) -> int:
        """The rate on this day in basis points; 0 before the first."""
        begun = [rate_bps for first_day, rate_bps in self.rates if first_day <= day]
        return begun[-1] if begun else 0


def excise_in(gross: Money, rate_bps: int) -> Money:
    """The duty contained in a fee: gross × rate ÷ (100 % + rate), half-even to the cent.

    What remains is the net fee, so the two always add up to `gross`. Raises InvalidAmount for a fee below zero or a
    rate that is not from 0 to 100 %.
    """
    _check_rate(rate_bps)
    if gross.cents < 0:
        raise InvalidAmount("A fee is not below zero.")
    return Money(divide_half_even(gross.cents * rate_bps, BASIS_POINTS + rate_bps), gross.currency)


def _check_span(smallest: Money, largest: Money) -> None:
    if not (smallest.is_whole() and largest.is_whole()):
        raise InvalidAmount("A band begins and ends with a whole shilling.")
    if not _SHILLING <= smallest <= largest:
        raise InvalidAmount("A band begins with at least one shilling and does not end before it begins.")


def _check_joined(service: Service, bands: Sequence[Band | CommissionBand]) -> None:
    for lower, upper in pairwise(bands):
        if upper.smallest != lower.largest + _SHILLING:
            raise InvalidAmount(
                f"{service.value}: the band from {upper.smallest} does not begin one shilling above {lower.largest}."
            )


def _check_rate(rate_bps: int) -> None:
    if not 0 <= rate_bps <= BASIS_POINTS:
        raise InvalidAmount("An excise rate is from 0 to 100 %.")


def _rounded_up(amount: Money) -> Money:
    """To whole shillings."""
    if amount.currency is not Currency.KES:
        raise CurrencyMismatch(left=amount.currency.value, right=Currency.KES.value)
    return Money(-(-amount.require_positive().cents // 100) * 100, Currency.KES)


def _band_of(bands: Sequence[_Banded], shillings: Money) -> _Banded | None:
    return next((band for band in bands if band.smallest <= shillings <= band.largest), None)
