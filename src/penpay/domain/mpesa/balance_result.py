"""What our accounts at M-Pesa hold, as M-Pesa's one line of text tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from penpay.domain.mpesa.fields import person_text, signed_money
from penpay.domain.mpesa.result import Result, parse_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome, question_verdict
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.domain.shared.errors import UnknownCurrency
from penpay.domain.shared.money import Currency, Money

_FIGURES: Final = 4
_NO_ACCOUNTS: Final[Mapping[str, AccountFunds]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFunds:
    """Available and reserved make up the current balance. Charges Paid is normally below zero."""

    current: Money
    available: Money
    reserved: Money
    uncleared: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceResult:
    result: Result
    outcome: ResultOutcome
    """How the question went."""
    accounts: Mapping[str, AccountFunds]
    """By M-Pesa's name, such as "Utility Account"; which there are depends on the short code."""
    completed_at: datetime | None
    """UTC."""


def parse_balance_result(raw: bytes) -> BalanceResult:
    """Read the Result of a balance query (daraja.md §5.2). Raises UnreadableMessage and nothing else.

    A success whose balances cannot be read whole is unreadable: a list with a gap would pass for all there is.
    """
    result = parse_result(raw)
    outcome = question_verdict(result.result_code)
    accounts = _NO_ACCOUNTS
    if outcome is ResultOutcome.SUCCEEDED:
        read = parse_balances(result.parameters.one("AccountBalance") or "")
        if read is None:
            raise UnreadableMessage("AccountBalance is not a list of accounts with four figures each.", raw)
        accounts = read
    return BalanceResult(
        result=result, outcome=outcome, accounts=accounts, completed_at=result.parameters.moment("BOCompletedTime")
    )


def parse_balances(text: str) -> Mapping[str, AccountFunds] | None:
    """Read "name|currency|current|available|reserved|uncleared", joined by "&"; None for anything else.

    A name that stands twice is refused: two readers could take two different balances.
    """
    accounts: dict[str, AccountFunds] = {}
    for part in text.split("&"):
        name, *rest = part.split("|")
        funds = _funds(rest)
        name = person_text(name)
        if funds is None or not name or name in accounts:
            return None
        accounts[name] = funds
    return MappingProxyType(accounts)


def _funds(fields: list[str]) -> AccountFunds | None:
    try:
        currency = Currency.parse(fields[0]) if fields else None
    except UnknownCurrency:
        return None
    figures = [signed_money(figure, currency) for figure in fields[1:]] if currency is not None else []
    read = [figure for figure in figures if figure is not None]
    if len(figures) != _FIGURES or len(read) != _FIGURES:
        return None
    current, available, reserved, uncleared = read
    return AccountFunds(current=current, available=available, reserved=reserved, uncleared=uncleared)
