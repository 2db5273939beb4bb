"""Payments to merchants' numbers as their merchants learn of them: registered addresses, validation, what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penpay.application.mobile_money.moving import Move, MoveHandler, Mover, acting, next_receipt
from penpay.application.mobile_money.pins import check_pin_answer
from penpay.application.mobile_money.rows import MERCHANTS
from penpay.application.shared.executor import Refused
from penpay.application.shared.unit_of_work import Find, Footprint, Kind, Work
from penpay.domain.mobile_money.c2b import C2bUrls, PullRegistration
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.mobile_money.errors import MerchantNotFound, UrlsRegistered
from penpay.domain.mobile_money.merchant import Merchant
from penpay.domain.mobile_money.transaction import OperatorTransaction, OperatorTransactionId
from penpay.domain.shared.money import Money

C2B_URLS: Kind[str, C2bUrls] = Kind("operator_c2b_urls")
"""By short code."""
PULL_REGISTRATIONS: Kind[str, PullRegistration] = Kind("operator_pull_registrations")
"""By short code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterUrls:
    """Say where payments to a number are told. `registered_at` is that of this request."""

    urls: C2bUrls
    once: bool
    """Whether a number that has registered is refused."""


class RegisterUrlsHandler:
    async def footprint(self, commands: Sequence[RegisterUrls], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        short_codes = [command.urls.short_code for command in commands]
        return Footprint().add(MERCHANTS, *short_codes).add(C2B_URLS, *short_codes)

    def handle(self, command: RegisterUrls, work: Work) -> C2bUrls:
        """The registration as it is now. Raises MerchantNotFound and UrlsRegistered."""
        urls = command.urls
        merchant = _merchant(work, urls.short_code)
        before = work.get(C2B_URLS, urls.short_code)
        if before is not None and command.once:
            raise UrlsRegistered
        after = urls if before is None else before.replaced_by(urls)
        work.put(C2B_URLS, urls.short_code, after)
        work.audit(f"merchant:{urls.short_code}", "c2b_urls.registered", "merchant", merchant.id, api=urls.api.value)
        return after


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPull:
    """Let the payments to a number be pulled."""

    registration: PullRegistration


class RegisterPullHandler:
    async def footprint(self, commands: Sequence[RegisterPull], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        short_codes = [command.registration.short_code for command in commands]
        return Footprint().add(MERCHANTS, *short_codes).add(PULL_REGISTRATIONS, *short_codes)

    def handle(self, command: RegisterPull, work: Work) -> bool:
        """Whether this was the first time; a repeat changes nothing. Raises MerchantNotFound."""
        registration = command.registration
        merchant = _merchant(work, registration.short_code)
        if work.get(PULL_REGISTRATIONS, registration.short_code) is not None:
            return False
        work.put(PULL_REGISTRATIONS, registration.short_code, registration)
        work.audit(f"merchant:{registration.short_code}", "pull.registered", "merchant", merchant.id)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveReceipt:
    """Give a payment its receipt before it is made, so that its merchant can be asked about it by that name."""

    move: Move


class ReserveReceiptHandler:
    """Every rule of the payment is asked, nothing is moved; a receipt that is not used afterwards is never used."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self._moves = MoveHandler(mover)

    async def footprint(self, commands: Sequence[ReserveReceipt], find: Find) -> Footprint:
        return await self._moves.footprint([command.move for command in commands], find)

    def handle(self, command: ReserveReceipt, work: Work) -> str | Refused:
        """The receipt. Raises what the payment would raise; a wrong PIN is counted."""
        move = command.move
        source = acting(work, move.source)
        refused = check_pin_answer(work, source, move.pin, self._mover.policy)
        if refused is not None:
            return refused
        self._mover.require(work, move.operation, self._moves.parties(move, source, work), move.amount)
        return next_receipt(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantPayment:
    """One payment to a merchant's number."""

    transaction: OperatorTransaction
    merchant: Merchant
    payer: Customer
    balance: Money
    """What the merchant's account held after it."""
    pushed: bool
    """Whether the merchant asked for it by a push."""


class C2bBooks(Protocol):
    """Reading what is committed; nothing is locked."""

    async def urls(self) -> Sequence[C2bUrls]:
        """Every registration."""
        ...

    async def pull_registration(self, short_code: str) -> PullRegistration | None: ...

    async def newest(self) -> OperatorTransactionId | None:
        """The id of the newest transaction of any kind."""
        ...

    async def payments_after(self, last: OperatorTransactionId | None, limit: int) -> Sequence[MerchantPayment]:
        """Payments to merchants' numbers made after a transaction, oldest first; None: from the first."""
        ...

    async def payments_to(
        self, short_code: str, start: datetime, end: datetime, *, skip: int, limit: int
    ) -> Sequence[MerchantPayment]:
        """Payments to one number from `start` until before `end`, oldest first."""
        ...


def _merchant(work: Work, short_code: str) -> Merchant:
    merchant = work.get(MERCHANTS, short_code)
    if merchant is None:
        raise MerchantNotFound
    return merchant
