"""What organisations need to pay out and ask."""

from __future__ import annotations

from alembic.operations import Operations

revision = "0005"
down_revision = "0004"


def upgrade(op: Operations) -> None:
    """Nothing."""
