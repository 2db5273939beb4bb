"""What a movement would cost and whom it would reach, told before the PIN is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.mobile_money.moving import Move, MoveHandler, Mover, Parties, acting
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.mobile_money.transaction import check_allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The movement as it would be asked for; nothing is moved."""

    move: Move


class QuoteHandler:
    """By the rules and the price of the movement itself, on the rows it would lock."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self._moves = MoveHandler(mover)

    async def footprint(self, commands: Sequence[Quote], find: Find) -> Footprint:
        return await self._moves.footprint([command.move for command in commands], find)

    def handle(self, command: Quote, work: Work) -> Answer:
        """The name to confirm, and fee and total in cents. Whether the source can pay is not told.

        Raises Unauthorized, CustomerNotFound, CustomerNotActive for a target that may not receive, the bill reference's
        refusals, AmountOutOfRange, and what `check_allowed` raises.
        """
        move = command.move
        source = acting(work, move.source)
        parties = self._moves.parties(move, source, work)
        check_allowed(move.operation, source, parties.target, move.amount, self._mover.policy)
        parties.target.require_receiving()
        fee = self._mover.price(work, move.operation, parties, move.amount).fees.payer
        return {
            "name": _shown(parties),
            "amountCents": move.amount.cents,
            "feeCents": fee.cents,
            "totalCents": (move.amount + fee).cents,
        }


def _shown(parties: Parties) -> str:
    """A merchant's number is a business: its name is public. Of people the first name, and initials of the others."""
    if parties.merchant is not None:
        return parties.merchant.name
    first, *others = parties.target.name.split() or [""]
    return " ".join([first, *(f"{other[0]}***" for other in others)])
