"""The port to Deriv for deposits: what we ask of it, and the few things its answers can mean for money.

Wide enough for both APIs (deriv.md §0): the v3 WebSocket, where a transfer is found again only by our reference in
its description, and the REST payment-agent API, where it is found by request_id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from penpay.domain.shared.money import Money


class TransferOutcome(StrEnum):
    """What the answer to a payment-agent transfer says about the money."""

    CONFIRMED = "CONFIRMED"
    """Executed; `provider_id` is Deriv's transaction id on our side."""
    FAILED = "FAILED"
    """Refused by a listed code or text: nothing was executed. Final."""
    NOT_SENT = "NOT_SENT"
    """Nothing was executed and trying again is safe: no byte left, or a listed try-later answer."""
    UNKNOWN = "UNKNOWN"
    """We cannot tell. Never send again; look for our reference in the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferToClient:
    reference: str
    """Ours, unique, 1 to 40 of [0-9A-Za-z-]; it travels in `description` and is found again in the statement."""
    login_id: str
    amount: Money
    """USD with cents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAnswer:
    outcome: TransferOutcome
    provider_id: str | None = None
    code: str | None = None
    message: str = ""
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTransfer:
    """A row of our agent account's statement whose remark holds our reference."""

    reference: str
    provider_id: str
    login_id: str
    amount: Money
    """What the client received, positive."""
    happened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCredit:
    """A credit on our agent account: a client's withdrawal. Unique by `provider_id`; may be told more than once."""

    provider_id: str
    amount: Money
    balance: Money | None
    remark: str
    happened_at: datetime


class StatementUnavailable(Exception):
    """The statement could not be read now; nothing is known, ask again later."""


class DerivDepositGateway(Protocol):
    """Deriv as the payment agent sees it. Transfers never raise for what the other side says or does."""

    @property
    def holds_back(self) -> bool:
        """Whether a transfer would not be sent now, since Deriv was called too often: what waits keeps its place."""
        ...

    async def transfer_to_client(self, transfer: TransferToClient) -> TransferAnswer:
        """Move money from our agent account to a client, after a dry run. Not idempotent: never repeat an UNKNOWN."""
        ...

    async def find_transfers(
        self, references: Collection[str], *, since: datetime
    ) -> Mapping[str, list[FoundTransfer]]:
        """Look for our references in the statement from `since` on; one look-up serves all of them.

        Absence is no proof: the statement may lag. Two rows under one reference are a duplicate and both are returned.
        Raises StatementUnavailable.
        """
        ...

    async def balance(self) -> Money:
        """The agent account's balance as Deriv last told it. Raises StatementUnavailable."""
        ...


IncomingHandler = Callable[[IncomingCredit], Awaitable[None]]
"""Called once or more for every credit on the agent account; must be safe to repeat."""
