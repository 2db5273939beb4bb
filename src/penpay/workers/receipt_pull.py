"""The pull worker: reads M-Pesa's list of payments from time to time, so that no lost confirmation is missed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from penpay.application.collections.doors import AttachDeposit
from penpay.application.collections.missed import book_listed, pulled
from penpay.application.collections.pulling import ClaimPull, EndPull, PullBooks, ReceiptPull
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.mpesa.gateway import CallOutcome, MpesaReceipts
from penpay.domain.mpesa.pulled import PulledTransaction

PULL_WORKER: Final = "receipt_pull"


class ReceiptPuller:
    """Reads the list page by page under a lease; of several processes one does."""

    def __init__(  # every argument is a port or a setting
        self,
        *,
        executor: Executor,
        receipts: MpesaReceipts,
        books: PullBooks,
        attach: AttachDeposit,
        clock: Clock,
        short_code: str,
    ) -> None:
        self._executor = executor
        self._receipts = receipts
        self._books = books
        self._attach = attach
        self._clock = clock
        self._short_code = short_code
        self._log = logging.getLogger(__name__)

    async def look(self, limit: int) -> Sequence[str]:  # noqa: ARG002  (there is one list to read, or none)
        """The short code whose list is due."""
        due = await self._books.is_due(self._short_code, self._clock.now())
        return [self._short_code] if due else []

    async def handle(self, short_code: str) -> None:
        """Read the list to its end and book what was missed; what fails is tried again soon. Raises LostLicence."""
        pull: ReceiptPull = await self._executor.execute(ClaimPull(short_code=short_code))
        window = pull.window(self._clock.now())
        booked = unreadable = 0
        page = window
        while True:
            answer = await self._receipts.pull(page)
            if answer.outcome is not CallOutcome.ACCEPTED:
                await self._end(pull, code=answer.code or answer.outcome.value, booked=booked, unreadable=unreadable)
                return
            for row in answer.transactions:
                booked += await self._book(row)
            unreadable += len(answer.unreadable)
            if answer.next_offset is None:
                break
            page = type(window)(since=window.since, until=window.until, offset=answer.next_offset)
        if unreadable:
            self._log.error("%d rows of M-Pesa's list of payments cannot be read", unreadable)
        end = EndPull(short_code=short_code, fence=pull.fence, until=window.until, booked=booked, unreadable=unreadable)
        await self._executor.execute(end)

    async def _end(self, pull: ReceiptPull, *, code: str, booked: int, unreadable: int) -> None:
        await self._executor.execute(
            EndPull(
                short_code=pull.short_code,
                fence=pull.fence,
                until=None,
                code=code[:64],
                booked=booked,
                unreadable=unreadable,
            )
        )

    async def _book(self, row: PulledTransaction) -> int:
        told = pulled(row, short_code=self._short_code)
        booked = await book_listed(self._executor, told)
        if booked.deposit is not None:
            await self._attach(None, booked.deposit, _confirmation(row, self._short_code))
        return int(booked.is_new)


def _confirmation(row: PulledTransaction, short_code: str) -> C2bPayment:
    """The row in the form in which a deposit is told of its payment."""
    return C2bPayment(
        receipt=row.receipt,
        amount=row.amount,
        short_code=short_code,
        paid_at=row.paid_at,
        transaction_type=row.transaction_type,
        bill_reference=row.bill_reference,
        invoice_number="",
        third_party_transaction_id="",
        account_balance=None,
        phone=row.phone,
        first_name="",
        middle_name="",
        last_name="",
    )
