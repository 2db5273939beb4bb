"""Importing a statement of the organisation portal: what was missed is booked, what is booked is proven."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from penpay.application.collections.charging import BookCharge, ChargeBooked
from penpay.application.collections.missed import book_listed, stated
from penpay.application.collections.outflows import BookOutflow, OutflowBooked
from penpay.application.shared.executor import Executor
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.mpesa.statement_file import RowKind, Statement, StatementRow, UnreadableRow
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.ids import MpesaRequestId, WebhookId
from penpay.domain.shared.money import Currency, Money

Attach = Callable[[WebhookId | None, MpesaRequestId, C2bPayment], Awaitable[object]]
_NOTHING = Money.zero(Currency.KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a statement came to. Counts of rows, and the shillings of those that are payments."""

    payments: int = 0
    total: Money = _NOTHING
    booked: int = 0
    """Payments that were not in the books."""
    booked_total: Money = _NOTHING
    contradicting: tuple[str, ...] = ()
    """Receipts that the books know with other facts."""
    deposits: int = 0
    """Payments that are deposits' and none of Collections'."""
    reversed_: tuple[str, ...] = ()
    """Receipts of payments that M-Pesa took back, now or told before."""
    charges: Money = _NOTHING
    charges_booked: int = 0
    """Charges that were not in the books."""
    outflows: Money = _NOTHING
    """What left otherwise: refunds, payouts, to the bank, and what nobody has explained."""
    outflows_booked: int = 0
    """Outflows that were not in the books."""
    unexplained: tuple[str, ...] = ()
    """Receipts of outflows that wait until somebody says what they were."""
    other: int = 0
    unreadable: tuple[UnreadableRow, ...] = ()


class StatementImporter:
    """Books the rows of a statement one after another; importing it again books nothing."""

    def __init__(self, *, executor: Executor, attach: Attach, short_code: str) -> None:
        self._executor = executor
        self._attach = attach
        self._short_code = short_code

    async def run(self, statement: Statement, *, by: str) -> Imported:
        """Book them; a row that cannot be booked is told with the unreadable ones and keeps no other from it."""
        result = Imported(unreadable=statement.unreadable)
        # Payments first: in a file with the newest on top, what was taken back stands above what was paid.
        for row in sorted(statement.rows, key=lambda row: row.kind is not RowKind.RECEIPT):
            try:
                result = await self._row(row, result, by)
            except DomainError as refusal:
                refused = UnreadableRow(row.line, f"it was refused: {refusal.code}")
                result = replace(result, unreadable=(*result.unreadable, refused))
        return result

    async def _row(self, row: StatementRow, result: Imported, by: str) -> Imported:
        if row.kind is RowKind.RECEIPT:
            return await self._payment(row, result)
        if row.kind is RowKind.CHARGE:
            return await self._charge(row, result, by)
        if row.kind is RowKind.OTHER:
            return replace(result, other=result.other + 1)
        return await self._outflow(row, result, by)

    async def _payment(self, row: StatementRow, result: Imported) -> Imported:
        booked = await book_listed(self._executor, stated(row, short_code=self._short_code))
        result = replace(result, payments=result.payments + 1, total=result.total + row.amount)
        if booked.deposit is not None:
            await self._attach(None, booked.deposit, _confirmation(row, self._short_code))
            return replace(result, deposits=result.deposits + 1)
        if booked.received is not None and booked.received.contradicts:
            return replace(result, contradicting=(*result.contradicting, row.receipt))
        if booked.is_new:
            return replace(result, booked=result.booked + 1, booked_total=result.booked_total + row.amount)
        return result

    async def _charge(self, row: StatementRow, result: Imported, by: str) -> Imported:
        booked: ChargeBooked = await self._executor.execute(
            BookCharge(receipt=row.receipt, amount=row.amount, at=row.at, by=by)
        )
        count = result.charges_booked + booked.is_new
        return replace(result, charges=result.charges + row.amount, charges_booked=count)

    async def _outflow(self, row: StatementRow, result: Imported, by: str) -> Imported:
        told = BookOutflow(
            receipt=row.receipt,
            amount=row.amount,
            at=row.at,
            is_reversal=row.kind is RowKind.REVERSAL,
            to_bank=row.kind is RowKind.TO_BANK,
            linked_receipt=row.linked_receipt,
            told=row.told,
            by=by,
        )
        booked: OutflowBooked = await self._executor.execute(told)
        if booked.use is OutflowUse.REVERSAL and row.linked_receipt is not None:
            return replace(result, reversed_=(*result.reversed_, row.linked_receipt))
        waits = (row.receipt,) if booked.use is OutflowUse.UNEXPLAINED else ()
        return replace(
            result,
            outflows=result.outflows + row.amount,
            outflows_booked=result.outflows_booked + booked.is_new,
            unexplained=result.unexplained + waits,
        )


def _confirmation(row: StatementRow, short_code: str) -> C2bPayment:
    """The row in the form in which a deposit is told of its payment."""
    return C2bPayment(
        receipt=row.receipt,
        amount=row.amount,
        short_code=short_code,
        paid_at=row.at,
        transaction_type="",
        bill_reference=row.bill_reference,
        invoice_number="",
        third_party_transaction_id="",
        account_balance=row.balance,
        phone=row.phone,
        first_name=row.name,
        middle_name="",
        last_name="",
    )
