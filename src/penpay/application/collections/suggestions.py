"""What money in suspense may be for: hints for people, the strongest first. Nothing is allocated by a hint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from penpay.domain.collections.payment import Payment
from penpay.domain.collections.reference import Referent, fold


class Hint(StrEnum):
    """Why something is suggested."""

    REFERENCE = "REFERENCE"
    """Its number is the reference but for one letter or digit."""
    PAYER = "PAYER"
    """The customer has the payer's phone, as far as a hash can tell."""
    NAME = "NAME"
    """The payer's name has a word in common with the customer's."""
    AMOUNT = "AMOUNT"
    """Exactly this amount is open on it."""


_WEIGHTS = ((Hint.REFERENCE, 4), (Hint.PAYER, 4), (Hint.AMOUNT, 2), (Hint.NAME, 1))
_SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Possibility:
    """Something the money may be for, with what there is to compare."""

    referent: Referent
    number: str
    customer_number: str | None
    open_cents: int
    """What is still to pay on it; for a customer on all her invoices."""
    customer_name: str = field(default="", repr=False)
    is_payers: bool = False
    """Whether the customer has the payer's phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One thing the money may be for, and why."""

    referent: Referent
    number: str
    customer_number: str | None
    open_cents: int
    hints: tuple[Hint, ...]
    weight: int


def ranked(payment: Payment, payer_name: str, possibilities: Iterable[Possibility]) -> tuple[Suggestion, ...]:
    """What any hint speaks for, the strongest first, then by number."""
    found = []
    for one in possibilities:
        hints = tuple(hint for hint, _ in _WEIGHTS if _speaks(hint, payment, payer_name, one))
        if hints:
            weight = sum(weight for hint, weight in _WEIGHTS if hint in hints)
            found.append(
                Suggestion(
                    referent=one.referent,
                    number=one.number,
                    customer_number=one.customer_number,
                    open_cents=one.open_cents,
                    hints=hints,
                    weight=weight,
                )
            )
    return tuple(sorted(found, key=lambda one: (-one.weight, one.referent.value, one.number)))


def _speaks(hint: Hint, payment: Payment, payer_name: str, one: Possibility) -> bool:
    if hint is Hint.REFERENCE:
        return _is_one_slip(fold(payment.bill_reference or ""), fold(one.number))
    if hint is Hint.PAYER:
        return one.is_payers
    if hint is Hint.AMOUNT:
        return one.open_cents == payment.suspense.cents
    return bool(_words(payer_name) & _words(one.customer_name))


def _words(name: str) -> set[str]:
    return {word for word in name.casefold().split() if len(word) >= _SHORTEST_WORD}


def _is_one_slip(typed: str, number: str) -> bool:
    """Whether one letter was typed wrong, left out, doubled or exchanged with its neighbour."""
    if not typed or abs(len(typed) - len(number)) > 1:
        return False
    pairs = enumerate(zip(typed, number, strict=False))
    start = next((at for at, (one, other) in pairs if one != other), min(len(typed), len(number)))
    left, right = typed[start:], number[start:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
    longer, shorter = (left, right) if len(left) > len(right) else (right, left)
    return longer[1:] == shorter
