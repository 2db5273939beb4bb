"""The examples print what docs/examples.md shows, every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(
    r"^```sh\n\.venv/bin/python (examples/\w+\.py)\n```\n\n```text\n(.*?)^```$",
    (ROOT / "docs" / "examples.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


def test_every_example_is_shown() -> None:
    """The page has each of them, and no other."""
    told = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").glob("*.py") if path.stem != "showing"}

    assert told == {path for path, _ in SHOWN}


@pytest.mark.parametrize(("path", "text"), SHOWN, ids=[path for path, _ in SHOWN])
def test_an_example_prints_what_the_page_shows(path: str, text: str, tmp_path: Path) -> None:
    """Started from anywhere, with nothing but its own databases, it tells the same story and every book agrees."""
    done = subprocess.run(  # noqa: S603  (our own program, no shell)
        [sys.executable, str(ROOT / path)],
        capture_output=True,
        cwd=tmp_path,
        env={"PATH": os.environ.get("PATH", "")},
        text=True,
        timeout=100,
        check=False,
    )

    assert (0, text) == (done.returncode, done.stdout), done.stderr
    assert "Traceback" not in done.stderr
    assert [] == list(tmp_path.iterdir())
