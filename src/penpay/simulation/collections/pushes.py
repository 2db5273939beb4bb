"""What must hold of pushes from the till: a sale is paid by its push once at most, by exactly what the phone paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from penpay.simulation.books import Books, Row, identifier
from penpay.simulation.collections.pushing import lies
from penpay.simulation.collections.tally import What

if TYPE_CHECKING:
    from penpay.simulation.collections.business import Business

_REFERENCES: Final = "(SELECT account_reference FROM till_pushes)"
PAYMENTS: Final = f"""SELECT *, push_reference IS NOT NULL OR coalesce(bill_reference, '') IN {_REFERENCES} is_pushed
    FROM payments ORDER BY id"""  # noqa: S608  (own names)
"""All that is booked, and whether it is said to be of a push from the till."""
_PUSHES: Final = """SELECT u.*, s.pos_number FROM till_pushes u JOIN pos_sales s ON s.id = u.sale_id ORDER BY u.id"""
_SALES: Final = """SELECT s.pos_number, s.status, s.total_cents, s.cash_cents, s.mpesa_cents,
        coalesce(sum(CASE t.kind WHEN 'MPESA' THEN t.amount_cents WHEN 'MPESA_RETURNED' THEN -t.amount_cents END), 0)
        told FROM pos_sales s LEFT JOIN pos_tenders t ON t.sale_id = s.id
    WHERE s.id IN (SELECT sale_id FROM till_pushes) GROUP BY s.id ORDER BY s.pos_number"""


def pushed(business: Business, books: Books) -> Iterator[str]:
    """K12: each push from the till, its prompt, and the payments that the books hold for it."""
    lied = lies(business.world, business.tally)
    others = business.tally.bills.keys()
    payments = [row for row in books.ours(PAYMENTS) if row["is_pushed"]]
    for row in books.ours(_PUSHES):
        reference = row["account_reference"]
        # Whoever forges takes the receipts of others, too: what those have paid is looked at where they paid it.
        own = [
            one
            for one in payments
            if one["push_reference"] == reference
            or (one["bill_reference"] == reference and one["mpesa_receipt_number"] not in others)
        ]
        push = _Push(business, books, row, own, is_lied=row["account_reference"] in lied)
        yield from push.asked()
        yield from push.booked()
    yield from _answered(business, books)


class _Push:
    """One push: what the operator made of it, and what the books hold."""

    def __init__(  # each is a fact of its own
        self, business: Business, books: Books, row: Row, payments: Sequence[Row], *, is_lied: bool
    ) -> None:
        self._row = row
        self._reference = row["account_reference"]
        self._payments = payments
        self._is_lied = is_lied
        self._pulls = business.pulls
        self._verify_above = business.world.settings.verify_above_cents
        self._prompts = books.operators("SELECT * FROM stk_pushes WHERE account_reference = ?", self._reference)
        self._paid = business.world.oracle.paid_cents[self._reference]
        self._receipt = next((one["receipt"] for one in self._prompts if one["receipt"]), None)

    def asked(self) -> Iterator[str]:
        """One prompt at most, over what the push asks for; and nobody is at it any more."""
        if len(self._prompts) > 1:
            yield f"K12: {len(self._prompts)} prompts under {self._reference}"
        if any(one["amount_cents"] != self._row["amount_cents"] for one in self._prompts):
            yield f"K12: {self._reference} asked for another amount than {self._row['amount_cents']}"
        if self._row["due_at"] is not None or self._row["lease_until"] is not None:
            yield f"K12: {self._about} is not decided"

    def booked(self) -> Iterator[str]:
        """What the phone paid is in the books once; what it did not pay is there by a forger's word alone."""
        sure = [one for one in self._payments if one["verification"] == "VERIFIED"]
        if sum(one["amount_cents"] for one in sure) > self._paid:
            told = [one["amount_cents"] for one in sure]
            yield f"K12: {self._about} was paid with {self._paid}, and {told} are booked as certain"
        if self._is_lied:
            yield from self._booked_after_lies()
        elif not self._paid:
            if self._payments or self._row["state"] == "CONFIRMED":
                yield f"K12: {self._about} was not paid, and {len(self._payments)} payments are booked for it"
        elif not self._payments:
            if self._must_be_known:
                yield f"K12: {self._about} was paid with {self._paid}, and is not booked"
        elif [one["amount_cents"] for one in self._payments] != [self._paid]:
            told = [one["amount_cents"] for one in self._payments]
            yield f"K12: {self._about} was paid with {self._paid}, and {told} are booked for it"
        else:
            yield from self._as_told(self._payments[0])

    @property
    def _must_be_known(self) -> bool:
        """Whether M-Pesa has said what became of it, or lists it; what it never tells stays unknown.

        That a push has failed whose id is not certain may be the word of a forger, and nobody could ask.
        """
        is_failed = self._row["state"] == "FAILED" and self._row["merchant_request_id"] is not None
        return self._pulls or self._row["state"] == "CONFIRMED" or is_failed

    def _as_told(self, payment: Row) -> Iterator[str]:
        known = {None, self._receipt} if not self._pulls else {self._receipt}
        if payment["mpesa_receipt_number"] not in known:
            yield f"K12: {self._about} is booked under {payment['mpesa_receipt_number']} instead of {self._receipt}"
        if payment["push_reference"] != self._reference or "RECEIPT_REUSED" in payment["flags"]:
            yield f"K12: {self._about} contradicts itself, and nobody has forged it"
        if self._pulls and payment["verification"] != "VERIFIED":
            yield f"K12: {self._about} stands in M-Pesa's list, and is {payment['verification']}"

    def _booked_after_lies(self) -> Iterator[str]:
        """A forger's word may pay a small sale, unproved; it hides nothing that was paid, and pays no large one."""
        if self._paid and not self._payments and self._must_be_known:
            yield f"K12: {self._about} was paid with {self._paid}, and is not booked, since somebody has lied"
        if sum(one["mpesa_receipt_number"] == self._receipt for one in self._payments) > 1:
            yield f"K12: {self._receipt} is booked twice"
        is_large = self._row["amount_cents"] > self._verify_above
        if is_large and not self._paid and any(one["push_reference"] for one in self._payments):
            yield f"K12: {self._about} is large, nobody has paid it, and a forger's word is booked for it"

    @property
    def _about(self) -> str:
        return f"{self._reference} ({self._row['state']} {self._row['code'] or ''})"


def _answered(business: Business, books: Books) -> Iterator[str]:
    """K12: the push that a cashier was told of is there, over what she was told, for that sale."""
    rows = {identifier(row["id"]): row for row in books.ours(_PUSHES)}
    for wish in business.tally.wishes:
        answer = wish.answer
        if wish.what is not What.PUSH or answer is None:
            continue
        row = rows.get(str(answer["push_id"]))
        found = None if row is None else (row["pos_number"], row["amount_cents"])
        if found != (answer["pos_id"], answer["amount_cents"]):
            yield f"K12: a push of {answer['amount_cents']} for {answer['pos_id']} was answered, and is {found}"


async def shown_at_the_till(business: Business, books: Books) -> list[str]:
    """K12: asked for, a sale is shown as it stands, and what M-Pesa paid of it is the sum of what it brought."""
    broken = []
    system = business.world.lives[0].system
    for row in books.ours(_SALES):
        told = await system.collections_books.sale(row["pos_number"])
        if told is None:
            broken.append(f"K12: {row['pos_number']} is not shown to anybody")
            continue
        is_over = row["status"] in {"EXPIRED", "CANCELLED"}
        expected = (row["status"], row["cash_cents"], row["mpesa_cents"])
        shown = (told["status"], told["cash_cents"], told["mpesa_cents"])
        if shown != expected or row["told"] != (0 if is_over else row["mpesa_cents"]):
            broken.append(
                f"K12: {row['pos_number']} is shown as {shown}, and it is {expected}, {row['told']} by M-Pesa"
            )
    return broken
