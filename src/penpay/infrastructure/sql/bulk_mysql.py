"""Bulk statements for MySQL and MariaDB: many rows in the text of one statement, and changes as a CASE for each column.

Neither server's protocol carries many rows of values in a form that the other knows too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from penpay.infrastructure.sql.types import Row, sql_literals

_CHARACTERS: Final = 1_000_000
"""About as long as one INSERT gets, at most 4 MB; the servers take 16 MB (MariaDB) or 64 MB unless told otherwise."""
_CASES: Final = 100
"""Rows in one UPDATE: a CASE is searched from its beginning for every row."""


class MysqlStatements:
    """The statements that write one table; `key`, `values` and `columns` are its columns' names."""

    def __init__(self, table: str, columns: Sequence[str], *, key: Sequence[str], values: Sequence[str]) -> None:
        self._table = f"`{table}`"
        self._columns = columns
        self._key = key
        self._values = values

    def inserts(self, rows: Sequence[Row]) -> Iterator[str]:
        """Statements that insert these rows."""
        names = ", ".join(f"`{name}`" for name in self._columns)
        head = f"INSERT INTO {self._table} ({names}) VALUES "  # noqa: S608  (own names)
        columns = map(sql_literals, zip(*rows, strict=True))
        texts: list[str] = []
        length = 0
        for text in map(",".join, zip(*columns, strict=True)):
            texts.append(text)
            length += len(text)
            if length > _CHARACTERS:
                yield f"{head}({'),('.join(texts)})"
                texts, length = [], 0
        if texts:
            yield f"{head}({'),('.join(texts)})"

    def updates(self, rows: Sequence[Row], versions: Sequence[int] | None) -> Iterator[str]:
        """Statements that set the mutable columns of these rows, each still in its version where there are versions."""
        for start in range(0, len(rows), _CASES):
            some = rows[start : start + _CASES]
            by_name = dict(zip(self._columns, map(sql_literals, zip(*some, strict=True)), strict=True))
            match = self._matches([by_name[name] for name in self._key])
            sets = ", ".join(f"`{name}` = {_case(match, by_name[name])}" for name in self._values)
            where = self._among([by_name[name] for name in self._key])
            if versions is not None:
                where += f" AND `version` = {_case(match, map(str, versions[start : start + _CASES]))}"
            yield f"UPDATE {self._table} SET {sets} WHERE {where}"  # noqa: S608  (own names)

    def deletes(self, keys: Sequence[Row]) -> Iterator[str]:
        """Statements that delete the rows with these keys."""
        for start in range(0, len(keys), _CASES):
            columns = [sql_literals(column) for column in zip(*keys[start : start + _CASES], strict=True)]
            yield f"DELETE FROM {self._table} WHERE {self._among(columns)}"  # noqa: S608  (own names)

    def _matches(self, columns: Sequence[Sequence[str]]) -> list[str]:
        """For each row the condition that it is this one."""
        named = zip(self._key, columns, strict=True)
        equal = [[f"`{name}` = {literal}" for literal in literals] for name, literals in named]
        return [" AND ".join(parts) for parts in zip(*equal, strict=True)]

    def _among(self, columns: Sequence[Sequence[str]]) -> str:
        """That a row is one of these."""
        names = ",".join(f"`{name}`" for name in self._key)
        values = ",".join(f"({','.join(each)})" for each in zip(*columns, strict=True))
        return f"({names}) IN ({values})"


def _case(match: Sequence[str], literals: Iterable[str]) -> str:
    cases = chain.from_iterable((f" WHEN {one} THEN ", literal) for one, literal in zip(match, literals, strict=True))
    return f"CASE{''.join(cases)} END"
