"""Money our owner puts in, and what moves between our own accounts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings, withdrawal_postings
from penpay.domain.shared.errors import AccountNotFound, InvalidPhoneNumber, InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

FUNDABLE: Final = frozenset({postings.COLLECTION, postings.DERIV_AGENT, withdrawal_postings.UTILITY})
"""Our accounts at providers."""
_REFERENCE: Final = re.compile(r"[!-~]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundAccount:
    """The owner has put money into one of our accounts at a provider, such as `deriv:agent`."""

    account: str
    amount: Money
    reference: str
    """What identifies the payment, 1 to 64 visible ASCII characters; once each."""
    entered_by: str

    def __post_init__(self) -> None:
        """Raises InvalidRequest for another reference, and for a phone number: what is booked is never erased."""
        check_reference(self.reference)


def check_reference(reference: str) -> None:
    """Raises InvalidRequest unless it can identify a payment for ever."""
    if not _REFERENCE.fullmatch(reference):
        raise InvalidRequest("A reference has 1 to 64 visible ASCII characters and no blank.")
    with suppress(InvalidPhoneNumber):
        PhoneNumber.parse(reference)
        raise InvalidRequest("A reference must not be a phone number: what is booked can never be erased.")


class FundAccountHandler:
    async def footprint(self, commands: Sequence[FundAccount], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            postings.owner_funding_footprint(
                footprint, account=command.account, currency=command.amount.currency, reference=command.reference
            )
        return footprint

    def handle(self, command: FundAccount, work: Work) -> bool:
        """Book it; False when this reference is booked already.

        Raises AccountNotFound for what is no account of ours at a provider, InvalidAmount, and DuplicateJournal when
        the reference is booked with another amount or account.
        """
        if command.account not in FUNDABLE:
            raise AccountNotFound(account=command.account)
        booked = postings.owner_funding(
            work, account=command.account, amount=command.amount.require_positive(), reference=command.reference
        )
        work.audit(command.entered_by, "account.funded", "account", command.account, booked=booked)
        return booked


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOwnMoney:
    """Something moved between our own accounts at M-Pesa, as its portal shows."""

    movement: OwnMovement
    amount: Money
    reference: str
    """What identifies it there; as for `FundAccount`."""
    entered_by: str

    def __post_init__(self) -> None:
        """Raises InvalidRequest, as `FundAccount`."""
        check_reference(self.reference)


class OwnMovement(StrEnum):
    """What can move between our own accounts."""

    COLLECTION_TO_UTILITY = "collection-to-utility"
    """What payers paid in becomes what payouts are made from."""
    CHARGES_TAKEN = "charges-taken"
    """M-Pesa takes what payouts have cost."""


class MoveOwnMoneyHandler:
    async def footprint(self, commands: Sequence[MoveOwnMoney], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = withdrawal_postings.own_accounts_footprint(Footprint())
        for command in commands:
            withdrawal_postings.own_movement_footprint(footprint, reference=command.reference)
        return footprint

    def handle(self, command: MoveOwnMoney, work: Work) -> bool:
        """Book it; False when this reference is booked already. Raises InvalidAmount, and DuplicateJournal.

        The latter when it is booked with another amount.
        """
        move = {
            OwnMovement.COLLECTION_TO_UTILITY: withdrawal_postings.collection_moved,
            OwnMovement.CHARGES_TAKEN: withdrawal_postings.charges_settled,
        }[command.movement]
        booked = move(work, reference=command.reference, amount=command.amount.require_positive())
        work.audit(command.entered_by, "own_money.moved", "movement", command.movement.value, booked=booked)
        return booked
