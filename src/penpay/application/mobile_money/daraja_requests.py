"""What merchants ask through Daraja in their initiators' names: accepted, then carried out.

Accepting commits a row. Carrying out is one commit: the money, its record, the messages, and how the request ended. So
whatever stops in between, a request that was accepted is carried out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.mobile_money.books import MerchantAccounts
from penpay.application.mobile_money.paying_out import (
    Declined,
    MerchantParty,
    PayingMerchants,
    PayingOut,
    ReversingByReceipt,
)
from penpay.application.mobile_money.rows import (
    CUSTOMERS,
    DARAJA_REQUESTS,
    DESTINATIONS,
    RECEIPT_COUNTER,
    RECEIPTS,
    TRANSACTION_OF_RECEIPT,
    TRANSACTIONS,
    Address,
    UserType,
)
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money import daraja_request as results
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.mobile_money.daraja_request import (
    DarajaRequest,
    DarajaRequestId,
    RequestDetails,
    RequestKind,
    RequestResult,
    RequestState,
)
from penpay.domain.mobile_money.errors import ConversationIdTaken, RequestNotFound
from penpay.domain.mobile_money.transaction import OperatorTransaction
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRequest:
    """Take a request down; both its ids are made, or handed on, by the API that accepts it."""

    kind: RequestKind
    short_code: str
    originator_conversation_id: str
    conversation_id: str
    amount: Money | None
    details: RequestDetails


class AcceptRequestHandler:
    async def footprint(self, commands: Sequence[AcceptRequest], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(DARAJA_REQUESTS, *(command.originator_conversation_id for command in commands))

    def handle(self, command: AcceptRequest, work: Work) -> DarajaRequest:
        """Raises ConversationIdTaken for an id that any request had before, whatever became of it."""
        if work.get(DARAJA_REQUESTS, command.originator_conversation_id) is not None:
            raise ConversationIdTaken
        request = DarajaRequest(
            id=DarajaRequestId(work.ids.new()),
            kind=command.kind,
            short_code=command.short_code,
            originator_conversation_id=command.originator_conversation_id,
            conversation_id=command.conversation_id,
            amount=command.amount,
            details=command.details,
            state=RequestState.ACCEPTED,
            accepted_at=work.now,
        )
        work.put(DARAJA_REQUESTS, request.originator_conversation_id, request)
        work.record(DomainEvent("DarajaRequestAccepted", "DarajaRequest", request.id, 1, {"kind": request.kind.value}))
        _audit(work, request, "accepted")
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryOut:
    """Do what was asked, or end it with a refusal that was decided before: nothing moves then."""

    request: DarajaRequest
    """As last read; whether it is still open is decided on the row."""
    refusal: RequestResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended, and what is told of it."""

    request: DarajaRequest
    transaction: OperatorTransaction | None = None
    accounts: MerchantAccounts | None = None
    """As the commit left them; None where no such merchant was found."""


class CarryOutHandler:
    def __init__(self, payouts: PayingOut, payments: PayingMerchants, reversals: ReversingByReceipt) -> None:
        self._payouts = payouts
        self._payments = payments
        self._reversals = reversals

    async def footprint(self, commands: Sequence[CarryOut], find: Find) -> Footprint:
        await self._payouts.prepare(find)
        asked = [command.request for command in commands]
        addresses = {address for one in asked for address in (_own(one), _receiver(one)) if address is not None}
        found = await find(DESTINATIONS, addresses)
        reversed_ = {one.details.reference for one in asked if one.kind is RequestKind.REVERSAL}
        known = await find(TRANSACTION_OF_RECEIPT, reversed_)
        customers = {one.customer_id for one in found.values()}
        customers |= {id_ for one in known.values() for id_ in (one.source_id, one.target_id) if id_ is not None}
        footprint = Footprint().add(RECEIPTS, RECEIPT_COUNTER).add(CUSTOMERS, *customers)
        footprint.add(DARAJA_REQUESTS, *(one.originator_conversation_id for one in asked))
        footprint.add(TRANSACTIONS, *(one.id for one in known.values()))
        for customer in customers:
            postings.customer_footprint(footprint, customer)
        return postings.charges_footprint(footprint)

    def handle(self, command: CarryOut, work: Work) -> Outcome:
        """Raises RequestNotFound, and RequestEnded for a request that is over already."""
        request = work.get(DARAJA_REQUESTS, command.request.originator_conversation_id)
        if request is None:
            raise RequestNotFound
        request.require_open()
        own = _merchant(work, _own(request))
        transaction, result = None, command.refusal or results.DONE
        if command.refusal is None:
            try:
                transaction = self._act(request, own, work)
            except Declined as reason:
                result = reason.result
        moved = None if transaction is None else transaction.id
        ended = request.finish(_state(result), result, work.now, transaction_id=moved)
        work.put(DARAJA_REQUESTS, ended.originator_conversation_id, ended)
        facts = {"kind": ended.kind.value, "result_code": result.code}
        work.record(DomainEvent("DarajaRequestFinished", "DarajaRequest", ended.id, ended.version + 1, facts))
        _audit(work, ended, ended.state.value.lower())
        return Outcome(request=ended, transaction=transaction, accounts=None if own is None else _accounts(work, own))

    def _act(self, request: DarajaRequest, own: MerchantParty | None, work: Work) -> OperatorTransaction | None:
        if own is None:
            raise Declined(results.WRONG_INITIATOR)  # an initiator is one of a merchant, so there can be none
        match request.kind:
            case RequestKind.B2C:
                return self._payouts.carry_out(work, request, own, _customer(work, _receiver(request)))
            case RequestKind.B2B:
                return self._payments.carry_out(work, request, own, _merchant(work, _receiver(request)))
            case RequestKind.REVERSAL:
                return self._reversals.carry_out(work, request, own)
            case RequestKind.STATUS | RequestKind.BALANCE:
                return None


def _own(request: DarajaRequest) -> Address:
    return Address.short_code(request.short_code)


def _receiver(request: DarajaRequest) -> Address | None:
    match request.kind:
        case RequestKind.B2C:
            return Address.phone(UserType.SUBSCRIBER, PhoneNumber(request.details.party))
        case RequestKind.B2B:
            return Address.short_code(request.details.party)
        case _:
            return None


def _customer(work: Work, address: Address | None) -> Customer | None:
    destination = None if address is None else work.found(DESTINATIONS, address)
    return None if destination is None else work.get(CUSTOMERS, destination.customer_id)


def _merchant(work: Work, address: Address | None) -> MerchantParty | None:
    destination = None if address is None else work.found(DESTINATIONS, address)
    customer = _customer(work, address)
    if customer is None or destination is None or destination.merchant is None:
        return None
    return MerchantParty(customer=customer, number=destination.merchant)


def _accounts(work: Work, own: MerchantParty) -> MerchantAccounts:
    id_, kes = own.customer.id, Currency.KES
    return MerchantAccounts(
        utility=postings.balance(work, own.customer.wallet, kes),
        working=postings.balance(work, postings.working_account(id_), kes),
        charges_paid=postings.balance(work, postings.charges_account(id_), kes),
    )


def _state(result: RequestResult) -> RequestState:
    ends = {results.DONE: RequestState.DONE, results.QUEUED_TOO_LONG: RequestState.EXPIRED}
    return ends.get(result, RequestState.FAILED)


def _audit(work: Work, request: DarajaRequest, what: str) -> None:
    code = None if request.result is None else request.result.code
    facts = {"kind": request.kind.value, "result_code": code}
    work.audit(f"merchant:{request.short_code}", f"daraja_request.{what}", "daraja_request", request.id, **facts)
