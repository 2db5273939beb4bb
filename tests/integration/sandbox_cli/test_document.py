"""docs/sandbox.md is true: its commands run as written, and its snippets push in their languages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penpay.cli import build_app
from tests.architecture.source import ROOT
from tests.architecture.test_docs import blocks
from tests.integration.sandbox_cli.pushing import PAYER
from tests.support.not_run import skip_not_run
from tests.support.sandbox_program import SandboxProgram

pytestmark = pytest.mark.slow

DOCUMENT = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
LANGUAGES = {
    "python": ("python3", "push.py"),
    "js": ("node", "push.mjs"),
    "php": ("php", "push.php"),
    "java": ("java", "Push.java"),
}
USUAL = "http://127.0.0.1:6700"


def typed_lines() -> list[str]:
    """Every shell line but the one that starts the sandbox, and every fault of the table."""
    lines = [line for block in blocks(DOCUMENT, "sh") for line in block.splitlines() if line != "penpay sandbox"]
    return lines + re.findall(r"`(penpay sandbox faults add [^`-][^`]*)`", DOCUMENT)


@pytest.mark.parametrize("line", typed_lines())
def test_a_command_runs_as_written(sandbox: SandboxProgram, line: str) -> None:
    """It is understood and not refused; only the port is another here."""
    words = shlex.split(line.replace(USUAL, sandbox.url))
    try:
        if words[:3] == ["penpay", "sandbox", "sim"]:
            sandbox.penpay(*words[2:])  # reads a real standard input
        elif words[0] == "penpay":
            ended = CliRunner().invoke(build_app(), [*words[1:], "--port", sandbox.port], input="")
            assert (0, None) == (ended.exit_code, ended.exception), ended.output
        else:
            assert "curl" == words[0]
            answered = subprocess.run(  # noqa: S603  (what the document tells people to type)
                [*words, "--fail-with-body"], capture_output=True, text=True, timeout=60, check=False
            )
            assert 0 == answered.returncode, answered.stdout
    finally:
        sandbox.ask("DELETE", "/sandbox/faults")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_snippet_pushes(sandbox: SandboxProgram, language: str, tmp_path: Path) -> None:
    """The program as it stands in the document gets a token and shows a prompt."""
    program, name = LANGUAGES[language]
    found = shutil.which(program)
    if found is None:
        skip_not_run(f"the {language} snippet of docs/sandbox.md", f"there is no {program} here")
    (text,) = blocks(DOCUMENT, language)
    (tmp_path / name).write_text(text, encoding="utf-8")
    ended = subprocess.run(  # noqa: S603  (a program of the document)
        [found, tmp_path / name],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "BASE": sandbox.url,
            "KEY": sandbox.told("Consumer key"),
            "SECRET": sandbox.told("Consumer secret"),
        },
    )
    assert 0 == ended.returncode, ended.stderr
    assert "Success. Request accepted for processing" in ended.stdout
    shown = sandbox.ask("GET", f"/sandbox/phones/{PAYER.phone.msisdn}")["prompt"]
    assert {"js": "NODE"}.get(language, language.upper()) == shown["account_reference"]
    sandbox.ask("POST", f"/sandbox/phones/{PAYER.phone.msisdn}/cancel")


def test_the_snippets_and_the_welcome_name_the_same_passkey(sandbox: SandboxProgram) -> None:
    """A reader who copies a snippet has the passkey of the number it pushes for."""
    assert {sandbox.told("Passkey")} == set(re.findall(r"\b[0-9a-f]{64}\b", DOCUMENT))
