"""What MySQL 8 and MariaDB need to mean the same as the others: their session, their types, and their errors' meaning.

One dialect, `mysql`, speaks to both servers. Where they differ (the name of a collation, an error's number) both are
here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from asyncmy.errors import MySQLError
from sqlalchemy import Dialect, LargeBinary, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable

NAME: Final = "mysql"

SQL_MODE: Final = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO"
LOCK_WAIT_SECONDS: Final = 5
RECYCLE_SECONDS: Final = 3600
"""How old a connection gets: the servers cut one that was not used for eight hours."""

SESSION: Final = (
    f"SET sql_mode = '{SQL_MODE}', time_zone = '+00:00', foreign_key_checks = 1, unique_checks = 1, "
    f"innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}, lock_wait_timeout = {LOCK_WAIT_SECONDS}, "
    # asyncmy asks for warnings and writes them into the log, and they may quote what stands in a row.
    "max_error_count = 0 "
    # MariaDB alone: from 1,000 values on it would make a join of an IN, and lock rows in the join's order.
    "/*M! , in_predicate_conversion_threshold = 0 */"
)
"""Sent first on each connection: nothing that matters is left to how the server was set up."""

_TRANSIENT: Final = frozenset({1020, 1040, 1203, 1205, 1213, 1317, 1614, 1969, 3024, 3572})
"""Changed since it was read, too many connections (of this user), lock wait, deadlock, interrupted, rolled back by
somebody else, out of time (MariaDB, MySQL), lock not available."""
_LOST: Final = frozenset({0, 1053, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2000, 2002, 2003, 2006, 2013, 2014})
_LOST_TOO: Final = frozenset({2027, 2045, 2055, 3169, 4031})
"""The server ends, or the connection was killed, cut, or never made."""
_CONSTRAINTS: Final = frozenset({1022, 1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 1644, 1761, 1762})
_CHECKS: Final = frozenset({3819, 4025})
"""A CHECK: MySQL's number, MariaDB's."""

_NAMES: Final = (
    re.compile(r" for key '(?:[^'.]*\.)?([^'.]+)'$"),
    re.compile(r"CONSTRAINT `([^`]+)` FOREIGN KEY"),
    re.compile(r"^CONSTRAINT `(?:[^`]+`\.`)*([^`]+)` failed"),
    re.compile(r"^Check constraint '([^']+)' is violated"),
    re.compile(r"^((?:Column|Field) '\w+') "),
    re.compile(r"^(\w+ is append-only)$"),
)
"""Where an error tells the name of what it is about, and nowhere the values of a row."""


class ExactString(String):
    """VARCHAR compared by its bytes: neither case nor accents nor trailing spaces are folded."""


class ExactText(Text):
    """Text of any length, likewise."""


class AnyBytes(LargeBinary):
    """Bytes of any length; MySQL's own BLOB would end at 64 KiB."""


def exact_collation(dialect: Dialect) -> str:
    """The collation that compares bytes and pads nothing; each server has its own name for it."""
    return "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"


@compiles(ExactString, NAME)
def _exact_string(type_: ExactString, compiler: Any, **_: Any) -> str:
    return f"VARCHAR({type_.length}) CHARACTER SET utf8mb4 COLLATE {exact_collation(compiler.dialect)}"


@compiles(ExactText, NAME)
def _exact_text(type_: ExactText, compiler: Any, **_: Any) -> str:  # noqa: ARG001  (as SQLAlchemy calls it)
    return f"MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE {exact_collation(compiler.dialect)}"


@compiles(AnyBytes, NAME)
def _any_bytes(type_: AnyBytes, compiler: Any, **_: Any) -> str:  # noqa: ARG001  (as SQLAlchemy calls it)
    return "MEDIUMBLOB"


@compiles(CreateTable, NAME)
def _create_table(element: CreateTable, compiler: Any, **options: Any) -> str:
    """Tables with transactions, long index keys and the exact collation, whatever the server's defaults are."""
    created = compiler.visit_create_table(element, **options).rstrip()
    collation = exact_collation(compiler.dialect)
    return f"{created} ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"


def number(raw: MySQLError) -> int:
    """The number of a server's error, or of the driver's own; -1 where it has none."""
    first = raw.args[0] if raw.args else None
    return first if isinstance(first, int) else -1


def is_transient(error: int) -> bool:
    return error in _TRANSIENT


def is_lost(error: int) -> bool:
    return error in _LOST or error in _LOST_TOO


def is_constraint(error: int) -> bool:
    return error in _CONSTRAINTS or error in _CHECKS


def constraint(raw: MySQLError) -> str:
    """The constraint's name; never the message, which quotes the row."""
    message = str(raw.args[1]) if len(raw.args) > 1 else ""
    found = next(filter(None, (pattern.search(message) for pattern in _NAMES)), None)
    return found[1] if found else "constraint"
