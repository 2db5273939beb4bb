"""Asking for a push from the till over the API: the push, answered as people see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.collections.till_pushing import PushFromTill, PushFromTillHandler
from penpay.application.collections.views import moment
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFromTill:
    """A push whose answer may be kept for repeats: it holds neither the number nor anything else of a person."""

    push: PushFromTill


class AskFromTillHandler:
    def __init__(self) -> None:
        self._pushes = PushFromTillHandler()

    async def footprint(self, commands: Sequence[AskFromTill], find: Find) -> Footprint:
        return await self._pushes.footprint([command.push for command in commands], find)

    def handle(self, command: AskFromTill, work: Work) -> Answer:
        """The push, not sent yet; raises what `PushFromTillHandler` does."""
        asked = self._pushes.handle(command.push, work)
        return {
            "push_id": str(asked.id),
            "pos_id": command.push.pos_number,
            "amount_cents": asked.amount.cents,
            "state": asked.state.value,
            "created_at": moment(asked.created_at),
        }
