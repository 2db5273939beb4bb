"""The operator's tables, as the code sees them. Names, contacts, messages and callback addresses are sealed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from penpay.infrastructure.sql.tables import metadata
from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

operator_customers = Table(
    "operator_customers",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("type", Word(16), nullable=False),
    # A phone stays in a column of its own: it was there before names and e-mail addresses were kept.
    Column("phone_sealed", Sealed),
    Column("pin_hash", Word(160)),
    Column("status", Word(16), nullable=False),
    Column("wrong_pins", Integer, nullable=False),
    Column("open_push_id", Identifier),
    Column("last_short_code", Word(7)),
    Column("last_amount_cents", Cents),
    Column("last_paid_at", Moment),
    Column("day_total_cents", Cents),
    Column("version", BigInteger, nullable=False),
    # What revision 0004 added stands behind what was there.
    Column("details_sealed", Sealed),
    Column("password_hash", Word(160)),
    Column("wrong_passwords", Integer, nullable=False),
    Column("locked_until", Moment),
    Column("pin_locked", Boolean, nullable=False),
    Column("tier", Word(8), nullable=False),
    Column("is_super_agent", Boolean, nullable=False),
    Column("status_reason", Word(200)),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("type IN ('AGENT', 'MERCHANT', 'SUBSCRIBER')", name="type"),
    CheckConstraint("status IN ('ACTIVE', 'DORMANT', 'SUSPENDED', 'FROZEN', 'CLOSED')", name="status"),
    CheckConstraint("tier IN ('BASIC', 'MEDIUM', 'FULL')", name="tier"),
)

operator_administrators = Table(
    "operator_administrators",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("details_sealed", Sealed, nullable=False),
    Column("password_hash", Word(160), nullable=False),
    Column("wrong_passwords", Integer, nullable=False),
    Column("locked_until", Moment),
    Column("role", Word(16), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("role IN ('SUPER', 'CUSTOMER_CARE', 'FINANCE', 'IT')", name="role"),
)

operator_addresses = Table(
    "operator_addresses",
    metadata,
    # Of the type of user, the kind of address and its value: so it is unique among users of one type.
    Column("digest", Word(64), primary_key=True),
    Column("kind", Word(16), nullable=False),
    Column("owner_id", Identifier, nullable=False),
    CheckConstraint("kind IN ('EMAIL', 'PHONE', 'FIRST')", name="kind"),
    Index("ix_operator_addresses_owner_id", "owner_id"),
)

operator_merchants = Table(
    "operator_merchants",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("short_code", Word(7), nullable=False, unique=True),
    Column("name", Word(80), nullable=False),
    Column("customer_id", Identifier, ForeignKey("operator_customers.id"), nullable=False),
    Column("kind", Word(8), nullable=False),
    Column("plan", Word(16), nullable=False),
    CheckConstraint("kind IN ('PAYBILL', 'TILL')", name="kind"),
    CheckConstraint("plan IN ('SHARED', 'CUSTOMER_PAYS', 'BUSINESS_PAYS')", name="plan"),
    Index("ix_operator_merchants_customer_id", "customer_id"),
)

stk_pushes = Table(
    "stk_pushes",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("merchant_request_id", Word(64), nullable=False),
    Column("checkout_index", Word(64), nullable=False, unique=True),
    Column("details_sealed", Sealed, nullable=False),
    Column("short_code", Word(7), ForeignKey("operator_merchants.short_code"), nullable=False),
    Column("customer_id", Identifier, ForeignKey("operator_customers.id")),
    Column("amount_cents", Cents, nullable=False),
    Column("account_reference", Word(20), nullable=False),
    Column("state", Word(10), nullable=False),
    Column("result_code", Word(16)),
    Column("result_text", Word(160)),
    Column("receipt", Word(10), unique=True),
    Column("accepted_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("version", BigInteger, nullable=False),
    # What revision 0006 added stands behind what was there.
    Column("till", Word(7)),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("state IN ('PROMPTED', 'PAID', 'FAILED')", name="state"),
    CheckConstraint("(state = 'PAID') = (receipt IS NOT NULL)", name="receipt"),
    Index("ix_stk_pushes_state_due_at", "state", "due_at"),
)

operator_c2b_urls = Table(
    "operator_c2b_urls",
    metadata,
    Column("short_code", Word(7), ForeignKey("operator_merchants.short_code"), primary_key=True),
    Column("api", Word(2), nullable=False),
    Column("default_action", Word(9), nullable=False),
    Column("addresses_sealed", Sealed, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("api IN ('v1', 'v2')", name="api"),
    CheckConstraint("default_action IN ('Completed', 'Cancelled')", name="default_action"),
)

operator_pull_registrations = Table(
    "operator_pull_registrations",
    metadata,
    Column("short_code", Word(7), ForeignKey("operator_merchants.short_code"), primary_key=True),
    Column("contact_sealed", Sealed, nullable=False),
    Column("registered_at", Moment, nullable=False),
)

operator_receipts = Table(
    "operator_receipts",
    metadata,
    Column("name", Word(16), primary_key=True),
    Column("day", Word(10), nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

operator_transactions = Table(
    "operator_transactions",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("receipt", Word(10), nullable=False, unique=True),
    Column("operation", Word(16), nullable=False),
    Column("source_id", Identifier, ForeignKey("operator_customers.id")),
    Column("target_id", Identifier, ForeignKey("operator_customers.id")),
    Column("amount_cents", Cents, nullable=False),
    Column("payer_fee_cents", Cents, nullable=False),
    Column("payee_fee_cents", Cents, nullable=False),
    Column("excise_cents", Cents, nullable=False),
    Column("commission_cents", Cents, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("short_code", Word(7)),
    Column("bill_reference", Word(20)),
    Column("reverses_id", Identifier, ForeignKey("operator_transactions.id")),
    Column("reversed_cents", Cents, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("reversed_cents BETWEEN 0 AND amount_cents", name="reversed"),
    CheckConstraint("payer_fee_cents >= 0 AND payee_fee_cents >= 0 AND excise_cents >= 0", name="fees"),
    Index("ix_operator_transactions_short_code_happened_at", "short_code", "happened_at"),
)

daraja_requests = Table(
    "daraja_requests",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("kind", Word(10), nullable=False),
    # Refers to no merchant: whether there is such a one is found out when the request is carried out.
    Column("short_code", Word(7), nullable=False),
    Column("originator_conversation_id", Word(128), nullable=False, unique=True),
    Column("conversation_id", Word(64), nullable=False, unique=True),
    Column("amount_cents", Cents),
    Column("details_sealed", Sealed, nullable=False),
    Column("state", Word(10), nullable=False),
    Column("result_code", Word(16)),
    Column("result_text", Word(160)),
    Column("transaction_id", Identifier, ForeignKey("operator_transactions.id"), unique=True),
    Column("accepted_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("kind IN ('B2C', 'B2B', 'STATUS', 'BALANCE', 'REVERSAL')", name="kind"),
    CheckConstraint("state IN ('ACCEPTED', 'DONE', 'FAILED', 'EXPIRED')", name="state"),
    CheckConstraint("(state = 'ACCEPTED') = (finished_at IS NULL)", name="finished"),
    CheckConstraint("transaction_id IS NULL OR state = 'DONE'", name="moved"),
    Index("ix_daraja_requests_state_id", "state", "id"),
)

operator_charges = Table(
    "operator_charges",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("operation", Word(16), nullable=False),
    Column("source_type", Word(16), nullable=False),
    Column("target_type", Word(16), nullable=False),
    Column("fee_cents", Cents, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("fee_cents >= 0", name="fee"),
)

operator_tariffs = Table(
    "operator_tariffs",
    metadata,
    Column("valid_from", Word(10), primary_key=True),
    Column("name", Word(80), nullable=False),
    Column("document", Document, nullable=False),
)

operator_messages = Table(
    "operator_messages",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("customer_id", Identifier, ForeignKey("operator_customers.id"), nullable=False),
    Column("transaction_id", Identifier),
    Column("text_sealed", Sealed, nullable=False),
    Column("sent_at", Moment, nullable=False),
    Index("ix_operator_messages_customer_id_id", "customer_id", "id"),
)

operator_float_issues = Table(
    "operator_float_issues",
    metadata,
    Column("transaction_id", Identifier, ForeignKey("operator_transactions.id"), primary_key=True),
    Column("amount_cents", Cents, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("bank_reference", Word(64), unique=True),
    Column("version", BigInteger, nullable=False),
)

operator_bank_deposits = Table(
    "operator_bank_deposits",
    metadata,
    Column("reference", Word(64), primary_key=True),
    Column("amount_cents", Cents, nullable=False),
    Column("entered_by", Word(64), nullable=False),
    Column("entered_at", Moment, nullable=False),
    Column("state", Word(10), nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("state IN ('FLOAT', 'OWN_FUNDS', 'SUSPENSE')", name="state"),
)

operator_approvals = Table(
    "operator_approvals",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("kind", Word(20), nullable=False),
    Column("facts", Document, nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("requested_by", Word(64), nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("customer_id", Identifier, ForeignKey("operator_customers.id")),
    Column("state", Word(10), nullable=False),
    Column("decided_by", Word(64)),
    Column("decided_at", Moment),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("state IN ('PENDING', 'APPROVED', 'REFUSED')", name="state"),
    Index("ix_operator_approvals_state_id", "state", "id"),
)

operator_cash_out_codes = Table(
    "operator_cash_out_codes",
    metadata,
    Column("customer_id", Identifier, ForeignKey("operator_customers.id"), primary_key=True),
    Column("digest", Word(64), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("state", Word(10), nullable=False),
    Column("wrong_codes", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("state IN ('ACTIVE', 'USED', 'CANCELLED')", name="state"),
)
