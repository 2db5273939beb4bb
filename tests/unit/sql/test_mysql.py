"""What MySQL's and MariaDB's errors mean, and values as their SQL writes them."""

from __future__ import annotations

import pytest
from asyncmy.errors import DataError, IntegrityError, InterfaceError, MySQLError, OperationalError
from sqlalchemy.exc import DBAPIError

from penpay.application.shared.unit_of_work import ConstraintViolated, Transient
from penpay.infrastructure.sql.engine import connection_lost, translated
from penpay.infrastructure.sql.types import sql_literals


def wrapped(raw: MySQLError) -> DBAPIError:
    """The error as SQLAlchemy hands it on."""
    return DBAPIError("INSERT", None, raw)


@pytest.mark.parametrize(
    ("number", "message", "name"),
    [
        (1062, "Duplicate entry 'hunter2' for key 'uq_users_email_index'", "uq_users_email_index"),
        (1062, "Duplicate entry 'hunter2' for key 'users.uq_users_email_index'", "uq_users_email_index"),
        (1062, "Duplicate entry 'it's for key 'hunter2'' for key 'uq_x'", "uq_x"),
        (1062, "Duplicate entry 'hunter2' for key 'PRIMARY'", "PRIMARY"),
        (
            1452,
            "a foreign key constraint fails (`d`.`t`, CONSTRAINT `fk_t_id` FOREIGN KEY (`id`) REFERENCES `u` (`id`))",
            "fk_t_id",
        ),
        (4025, "CONSTRAINT `ck_t_amount` failed for `d`.`t`", "ck_t_amount"),
        (3819, "Check constraint 'ck_t_amount' is violated.", "ck_t_amount"),
        (1048, "Column 'amount' cannot be null", "Column 'amount'"),
        (1644, "ledger_entries is append-only", "ledger_entries is append-only"),
        (1644, "hunter2 said so", "constraint"),
        (1062, "Duplizierter Eintrag 'hunter2'", "constraint"),
    ],
)
def test_a_constraint_is_told_by_its_name(number: int, message: str, name: str) -> None:
    """Both servers' words give the name, and never the values of the row that was refused."""
    meaning = translated(wrapped(IntegrityError(number, message)))

    assert isinstance(meaning, ConstraintViolated)
    assert name == str(meaning)


@pytest.mark.parametrize("number", [1020, 1040, 1205, 1213, 1317, 1969, 3024])
def test_what_passes_is_tried_again(number: int) -> None:
    """Deadlocks, lock waits, interruptions and a full house are nobody's fault, and the connection is still there."""
    error = wrapped(OperationalError(number, "hunter2"))

    assert isinstance(translated(error), Transient)
    assert "hunter2" not in str(translated(error))
    assert not connection_lost(error)


@pytest.mark.parametrize("raw", [OperationalError(n, "gone") for n in (1053, 1927, 2003, 2006, 2013, 4031)])
def test_a_connection_that_is_gone_is_lost(raw: MySQLError) -> None:
    """With it goes the answer to what was sent last."""
    for error in (raw, wrapped(raw), wrapped(InterfaceError(0, "Not connected"))):
        assert connection_lost(error)
        assert isinstance(translated(error), Transient)


@pytest.mark.parametrize(
    "raw", [OperationalError(1054, "Unknown column 'x'"), DataError(1406, "Data too long"), InterfaceError("odd")]
)
def test_anything_else_is_a_fault_of_ours(raw: MySQLError) -> None:
    """It is neither tried again nor taken for a command's."""
    error = wrapped(raw)

    assert error is translated(error)
    assert not connection_lost(error)


def test_no_text_ends_its_literal() -> None:
    """Quotes and backslashes stay inside, in whatever order they come."""
    assert ["'it\\'s'", "'\\\\'", "'\\\\\\''", "'%s'"] == sql_literals(["it's", "\\", "\\'", "%s"])
    assert ["NULL", "1", "0", "-7", "x'00ff'"] == sql_literals([None, True, False, -7, b"\x00\xff"])


def test_what_has_no_literal_is_refused() -> None:
    """A fraction among the values is a mistake to be told of, not to be written."""
    with pytest.raises(TypeError, match="no literal for a float"):
        sql_literals([0.5])
