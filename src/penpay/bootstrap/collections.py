"""Collections' part of a System: its rows, its look-ups and its commands."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from penpay.application.collections.allocating import (
    AllocatePayment,
    AllocatePaymentHandler,
    Reallocate,
    ReallocateHandler,
    Unallocate,
    UnallocateHandler,
)
from penpay.application.collections.crediting import ApplyCredit, ApplyCreditHandler
from penpay.application.collections.customers import CreateCustomer, CreateCustomerHandler
from penpay.application.collections.invoicing import (
    CreateInvoice,
    CreateInvoiceHandler,
    IssueCreditNote,
    IssueCreditNoteHandler,
    VoidInvoice,
    VoidInvoiceHandler,
)
from penpay.application.collections.outflows import (
    BookOutflow,
    BookOutflowHandler,
    ExplainOutflow,
    ExplainOutflowHandler,
)
from penpay.application.collections.period import (
    DecideLock,
    DecideLockHandler,
    InOpenPeriod,
    ProposeLock,
    ProposeLockHandler,
)
from penpay.application.collections.receiving import (
    AttachReceipt,
    AttachReceiptHandler,
    ReceivePayment,
    ReceivePaymentHandler,
    VerifyPayment,
    VerifyPaymentHandler,
)
from penpay.application.collections.recurring import (
    ChangeRecurring,
    ChangeRecurringHandler,
    CreateRecurring,
    CreateRecurringHandler,
    IssueRecurring,
    IssueRecurringHandler,
)
from penpay.application.collections.refunding import (
    DecideRefund,
    ProposeRefund,
    ProposeRefundHandler,
    RefundFailed,
    RefundPaid,
    RefundStepHandler,
)
from penpay.application.collections.reversing import ReversePayment, ReversePaymentHandler
from penpay.application.collections.selling import (
    CancelSale,
    EndSaleHandler,
    ExpireSale,
    OpenSale,
    OpenSaleHandler,
    TakeCash,
    TakeCashHandler,
)
from penpay.application.collections.shifts import (
    CloseShift,
    CloseShiftHandler,
    MoveCash,
    MoveCashHandler,
    OpenShift,
    OpenShiftHandler,
)
from penpay.application.shared.executor import Handler, Lane
from penpay.application.shared.ports import Clock
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.collections_billing import (
    AllOpenInvoices,
    CreditNoteAppender,
    InvoiceLineAppender,
    InvoiceRepository,
    KnownSales,
    OldestInvoices,
    SaleLineAppender,
    SaleRepository,
    TenderAppender,
    TendersOfSales,
)
from penpay.infrastructure.sql.collections_held import (
    HeldByCredit,
    HeldById,
    HeldByInvoice,
    HeldByPayment,
    HeldByRefund,
    HeldBySale,
    HeldUnverified,
)
from penpay.infrastructure.sql.collections_money import (
    AllocationAppender,
    KnownPayments,
    KnownRefunds,
    PaidDays,
    PaymentRepository,
    PaymentsByPush,
    RefundRepository,
)
from penpay.infrastructure.sql.collections_outflows import (
    OurOutflows,
    OutflowRepository,
    ReversedUnder,
    SqlOutflows,
    ToldReversals,
)
from penpay.infrastructure.sql.collections_people import (
    CustomerRepository,
    CustomersByPhone,
    NumberSeriesRepository,
    ReferentFinder,
)
from penpay.infrastructure.sql.collections_period import BooksLockRepository, PeriodLockRepository, SqlPeriods
from penpay.infrastructure.sql.collections_receipts import SqlCollectionsBooks
from penpay.infrastructure.sql.collections_recurring import (
    OccurrenceAppender,
    RecurringCustomers,
    RecurringRepository,
    SqlRecurring,
)
from penpay.infrastructure.sql.collections_reports import SqlCollectionsReports
from penpay.infrastructure.sql.collections_shifts import (
    CashMovementAppender,
    KnownShifts,
    ShiftRepository,
    ShiftsByNumber,
    SoldInShifts,
    SqlShifts,
)
from penpay.infrastructure.sql.collections_statements import SqlStatements
from penpay.infrastructure.sql.ledger_reports import SqlLedgerReports
from penpay.infrastructure.sql.unit_of_work import Appender, Finder, Repository
from penpay.presentation.http.system import Reports


class CollectionsRows:
    """Everything of Collections that a Schema holds. Customers are locked before what is theirs."""

    def __init__(self, cipher: FieldCipher, index: BlindIndex) -> None:
        self.customers = CustomerRepository(cipher, index)
        self.payments = PaymentRepository(cipher, index)
        self.refunds = RefundRepository(cipher)
        self.outflows = OutflowRepository(cipher)
        self.repositories: tuple[Repository[Any, Any], ...] = (
            BooksLockRepository(),
            PeriodLockRepository(),
            NumberSeriesRepository(),
            ShiftRepository(),
            self.customers,
            InvoiceRepository(),
            SaleRepository(),
            PaidDays(),
            self.payments,
            self.refunds,
            self.outflows,
            RecurringRepository(),
        )
        self.finders: tuple[Finder, ...] = (
            CustomersByPhone(self.customers),
            ReferentFinder(),
            OldestInvoices(),
            AllOpenInvoices(),
            KnownSales(),
            TendersOfSales(),
            PaymentsByPush(),
            KnownPayments(),
            HeldByPayment(),
            HeldByInvoice(),
            HeldByCredit(),
            HeldById(),
            HeldByRefund(),
            HeldUnverified(),
            HeldBySale(),
            KnownRefunds(self.refunds),
            ShiftsByNumber(),
            KnownShifts(),
            SoldInShifts(),
            OurOutflows(),
            ReversedUnder(),
            ToldReversals(),
            RecurringCustomers(),
        )
        self.appenders: tuple[Appender[Any], ...] = (
            InvoiceLineAppender(),
            CreditNoteAppender(),
            SaleLineAppender(),
            TenderAppender(),
            AllocationAppender(),
            CashMovementAppender(),
            OccurrenceAppender(),
        )

    def books(self, engine: AsyncEngine) -> SqlCollectionsBooks:
        """The read queries, on connections of this engine."""
        return SqlCollectionsBooks(engine, self.customers, self.payments, self.refunds)

    def outflow_books(self, engine: AsyncEngine) -> SqlOutflows:
        """Reading what left the PayBill account, likewise."""
        return SqlOutflows(engine, self.outflows)

    def recurring_books(self, engine: AsyncEngine) -> SqlRecurring:
        """Reading recurring invoices, likewise."""
        return SqlRecurring(engine)

    def reports(self, engine: AsyncEngine, clock: Clock, business_name: str) -> Reports:
        """Reports and statements, likewise."""
        return Reports(
            ledger=SqlLedgerReports(engine),
            statements=SqlStatements(engine, name_of=lambda row: self.customers.contact(row).name, clock=clock),
            collections=SqlCollectionsReports(engine, clock=clock),
            shifts=SqlShifts(engine),
            periods=SqlPeriods(engine),
            business_name=business_name,
        )


def collections_handlers() -> dict[type, tuple[Handler[Any, Any], Lane]]:
    """What M-Pesa tells goes first; what people ask for may be refused for load, and while today is locked."""
    first, new = Lane.RESOLUTION, Lane.REQUEST
    return {
        CreateCustomer: (CreateCustomerHandler(), new),
        CreateInvoice: (InOpenPeriod(CreateInvoiceHandler()), new),
        CreateRecurring: (CreateRecurringHandler(), new),
        ChangeRecurring: (ChangeRecurringHandler(), new),
        IssueRecurring: (IssueRecurringHandler(), first),
        VoidInvoice: (InOpenPeriod(VoidInvoiceHandler()), new),
        IssueCreditNote: (InOpenPeriod(IssueCreditNoteHandler()), new),
        ApplyCredit: (InOpenPeriod(ApplyCreditHandler()), new),
        AllocatePayment: (InOpenPeriod(AllocatePaymentHandler()), new),
        Unallocate: (InOpenPeriod(UnallocateHandler()), new),
        Reallocate: (InOpenPeriod(ReallocateHandler()), new),
        OpenSale: (OpenSaleHandler(), new),
        TakeCash: (InOpenPeriod(TakeCashHandler()), new),
        CancelSale: (InOpenPeriod(EndSaleHandler()), new),
        ExpireSale: (EndSaleHandler(), first),
        OpenShift: (InOpenPeriod(OpenShiftHandler()), new),
        MoveCash: (InOpenPeriod(MoveCashHandler()), new),
        CloseShift: (InOpenPeriod(CloseShiftHandler()), new),
        ProposeRefund: (ProposeRefundHandler(), new),
        DecideRefund: (InOpenPeriod(RefundStepHandler()), new),
        RefundPaid: (RefundStepHandler(), first),
        RefundFailed: (RefundStepHandler(), first),
        ProposeLock: (ProposeLockHandler(), new),
        DecideLock: (DecideLockHandler(), new),
        ReversePayment: (ReversePaymentHandler(), first),
        BookOutflow: (BookOutflowHandler(), first),
        ExplainOutflow: (InOpenPeriod(ExplainOutflowHandler()), new),
        ReceivePayment: (ReceivePaymentHandler(), first),
        AttachReceipt: (AttachReceiptHandler(), first),
        VerifyPayment: (VerifyPaymentHandler(), first),
    }
