"""Domain events: past-tense, immutable, versioned facts about one aggregate, carrying enough to rebuild it.

They can never be changed or erased, so they hold ids and amounts, never names, phone numbers, tokens or codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

Fact = str | int | bool | None
"""What an event's payload may hold; a moment is written as RFC 3339 text in UTC."""


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """One fact; `sequence` counts the events of its aggregate from 1 without gaps."""

    name: str
    aggregate_type: str
    aggregate_id: UUID
    sequence: int
    payload: Mapping[str, Fact]
    schema_version: int = 1
