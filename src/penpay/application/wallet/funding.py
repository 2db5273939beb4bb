"""Money our owner puts in, and credits from outside that nobody asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.deriv.gateway import IncomingCredit
from penpay.domain.shared.errors import AccountNotFound, InvalidPhoneNumber, InvalidRequest
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber

FUNDABLE: Final = frozenset({postings.COLLECTION, postings.DERIV_AGENT})
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
        if not _REFERENCE.fullmatch(self.reference):
            raise InvalidRequest("A reference has 1 to 64 visible ASCII characters and no blank.")
        with suppress(InvalidPhoneNumber):
            PhoneNumber.parse(self.reference)
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
class BookIncomingCredit:
    """A credit Deriv shows on our agent account."""

    credit: IncomingCredit


class BookIncomingCreditHandler:
    async def footprint(self, commands: Sequence[BookIncomingCredit], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            postings.incoming_credit_footprint(footprint, reference=command.credit.provider_id)
        return footprint

    def handle(self, command: BookIncomingCredit, work: Work) -> bool:
        """Book it to suspense, where people find it; False for one that is booked already."""
        credit = command.credit
        booked = postings.incoming_credit(
            work, amount=credit.amount, reference=credit.provider_id, happened_at=min(credit.happened_at, work.now)
        )
        if booked:
            work.audit("deriv", "credit.booked_to_suspense", "deriv_transaction", credit.provider_id)
        return booked
