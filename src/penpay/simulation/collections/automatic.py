"""What each payment must have been used for by itself, computed anew in the order in which the books were written.

The numbers, dates and amounts of invoices and sales are read from the events; the rules are written here once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from penpay.infrastructure.sql.unit_of_work import parsed
from penpay.simulation.books import Books, Row, identifier

_EVENTS: Final = """SELECT aggregate_type, aggregate_id, name, payload FROM domain_events
    WHERE aggregate_type IN ('Customer', 'Invoice', 'Payment', 'Sale') ORDER BY rowid"""
_USED: Final = """SELECT p.id payment, a.target, coalesce(a.invoice_id, a.pos_sale_id, a.customer_id) subject,
           a.amount_cents
    FROM ledger_journals j JOIN payments p ON j.reference IN (p.mpesa_receipt_number, p.push_reference)
    JOIN payment_allocations a ON a.journal_id = j.id WHERE j.kind = 'receipt_booked'"""

_OF_PUSHES: Final = ("STK", "PULL")
Uses = Counter[tuple[str, str]]
"""By target and whose id it is: cents."""
SUSPENSE: Final = ("SUSPENSE", "")


@dataclass(slots=True)
class Shown:
    """The business as its events have told it so far."""

    invoices: dict[str, Row]
    """By id: what never changes of them."""
    sales: dict[str, Row]
    numbers: dict[str, str] = field(default_factory=dict)
    """By folded number: the id of what has it."""
    balances: dict[str, int] = field(default_factory=dict)
    """By id of an invoice: what is open on it."""
    void: set[str] = field(default_factory=set)
    to_pay: dict[str, int] = field(default_factory=dict)
    """By id of a sale that is open: what is still to pay."""
    customers: set[str] = field(default_factory=set)

    def tell(self, kind: str, id_: str, name: str, payload: Mapping[str, Any]) -> None:
        """One more event."""
        if kind == "Customer" and name == "CustomerCreated":
            self.customers.add(id_)
            self.numbers[_folded(payload["customer_id"])] = id_
        elif kind == "Invoice":
            self.numbers[_folded(payload["invoice_id"])] = id_
            self.balances[id_] = payload["balance_cents"]
            if payload["status"] == "VOID":
                self.void.add(id_)
        elif kind == "Sale":
            self.numbers[_folded(payload["pos_id"])] = id_
            self.to_pay[id_] = payload["to_pay_cents"] if payload["status"] == "PENDING" else 0

    def uses_of(self, reference: str, cents: int) -> Uses:
        """What a payment for this reference must be used for now."""
        found = self.numbers.get(_folded(reference))
        if found in self.customers:
            return self._oldest_first(found, cents)
        if found in self.balances:
            return self._one_invoice(found, cents)
        if found in self.to_pay:
            return self.of_sale(found, cents)
        return _counted({SUSPENSE: cents})

    def of_sale(self, sale: str, cents: int) -> Uses:
        """What a payment for this sale must be used for now."""
        part = min(cents, self.to_pay[sale])
        whose = self.sales[sale]["customer_id"]
        rest = SUSPENSE if whose is None else ("CREDIT", identifier(whose))
        return _counted({("POS", sale): part, rest: cents - part})

    def _one_invoice(self, invoice: str, cents: int) -> Uses:
        if invoice in self.void:
            return _counted({SUSPENSE: cents})
        part = min(cents, self.balances[invoice])
        whose = identifier(self.invoices[invoice]["customer_id"])
        return _counted({("INVOICE", invoice): part, ("CREDIT", whose): cents - part})

    def _oldest_first(self, customer: str, cents: int) -> Uses:
        own = [id_ for id_ in self.balances if identifier(self.invoices[id_]["customer_id"]) == customer]
        uses: dict[tuple[str, str], int] = {}
        for id_ in sorted(own, key=lambda one: (self.invoices[one]["issued_at"], self.invoices[one]["invoice_number"])):
            part = min(cents, self.balances[id_])
            uses["INVOICE", id_] = part
            cents -= part
        return _counted({**uses, ("CREDIT", customer): cents})


def as_it_must_be_used(books: Books) -> Iterator[str]:
    """K4: each payment went by itself where its reference says: one invoice, the oldest first, a sale, or suspense.

    A push names its sale.
    """
    invoices = {identifier(row["id"]): row for row in books.ours("SELECT * FROM invoices")}
    sales = {identifier(row["id"]): row for row in books.ours("SELECT * FROM pos_sales")}
    payments = {identifier(row["id"]): row for row in books.ours("SELECT * FROM payments")}
    used: dict[str, Uses] = {}
    for row in books.ours(_USED):
        used.setdefault(identifier(row["payment"]), Counter())[row["target"], identifier(row["subject"])] += row[
            "amount_cents"
        ]
    pushes = {row[0]: identifier(row[1]) for row in books.ours("SELECT account_reference, sale_id FROM till_pushes")}
    shown = Shown(invoices, sales)
    for row in books.ours(_EVENTS):
        id_, payload = identifier(row["aggregate_id"]), parsed(row["payload"])
        if row["name"] != "PaymentReceived":
            shown.tell(row["aggregate_type"], id_, row["name"], payload)
            continue
        payment = payments[id_]
        found = used.get(id_, Counter())
        found = _counted({**found, SUSPENSE: payment["amount_cents"] - sum(found.values())})
        # A confirmation that names a push and is not of it is for nothing we know; all else about one is for its sale.
        sale = pushes.get(payment["bill_reference"]) if payment["source"] in _OF_PUSHES else None
        if sale is None:
            expected = shown.uses_of(payment["bill_reference"] or "", payment["amount_cents"])
        else:
            expected = shown.of_sale(sale, payment["amount_cents"])
        if found != expected:
            what = f"{payment['amount_cents']} for {payment['bill_reference']}"
            yield f"K4: {what} were used for {_plainly(found)} instead of {_plainly(expected)}"


def _counted(cents: Mapping[tuple[str, str], int]) -> Uses:
    return Counter({use: amount for use, amount in cents.items() if amount})


def _plainly(uses: Uses) -> str:
    return ", ".join(f"{cents} {target} {id_[-4:]}".strip() for (target, id_), cents in sorted(uses.items()))


def _folded(number: str) -> str:
    return number.upper().replace("-", "").replace(" ", "")
