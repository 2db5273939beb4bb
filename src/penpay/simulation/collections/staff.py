"""The staff of a simulated business: they bill, correct, sell, sort payments out, and give money back, impatiently."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from penpay.application.collections.allocating import AllocatePayment, Reallocate, Unallocate
from penpay.application.collections.crediting import ApplyCredit
from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.invoicing import CreateInvoice, IssueCreditNote, VoidInvoice
from penpay.application.collections.outflows import BookOutflow, ExplainOutflow
from penpay.application.collections.recurring import CreateRecurring
from penpay.application.collections.refunding import DecideRefund, ProposeRefund, RefundFailed, RefundPaid
from penpay.application.collections.reminding import SetReminded
from penpay.application.collections.selling import CancelSale, OpenSale, TakeCash
from penpay.application.collections.views import View
from penpay.bootstrap import System
from penpay.domain.collections.allocation import AllocationId, RefundId
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.outflow import BY_PEOPLE
from penpay.domain.collections.recurring import Every, Schedule
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import nairobi_day
from penpay.domain.shared.phone import PhoneNumber
from penpay.simulation.collections.closing import Closing
from penpay.simulation.collections.office import Office
from penpay.simulation.collections.paying_out import PHONES, PayingOut
from penpay.simulation.collections.pushing import Pushing
from penpay.simulation.collections.stating import import_payments
from penpay.simulation.collections.tally import What
from penpay.simulation.collections.till import Till, cashier
from penpay.simulation.profile import Level

NAMES: Final = ("wanjiru", "otieno")
_DEEDS: Final = MappingProxyType({Level.MILD: (6, 12), Level.EXTREME: (12, 20)})
_PHONE: Final = PhoneNumber.parse("254713000099")
"""Nobody's."""
_MOST_OPEN: Final = 3
_FOUND: Final = 20
_LEFT: Final = 6
"""Rows of the statement that tell of money that left."""


@dataclass(slots=True)
class Board:
    """What everybody in the business knows: the numbers that were given out."""

    customers: list[str] = field(default_factory=list)
    invoices: list[tuple[str, int]] = field(default_factory=list)
    """With what each came to, in cents."""
    sales: list[tuple[str, int]] = field(default_factory=list)
    refunds: list[tuple[str, str]] = field(default_factory=list)
    """With whoever proposed it."""
    approved: list[str] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    amounts: dict[str, int] = field(default_factory=dict)
    """By refund: cents."""
    phones: dict[str, str] = field(default_factory=dict)
    """By refund: whose handset it goes to."""

    today: date | None = None
    """The day on which customers begin to be reminded; None where they are not."""
    left_out: list[str] = field(default_factory=list)
    """Customers who are not to be reminded, before anybody bills them."""

    def references(self) -> list[tuple[str, int]]:
        """Everything that can be paid for, with its amount; 0 for a customer."""
        return [*self.invoices, *self.sales, *((number, 0) for number in self.customers)]


class Staff:
    """Everybody who works in the business."""

    def __init__(
        self,
        office: Office,
        board: Board,
        chance: random.Random,
        level: Level,
        *,
        is_true: Callable[[str], str | None],
        paying: PayingOut | None,
    ) -> None:
        """`is_true` says what is wrong with a sale that is shown as paid; None if nothing.

        `paying`: where M-Pesa pays refunds out; None: somebody has to say what became of them.
        """
        self._paying = paying
        self._office = office
        self._board = board
        self._chance = chance
        self._level = level
        till = Till(office, chance)
        pushing = Pushing(office, board.sales, chance, self._sell, is_true)
        self._deeds: tuple[tuple[Callable[[str], Awaitable[None]], int], ...] = (
            (self._customer, 2),
            (self._invoice, 8),
            (self._recurring, 1),
            (self._void, 1),
            (self._credit_note, 2),
            (self._sell, 3),
            (self._cash, 2),
            (self._cancel, 1),
            (pushing.ask, 3),
            (self._allocate, 3),
            (self._unallocate, 3),
            (self._credit, 1),
            (self._refund, 2 if paying is None else 5),
            (self._decide, 2),
            (self._outcome, 2),
            (till.begin, 2),
            (till.move, 2),
            (till.count, 1),
            (Closing(office, chance, self._invoice).close_a_day, 2),
            (self._outflow, 2),
            (self._explain, 1),
        )

    async def live(self, who: str) -> None:
        """Do one thing after another, some at the same moment."""
        await self._customer(who)
        await self._invoice(who)
        least, most = _DEEDS[self._level]
        kinds, weights = zip(*self._deeds, strict=True)
        for _ in range(self._chance.randint(least, most)):
            await asyncio.sleep(self._chance.choice((0, 0, 200, 3_000, 6_000)) / 1_000)
            together = self._chance.choices(kinds, weights, k=self._chance.choice((1, 1, 2)))
            await asyncio.gather(*(deed(who) for deed in together))

    def _cents(self) -> int:
        return self._chance.choice((self._chance.randint(1, 90) * 10_000, self._chance.randint(50, 400) * 100 + 37))

    def _items(self, cents: int, what: str) -> tuple[LineItem, ...]:
        rate = self._chance.choice((0, 0, 1_600))
        cost = Money(cents // 2, Currency.KES) if self._chance.randrange(2) else None
        return (LineItem(description=what, unit_price=Money(cents, Currency.KES), vat_rate_bps=rate, unit_cost=cost),)

    async def _customer(self, who: str) -> None:
        wish = self._office.wish(who, What.CUSTOMER)
        number = f"CUST-{self._chance.randint(500, 520)}" if self._chance.randrange(3) == 0 else None
        phone = None
        if self._board.today is not None and self._chance.randrange(4):
            phone = PhoneNumber.parse(f"254713001{int(wish.by.rpartition('/')[2]):03d}")
        command = CreateCustomer(
            contact=Contact(name="Somebody", phone=phone),
            number=number,
            auto_apply_credit=self._chance.randrange(4) > 0,
            by=wish.by,
        )
        if await self._office.ask(wish, command) and wish.answer is not None:
            number = str(wish.answer["customer_id"])
            if self._board.today is not None and self._chance.randrange(6) == 0:
                out = self._office.wish(who, What.LEFT_OUT)
                if await self._office.ask(out, SetReminded(customer_number=number, is_reminded=False, by=out.by)):
                    self._board.left_out.append(number)
            self._board.customers.append(number)

    async def _invoice(self, who: str) -> None:
        if not self._board.customers:
            return
        wish = self._office.wish(who, What.INVOICE)
        command = CreateInvoice(
            customer_number=self._chance.choice(self._board.customers[-3:]),
            items=self._items(self._cents(), "Goods"),
            due_on=None
            if self._board.today is None
            else self._board.today + timedelta(days=self._chance.randint(0, 2)),
            memo=wish.by,
            by=wish.by,
        )
        if await self._office.ask(wish, command) and wish.answer is not None:
            self._board.invoices.append((str(wish.answer["invoice_id"]), int(wish.answer["total_cents"])))

    async def _recurring(self, who: str) -> None:
        """Have somebody billed from today on; the first bill is due at once."""
        if not self._board.customers:
            return
        today = await self._office.look(_today)
        if today is None:
            return
        wish = self._office.wish(who, What.RECURRING)
        command = CreateRecurring(
            customer_number=self._chance.choice(self._board.customers[-3:]),
            items=self._items(self._cents(), "Rent"),
            schedule=Schedule(every=Every.DAY, starts_on=today, times=self._chance.choice((None, 1, 2))),
            memo=wish.by,
            by=wish.by,
        )
        await self._office.ask(wish, command)

    async def _void(self, who: str) -> None:
        if self._board.invoices:
            wish = self._office.wish(who, What.VOID)
            number, _ = self._chance.choice(self._board.invoices)
            await self._office.ask(wish, VoidInvoice(invoice_number=number, by=wish.by))

    async def _credit_note(self, who: str) -> None:
        if not self._board.invoices:
            return
        wish = self._office.wish(who, What.CREDIT_NOTE)
        number, total = self._chance.choice(self._board.invoices)
        amount = self._chance.choice((None, total // 3, total + 1))
        command = IssueCreditNote(
            invoice_number=number,
            amount=None if amount is None else Money(max(1, amount), Currency.KES),
            reason=wish.by,
            by=wish.by,
        )
        await self._office.ask(wish, command)

    async def _sell(self, who: str) -> None:
        wish = self._office.wish(who, What.SALE)
        whose = self._chance.choice((None, *self._board.customers))
        command = OpenSale(
            items=self._items(self._chance.randint(2, 60) * 1_000, wish.by),
            customer_number=whose,
            waits_for=timedelta(minutes=self._chance.choice((1, 5, 30))),
            cashier=cashier(who),
            by=wish.by,
        )
        if await self._office.ask(wish, command) and wish.answer is not None:
            self._board.sales.append((str(wish.answer["pos_id"]), int(wish.answer["total_cents"])))

    async def _cash(self, who: str) -> None:
        if self._board.sales:
            wish = self._office.wish(who, What.CASH)
            number, total = self._chance.choice(self._board.sales[-_MOST_OPEN:])
            amount = self._chance.choice((None, Money(max(1, total // 2), Currency.KES)))
            await self._office.ask(wish, TakeCash(pos_number=number, amount=amount, cashier=cashier(who), by=wish.by))

    async def _cancel(self, who: str) -> None:
        if self._board.sales:
            wish = self._office.wish(who, What.CANCEL)
            number, _ = self._chance.choice(self._board.sales[-_MOST_OPEN:])
            await self._office.ask(wish, CancelSale(pos_number=number, cashier=cashier(who), by=wish.by))

    async def _allocate(self, who: str) -> None:
        waiting = await self._waiting()
        if not waiting or not self._board.references():
            return
        wish = self._office.wish(who, What.ALLOCATE)
        payment = self._chance.choice(waiting)
        reference, _ = self._chance.choice(self._board.references())
        part = self._chance.choice((None, None, int(str(payment["suspense_cents"])) // 2))
        command = AllocatePayment(
            receipt=str(payment["mpesa_receipt_number"] or payment["payment_id"]),
            reference=reference,
            amount=Money(part, Currency.KES) if part else None,
            by=wish.by,
        )
        await self._office.ask(wish, command)

    async def _waiting(self) -> list[View]:
        """Some of what is in suspense."""
        page = await self._office.look(lambda system: system.collections_books.suspense(_FOUND))
        return [] if page is None else list(page.items)

    async def _unallocate(self, who: str) -> None:
        """Take something back that some payment was used for, or use it for something else."""
        bills = sorted(self._office.tally.bills)
        if not bills:
            return
        receipt = self._chance.choice(bills)
        payment = await self._office.look(lambda system: system.collections_books.payment(receipt))
        rows: Any = [] if payment is None else payment["allocations"]
        if not rows:
            return
        allocation = AllocationId(UUID(str(self._chance.choice(rows)["allocation_id"])))
        if self._chance.randrange(2):
            wish = self._office.wish(who, What.UNALLOCATE)
            to_suspense = self._chance.randrange(2) == 0
            await self._office.ask(wish, Unallocate(allocation_id=allocation, to_suspense=to_suspense, by=wish.by))
        else:
            wish = self._office.wish(who, What.REALLOCATE)
            reference, _ = self._chance.choice(self._board.references())
            await self._office.ask(wish, Reallocate(allocation_id=allocation, reference=reference, by=wish.by))

    async def _credit(self, who: str) -> None:
        if self._board.customers:
            wish = self._office.wish(who, What.CREDIT)
            number = self._chance.choice(self._board.customers)
            await self._office.ask(wish, ApplyCredit(customer_number=number, by=wish.by))

    async def _refund(self, who: str) -> None:
        """Propose to give money back: of a payment in suspense, or of somebody's credit."""
        waiting = await self._waiting()
        of_payment = bool(waiting) and self._chance.randrange(2) == 0
        if not of_payment and not self._board.customers:
            return
        wish = self._office.wish(who, What.REFUND)
        receipt, shillings = None, self._chance.randint(1, 40)
        if of_payment:
            payment = self._chance.choice(waiting)
            receipt = str(payment["mpesa_receipt_number"] or payment["payment_id"])
            shillings = max(1, int(str(payment["suspense_cents"])) // 100)
        phone = _PHONE if self._paying is None else self._chance.choice((*PHONES, *PHONES, _PHONE))
        command = ProposeRefund(
            receipt=receipt,
            customer_number=None if of_payment else self._chance.choice(self._board.customers),
            amount=Money(shillings * 100, Currency.KES),
            phone=phone,
            reason=wish.by,
            by=wish.by,
        )
        if await self._office.ask(wish, command) and wish.answer is not None:
            refund = str(wish.answer["refund_id"])
            self._board.refunds.append((refund, wish.by))
            self._board.amounts[refund] = shillings * 100
            self._board.phones[refund] = phone.msisdn
            if self._paying is not None and self._chance.randrange(3):
                await self._decided(who, refund, wish.by)

    async def _decide(self, who: str) -> None:
        """Decide about a refund; whoever proposed it may not, and nobody may twice."""
        if not self._board.refunds:
            return
        await self._decided(who, *self._chance.choice(self._board.refunds))

    async def _decided(self, who: str, refund: str, proposer: str) -> None:
        approves = self._chance.randrange(4) > 0
        wish = self._office.wish(who, What.APPROVAL if approves else What.REJECTION)
        if approves and self._chance.randrange(4) == 0:
            wish.by = proposer
        command = DecideRefund(refund_id=RefundId(UUID(refund)), approve=approves, by=wish.by)
        owed: set[str] = {"refund_decided"} if refund in self._board.decided else set()
        if approves and wish.by == proposer:
            owed.add("own_approval")
        if await self._office.ask(wish, command):
            self._board.decided.add(refund)
            if approves:
                self._board.approved.append(refund)
        # Refused for another reason, she was not told why; and had that not stood in the way, it would be done.
        told = "done" if wish.is_done else wish.refusal
        if owed and told not in {*owed, "refund_decided", "period_locked", None}:
            self._office.tally.found(f"K6: who decides about a refund is owed {' or '.join(sorted(owed))}: {told}")
        if told == "payment_unverified" and self._chance.randrange(3):
            await import_payments(self._office)
            await self._decided(who, refund, proposer)

    async def _outcome(self, who: str) -> None:
        """M-Pesa says what became of a refund, as often as it likes, and always the same; or its statement does."""
        del who
        if self._paying is not None:
            if stated := self._paying.stated():
                await self._imported(*self._chance.choice(stated))
            return
        if not self._board.approved:
            return
        refund = self._chance.choice(self._board.approved)
        id_ = RefundId(UUID(refund))
        paid = UUID(refund).int % 3 > 0
        receipt = f"REFUND{id_.hex[-10:].upper()}"
        command = RefundPaid(refund_id=id_, receipt=receipt) if paid else RefundFailed(refund_id=id_, code="2001")
        times = self._chance.randint(1, 2)
        if paid and self._chance.randrange(2):
            await self._imported(receipt, self._board.amounts[refund])
        for _ in range(times):
            await self._office.look(lambda system: system.executor.execute(command))

    async def _outflow(self, who: str) -> None:
        """Import a row of a statement that tells of money that left; the same rows again and again."""
        del who
        number = self._chance.randint(1, _LEFT)
        receipt, cents = f"LEFT{number:02d}", number * 10_000
        self._office.tally.left[receipt] = cents
        await self._imported(receipt, cents, to_bank=number % 3 == 0)

    async def _imported(self, receipt: str, cents: int, *, to_bank: bool = False) -> None:
        command = BookOutflow(
            receipt=receipt, amount=Money(cents, Currency.KES), at=None, to_bank=to_bank, by="staff:import"
        )
        for _ in range(self._chance.randint(1, 3)):
            if await self._office.look(lambda system: system.executor.execute(command)) is not None:
                self._office.tally.imported.add(receipt)

    async def _explain(self, who: str) -> None:
        """Somebody says what money that left was for, or that it was something else."""
        del who
        left = sorted(self._office.tally.left)
        if left:
            command = ExplainOutflow(
                receipt=self._chance.choice(left), use=self._chance.choice(sorted(BY_PEOPLE)), by="staff:explain"
            )
            await self._office.look(lambda system: system.executor.execute(command))


async def _today(system: System) -> date:
    """The business day at whichever process is asked."""
    return nairobi_day(system.clock.now())
