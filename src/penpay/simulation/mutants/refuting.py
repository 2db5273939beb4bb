"""Bugs in taking back what a forged Result has ended: money booked twice, once too little, or lost from sight."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from penpay.application.collections import refunding
from penpay.application.wallet import collections_postings, withdrawal_postings
from penpay.application.wallet.ledger import reverse
from penpay.domain.payments.transaction import PAYOUT_REFUTED, Transaction
from penpay.simulation.mutants.planting import Function, Hunt, Mutant, Replacement
from penpay.simulation.profile import Hazard, Level

_FORGED: Final[Mapping[Hazard, Level]] = MappingProxyType(
    {Hazard.FORGED_RESULT: Level.EXTREME, Hazard.PAYOUT_FAILED: Level.EXTREME}
)
_of_withdrawals: Final = Hunt(hazards={Hazard.WITHDRAWALS: Level.EXTREME, **_FORGED}, within=30, alone=True).mutant
_of_refunds: Final = Hunt(hazards={Hazard.COLLECTIONS: Level.EXTREME, **_FORGED}, within=60, alone=True).mutant


def _nothing(right: Function) -> Function:  # noqa: ARG001  (that is the bug)
    def nothing(*arguments: Any, **named: Any) -> None: ...

    return nothing


def _intent_alone(right: Function) -> Function:  # noqa: ARG001  (as above)
    def refuted(work: Any, *, reference: str) -> None:
        reverse(work, withdrawal_postings.PAYOUT_INTENDED, reference, happened_at=work.now)

    return refuted


def _still_ended(right: Function) -> Function:  # noqa: ARG001  (as above)
    def reopened(self: Any, at: Any, **facts: Any) -> Any:
        return self.moved(PAYOUT_REFUTED, self.status, at, **facts)

    return reopened


REFUTING: Final[tuple[Mutant, ...]] = (
    _of_withdrawals(
        "refuted_payout_still_paid",
        "A payout that people found was never made is taken off what is in flight, and not off what was paid.",
        ("W4", "W5"),
        Replacement(withdrawal_postings, "payout_refuted", _intent_alone),
    ),
    _of_withdrawals(
        "refuted_payout_not_booked",
        "A payout that people found was never made stays in the books as paid.",
        ("W4",),
        Replacement(withdrawal_postings, "payout_refuted", _nothing),
    ),
    _of_withdrawals(
        "refuted_withdrawal_stays_ended",
        "A withdrawal whose payout was never made is told as complete, with its money on the wallet.",
        ("I10", "I1"),
        Replacement(Transaction, "reopened", _still_ended),
    ),
    _of_refunds(
        "refuted_refund_still_paid",
        "A refund that people found was never paid is in suspense again, and counts as paid as well.",
        ("K6", "K13"),
        Replacement(collections_postings, "refund_refuted", _nothing),
    ),
    _of_refunds(
        "refuted_refund_keeps_its_receipt",
        "The receipt that a forger made up for a refund stays taken when people have found the refund was never paid.",
        ("K10",),
        Replacement(refunding, "give_back", _nothing),
    ),
)
