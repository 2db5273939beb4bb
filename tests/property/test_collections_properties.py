"""Whatever people and M-Pesa do, in whatever order: the books of Collections hold after every step.

The machine knows nothing of how money is allocated. It keeps a tally of what came in and went out, and asks the proof
of the books and every customer's statement after each step.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from penpay.application.collections.allocating import AllocatePayment, Reallocate, Unallocate
from penpay.application.collections.crediting import ApplyCredit
from penpay.application.collections.invoicing import CreateInvoice, IssueCreditNote, VoidInvoice
from penpay.application.collections.receiving import Received, ReceivePayment
from penpay.application.collections.refunding import DecideRefund, ProposeRefund, RefundFailed, RefundPaid
from penpay.application.collections.reversing import ReversedBy, ReversePayment
from penpay.application.collections.selling import CancelSale, ExpireSale, OpenSale, TakeCash
from penpay.application.collections.shifts import CloseShift, MoveCash, OpenShift
from penpay.application.wallet.balance_sheet import balance_sheet
from penpay.domain.collections.allocation import AllocationId, RefundId, SaleId
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.collections.shift import CashDirection, CashPurpose
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.nairobi import nairobi_day
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.collections_statements import SqlStatements
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from tests.contract.collections.stage import OTHER, STAFF, Stage, opened
from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresqlServer
from tests.support.ports import MORNING

T = TypeVar("T")

PHONE = PhoneNumber.parse("0712345678")
CUSTOMERS = ("CUST-001", "CUST-002", "CUST-003")
"""The last one's credit pays nothing by itself."""
COUNTING = (
    "SELECT a.id FROM payment_allocations a WHERE a.reverses_id IS NULL AND NOT EXISTS"
    " (SELECT 1 FROM payment_allocations r WHERE r.reverses_id = a.id) ORDER BY a.created_at, a.id"
)

cents = st.one_of(st.integers(1, 300_00), st.sampled_from([1, 99, 100_00, 200_00, 250_000_01]))
shillings = st.integers(1, 200).map(lambda whole: 100 * whole)
chosen = st.integers(0, 40)
"""Which of those there are, counted around."""
customers = st.sampled_from(CUSTOMERS)


def kes(amount: int) -> Money:
    return Money(amount, Currency.KES)


class Business(RuleBasedStateMachine):
    """A business, its staff and M-Pesa, on a database of its own."""

    def __init__(self, url: str, dispose: Callable[[], None]) -> None:
        super().__init__()
        self.dispose = dispose
        self.loop = asyncio.new_event_loop()
        self.open = opened(url)
        self.stage: Stage = self.run(self.open.__aenter__())
        self.reports = SqlCollectionsReports(self.stage.engine, clock=self.stage.clock)
        self.statements = SqlStatements(self.stage.engine, name_of=lambda _: "", clock=self.stage.clock)
        self.ledger = SqlLedgerReports(self.stage.engine)
        for number in CUSTOMERS:
            self.run(self.stage.customer(number, auto=number != CUSTOMERS[-1]))
        self.invoices: list[str] = []
        self.sales: list[tuple[str, UUID]] = []
        self.shifts: list[str] = []
        self.refunds: list[RefundId] = []
        self.received: dict[str, int] = {}
        """What M-Pesa brought and has not taken back, by receipt."""
        self.receipts: list[str] = []
        self.paid_out = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.open.__aexit__(None, None, None))
        self.loop.close()
        self.dispose()

    def attempt(self, command: object) -> Any:
        """What the command answers; None when it is refused, which must change nothing."""
        before = self.run(self.stage.trial_balance())
        try:
            return self.run(self.stage.do(command))
        except DomainError:
            assert before == self.run(self.stage.trial_balance()), f"{command} was refused and moved money"
            return None

    def reference(self, which: int) -> str:
        """An invoice, a customer or a sale, or what is none of them."""
        known = [*CUSTOMERS, *self.invoices, *(number for number, _ in self.sales), "nobody"]
        return known[which % len(known)]

    # -- the staff

    @rule(customer=customers, amount=cents, vat=st.sampled_from([0, 1_600]), later=st.integers(0, 3))
    def bills(self, customer: str, amount: int, vat: int, later: int) -> None:
        self.stage.clock.moment += timedelta(hours=9 * later)
        item = LineItem(description="Goods", unit_price=kes(amount), vat_rate_bps=vat)
        answer = self.attempt(CreateInvoice(customer_number=customer, items=(item,), by=STAFF))
        self.invoices.append(str(answer["invoice_id"]))

    @rule(which=chosen)
    def voids(self, which: int) -> None:
        if self.invoices:
            self.attempt(VoidInvoice(invoice_number=self.invoices[which % len(self.invoices)], by=STAFF))

    @rule(which=chosen, amount=st.one_of(st.none(), cents))
    def credits_an_invoice(self, which: int, amount: int | None) -> None:
        if self.invoices:
            off = None if amount is None else kes(amount)
            number = self.invoices[which % len(self.invoices)]
            self.attempt(IssueCreditNote(invoice_number=number, amount=off, reason="Damaged", by=STAFF))

    @rule(customer=customers, amount=st.one_of(st.none(), cents))
    def applies_credit(self, customer: str, amount: int | None) -> None:
        wanted = None if amount is None else kes(amount)
        self.attempt(ApplyCredit(customer_number=customer, amount=wanted, by=STAFF))

    @rule(which=chosen, to=chosen, amount=st.one_of(st.none(), cents))
    def allocates(self, which: int, to: int, amount: int | None) -> None:
        if self.receipts:
            part = None if amount is None else kes(amount)
            receipt = self.receipts[which % len(self.receipts)]
            self.attempt(AllocatePayment(receipt=receipt, reference=self.reference(to), amount=part, by=STAFF))

    @rule(which=chosen, to_suspense=st.booleans())
    def unallocates(self, which: int, *, to_suspense: bool) -> None:
        allocation = self.allocation(which)
        if allocation is not None:
            self.attempt(Unallocate(allocation_id=allocation, to_suspense=to_suspense, by=STAFF))

    @rule(which=chosen, to=chosen)
    def reallocates(self, which: int, to: int) -> None:
        allocation = self.allocation(which)
        if allocation is not None:
            self.attempt(Reallocate(allocation_id=allocation, reference=self.reference(to), by=STAFF))

    def allocation(self, which: int) -> AllocationId | None:
        found = self.run(self.stage.rows(COUNTING))
        return AllocationId(self.stage.identifier(found[which % len(found)][0])) if found else None

    # -- the till

    @rule(customer=st.one_of(st.none(), customers), amount=cents, cost=st.one_of(st.none(), cents))
    def opens_a_sale(self, customer: str | None, amount: int, cost: int | None) -> None:
        item = LineItem(
            description="Goods",
            unit_price=kes(amount),
            vat_rate_bps=1_600,
            unit_cost=None if cost is None else kes(cost),
        )
        answer = self.attempt(OpenSale(items=(item,), customer_number=customer, cashier=STAFF, by=STAFF))
        newest = self.run(self.stage.rows("SELECT id FROM pos_sales ORDER BY id DESC LIMIT 1"))
        self.sales.append((str(answer["pos_id"]), self.stage.identifier(newest[0][0])))

    @rule(which=chosen, amount=st.one_of(st.none(), cents))
    def takes_cash(self, which: int, amount: int | None) -> None:
        if self.sales:
            part = None if amount is None else kes(amount)
            number = self.sales[which % len(self.sales)][0]
            self.attempt(TakeCash(pos_number=number, amount=part, cashier=STAFF, by=STAFF))

    @rule(which=chosen, cancel=st.booleans())
    def ends_a_sale(self, which: int, *, cancel: bool) -> None:
        if self.sales:
            number, sale_id = self.sales[which % len(self.sales)]
            self.stage.clock.moment += timedelta(0) if cancel else timedelta(days=8)
            cancelled = CancelSale(pos_number=number, cashier=STAFF, by=STAFF)
            self.attempt(cancelled if cancel else ExpireSale(sale_id=SaleId(sale_id)))

    @rule(opening=cents)
    def opens_a_shift(self, opening: int) -> None:
        answer = self.attempt(OpenShift(cashier=STAFF, opening_float=kes(opening), by=STAFF))
        self.shifts += [] if answer is None else [str(answer["shift_id"])]

    @rule(
        outside=st.booleans(),
        direction=st.sampled_from(CashDirection),
        purpose=st.sampled_from([CashPurpose.BANK, CashPurpose.OWNER]),
        amount=cents,
    )
    def moves_cash(self, *, outside: bool, direction: CashDirection, purpose: CashPurpose, amount: int) -> None:
        shift = None if outside or not self.shifts else self.shifts[-1]
        command = MoveCash(
            shift_number=shift, direction=direction, purpose=purpose, amount=kes(amount), reason="Why", by=STAFF
        )
        self.attempt(command)

    @rule(counted=st.one_of(st.just(0), cents))
    def counts_a_drawer(self, counted: int) -> None:
        if self.shifts:
            self.attempt(CloseShift(shift_number=self.shifts[-1], counted=kes(counted), by=STAFF))

    # -- M-Pesa

    @rule(to=chosen, amount=cents)
    def is_paid(self, to: int, amount: int) -> None:
        receipt = f"Q{len(self.receipts):07d}"
        self.pay(receipt, amount, self.reference(to))

    @rule(which=chosen, to=chosen, amount=st.one_of(st.none(), cents))
    def is_told_again(self, which: int, to: int, amount: int | None) -> None:
        """The same receipt, the same or another story: nothing moves."""
        if self.receipts:
            receipt = self.receipts[which % len(self.receipts)]
            told = amount or self.received.get(receipt, 1)
            before = self.run(self.stage.trial_balance())
            again: Received = self.attempt(self.receipt_of(receipt, told, self.reference(to)))
            assert again.repeated
            assert before == self.run(self.stage.trial_balance())

    @rule(to=st.lists(chosen, min_size=2, max_size=6), amount=cents)
    def is_paid_by_many_at_once(self, to: list[int], amount: int) -> None:
        """Payments in one batch, each told twice."""
        first = len(self.receipts)
        wanted = [(f"Q{first + number:07d}", self.reference(which)) for number, which in enumerate(to)]
        commands = [self.receipt_of(receipt, amount, reference) for receipt, reference in wanted for _ in range(2)]
        answers = self.run(self.stage.together(commands))
        assert [False, True] * len(to) == [answer.repeated for answer in answers]
        for receipt, _ in wanted:
            self.receipts.append(receipt)
            self.received[receipt] = amount

    @rule(which=chosen)
    def is_taken_back(self, which: int) -> None:
        if self.receipts:
            receipt = self.receipts[which % len(self.receipts)]
            if self.attempt(ReversePayment(receipt=receipt, reversed_by=ReversedBy.SAFARICOM, by="mpesa")) is not None:
                self.received.pop(receipt, None)

    def pay(self, receipt: str, amount: int, reference: str) -> None:
        answer: Received = self.attempt(self.receipt_of(receipt, amount, reference))
        assert not answer.repeated
        self.receipts.append(receipt)
        self.received[receipt] = amount

    @staticmethod
    def receipt_of(receipt: str, amount: int, reference: str) -> ReceivePayment:
        return ReceivePayment(
            receipt=receipt, source=PaymentSource.C2B, amount=kes(amount), short_code="174379", bill_reference=reference
        )

    # -- giving back

    @rule(
        which=chosen,
        customer=st.one_of(st.none(), customers),
        amount=shillings,
        listed=st.sampled_from([True, True, False]),
        approve=st.booleans(),
    )
    def proposes_a_refund(self, which: int, customer: str | None, amount: int, *, listed: bool, approve: bool) -> None:
        """`listed`: M-Pesa's own records tell of all payments, without which nothing is paid out."""
        receipt = None if customer or not self.receipts else self.receipts[which % len(self.receipts)]
        if receipt is None and customer is None:
            return
        command = ProposeRefund(
            receipt=receipt, customer_number=customer, amount=kes(amount), phone=PHONE, reason="Paid twice", by=STAFF
        )
        answer = self.attempt(command)
        if answer is not None:
            refund = RefundId(UUID(str(answer["refund_id"])))
            if listed:
                self.run(self.stage.verified())
            self.attempt(DecideRefund(refund_id=refund, approve=approve, by=OTHER))
            self.refunds.append(refund)

    @rule(which=chosen, paid=st.booleans())
    def ends_a_refund(self, which: int, *, paid: bool) -> None:
        if self.refunds:
            refund = self.refunds[which % len(self.refunds)]
            step = RefundPaid(refund_id=refund, receipt=None) if paid else RefundFailed(refund_id=refund, code="2001")
            answer = self.attempt(step)
            if answer is not None and paid:
                self.paid_out += int(answer["amount_cents"])

    # -- what an accountant would ask after each step

    @invariant()
    def the_proof_finds_nothing(self) -> None:
        assert [] == self.run(self.reports.verify())

    @invariant()
    def mpesa_cash_is_what_came_in_less_what_went_out(self) -> None:
        (row,) = self.run(self.ledger.balances("1010"))
        assert sum(self.received.values()) - self.paid_out == row.balance.cents

    @invariant()
    def every_statement_leads_to_the_balance(self) -> None:
        self.run(self.read_statements())

    async def read_statements(self) -> None:
        first, today = nairobi_day(MORNING), nairobi_day(self.stage.clock.now())
        ageing = {one.customer_number: one.ageing for one in (await self.reports.ageing(10, None)).customers}
        for number in CUSTOMERS:
            balance = (await self.statements.balance(number)).balance
            statement = await self.statements.statement(number, first, today, limit=1_000)
            assert 0 == statement.opening.cents, number
            last = statement.lines[-1].balance if statement.lines else statement.opening
            assert balance == last == statement.closing == statement.ageing.balance, number
            assert number not in ageing or balance == ageing[number].balance, number

    @invariant()
    def debits_are_credits(self) -> None:
        rows = self.run(self.ledger.trial_balance(None))
        assert sum(row.debit_cents for row in rows) == sum(row.credit_cents for row in rows)

    @invariant()
    def the_balance_sheet_balances(self) -> None:
        today = nairobi_day(self.stage.clock.now())
        sheet = self.run(balance_sheet(self.ledger, today))
        assert sheet.is_balanced
        profit = self.run(self.ledger.profit_and_loss(Currency.KES, sheet.first, today)).profit_cents
        assert profit == sum(one.result_cents for one in sheet.currencies)


def proven(make: Callable[[], Business], *, examples: int, steps: int) -> None:
    """Run the machine; an example is a database of its own, so it is shrunk no further than it must be."""
    run_state_machine_as_test(
        make,  # type: ignore[arg-type]  # any callable that makes one will do, as its documentation says
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.reuse, Phase.generate],
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_books_hold_after_anything(migrated_sqlite: Path, tmp_path: Path) -> None:
    """On SQLite: long stories of bills, payments, repeats, reversals, refunds, sales and corrections."""

    def make() -> Business:
        path = tmp_path / "business.sqlite3"
        for old in tmp_path.glob("business.sqlite3*"):
            old.unlink()
        shutil.copyfile(migrated_sqlite, path)
        return Business(f"sqlite+aiosqlite:///{path}", lambda: None)

    proven(make, examples=25, steps=30)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_books_hold_on_postgresql(postgresql_server: PostgresqlServer, migrated_postgresql: str) -> None:
    """The same on PostgreSQL, shorter."""
    _on_server(postgresql_server, migrated_postgresql)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_books_hold_on_mariadb(mariadb_server: MysqlServer, migrated_mariadb: str) -> None:
    """The same on MariaDB, shorter."""
    _on_server(mariadb_server, migrated_mariadb)


def _on_server(server: PostgresqlServer | MysqlServer, template: str) -> None:
    def make() -> Business:
        name = server.create_database(template=template)

        def dispose() -> None:
            with suppress(OSError):
                server.drop_database(name)

        return Business(server.url(name), dispose)

    proven(make, examples=4, steps=20)
