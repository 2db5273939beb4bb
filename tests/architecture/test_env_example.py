""".env.example and the settings class are the same list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from tests.architecture.source import ROOT

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def example(text: str) -> dict[str, tuple[str, str]]:
    """The settings of an example file: name → (meaning, from the comment lines right above; value)."""
    found: dict[str, tuple[str, str]] = {}
    meaning: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            meaning.append(line.lstrip("# "))
        elif "=" in line:
            name, _, value = line.partition("=")
            found[name] = (" ".join(meaning), value)
            meaning = []
        else:
            meaning = []
    return found


def faults(text: str, defaults: Mapping[str, str]) -> list[str]:
    """How an example file differs from the settings' names and defaults (as text; empty where there is none)."""
    shown = example(text)
    return [
        *(f"{name} is not in the example" for name in defaults if name not in shown),
        *(f"{name} is no setting" for name in shown if name not in defaults),
        *(f"{name} is not explained" for name, (meaning, _) in shown.items() if not meaning),
        *(
            f"{name} is shown as {value!r}, its default is {defaults[name]!r}"
            for name, (_, value) in shown.items()
            if name in defaults and value != defaults[name]
        ),
    ]


def as_text(field: FieldInfo) -> str:
    """A default as one would write it into the environment; nothing where a value must be given or none is meant."""
    default: Any = field.get_default(call_default_factory=True) if not field.is_required() else None
    if default is None:
        return ""
    if isinstance(default, Enum):
        return str(default.value)
    return default if isinstance(default, str) else json.dumps(default, default=str).strip('"')


def test_the_example_shows_every_setting_with_its_meaning_and_default() -> None:
    """Whoever copies the example sees all there is to set."""
    # Imported here, so that the tests of the checker itself need no settings.
    from penpay.config import Settings  # noqa: PLC0415 -- see above

    prefix = Settings.model_config.get("env_prefix", "")
    defaults = {
        str(field.validation_alias or f"{prefix}{name}").upper(): as_text(field)
        for name, field in Settings.model_fields.items()
    }

    found = faults((ROOT / ".env.example").read_text(encoding="utf-8"), defaults)

    assert not found, "\n".join(found)


def test_every_kind_of_difference_is_found() -> None:
    """A setting that is missing, unknown, unexplained or shown with another default is each a fault."""
    text = "# Where the books are.\nDATABASE_URL=sqlite\n\nMODE=live\n# What is this?\nFOO=\n"

    assert [
        "SECRET is not in the example",
        "FOO is no setting",
        "MODE is not explained",
        "MODE is shown as 'live', its default is 'demo'",
    ] == faults(text, {"DATABASE_URL": "sqlite", "MODE": "demo", "SECRET": ""})


def test_a_comment_explains_only_what_stands_right_below() -> None:
    """A blank line ends a comment, so that a heading explains nothing."""
    text = "# Heading\n\nA=\n# First line,\n# second line.\nB=1\n"

    assert {"A": ("", ""), "B": ("First line, second line.", "1")} == example(text)
