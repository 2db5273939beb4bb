"""Books to post to."""

from __future__ import annotations

import pytest

from tests.unit.wallet.books import Books


@pytest.fixture
def books() -> Books:
    return Books()
