"""The operator whole: agents, merchants and administrators beside subscribers, tariff, float, approvals, messages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    column,
    insert,
    literal,
    select,
    table,
    update,
)

from penpay.infrastructure.sql.types import Cents, Document, Identifier, Moment, Sealed, Word

revision = "0004"
down_revision = "0003"

_CHARGES = (
    ("WITHDRAW", "SUBSCRIBER", "AGENT"),
    ("WITHDRAW", "MERCHANT", "AGENT"),
    ("WITHDRAW", "AGENT", "AGENT"),
    ("TRANSFER", "AGENT", "AGENT"),
    ("TRANSFER", "SUBSCRIBER", "SUBSCRIBER"),
    ("TRANSFER", "MERCHANT", "SUBSCRIBER"),
    ("TRANSFER", "SUBSCRIBER", "MERCHANT"),
    ("TRANSFER", "AGENT", "MERCHANT"),
)
_CHARGE_IDS = 0x0A2E_0000_0000_7000_8000_0000_0000_0000
"""The first of eight ids that are the same on every installation, since nobody makes them."""


def upgrade(op: Operations) -> None:
    """Widen the customers, give every merchant an account of a customer, and add what is new."""
    embedded = op.get_context().dialect.name == "sqlite"
    if embedded:
        # SQLite changes a table by making it anew, which it refuses while another one refers to it.
        _detach(op)
    _addresses(op)
    _customers(op)
    _merchants(op)
    if embedded:
        _attach(op)
    _people(op)
    _money(op)
    _charges(op)


def _detach(op: Operations) -> None:
    """Keep the pushes where they refer to no customer and no merchant."""
    op.execute("CREATE TABLE stk_pushes_kept AS SELECT * FROM stk_pushes")
    op.drop_table("stk_pushes")


def _attach(op: Operations) -> None:
    """Pushes as they were, referring to the new customers and merchants."""
    op.create_table(
        "stk_pushes",
        Column("id", Identifier, nullable=False),
        Column("merchant_request_id", Word(64), nullable=False),
        Column("checkout_index", Word(64), nullable=False),
        Column("details_sealed", Sealed, nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("customer_id", Identifier),
        Column("amount_cents", Cents, nullable=False),
        Column("account_reference", Word(20), nullable=False),
        Column("state", Word(10), nullable=False),
        Column("result_code", Word(16)),
        Column("result_text", Word(160)),
        Column("receipt", Word(10)),
        Column("accepted_at", Moment, nullable=False),
        Column("due_at", Moment, nullable=False),
        Column("ended_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("(state = 'PAID') = (receipt IS NOT NULL)", name="ck_stk_pushes_receipt"),
        CheckConstraint("state IN ('PROMPTED', 'PAID', 'FAILED')", name="ck_stk_pushes_state"),
        CheckConstraint("amount_cents > 0", name="ck_stk_pushes_amount"),
        ForeignKeyConstraint(["customer_id"], ["operator_customers.id"], name="fk_stk_pushes_customer_id"),
        ForeignKeyConstraint(["short_code"], ["operator_merchants.short_code"], name="fk_stk_pushes_short_code"),
        PrimaryKeyConstraint("id", name="pk_stk_pushes"),
        UniqueConstraint("checkout_index", name="uq_stk_pushes_checkout_index"),
        UniqueConstraint("receipt", name="uq_stk_pushes_receipt"),
    )
    op.create_index("ix_stk_pushes_state_due_at", "stk_pushes", ["state", "due_at"])
    op.execute("INSERT INTO stk_pushes SELECT * FROM stk_pushes_kept")
    op.drop_table("stk_pushes_kept")


def _addresses(op: Operations) -> None:
    """Phones are found through a table of their own from now on, as e-mail addresses are."""
    op.create_table(
        "operator_addresses",
        Column("digest", Word(64), nullable=False),
        Column("kind", Word(16), nullable=False),
        Column("owner_id", Identifier, nullable=False),
        CheckConstraint("kind IN ('EMAIL', 'PHONE', 'FIRST')", name="ck_operator_addresses_kind"),
        PrimaryKeyConstraint("digest", name="pk_operator_addresses"),
    )
    op.create_index("ix_operator_addresses_owner_id", "operator_addresses", ["owner_id"])
    op.execute(
        "INSERT INTO operator_addresses (digest, kind, owner_id) "
        "SELECT phone_index, 'PHONE', id FROM operator_customers"
    )


def _old_customers() -> Table:
    return Table(
        "operator_customers",
        MetaData(),
        Column("id", Identifier, nullable=False),
        Column("type", Word(16), nullable=False),
        Column("phone_sealed", Sealed, nullable=False),
        Column("phone_index", Word(64), nullable=False),
        Column("pin_hash", Word(160), nullable=False),
        Column("status", Word(16), nullable=False),
        Column("wrong_pins", Integer, nullable=False),
        Column("open_push_id", Identifier),
        Column("last_short_code", Word(7)),
        Column("last_amount_cents", Cents),
        Column("last_paid_at", Moment),
        Column("day_total_cents", Cents),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("status IN ('ACTIVE', 'PIN_LOCKED')", name="ck_operator_customers_status"),
        CheckConstraint("type IN ('SUBSCRIBER')", name="ck_operator_customers_type"),
        PrimaryKeyConstraint("id", name="pk_operator_customers"),
        UniqueConstraint("phone_index", name="uq_operator_customers_phone_index"),
    )


def _widened_customers() -> Table:
    """Between the two changes: every column there will be, without the rules."""
    old = _old_customers()
    kept = [
        Column(one.name, one.type, nullable=one.nullable or one.name in {"phone_sealed", "pin_hash"})
        for one in old.columns
        if one.name != "phone_index"
    ]
    new = [Column(name, type_) for name, type_, _ in _NEW_OF_CUSTOMERS]
    return Table(
        "operator_customers", MetaData(), *kept, *new, PrimaryKeyConstraint("id", name="pk_operator_customers")
    )


_NEW_OF_CUSTOMERS: tuple[tuple[str, Any, bool], ...] = (
    ("details_sealed", Sealed, True),
    ("password_hash", Word(160), True),
    ("wrong_passwords", Integer, False),
    ("locked_until", Moment, True),
    ("pin_locked", Boolean, False),
    ("tier", Word(8), False),
    ("is_super_agent", Boolean, False),
    ("status_reason", Word(200), True),
    ("created_at", Moment, False),
)
"""Name, type, whether it may be empty."""


def _customers(op: Operations) -> None:
    """A wallet opened with a SIM was checked at the counter, so its tier is FULL; the rest is as it was."""
    with op.batch_alter_table("operator_customers", copy_from=_old_customers()) as batch:
        batch.drop_constraint("ck_operator_customers_status", type_="check")
        batch.drop_constraint("ck_operator_customers_type", type_="check")
        batch.drop_constraint("uq_operator_customers_phone_index", type_="unique")
        batch.drop_column("phone_index")
        batch.alter_column("phone_sealed", existing_type=Sealed(), nullable=True)
        batch.alter_column("pin_hash", existing_type=Word(160), nullable=True)
        for name, type_, _ in _NEW_OF_CUSTOMERS:
            batch.add_column(Column(name, type_))
    customers = _widened_customers()
    op.execute(
        update(customers).values(
            wrong_passwords=0,
            pin_locked=customers.c.status == "PIN_LOCKED",
            tier="FULL",
            is_super_agent=False,
            created_at=_registered(customers.c.id),
        )
    )
    op.execute(update(customers).values(status="ACTIVE"))
    op.execute(_merchants_accounts(customers))
    with op.batch_alter_table("operator_customers", copy_from=customers) as batch:
        for name, type_, may_be_empty in _NEW_OF_CUSTOMERS:
            if not may_be_empty:
                batch.alter_column(name, existing_type=type_() if isinstance(type_, type) else type_, nullable=False)
        statuses = "status IN ('ACTIVE', 'DORMANT', 'SUSPENDED', 'FROZEN', 'CLOSED')"
        batch.create_check_constraint("ck_operator_customers_type", "type IN ('AGENT', 'MERCHANT', 'SUBSCRIBER')")
        batch.create_check_constraint("ck_operator_customers_status", statuses)
        batch.create_check_constraint("ck_operator_customers_tier", "tier IN ('BASIC', 'MEDIUM', 'FULL')")


def _registered(id_: Any) -> Any:
    """When somebody was registered: the moment of the first event."""
    events = table("domain_events", column("aggregate_id"), column("sequence"), column("recorded_at"))
    first = select(events.c.recorded_at).where(events.c.aggregate_id == id_, events.c.sequence == 1)
    return first.scalar_subquery()


def _merchants_accounts(customers: Table) -> Any:
    """Every merchant there is becomes a customer under its own id, which its account's code already holds."""
    merchants = table("operator_merchants", column("id", Identifier))
    facts: dict[str, Any] = {
        "type": literal("MERCHANT"),
        "status": literal("ACTIVE"),
        "wrong_pins": literal(0),
        "version": literal(0),
        "wrong_passwords": literal(0),
        "pin_locked": literal(value=False),
        "tier": literal("FULL"),
        "is_super_agent": literal(value=False),
        "created_at": _registered(merchants.c.id),
    }
    return insert(customers).from_select(["id", *facts], select(merchants.c.id, *facts.values()))


def _merchants(op: Operations) -> None:
    for one in (Column("customer_id", Identifier), Column("kind", Word(8)), Column("plan", Word(16))):
        op.add_column("operator_merchants", one)
    merchants = Table(
        "operator_merchants",
        MetaData(),
        Column("id", Identifier, nullable=False),
        Column("short_code", Word(7), nullable=False),
        Column("name", Word(80), nullable=False),
        Column("customer_id", Identifier),
        Column("kind", Word(8)),
        Column("plan", Word(16)),
        PrimaryKeyConstraint("id", name="pk_operator_merchants"),
        UniqueConstraint("short_code", name="uq_operator_merchants_short_code"),
    )
    op.execute(update(merchants).values(customer_id=merchants.c.id, kind="PAYBILL", plan="CUSTOMER_PAYS"))
    with op.batch_alter_table("operator_merchants", copy_from=merchants) as batch:
        batch.alter_column("customer_id", existing_type=Identifier(), nullable=False)
        batch.alter_column("kind", existing_type=Word(8), nullable=False)
        batch.alter_column("plan", existing_type=Word(16), nullable=False)
        batch.create_check_constraint("ck_operator_merchants_kind", "kind IN ('PAYBILL', 'TILL')")
        plans = "plan IN ('SHARED', 'CUSTOMER_PAYS', 'BUSINESS_PAYS')"
        batch.create_check_constraint("ck_operator_merchants_plan", plans)
        batch.create_foreign_key("fk_operator_merchants_customer_id", "operator_customers", ["customer_id"], ["id"])
    op.create_index("ix_operator_merchants_customer_id", "operator_merchants", ["customer_id"])


def _people(op: Operations) -> None:
    op.create_table(
        "operator_administrators",
        Column("id", Identifier, nullable=False),
        Column("details_sealed", Sealed, nullable=False),
        Column("password_hash", Word(160), nullable=False),
        Column("wrong_passwords", Integer, nullable=False),
        Column("locked_until", Moment),
        Column("role", Word(16), nullable=False),
        Column("is_active", Boolean, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("role IN ('SUPER', 'CUSTOMER_CARE', 'FINANCE', 'IT')", name="ck_operator_administrators_role"),
        PrimaryKeyConstraint("id", name="pk_operator_administrators"),
    )
    op.create_table(
        "operator_messages",
        Column("id", Identifier, nullable=False),
        Column("customer_id", Identifier, nullable=False),
        Column("transaction_id", Identifier),
        Column("text_sealed", Sealed, nullable=False),
        Column("sent_at", Moment, nullable=False),
        _refers("operator_messages", "customer_id"),
        PrimaryKeyConstraint("id", name="pk_operator_messages"),
    )
    op.create_index("ix_operator_messages_customer_id_id", "operator_messages", ["customer_id", "id"])
    op.create_table(
        "operator_approvals",
        Column("id", Identifier, nullable=False),
        Column("kind", Word(20), nullable=False),
        Column("facts", Document, nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("requested_by", Word(64), nullable=False),
        Column("requested_at", Moment, nullable=False),
        Column("customer_id", Identifier),
        Column("state", Word(10), nullable=False),
        Column("decided_by", Word(64)),
        Column("decided_at", Moment),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("state IN ('PENDING', 'APPROVED', 'REFUSED')", name="ck_operator_approvals_state"),
        _refers("operator_approvals", "customer_id"),
        PrimaryKeyConstraint("id", name="pk_operator_approvals"),
    )
    op.create_index("ix_operator_approvals_state_id", "operator_approvals", ["state", "id"])
    op.create_table(
        "operator_cash_out_codes",
        Column("customer_id", Identifier, nullable=False),
        Column("digest", Word(64), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("expires_at", Moment, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("wrong_codes", Integer, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("amount_cents > 0", name="ck_operator_cash_out_codes_amount"),
        CheckConstraint("state IN ('ACTIVE', 'USED', 'CANCELLED')", name="ck_operator_cash_out_codes_state"),
        _refers("operator_cash_out_codes", "customer_id"),
        PrimaryKeyConstraint("customer_id", name="pk_operator_cash_out_codes"),
    )


def _money(op: Operations) -> None:
    op.create_table(
        "operator_transactions",
        Column("id", Identifier, nullable=False),
        Column("receipt", Word(10), nullable=False),
        Column("operation", Word(16), nullable=False),
        Column("source_id", Identifier),
        Column("target_id", Identifier),
        Column("amount_cents", Cents, nullable=False),
        Column("payer_fee_cents", Cents, nullable=False),
        Column("payee_fee_cents", Cents, nullable=False),
        Column("excise_cents", Cents, nullable=False),
        Column("commission_cents", Cents, nullable=False),
        Column("happened_at", Moment, nullable=False),
        Column("short_code", Word(7)),
        Column("bill_reference", Word(20)),
        Column("reverses_id", Identifier),
        Column("reversed_cents", Cents, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("amount_cents > 0", name="ck_operator_transactions_amount"),
        CheckConstraint("reversed_cents BETWEEN 0 AND amount_cents", name="ck_operator_transactions_reversed"),
        CheckConstraint(
            "payer_fee_cents >= 0 AND payee_fee_cents >= 0 AND excise_cents >= 0", name="ck_operator_transactions_fees"
        ),
        _refers("operator_transactions", "source_id"),
        _refers("operator_transactions", "target_id"),
        _refers("operator_transactions", "reverses_id", to="operator_transactions"),
        PrimaryKeyConstraint("id", name="pk_operator_transactions"),
        UniqueConstraint("receipt", name="uq_operator_transactions_receipt"),
    )
    op.create_table(
        "operator_float_issues",
        Column("transaction_id", Identifier, nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("issued_at", Moment, nullable=False),
        Column("bank_reference", Word(64)),
        Column("version", BigInteger, nullable=False),
        _refers("operator_float_issues", "transaction_id", to="operator_transactions"),
        PrimaryKeyConstraint("transaction_id", name="pk_operator_float_issues"),
        UniqueConstraint("bank_reference", name="uq_operator_float_issues_bank_reference"),
    )
    op.create_table(
        "operator_bank_deposits",
        Column("reference", Word(64), nullable=False),
        Column("amount_cents", Cents, nullable=False),
        Column("entered_by", Word(64), nullable=False),
        Column("entered_at", Moment, nullable=False),
        Column("state", Word(10), nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("state IN ('FLOAT', 'OWN_FUNDS', 'SUSPENSE')", name="ck_operator_bank_deposits_state"),
        PrimaryKeyConstraint("reference", name="pk_operator_bank_deposits"),
    )
    op.create_table(
        "operator_tariffs",
        Column("valid_from", Word(10), nullable=False),
        Column("name", Word(80), nullable=False),
        Column("document", Document, nullable=False),
        PrimaryKeyConstraint("valid_from", name="pk_operator_tariffs"),
    )


def _charges(op: Operations) -> None:
    charges = op.create_table(
        "operator_charges",
        Column("id", Identifier, nullable=False),
        Column("operation", Word(16), nullable=False),
        Column("source_type", Word(16), nullable=False),
        Column("target_type", Word(16), nullable=False),
        Column("fee_cents", Cents, nullable=False),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("fee_cents >= 0", name="ck_operator_charges_fee"),
        PrimaryKeyConstraint("id", name="pk_operator_charges"),
    )
    op.bulk_insert(
        charges,
        [
            {"id": UUID(int=_CHARGE_IDS + number), "fee_cents": 0, "version": 0}
            | {"operation": operation, "source_type": source, "target_type": target}
            for number, (operation, source, target) in enumerate(_CHARGES, start=1)
        ],
    )


def _refers(name: str, field: str, *, to: str = "operator_customers") -> ForeignKeyConstraint:
    return ForeignKeyConstraint([field], [f"{to}.id"], name=f"fk_{name}_{field}")
