"""The port to Deriv for withdrawals: a client's money comes to our agent account, asked for in the client's name.

A payment agent cannot pull money (deriv.md §0 fact 5). The call runs with the client's own token and a code that Deriv
mails to the client; what arrives is a credit on our account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from penpay.domain.deriv.gateway import IncomingCredit, TransferAnswer
from penpay.domain.shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """Have Deriv mail a client the code for one withdrawal."""

    reference: str
    login_id: str
    token: str = field(repr=False)
    """The client's."""
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalFromClient:
    """Money from a client to our agent account."""

    reference: str
    """Ours, unique, 1 to 40 of [0-9A-Za-z-]; it travels in `description` and comes back in the remark of the credit."""
    login_id: str
    token: str = field(repr=False)
    """The client's, with the scope `payments`."""
    verification_code: str = field(repr=False)
    amount: Money
    """USD with cents."""


class DerivWithdrawalGateway(Protocol):
    """Deriv as one client sees it. Never raises for what the other side says or does, the last call apart."""

    async def ask_for_code(self, request: CodeRequest) -> TransferAnswer:
        """CONFIRMED: Deriv was asked to mail it. Safe to repeat: the client gets another mail."""
        ...

    async def withdraw_from_client(self, withdrawal: WithdrawalFromClient) -> TransferAnswer:
        """A dry run, then the call. Not idempotent: never repeat an UNKNOWN.

        CONFIRMED says that Deriv took it, under the id of the client's row; the money is what arrives on our account.
        A refusal uses the code up.
        """
        ...

    async def credits_since(self, since: datetime) -> Sequence[IncomingCredit]:
        """Every credit our agent account's statement shows from then on. Absence is no proof: the statement may lag.

        Raises StatementUnavailable.
        """
        ...
