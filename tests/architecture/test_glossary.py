"""The glossary is the one language: it names every table and every JSON key, and nothing that does not exist.

In docs/glossary.md a block fenced as ```tables and one fenced as ```json-keys hold one name a line, sorted; what
follows the name on its line is its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.architecture.source import ROOT


def listed(markdown: str, kind: str) -> list[str]:
    """The first word of each line in the one block fenced as `kind`."""
    (block,) = re.findall(rf"^```{kind}\n(.*?)^```$", markdown, re.DOTALL | re.MULTILINE)
    return [line.split()[0] for line in block.splitlines() if line.strip()]


def keys(schema: Any) -> Iterator[str]:
    """Every property name that an OpenAPI document declares, at any depth."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for value in schema.values():
            yield from keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys(value)


@pytest.fixture
def glossary() -> str:
    return (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_the_glossary_lists_the_tables(glossary: str) -> None:
    """A table gets its name in the glossary before it gets a migration."""
    # Imported here, so that the tests of the checker itself need neither database nor web framework. The tables of the
    # operator, of Collections, of the payouts and of the staff join the one schema when their modules are read.
    from penpay.infrastructure.sql.capture_tables import till_pushes  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.collections_outflow_tables import collections_outflows  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.collections_recurring_tables import recurring_invoices  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.collections_tables import customers  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.notification_tables import notifications  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.operator_tables import stk_pushes  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.payout_tables import secrets  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.reminder_tables import invoice_reminders  # noqa: PLC0415 -- see above
    from penpay.infrastructure.sql.staff_tables import staff  # noqa: PLC0415 -- see above

    assert stk_pushes.metadata is customers.metadata is till_pushes.metadata is staff.metadata is secrets.metadata
    assert stk_pushes.metadata is notifications.metadata is collections_outflows.metadata is recurring_invoices.metadata
    assert stk_pushes.metadata is invoice_reminders.metadata
    assert sorted(stk_pushes.metadata.tables) == listed(glossary, "tables")


def test_the_glossary_lists_the_json_keys(glossary: str) -> None:
    """What a client sends and receives is spelt as the glossary spells it."""
    from penpay.presentation.http.app import create_app  # noqa: PLC0415 -- as above

    assert sorted(set(keys(create_app().openapi()))) == listed(glossary, "json-keys")


def test_the_names_of_a_block_are_read() -> None:
    """Names are read with or without a meaning, from the block asked for alone."""
    markdown = "# G\n```tables\na  the first\nb\n```\ntext\n```json-keys\nc\n```\n"

    assert ["a", "b"] == listed(markdown, "tables")
    assert ["c"] == listed(markdown, "json-keys")


def test_a_missing_block_is_an_error() -> None:
    """A glossary without the block cannot pass as one with an empty list."""
    with pytest.raises(ValueError, match="not enough values"):
        listed("# G\n", "tables")


def test_keys_are_found_at_every_depth() -> None:
    """Keys of nested objects and of alternatives count."""
    schema: Any = {"components": {"A": {"properties": {"x": {"anyOf": [{"properties": {"y": {}}}]}, "properties": {}}}}}

    assert {"x", "y", "properties"} == set(keys(schema))
