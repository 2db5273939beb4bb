"""What a payer typed as the account number, and what it can mean.

People type numbers in any case, with blanks, without dashes, and without the part that is always the same. A reference
counts only when it means one thing; who paid, from which phone and how much are hints for people, never proof.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

PREFIXES: Final = ("INV", "CUST", "POS")
_LEFT_OUT: Final = re.compile(r"[\s\-\u2010-\u2015\u2212]+")
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)
LONGEST: Final = 64
"""Characters of a reference that are kept."""
_LONGEST_FOLDED: Final = 20
_FOLDED: Final = re.compile(r"[A-Z0-9./]{1,20}", re.ASCII)
"""What a number can be once it is folded; nothing else is looked for."""


class Referent(StrEnum):
    """What a reference can name."""

    INVOICE = "INVOICE"
    CUSTOMER = "CUSTOMER"
    SALE = "SALE"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something whose folded number is one of a reference's `forms`."""

    referent: Referent
    id: UUID
    number: str
    customer_id: UUID | None
    """Whose it is: itself for a customer, None for a sale without one."""


class SuspenseReason(StrEnum):
    """Why money waits for people."""

    NO_REFERENCE = "NO_REFERENCE"
    UNKNOWN_REFERENCE = "UNKNOWN_REFERENCE"
    AMBIGUOUS_REFERENCE = "AMBIGUOUS_REFERENCE"
    VOID_INVOICE = "VOID_INVOICE"
    SALE_NOT_OPEN = "SALE_NOT_OPEN"
    """The sale was paid, expired or cancelled, and names no customer."""
    SALE_OVERPAID = "SALE_OVERPAID"
    """More was paid than the sale costs, and it names no customer."""
    UNALLOCATED = "UNALLOCATED"
    """Somebody took it back from where it had been used."""
    REFUND_FAILED = "REFUND_FAILED"
    """It was to be refunded and could not be paid out."""


def fold(text: str) -> str:
    """Text in capitals, without blanks and dashes of any kind."""
    return _LEFT_OUT.sub("", text).upper()


def forms(reference: str) -> tuple[str, ...]:
    """The folded numbers that a reference may stand for: itself, and with each prefix where it is digits alone."""
    folded = fold(reference)
    if not _FOLDED.fullmatch(folded):
        return ()
    if not _DIGITS.fullmatch(folded):
        return (folded,)
    return (folded, *(prefix + folded for prefix in PREFIXES if len(prefix) + len(folded) <= _LONGEST_FOLDED))


def choose(reference: str, found: Callable[[str], Sequence[Candidate]]) -> Candidate | SuspenseReason:
    """The one thing a reference names, or why it names none; `found` gives what has a folded number.

    The number as typed comes before the number but for case, blanks and dashes, and that before a number whose prefix
    was left out. At the first of these steps that fits anything, exactly one thing must fit.
    """
    known = forms(reference)
    if not known:
        return SuspenseReason.UNKNOWN_REFERENCE if fold(reference) else SuspenseReason.NO_REFERENCE
    fitting = found(known[0])
    if len(fitting) > 1:
        typed = reference.strip()
        fitting = [one for one in fitting if one.number == typed] or fitting
    if not fitting:
        fitting = [one for form in known[1:] for one in found(form)]
    if not fitting:
        return SuspenseReason.UNKNOWN_REFERENCE
    return fitting[0] if len(fitting) == 1 else SuspenseReason.AMBIGUOUS_REFERENCE
