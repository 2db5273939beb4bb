"""The operator's oracle: what its clients were answered on the wire, and what must follow from that.

It never asks the operator: prices come from `prices`, balances from what was answered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penpay.simulation.mobile_money.members import Member, read
from penpay.simulation.mobile_money.wishes import What, Wish
from penpay.simulation.nemesis import Notes

PIN_ATTEMPTS: Final = 3
"""Wrong PINs that lock it (rules of Kenya); an oracle does not ask the operator for its rules."""
_WORDLESS: Final = frozenset({What.DECISION, What.EVIDENCE, What.CONSENT, What.PURCHASE})
"""Their answers tell nothing of an amount or a fee."""


class OperatorOracle:
    """Keeps what was wished for and answered in one run."""

    def __init__(self, notes: Notes, opening: Mapping[str, int]) -> None:
        """`opening`: by ledger account, what it held when the world began."""
        self._notes = notes
        self.opening = dict(opening)
        self.wishes: list[Wish] = []
        self.broken: list[str] = []
        self._credited: Counter[str] = Counter()
        """By wallet: what was credited for certain."""
        self._wrong_pins: defaultdict[str, int] = defaultdict(int)
        """By customer: wrong PINs that were told as such since her PIN was set."""

    def found(self, finding: str) -> None:
        """Something was seen that must not be."""
        self.broken.append(finding)

    # -- what is asked and answered

    def sends(self, wish: Wish) -> None:
        """A wish goes out, for the first time or again."""
        if not wish.is_sent:
            wish.is_sent = True
            wish.credited_cents = self._credited[wish.asker.wallet]
            self.wishes.append(wish)
        wish.unknown += 1

    def done(self, wish: Wish, content: bytes) -> None:
        """It was answered as done; what was answered before must be the same to the byte."""
        if wish.content is not None:
            if wish.content != content:
                self.found(f"O4: two answers to {_name(wish)} under one key")
            return
        body = read(content)
        data = body.get("data")
        wish.content, wish.answer = content, data if isinstance(data, dict) else {}
        self._notes.trace(f"{_name(wish)} is done {wish.answer.get('receipt', '')}".rstrip())
        if wish.is_forbidden:
            self.found(f"O6: {_name(wish)} was done, and must be refused")
        self._notes.reach(f"operator {wish.what} {'asked' if self._is_pending(wish) else 'done'}")
        movement = wish.movement
        if movement is None or self._is_pending(wish):
            return
        self._compare(wish, wish.answer)
        for code, cents in movement.effects(self.moved(wish)).items():
            if cents > 0:
                self._credited[code] += cents

    def _is_pending(self, wish: Wish) -> bool:
        return wish.answer.get("approvalState") == "PENDING"

    def _compare(self, wish: Wish, answer: Mapping[str, Any]) -> None:
        movement = wish.movement
        if movement is None or wish.what in _WORDLESS:
            return
        told = answer.get("amountCents", movement.cents)
        if movement.cents is not None and told != movement.cents:
            self.found(f"O3: {_name(wish)} was answered with {told} cents")
        if movement.cents is None and told > movement.at_most_cents:
            self.found(f"O3: {_name(wish)} gave {told} cents, and at most {movement.at_most_cents} are there")
        if answer.get("feeCents", movement.cost.payer_fee) != movement.cost.payer_fee:
            self.found(f"O2: {_name(wish)} cost {answer['feeCents']} instead of {movement.cost.payer_fee}")

    def moved(self, wish: Wish) -> int:
        """How much a wish that was done has moved, as it was answered."""
        movement = wish.movement
        if movement is None:
            return 0
        return int(wish.answer.get("amountCents", 0)) if movement.cents is None else movement.cents

    def refused(self, wish: Wish, code: str, *, is_repeat: bool) -> None:
        """It was refused for good. After an unanswered try that says nothing of what became of the first.

        `is_repeat`: it was known to be done when it was asked for again. Of two that were under way together one may
        have been refused before the other was done: a refusal binds nothing to the key.
        """
        wish.refusal = code
        self._notes.trace(f"{_name(wish)} is refused {code}")
        self._notes.reach(f"operator refused {code}")
        if is_repeat:
            self.found(f"O4: {_name(wish)} was done, and its repeat is refused {code}")
        elif code not in wish.refusals:
            self.found(f"O6: {_name(wish)} was refused {code}")
        elif code == "insufficient_funds" and not wish.is_open and not wish.is_forbidden:
            self._compare_funds(wish)

    def _compare_funds(self, wish: Wish) -> None:
        """Nobody is refused who must have enough, whatever became of all that is not answered."""
        movement = wish.movement
        if movement is None or movement.source is not wish.asker:
            return
        debits = sum(one.movement.debit for one in self._from(wish.asker) if one is not wish and one.movement)
        sure = self.opening.get(wish.asker.wallet, 0) + wish.credited_cents - debits
        if sure >= movement.debit:
            self.found(f"O6: {_name(wish)} lacks funds, and at least {sure} cents are there")

    def _from(self, member: Member) -> Iterator[Wish]:
        """What may have taken money from her."""
        for wish in self.wishes:
            movement = wish.movement
            if movement is not None and movement.source is member and wish.is_possible:
                yield wish

    # -- PINs

    def pin_missed(self, member: Member, code: str, left: object) -> None:
        """A wrong PIN was answered so, with so many left. One that went unanswered may have been counted or not."""
        self._wrong_pins[member.id] += 1
        missed = self._wrong_pins[member.id]
        if missed >= PIN_ATTEMPTS and code != "pin_locked":
            self.found(f"O6: {missed} wrong PINs of {member.name}, and it is not locked")
        if code == "wrong_pin" and not (isinstance(left, int) and left <= PIN_ATTEMPTS - missed):
            self.found(f"O6: {missed} wrong PINs of {member.name} leave {left}")
        is_certain = not any(one.is_open for one in self.wishes if one.asker is member)
        if is_certain and missed < PIN_ATTEMPTS and code == "pin_locked":
            self.found(f"O6: {missed} wrong PINs of {member.name} have locked it")

    def pin_set(self, member: Member) -> None:
        """Customer care has taken the lock off, and she has a new PIN."""
        self._wrong_pins[member.id] = 0


def _name(wish: Wish) -> str:
    return f"{wish.what} {wish.key or 'without a key'} of {wish.asker.name}"
