"""The tables of the Deriv simulator: accounts, their rows, whose each token is, and the mails with codes."""

from __future__ import annotations

import sqlalchemy as sa

tables = sa.MetaData()

accounts = sa.Table(
    "deriv_sim_accounts",
    tables,
    sa.Column("login_id", sa.String(32), primary_key=True),
    sa.Column("first_name", sa.String(80), nullable=False),
    sa.Column("last_name", sa.String(80), nullable=False),
    sa.Column("email", sa.String(120), nullable=False),
    sa.Column("country", sa.String(2), nullable=False),
    sa.Column("currency", sa.String(20), nullable=False),
    sa.Column("is_virtual", sa.Boolean, nullable=False),
    sa.Column("statuses", sa.String(300), nullable=False),
    sa.Column("balance_cents", sa.BigInteger, sa.CheckConstraint("balance_cents >= 0"), nullable=False),
    sa.Column("balance_limit_cents", sa.BigInteger),
    sa.Column("agent_name", sa.String(80)),
    sa.Column("agent_countries", sa.String(300)),
    sa.Column("agent_min_cents", sa.BigInteger),
    sa.Column("agent_max_cents", sa.BigInteger),
    sa.Column("agent_day_cents", sa.BigInteger),
    sa.Column("agent_day_count", sa.Integer),
    sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
)

rows = sa.Table(
    "deriv_sim_rows",
    tables,
    sa.Column("transaction_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("login_id", sa.ForeignKey("deriv_sim_accounts.login_id"), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("amount_cents", sa.BigInteger, sa.CheckConstraint("amount_cents <> 0"), nullable=False),
    sa.Column("balance_after_cents", sa.BigInteger, sa.CheckConstraint("balance_after_cents >= 0"), nullable=False),
    sa.Column("counterpart", sa.String(32)),
    sa.Column("remark", sa.String(600), nullable=False),
    sa.Column("app_id", sa.BigInteger),
    sa.Column("happened_at_ms", sa.BigInteger, nullable=False),
    sa.Index("deriv_sim_rows_by_account", "login_id", "happened_at_ms"),
)

tokens = sa.Table(
    "deriv_sim_tokens",
    tables,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("login_id", sa.ForeignKey("deriv_sim_accounts.login_id"), nullable=False),
    sa.Column("scopes", sa.String(200), nullable=False),
)

mails = sa.Table(
    "deriv_sim_mail",
    tables,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("login_id", sa.ForeignKey("deriv_sim_accounts.login_id"), nullable=False),
    sa.Column("email", sa.String(120), nullable=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("code", sa.String(128), nullable=False),
    sa.Column("sent_at_ms", sa.BigInteger, nullable=False),
    sa.Column("is_used", sa.Boolean, nullable=False),
)

_APPEND_ONLY = tuple(
    sa.text(
        f"CREATE TRIGGER IF NOT EXISTS deriv_sim_rows_no_{verb} BEFORE {verb} ON deriv_sim_rows "
        "BEGIN SELECT RAISE(ABORT, 'rows are never changed'); END"
    )
    for verb in ("update", "delete")
)


def create(connection: sa.Connection) -> None:
    """Make what is not there: tables and triggers."""
    tables.create_all(connection)
    for trigger in _APPEND_ONLY:
        connection.execute(trigger)
