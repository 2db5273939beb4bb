"""The statement of the organisation, which tells of every payment: somebody imports the rows of those we know."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from penpay.application.collections.missed import Booked, book_listed
from penpay.application.collections.receiving import ReceivePayment
from penpay.bootstrap import System
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.shared.money import Currency, Money
from penpay.simulation.template import SHORT_CODE

if TYPE_CHECKING:
    from penpay.simulation.collections.office import Office
    from penpay.simulation.collections.tally import Bill


async def import_payments(office: Office) -> None:
    """Import the rows of all payments that we were told of: what we were not told of is for M-Pesa's list to find."""
    tally = office.tally
    known = [bill for bill in tally.bills.values() if tally.delivered[bill.receipt]]
    for bill in known:
        await office.look(partial(_booked, _row(bill)))
    if known:
        tally.notes.reach("business imports a statement of payments")


async def _booked(row: ReceivePayment, system: System) -> Booked:
    return await book_listed(system.executor, row)


def _row(bill: Bill) -> ReceivePayment:
    return ReceivePayment(
        receipt=bill.receipt,
        source=PaymentSource.STATEMENT,
        amount=Money(bill.cents, Currency.KES),
        short_code=SHORT_CODE,
        bill_reference=bill.reference,
    )
