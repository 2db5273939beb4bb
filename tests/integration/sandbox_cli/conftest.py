"""One sandbox, started without any setting, for the commands of a second terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sandbox_program import SandboxProgram


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProgram]:
    """A sandbox that runs while the module does, and ends in good order."""
    made = SandboxProgram(tmp_path_factory.mktemp("sandbox"))
    try:
        made.start(columns="80")
        yield made
        made.stop()
    finally:
        made.kill()
