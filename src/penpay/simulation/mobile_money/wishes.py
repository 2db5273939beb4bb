"""What customers of the simulated operator want, what they were answered, and what that does to every account.

A wish is one thing under one key, however often it is asked for. It was answered, or refused, or nobody knows: then it
has happened whole or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from penpay.domain.mobile_money.transaction import Operation
from penpay.simulation.mobile_money.members import Member
from penpay.simulation.mobile_money.prices import Cost, cost_of

FEES: Final = "revenue:mobile_money_fees"
EXCISE: Final = "excise:payable"
EXPENSE: Final = "expense:agent_commission"
BANK: Final = "trust:bank"
UNEVIDENCED: Final = "trust:unevidenced"


class What(StrEnum):
    """What can be wanted."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    PAYBILL = "paybill"
    TILL = "till"
    REDEMPTION = "redemption"
    FLOAT = "float"
    EVIDENCE = "evidence"
    COMMISSION = "commission"
    REVERSAL = "reversal"
    CONSENT = "consent"
    """Asking whoever received money to give it back."""
    PURCHASE = "purchase"
    """Asking a super agent for float."""
    DECISION = "decision"


class Facts(NamedTuple):
    """What a transaction is told from others by."""

    operation: str
    source_id: str | None
    target_id: str | None
    cents: int | None
    """None where the operator decides how much it is."""
    reverses_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that moves when a wish comes true."""

    operation: Operation
    source: Member | None
    target: Member | None
    cents: int | None
    """None: what is left, or owed, then."""
    till: bool = False
    reverses_id: str | None = None
    at_most_cents: int = 0
    """Where `cents` is None: it cannot be more."""
    against: str = UNEVIDENCED
    """Of float: what it is booked against."""

    @property
    def facts(self) -> Facts:
        source, target = (None if one is None else one.id for one in (self.source, self.target))
        return Facts(self.operation.value, source, target, self.cents, self.reverses_id)

    @property
    def cost(self) -> Cost:
        if self.source is None or self.target is None or self.cents is None:
            return Cost()
        return cost_of(self.operation, self.source.type, self.target.type, self.cents, till=self.till)

    @property
    def debit(self) -> int:
        """What leaves the source at most."""
        return (self.at_most_cents if self.cents is None else self.cents) + self.cost.payer_fee

    def effects(self, cents: int) -> Counter[str]:
        """By ledger account, what this much of it changes, positive on the account's normal side."""
        cost, changed = self.cost, Counter[str]()
        source, target = self.source, self.target
        if self.operation is Operation.FLOAT_ASSIGNMENT:
            changed[self.against] += cents
        elif self.operation is Operation.COMMISSION and target is not None:
            changed[f"commission:{target.id}:KES"] -= cents
        if source is not None:
            changed[source.wallet] -= cents + cost.payer_fee
        if target is not None:
            changed[target.wallet] += cents - cost.payee_fee
        changed[FEES] += cost.payer_fee + cost.payee_fee - cost.excise
        changed[EXCISE] += cost.excise
        if cost.commission:
            agent = source if self.operation is Operation.DEPOSIT else target
            changed[EXPENSE] += cost.commission
            changed[f"commission:{agent.id if agent else ''}:KES"] += cost.commission
        return changed


@dataclass(slots=True, eq=False, kw_only=True)
class Wish:
    """One thing that somebody wants."""

    what: What
    asker: Member
    path: str
    body: Mapping[str, object]
    key: str | None = None
    movement: Movement | None = None
    """None: nothing moves whatever is answered."""
    refusals: frozenset[str] = frozenset()
    """The codes with which it may be refused."""
    is_forbidden: bool = False
    """Whether it must be refused."""
    credited_cents: int = 0
    """What its asker had been credited for certain when it was first sent."""
    is_sent: bool = False
    unknown: int = 0
    """How often it was sent and nobody knows what became of it."""
    content: bytes | None = None
    """The answer, when it was done."""
    answer: Mapping[str, Any] = field(default_factory=dict)
    refusal: str | None = None

    @property
    def is_done(self) -> bool:
        return self.content is not None

    @property
    def is_open(self) -> bool:
        """Whether nobody can tell if it has happened."""
        return self.content is None and self.unknown > 0

    @property
    def is_possible(self) -> bool:
        """Whether it has happened or may have."""
        return self.is_done or self.is_open
