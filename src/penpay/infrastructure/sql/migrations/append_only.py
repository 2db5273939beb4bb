"""Tables that nobody can change, whatever SQL they send: triggers refuse UPDATE, DELETE and TRUNCATE."""

from __future__ import annotations

from alembic.operations import Operations

_REFUSAL = "penpay_refuse_change"


def protect(op: Operations, *tables: str) -> None:
    """Make tables append-only from now on.

    SQLite: REPLACE deletes through these triggers only with `recursive_triggers` on, which `open_engine` sets.
    PostgreSQL: the trigger runs once a statement, so even a change that finds no row is refused.
    MySQL, MariaDB: TRUNCATE runs no trigger; the application's role has no DROP right, which it would need for it.
    Raises KeyError on an engine for which no protection is written: a ledger without it must not come into being.
    """
    engines = {"sqlite": _on_sqlite, "postgresql": _on_postgresql, "mysql": _on_mysql}
    engines[op.get_context().dialect.name](op, tables)


def _on_sqlite(op: Operations, tables: tuple[str, ...]) -> None:
    for table in tables:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _on_mysql(op: Operations, tables: tuple[str, ...]) -> None:
    for table in tables:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} FOR EACH ROW "
                f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{table} is append-only'"
            )


def _on_postgresql(op: Operations, tables: tuple[str, ...]) -> None:
    op.execute(
        f"CREATE OR REPLACE FUNCTION {_REFUSAL}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table in tables:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {_REFUSAL}()"
        )
