"""The story of a payment for people: amounts in shillings, moments as a clock in Nairobi shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import typer

from penpay.cli.output import show_table
from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import LedgerSide
from penpay.infrastructure.sql.capture_stories import PaymentStory

_CENTS: Final = "_cents"
_MOMENT: Final = "_at"


def local(at: datetime) -> str:
    """A moment as a clock in Nairobi shows it."""
    return at.astimezone(EAST_AFRICA_TIME).strftime("%Y-%m-%d %H:%M:%S")


def bare(money: Money) -> str:
    """An amount whose currency stands above its table or its column."""
    return str(money).removeprefix(f"{money.currency} ")


def told_of(facts: Mapping[str, Any]) -> Iterable[str]:
    """What a payment is, a line for each fact; what there is nothing of is left out."""
    for name, value in facts.items():
        if value in (None, [], "") or (name == "suspense_cents" and not value):
            continue
        words = name.removesuffix(_CENTS).removesuffix(_MOMENT).replace("_", " ")
        yield f"{words}: {_shown(name, value)}"


def show_parts(story: PaymentStory) -> None:
    """What it was used for, how it was booked, what was told of it, and who did it."""
    _part(
        "What it was used for",
        ("when", "what for", "amount", "by"),
        [
            (
                local(row["created_at"]),
                f"{'taken back from ' if row['reverses'] else ''}{_use(row)}",
                _kes(row["amount_cents"]),
                row["created_by"],
            )
            for row in story.allocations
        ],
    )
    _part(
        "In the ledger",
        ("when", "account", "debit amount", "credit amount", "booked as"),
        [
            (
                local(row["recorded_at"]),
                f"{row['code']} {row['name']}",
                *_sides(row["side"], row["amount_cents"]),
                row["kind"],
            )
            for row in story.entries
        ],
    )
    _part(
        "Events",
        ("when", "event", "facts"),
        [(local(row["at"]), row["name"], _facts(row["payload"])) for row in story.events],
    )
    _part(
        "Audit trail",
        ("when", "who", "what", "facts"),
        [(local(row["recorded_at"]), row["actor"], row["action"], _facts(row["facts"])) for row in story.audit],
    )


def _part(title: str, names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        typer.echo(f"\n{title}")
        show_table(names, rows, whole={"when", "account", "event"})


def _use(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["target"].lower(), row["invoice_number"] or row["pos_number"])))


def _sides(side: str, cents: int) -> tuple[str, str]:
    return (_kes(cents), "") if side == LedgerSide.DEBIT.value else ("", _kes(cents))


def _facts(facts: Mapping[str, Any]) -> str:
    told = (
        f"{name.removesuffix(_CENTS).replace('_', ' ')} {_shown(name, value)}"
        for name, value in facts.items()
        if value is not None
    )
    return ", ".join(told)


def _shown(name: str, value: Any) -> str:
    if name.endswith(_CENTS):
        return _kes(value)
    if name.endswith(_MOMENT):
        return local(datetime.fromisoformat(value))
    return ", ".join(value) if isinstance(value, list) else str(value)


def _kes(cents: int) -> str:
    return str(Money(cents, Currency.KES))
