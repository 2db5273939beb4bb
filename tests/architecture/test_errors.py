"""The error catalogue: every refusal has one stable code, and every code one HTTP status."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable

from penpay.domain.shared.errors import DomainError

PRODUCT = ("penpay.domain", "penpay.application")
"""Whose refusals reach a caller of our API; the sandbox answers as Safaricom and Deriv do."""


def refusals() -> list[type[DomainError]]:
    """Every kind of refusal the product can give."""
    for package in PRODUCT:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    return [kind for kind in descendants(DomainError) if kind.__module__.startswith(PRODUCT)]


def descendants(kind: type[DomainError]) -> list[type[DomainError]]:
    return [found for child in kind.__subclasses__() for found in (child, *descendants(child))]


def faults(kinds: Iterable[type[DomainError]]) -> list[str]:
    """What is wrong with the codes and titles of these refusals."""
    found = []
    owners: dict[str, str] = {}
    for kind in kinds:
        code, title = vars(kind).get("code"), vars(kind).get("title")
        if not isinstance(code, str) or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", code):
            found.append(f"{kind.__name__}: its code {code!r} is not snake_case of its own")
        elif owners.setdefault(code, kind.__name__) != kind.__name__:
            found.append(f"{kind.__name__}: {owners[code]} already has the code {code}")
        if not isinstance(title, str) or not re.fullmatch(r"[A-Z].*\.", title):
            found.append(f"{kind.__name__}: its title is not a sentence of its own")
    return found


def test_every_refusal_has_a_code_and_a_title_of_its_own() -> None:
    """A caller can tell every refusal from every other, and a person can read it."""
    found = faults(refusals())

    assert not found, "\n".join(found)


def test_every_refusal_has_one_http_status() -> None:
    """The table of statuses has a row for every code and none for a code that is gone."""
    # Imported here, so that the other tests of this module need no web framework.
    from penpay.presentation.http.errors import STATUS  # noqa: PLC0415 -- see above

    assert {kind.code for kind in refusals()} == set(STATUS)
    assert all(400 <= status <= 599 for status in STATUS.values()), STATUS


def test_a_faulty_catalogue_is_found() -> None:
    """Codes that are missing, inherited, misspelt or taken, and titles that are no sentence, each are a fault."""

    class Good(DomainError):
        code, title = "good_code", "All is well."

    class Taken(DomainError):
        code, title = "good_code", "All is well."

    class Misspelt(DomainError):
        code, title = "Bad-Code", "All is well."

    class Untitled(DomainError):
        code, title = "other_code", "no sentence"

    class Inherited(Good):
        pass

    found = faults([Good, Taken, Misspelt, Untitled, Inherited])

    assert ["Taken", "Misspelt", "Untitled", "Inherited", "Inherited"] == [fault.partition(":")[0] for fault in found]
