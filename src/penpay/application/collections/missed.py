"""Payments that M-Pesa's own records tell of: its list, or a statement. Booked if they were missed, verified if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.collections.capture_rows import DEPOSIT_PUSHES, TILL_FACTS_BY_REFERENCE
from penpay.application.collections.capturing import own_reference, payer_of
from penpay.application.collections.receiving import Received, ReceivePayment, ReceivePaymentHandler
from penpay.application.collections.till_money import TillMoney, is_of
from penpay.application.shared.executor import Executor
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.mpesa.pulled import PulledTransaction
from penpay.domain.mpesa.statement_file import StatementRow
from penpay.domain.shared.ids import MpesaRequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class BookListed:
    """A payment that stands in M-Pesa's own records. Booking it again changes nothing."""

    told: ReceivePayment


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of it: booked or known, or for the deposit of this push to be told."""

    received: Received | None
    deposit: MpesaRequestId | None = None

    @property
    def is_new(self) -> bool:
        """Whether it was missing until now."""
        return self.received is not None and not self.received.repeated


class BookListedHandler:
    def __init__(self, receive: ReceivePaymentHandler, till: TillMoney) -> None:
        self._receive = receive
        self._till = till

    async def footprint(self, commands: Sequence[BookListed], find: Find) -> Footprint:
        references = {own for command in commands if (own := own_reference(command.told)) is not None}
        footprint = Footprint()
        if references:
            await find(DEPOSIT_PUSHES, references)
            tills = await find(TILL_FACTS_BY_REFERENCE, references)
            told = [command.told for command in commands]
            of_tills = [(tills[own], one) for one in told if (own := own_reference(one)) is not None and own in tills]
            footprint.merge(await self._till.footprint(of_tills, find))
        return footprint.merge(await self._receive.footprint([command.told for command in commands], find))

    def handle(self, command: BookListed, work: Work) -> Booked:
        """Book it as what M-Pesa itself says, which needs no other proof."""
        told, own = command.told, own_reference(command.told)
        deposit = None if own is None else work.found(DEPOSIT_PUSHES, own)
        if deposit is not None:
            return Booked(None, deposit)
        till = None if own is None else work.found(TILL_FACTS_BY_REFERENCE, own)
        if till is not None and is_of(till, told):
            return Booked(self._till.listed(work, till, told))
        return Booked(self._receive.handle(told, work))


async def book_listed(executor: Executor, told: ReceivePayment) -> Booked:
    """Have a payment of M-Pesa's own records booked, also where a callback had told its receipt of another one."""
    booked: Booked = await executor.execute(BookListed(told=told))
    if booked.received is not None and booked.received.is_to_be_told_again:
        booked = await executor.execute(BookListed(told=told))
    return booked


def pulled(row: PulledTransaction, *, short_code: str) -> ReceivePayment:
    """What one row of M-Pesa's list tells."""
    return ReceivePayment(
        receipt=row.receipt,
        source=PaymentSource.PULL,
        amount=row.amount,
        short_code=short_code,
        bill_reference=row.bill_reference or None,
        payer=payer_of(row.phone, ""),
        transacted_at=row.paid_at,
    )


def stated(row: StatementRow, *, short_code: str) -> ReceivePayment:
    """What one row of a statement tells."""
    return ReceivePayment(
        receipt=row.receipt,
        source=PaymentSource.STATEMENT,
        amount=row.amount,
        short_code=short_code,
        bill_reference=row.bill_reference or None,
        payer=payer_of(row.phone, row.name),
        org_balance=row.balance,
        transacted_at=row.at,
    )
