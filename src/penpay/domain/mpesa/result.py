"""The Result that M-Pesa posts to a ResultURL, whatever it is about: one envelope with named values.

Daraja signs nothing, so all of it is a claim (daraja.md §0.1 fact 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from penpay.domain.mpesa.fields import ABSENT, UNREADABLE, Amount, amount, moment, plain_text, receipt
from penpay.domain.mpesa.wire import UnreadableJson, UnreadableMessage, code_text, opaque_id, read_object, shown_text


@dataclass(frozen=True, slots=True)
class Values:
    """Named values in the order they came. A name may stand without a value, and may stand twice (daraja.md §5.1)."""

    pairs: tuple[tuple[str, str | None], ...] = field(default=(), repr=False)
    """Values hold names and phone numbers of people, so `repr` shows none."""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value under this name."""
        return tuple(value for key, value in self.pairs if key == name and value is not None)

    def one(self, name: str) -> str | None:
        """The value under this name; None if there is none, or if two differ."""
        distinct = set(self.all(name))
        return distinct.pop() if len(distinct) == 1 else None

    def amount(self, name: str) -> Amount:
        """The amount under this name; two that differ are unreadable."""
        texts = set(self.all(name))
        if not texts:
            return ABSENT
        return amount(texts.pop()) if len(texts) == 1 else UNREADABLE

    def moment(self, name: str) -> datetime | None:
        """The moment under this name, in UTC."""
        return moment(self.one(name))

    def receipt(self, name: str) -> str | None:
        """The receipt under this name; see `fields.receipt`."""
        return receipt(self.one(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    result_code: str
    """Read it with `verdicts_results`; the same code means another thing in another product."""
    result_desc: str
    """For people; at most 200 characters, phone numbers cut out."""
    originator_conversation_id: str | None
    """Of the call this is the Result of. One of the two ids is always there."""
    conversation_id: str | None
    receipt: str | None
    """TransactionID; None for the dummy "…0000000", which repeats (daraja.md §0.1 fact 19)."""
    parameters: Values
    references: Values


def parse_result(raw: bytes) -> Result:
    """Read a Result envelope (daraja.md §4.4, §5). Raises UnreadableMessage and nothing else.

    Codes may be numbers or text. ResultParameter and ReferenceItem may be one object instead of an array, be missing,
    or hold items without Value.
    """
    try:
        result = read_object(raw).get("Result")
    except UnreadableJson as error:
        raise UnreadableMessage(str(error), raw) from None
    if not isinstance(result, dict):
        raise UnreadableMessage("There is no object Result.", raw)
    code = code_text(result.get("ResultCode"))
    originator = opaque_id(result.get("OriginatorConversationID"))
    conversation = opaque_id(result.get("ConversationID"))
    if code is None or (originator is None and conversation is None):
        raise UnreadableMessage("The ResultCode or both conversation ids are missing or none.", raw)
    parameters = _values(result.get("ResultParameters"), "ResultParameter")
    if parameters is None:
        raise UnreadableMessage("ResultParameters hold something else than items with a Key.", raw)
    return Result(
        result_code=code,
        result_desc=shown_text(result.get("ResultDesc")),
        originator_conversation_id=originator,
        conversation_id=conversation,
        receipt=receipt(result.get("TransactionID")),
        parameters=parameters,
        # What stands there repeats our own request, so nothing is lost with what cannot be read.
        references=_values(result.get("ReferenceData"), "ReferenceItem") or Values(),
    )


def _values(parent: object, key: str) -> Values | None:
    if not isinstance(parent, dict):
        return Values() if parent is None or parent == "" else None
    items = parent.get(key)
    if items is None:
        return Values()
    pairs = [_pair(item) for item in (items if isinstance(items, list) else [items])]
    named = tuple(pair for pair in pairs if pair is not None)
    return Values(named) if len(named) == len(pairs) else None


def _pair(item: object) -> tuple[str, str | None] | None:
    if not isinstance(item, Mapping):
        return None
    name, value = item.get("Key"), item.get("Value")
    if not isinstance(name, str):
        return None
    # What is neither text nor a number stays what it was, so that no reader takes it for absent.
    return name, None if value is None else plain_text(value) or json.dumps(value, default=str)
