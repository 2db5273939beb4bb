"""What must hold of refunds that M-Pesa pays out: once, under one id, and told as what the customer's phone got."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from penpay.simulation.books import Books, Row, identifier
from penpay.simulation.collections.paying_out import PayingOut
from penpay.simulation.withdrawals.shown import kept_as_told, told_again
from penpay.simulation.withdrawals.tally import Sent

_PAYOUTS: Final = "SELECT * FROM mpesa_disbursements ORDER BY id"
_IN_DOUBT: Final = frozenset({"UNKNOWN", "ACCEPTED"})
_BEFORE: Final = frozenset({"PROPOSED", "REJECTED"})


async def paid_back(paying: PayingOut, phones: Mapping[str, str], books: Books) -> list[str]:
    """K13: each refund, its payout, and what reached the phone; `phones`: by refund, who was to be paid."""
    broken = list(_refunds(paying, phones, books))
    if paying.is_alone:
        broken.extend(_strangers(paying, books))
        broken.extend(finding.replace("W5", "K13") for finding in paying.tally.broken)
        broken.extend(finding.replace("W8", "K13") for finding in await kept_as_told(paying.world, paying.tally))
        again = await told_again(paying.world, paying.tally, books)
        broken.extend(finding.replace("W8", "K13") for finding in again)
    return broken


def _refunds(paying: PayingOut, phones: Mapping[str, str], books: Books) -> Iterator[str]:
    payouts = books.ours(_PAYOUTS)
    reviews = books.ours("SELECT * FROM reviews")
    for row in books.ours("SELECT * FROM collections_refunds ORDER BY id"):
        own = [one for one in payouts if one["subject_id"] == row["id"]]
        ids = {one["originator_conversation_id"] for one in own}
        about = {one["id"] for one in own}
        refund = _Refund(
            row,
            own,
            sent=[one for one in paying.tally.sent if one.id in ids],
            paid=[one for one in books.paid_out() if one["ocid"] in ids],
            reviews=[one for one in reviews if one["subject_id"] in about],
            is_lied=bool(ids & paying.tally.lied),
        )
        yield from refund.once(phones.get(identifier(row["id"])))
        yield from refund.as_told()


class _Refund:
    """One refund: what the books say, and what became of it."""

    def __init__(  # each is a fact of its own
        self,
        row: Row,
        payouts: Sequence[Row],
        *,
        sent: Sequence[Sent],
        paid: Sequence[Row],
        reviews: Sequence[Row],
        is_lied: bool,
    ) -> None:
        self._state, self._cents = row["state"], row["amount_cents"]
        self._payouts = payouts
        self._sent = sent
        self._paid = paid
        self._is_lied = is_lied
        self._is_asked = any(one["amount_cents"] == self._cents for one in reviews)
        """Whether people were asked about exactly this money."""

    @property
    def _about(self) -> str:
        return f"{self._cents}, {self._state} {'/'.join(one['state'] for one in self._payouts)}"

    def once(self, phone: str | None) -> Iterator[str]:
        """One payout, under one id, to the phone that was named, and only once two people had agreed."""
        if len(self._payouts) > 1:
            yield f"K13: {len(self._payouts)} payouts of one refund ({self._about})"
        if self._state in _BEFORE and self._payouts:
            yield f"K13: nobody has agreed to a refund, and it is paid out ({self._about})"
        if len({one.id for one in self._sent}) > 1 or len(self._paid) > 1:
            yield f"K13: a refund was paid {len(self._paid)} times ({self._about})"
        if any(one.cents != self._cents for one in self._sent):
            yield f"K13: another amount than that of the refund was sent ({self._about})"
        if phone is not None and any(one.msisdn != phone for one in self._sent):
            yield f"K13: a refund was sent to somebody else's phone ({self._about})"
        if any(one["amount_cents"] != self._cents for one in self._paid):
            yield f"K13: the phone got another amount than that of the refund ({self._about})"

    def as_told(self) -> Iterator[str]:
        """Told as paid if the phone got it, as failed if it did not; what nobody knows is with people."""
        was_paid = bool(self._paid)
        if self._state in _BEFORE:
            return
        if self._state == "PAID" and not was_paid and not (self._is_lied and self._is_asked):
            yield f"K13: told as paid back, and the phone got nothing ({self._about})"
        if self._state == "FAILED" and was_paid:
            yield f"K13: told as not paid back, and the phone got it ({self._about})"
        if self._state == "APPROVED" and not self._payouts:
            yield f"K13: two people have agreed to a refund, and nobody pays it out ({self._about})"
        if self._state == "APPROVED" and self._payouts and not self._is_asked:
            yield f"K13: nobody knows what became of a refund, and nobody looks ({self._about})"
        for one in self._payouts:
            ended = {"CONFIRMED": "PAID", "FAILED": "FAILED"}.get(one["state"], "APPROVED")
            if ended != self._state and not (self._is_asked and self._state == "PAID"):
                yield f"K13: a payout and its refund do not say the same ({self._about})"
            if one["state"] not in {*_IN_DOUBT, "CONFIRMED", "FAILED"} or one["due_at"] is not None:
                yield f"K13: a payout is not decided ({self._about})"


def _strangers(paying: PayingOut, books: Books) -> Iterator[str]:
    """Nothing reaches M-Pesa, or leaves by it, that the books do not know."""
    known = {row["originator_conversation_id"] for row in books.ours(_PAYOUTS)}
    sent = {one.id for one in paying.tally.sent}
    for one in sorted(sent - known):
        yield f"K13: a payout was sent under {one}, which the books do not know"
    for row in books.paid_out():
        if row["ocid"] not in sent:
            yield f"K13: M-Pesa has paid {row['amount_cents']} under {row['ocid']}, which nobody sent"
