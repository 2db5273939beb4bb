"""How cash moves without a sale: one function for each row of its table of flows in docs/ledger.md.

As in `collections_postings`: each posts one journal under the identity of what happened, lines of zero left out. A
drawer's cash is in 1005 while its shift is open; all other cash is in 1000.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.wallet.collections_postings import BANK, CASH, DRAWERS, DRAWINGS, OTHER_EXPENSES
from penpay.application.wallet.ledger import ACCOUNTS, post
from penpay.domain.shared.money import Money
from penpay.domain.wallet.journal import Line, credit, debit

OWNERS_EQUITY: Final = "equity:owner:KES"
OVER_AND_SHORT: Final = "5200"

SHIFT_OPENED: Final = "shift_opened"
CASH_MOVED: Final = "cash_moved"
SHIFT_CLOSED: Final = "shift_closed"

PUT_IN: Final[Mapping[str, str]] = {"SAFE": CASH, "BANK": BANK, "OWNER": OWNERS_EQUITY}
"""By purpose: the account that cash comes out of."""
TAKEN_OUT: Final[Mapping[str, str]] = {"SAFE": CASH, "BANK": BANK, "OWNER": DRAWINGS, "EXPENSE": OTHER_EXPENSES}
"""By purpose: the account that cash goes to."""


def cash_footprint(footprint: Footprint) -> Footprint:
    """Every account that cash without a sale can touch."""
    return footprint.add(ACCOUNTS, CASH, DRAWERS, BANK, OWNERS_EQUITY, DRAWINGS, OVER_AND_SHORT, OTHER_EXPENSES)


def shift_opened(work: Work, *, shift: UUID, amount: Money) -> None:
    """The float is in a drawer. A float that nobody has booked yet shows as cash below zero until somebody does."""
    if amount.cents:
        _post(work, SHIFT_OPENED, shift, [debit(DRAWERS, amount), credit(CASH, amount)])


def cash_put_in(work: Work, *, movement: UUID, amount: Money, purpose: str, into: str, at: datetime) -> None:
    """Cash has come from a bank, the owner or the safe; `into` is CASH or DRAWERS."""
    _post(work, CASH_MOVED, movement, [debit(into, amount), credit(PUT_IN[purpose], amount)], at)


def cash_taken_out(work: Work, *, movement: UUID, amount: Money, purpose: str, out_of: str, at: datetime) -> None:
    """Cash has left for a bank, the owner, an expense or the safe; `out_of` is CASH or DRAWERS."""
    _post(work, CASH_MOVED, movement, [debit(TAKEN_OUT[purpose], amount), credit(out_of, amount)], at)


def shift_closed(work: Work, *, shift: UUID, counted: Money, expected: Money) -> None:
    """What was counted leaves the drawer; what is too much or too little is nobody's, and ours to bear."""
    short = expected - counted
    lines = [
        debit(CASH, counted),
        _either(OVER_AND_SHORT, short),
        _either(DRAWERS, -expected),
    ]
    if counted.cents or expected.cents:
        _post(work, SHIFT_CLOSED, shift, lines)


def _either(account: str, amount: Money) -> Line:
    """A debit, or a credit where the amount is below zero."""
    return credit(account, -amount) if amount.cents < 0 else debit(account, amount)


def _post(work: Work, kind: str, reference: UUID, lines: list[Line], at: datetime | None = None) -> None:
    post(work, kind, str(reference), lines, happened_at=at or work.now)
