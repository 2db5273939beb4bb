"""Secrets that an embedded database got when a program first ran on it, in a file beside it for its owner only."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import typer

from penpay.application.shared.ports import Random
from penpay.cli.session import fail
from penpay.infrastructure.security.keys import KEY_BYTES

KEYS: Final = ("PENPAY_FIELD_KEYS", "PENPAY_MASTER_KEY")
"""What seals fields and derives every other key."""
_TEXT_BYTES: Final = 16


def drawn(random: Random, names: Sequence[str]) -> Mapping[str, str]:
    """A new value for each of these settings, in the form the setting has."""
    return {name: _draw(random, name) for name in names}


def kept(file: Path, names: Sequence[str], random: Random, whose: str) -> Mapping[str, str]:
    """What stands in the file; what is missing there is drawn and added, and told on standard error."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(file, "a+", encoding="utf-8", opener=_private) as held:
            held.seek(0)
            found = dict(line.split("=", 1) for line in held.read().splitlines() if line)
            missing = [name for name in names if name not in found]
            if missing:
                found |= drawn(random, missing)
                held.writelines(f"{name}={found[name]}\n" for name in missing)
                typer.echo(f"Drew keys of this {whose} into {file}: keep it as safe as the database.", err=True)
    except OSError as failure:
        fail("file_unreadable", f"{file} cannot be read: {failure.strerror}.")
    return {name: found[name] for name in names}


def _draw(random: Random, name: str) -> str:
    if name not in KEYS:
        return random.token_bytes(_TEXT_BYTES).hex()
    key = base64.b64encode(random.token_bytes(KEY_BYTES)).decode()
    return f"k1:{key}" if name == KEYS[0] else key


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
