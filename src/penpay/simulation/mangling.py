"""Answers of providers as nobody ought to send them: cut, without a field, with another type, with more."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Final

from penpay.sandbox.daraja.wire import write_json
from penpay.simulation.nemesis import Nemesis
from penpay.simulation.profile import Hazard

_WAYS: Final = ("cut", "missing", "type", "more")
"""How an answer can be mangled."""


def without_rows(text: str) -> str:
    """A statement page without what makes it one."""
    return text.replace('"transactions"', '"movements"')


def rows_unreadable(text: str) -> str:
    """Only the rows are: the page around them is as it should be."""
    return text.replace('"transaction_id"', '"id"')


def mangled(body: bytes, nemesis: Nemesis) -> bytes:
    """The same answer as nobody ought to send it. It tells nothing that is not true: it tells less, or unreadably."""
    way = nemesis.choose(Hazard.MANGLED_ANSWER, _WAYS)
    try:
        answer = json.loads(body, parse_float=Decimal)
    except ValueError:
        return body[:-1]
    if not isinstance(answer, dict) or not answer or way == "cut":
        return body[: len(body) // 2]
    if way == "more":
        return b'{"nobodyKnows": {"this": [null]}, ' + body.lstrip()[1:]
    kept = answer.get("req_id")
    holder = nemesis.choose(
        Hazard.MANGLED_ANSWER, [answer, *(one for one in answer.values() if isinstance(one, dict) and one)]
    )
    key = nemesis.choose(Hazard.MANGLED_ANSWER, sorted(holder))
    if way == "missing":
        del holder[key]
    else:
        holder[key] = [holder[key]]
    if kept is not None:
        answer["req_id"] = kept  # an answer to nothing is one that was lost
    return write_json(answer).encode()
