"""Which of the forms that a document has a caller asks for."""

from __future__ import annotations

from typing import Final

CSV: Final = "text/csv"
PDF: Final = "application/pdf"
_JSON: Final = frozenset({"application/json", "*/*", "application/*"})


def accepted(accept: str, offered: frozenset[str]) -> str | None:
    """The first of the offered media types that a caller names; None for JSON, and for one who names none of them."""
    for part in accept.split(","):
        media = part.partition(";")[0].strip().lower()
        if media in offered:
            return media
        if media in _JSON:
            break
    return None


def accepts_csv(accept: str) -> bool:
    """Whether a caller wants a table for a spreadsheet."""
    return accepted(accept, frozenset({CSV})) is not None
