"""What must hold of a simulated business at the end of every seed. Numbers as in docs/simulation.md."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from penpay.domain.collections.reference import fold
from penpay.infrastructure.sql.unit_of_work import parsed
from penpay.simulation.books import Books, Row, identifier
from penpay.simulation.collections.automatic import as_it_must_be_used
from penpay.simulation.collections.business import Business
from penpay.simulation.collections.figures import ACCOUNTS, BROKEN, COUNTING
from penpay.simulation.collections.pushes import PAYMENTS, pushed, shown_at_the_till
from penpay.simulation.collections.refunds import paid_back
from penpay.simulation.collections.reminding import reminded
from penpay.simulation.collections.tally import Bill, Tally, What, Wish

_DONE_IN: Final = MappingProxyType(
    {
        What.INVOICE: "SELECT memo FROM invoices",
        What.CREDIT_NOTE: "SELECT reason FROM credit_notes",
        What.SALE: "SELECT created_by FROM pos_sales",
        What.PUSH: "SELECT created_by FROM till_pushes",
        What.CASH: "SELECT taken_by FROM pos_tenders WHERE kind = 'CASH'",
        What.ALLOCATE: "SELECT created_by FROM payment_allocations",
        What.UNALLOCATE: "SELECT created_by FROM payment_allocations WHERE reverses_id IS NOT NULL",
        What.REFUND: "SELECT reason FROM collections_refunds",
        What.CASH_MOVED: "SELECT moved_by FROM cash_movements",
        What.LOCK: "SELECT reason FROM period_locks",
        What.LOCKED: "SELECT decided_by FROM period_locks WHERE state = 'APPROVED'",
        What.COUNT: "SELECT closed_by FROM till_shifts",
        What.APPROVAL: "SELECT created_by FROM payment_allocations WHERE target = 'REFUND' AND reverses_id IS NULL",
    }
)
"""Where the effect of a wish bears the name under which it was wished for."""
_ISSUED: Final = """SELECT r.recurring_number, o.occurrence, i.invoice_number, i.total_cents, i.issued_at,
        i.customer_id hers, r.customer_id mine
    FROM recurring_occurrences o JOIN recurring_invoices r ON r.id = o.recurring_id
    JOIN invoices i ON i.id = o.invoice_id ORDER BY r.recurring_number, o.occurrence"""
_REVERSED: Final = "SELECT mpesa_receipt_number FROM payments WHERE status = 'REVERSED'"
_NOT_BY_ITSELF: Final = """SELECT name, payload, recorded_at FROM domain_events
    WHERE name <> 'InvoiceIssued' OR aggregate_id NOT IN (SELECT invoice_id FROM recurring_occurrences)
    ORDER BY rowid"""
"""Every event but the bills that a recurring invoice issued."""
_OF_PEOPLE: Final = frozenset(
    {
        "InvoiceIssued",
        "InvoiceVoided",
        "CreditNoteIssued",
        "ShiftOpened",
        "ShiftClosed",
        "RefundApproved",
        "OutflowExplained",
    }
)
"""Those of them that only people bring about, each with a journal."""


async def check_business(business: Business, books: Books) -> list[str]:
    """Every invariant of Collections that does not hold, the weightiest first."""
    tally = business.tally
    return [
        *_booked(business, books),
        *_summed_up(books),
        *_paid_in(books),
        *as_it_must_be_used(books),
        *_done(tally, books),
        *_refunded(books),
        *_counted(tally, books),
        *_locked(books),
        *_left(tally, books),
        *_billed(tally, books),
        *_kept(tally, books),
        *pushed(business, books),
        *await shown_at_the_till(business, books),
        *([] if business.paying is None else await paid_back(business.paying, business.board.phones, books)),
        *_reminded(business, books),
        *tally.broken,
    ]


def _reminded(business: Business, books: Books) -> Iterator[str]:
    if business.messages is not None:
        yield from reminded(business.messages, business.board.left_out, business.world, books)


def _booked(business: Business, books: Books) -> Iterator[str]:
    """K1, K2: each payment to our PayBill is booked once, as it was paid, and nothing else is but what is forged."""
    tally = business.tally
    rows = {
        row["mpesa_receipt_number"]: row
        for row in books.ours(PAYMENTS)
        if not row["is_pushed"] or row["mpesa_receipt_number"] in tally.bills
    }
    operators = {row["receipt"]: row for row in books.operators("SELECT * FROM operator_transactions")}
    for receipt, bill in tally.bills.items():
        if operators[receipt]["amount_cents"] != bill.cents:
            yield f"K1: the operator moved {operators[receipt]['amount_cents']} for {receipt}"
        if receipt in rows:
            yield from _as_paid(business, rows[receipt], bill)
        elif business.pulls or tally.taken[receipt]:
            yield f"K1: {bill.cents} for {bill.reference} were paid as {receipt}, and are not booked"
    for receipt in sorted(rows.keys() - tally.bills.keys(), key=str):
        if receipt not in tally.forged:
            yield f"K2: {receipt} is booked, and nobody has paid it"
        elif rows[receipt]["verification"] != "UNVERIFIED":
            yield f"K2: {receipt} is forged and {rows[receipt]['verification']}"


def _as_paid(business: Business, row: Row, bill: Bill) -> Iterator[str]:
    """One payment as it stands in the books. Whoever forges with its receipt brings other facts, and people know."""
    tally, receipt = business.tally, bill.receipt
    if not (business.pulls or tally.delivered[receipt] or receipt in tally.forged):
        yield f"K2: {receipt} is booked, and nobody has told us of it"
    if (row["status"] == "REVERSED") != (receipt in tally.reversed):
        yield f"K1: {receipt} is {row['status']}, and M-Pesa took back {tally.reversed.get(receipt, 0)} of it"
    if (forged := tally.forged.get(receipt)) is not None:
        known = row["amount_cents"] == bill.cents or row["amount_cents"] in forged
        if not known or (row["amount_cents"] != bill.cents and business.pulls and "RECEIPT_REUSED" not in row["flags"]):
            yield f"K1: {receipt} is booked with {row['amount_cents']} instead of {bill.cents}, and nobody knows"
        return
    if row["amount_cents"] != bill.cents or fold(row["bill_reference"] or "") != fold(bill.reference):
        told = f"{row['amount_cents']} for {row['bill_reference']}"
        yield f"K1: {receipt} is booked as {told} instead of {bill.cents} for {bill.reference}"
    if "RECEIPT_REUSED" in row["flags"]:
        yield f"K1: {receipt} contradicts itself, and nobody has forged it"
    if business.pulls and row["verification"] != "VERIFIED":
        yield f"K2: {receipt} stands in M-Pesa's list, and is {row['verification']}"


def _summed_up(books: Books) -> Iterator[str]:
    """K3: every account of Collections holds the sum of what it stands for, in all and for each customer."""
    for account, query in ACCOUNTS:
        ((expected,),) = books.ours(query.format(counting=COUNTING))
        if books.balance(account) != expected:
            yield f"K3: {account} holds {books.balance(account)} instead of {expected}"
    for name, query in BROKEN:
        for row in books.ours(query.format(counting=COUNTING)):
            yield f"K3: {name}: {row[0]}"


def _paid_in(books: Books) -> Iterator[str]:
    """K3: 1010 holds what was paid in and neither taken back nor paid out, and has not left otherwise."""
    ((kept,),) = books.ours("SELECT coalesce(sum(amount_cents), 0) FROM payments WHERE status <> 'REVERSED'")
    ((out,),) = books.ours("SELECT coalesce(sum(amount_cents), 0) FROM collections_refunds WHERE state = 'PAID'")
    ((left,),) = books.ours(
        "SELECT coalesce(sum(amount_cents), 0) FROM collections_outflows"
        " WHERE outflow_use NOT IN ('REFUND', 'PAYOUT', 'REVERSAL')"
    )
    if books.balance("1010") != kept - out - left:
        yield f"K3: 1010 holds {books.balance('1010')} instead of {kept - out - left}"


def _done(tally: Tally, books: Books) -> Iterator[str]:
    """K5: what was answered as done is done once, what was refused is not, and of the rest each once or not at all."""
    times = Counter((row["actor"], row["action"]) for row in books.ours("SELECT actor, action FROM audit_logs"))
    marks = {what: {row[0] for row in books.ours(query)} for what, query in _DONE_IN.items()}
    for wish in tally.wishes:
        found = times[wish.by, wish.what]
        most, least = int(wish.is_done or wish.unknown > 0), int(wish.is_done)
        if not least <= found <= most:
            yield f"K5: {wish.what} of {wish.by} was {_told(wish)}, and was done {found} times"
        marked = wish.by in marks.get(wish.what, set())
        if wish.what in marks and ((wish.is_done and not marked) or (marked and not found)):
            yield f"K5: {wish.what} of {wish.by} was {_told(wish)}, and its effect is {'' if marked else 'not '}there"
        yield from _as_answered(wish, books)


def _told(wish: Wish) -> str:
    return "done" if wish.is_done else f"refused {wish.refusal}" if wish.refusal else "not answered"


def _as_answered(wish: Wish, books: Books) -> Iterator[str]:
    answer = wish.answer
    if answer is None:
        return
    if wish.what is What.INVOICE:
        rows = books.ours("SELECT total_cents FROM invoices WHERE invoice_number = ?", answer["invoice_id"])
        if [row[0] for row in rows] != [answer["total_cents"]]:
            yield f"K5: {answer['invoice_id']} is not in the books over {answer['total_cents']}, as was answered"
    elif wish.what is What.CUSTOMER:
        rows = books.ours("SELECT 1 FROM customers WHERE customer_number = ?", answer["customer_id"])
        if len(rows) != 1:
            yield f"K5: {answer['customer_id']} was answered, and the books do not hold her"


def _refunded(books: Books) -> Iterator[str]:
    """K6: the money of a refund is set aside once, and either leaves or comes back.

    Where people have found that it never left, what said so is taken back first. It comes out of money that M-Pesa's
    own records, or its answer, have told of.
    """
    kinds: dict[str, Counter[str]] = {}
    for row in books.ours("SELECT kind, reference FROM ledger_journals WHERE kind LIKE 'refund_%'"):
        kinds.setdefault(row["reference"], Counter())[row["kind"]] += 1
    expected = {
        "PROPOSED": {},
        "REJECTED": {},
        "APPROVED": {"refund_intended": 1},
        "PAID": {"refund_intended": 1, "refund_paid": 1},
        "FAILED": {"refund_intended": 1, "refund_failed": 1},
    }
    hearsay = {row[0] for row in books.ours("SELECT id FROM payments WHERE verification = 'UNVERIFIED'")}
    for row in books.ours("SELECT * FROM collections_refunds"):
        found = dict(kinds.get(identifier(row["id"]), Counter()))
        taken_back = {"refund_paid": 1, "refund_paid.reversed": 1} if row["failure_code"] == "people" else {}
        if row["state"] in {"APPROVED", "PAID"} and row["payment_id"] in hearsay:
            yield f"K6: a refund is {row['state']} out of a payment that a message alone tells of"
        if found not in (expected[row["state"]], {**expected[row["state"]], **taken_back}):
            yield f"K6: a refund is {row['state']}, and was posted as {found}"


def _counted(tally: Tally, books: Books) -> Iterator[str]:
    """K8: a cashier has one open shift at most, and a closed one is for ever as whoever closed it was told."""
    for row in books.ours(
        "SELECT cashier FROM till_shifts WHERE closed_at IS NULL GROUP BY cashier HAVING count(*) > 1"
    ):
        yield f"K8: {row['cashier']} has more than one open shift"
    for wish in tally.wishes:
        answer = wish.answer
        if wish.what is not What.COUNT or answer is None:
            continue
        (row,) = books.ours("SELECT * FROM till_shifts WHERE shift_number = ?", answer["shift_id"])
        expected = row["float_cents"] + row["taken_cents"] - row["returned_cents"] + row["in_cents"] - row["out_cents"]
        found = (row["counted_cents"], expected, row["mpesa_cents"], row["sales_count"])
        told = tuple(answer[name] for name in ("counted_cents", "expected_cents", "mpesa_cents", "sales_count"))
        if found != told:
            yield f"K8: {answer['shift_id']} was closed with {told}, and is {found}"
        if answer["difference_cents"] != row["counted_cents"] - expected:
            yield f"K8: {answer['shift_id']} was told a difference of {answer['difference_cents']}"


def _locked(books: Books) -> Iterator[str]:
    """K9: while a day is locked, people book nothing on it."""
    through = ""
    for row in books.ours(_NOT_BY_ITSELF):
        if row["name"] == "LockApproved":
            through = parsed(row["payload"])["through"] or ""
        elif row["name"] in _OF_PEOPLE and _day_of(row["recorded_at"]) <= through:
            yield f"K9: {row['name']} on {_day_of(row['recorded_at'])}, and the books were locked through {through}"


def _day_of(recorded_at: Any) -> str:
    """The day in Nairobi, as text."""
    at = datetime.fromisoformat(str(recorded_at))
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) + timedelta(hours=3)).date().isoformat()


def _left(tally: Tally, books: Books) -> Iterator[str]:
    """K10: each row of a statement that tells of money that left is in the books once, under one name."""
    rows = {row["mpesa_receipt_number"]: row for row in books.ours("SELECT * FROM collections_outflows")}
    refunds = {row["receipt"]: row for row in books.ours("SELECT * FROM collections_refunds WHERE state = 'PAID'")}
    undone = {row[0] for row in books.ours(_REVERSED)}
    for receipt in sorted(tally.imported - rows.keys()):
        yield f"K10: {receipt} was imported, and is not in the books"
    for receipt, row in sorted(rows.items()):
        if receipt in tally.left and row["amount_cents"] != tally.left[receipt]:
            yield f"K10: {receipt} is booked with {row['amount_cents']} instead of {tally.left[receipt]}"
        if (row["outflow_use"] == "REFUND") != (receipt in refunds):
            yield f"K10: {receipt} is {row['outflow_use']}, and {'a' if receipt in refunds else 'no'} refund was paid"
        if (row["outflow_use"] == "REVERSAL") != (row["linked_receipt"] in undone):
            yield f"K10: {receipt} is {row['outflow_use']}, and {row['linked_receipt']} was taken back by it"


def _billed(tally: Tally, books: Books) -> Iterator[str]:
    """K11: each bill of a recurring invoice is issued once, in turn, not before its day, over what was agreed to."""
    totals = {
        str(wish.answer["recurring_id"]): wish.answer["total_cents"]
        for wish in tally.wishes
        if wish.what is What.RECURRING and wish.answer is not None
    }
    issued: dict[str, list[Row]] = {}
    for row in books.ours(_ISSUED):
        issued.setdefault(row["recurring_number"], []).append(row)
    ((last,),) = books.ours("SELECT max(recorded_at) FROM ledger_journals")
    for one in books.ours("SELECT recurring_number, next_occurrence, memo FROM recurring_invoices"):
        number, rows = one["recurring_number"], issued.get(one["recurring_number"], [])
        ((times,),) = books.ours("SELECT count(*) FROM invoices WHERE memo = ?", one["memo"])
        if [row["occurrence"] for row in rows] != list(range(one["next_occurrence"])) or times != len(rows):
            yield f"K11: {number} has come to {one['next_occurrence']}, and issued {times}, {len(rows)} in turn"
        for row in rows:
            if row["total_cents"] != totals.get(number, row["total_cents"]) or row["mine"] != row["hers"]:
                yield f"K11: {row['invoice_number']} is not what {number} bills"
            if row["issued_at"] > last:
                yield f"K11: {row['invoice_number']} of {number} was issued before its day"
    for number in sorted(totals.keys() - issued.keys()):
        yield f"K11: {number} was agreed to, and its first bill was not issued"


def _kept(tally: Tally, books: Books) -> Iterator[str]:
    """K7: each message that we said we had taken is kept, byte for byte, and none that was not posted."""
    kept = Counter(row[0] for row in books.ours("SELECT body_hash FROM webhook_logs WHERE source LIKE 'c2b%'"))
    posted, answered = Counter[str](), Counter[str]()
    for (_, body), times in tally.posted.items():
        posted[hashlib.sha256(body).hexdigest()] += times
    for (_, body), times in tally.answered.items():
        answered[hashlib.sha256(body).hexdigest()] += times
    for name in sorted(kept.keys() | answered.keys()):
        if not answered[name] <= kept[name]:
            yield f"K7: a message was taken {answered[name]} times, and is kept {kept[name]} times"
        if name in posted and kept[name] > posted[name]:
            yield f"K7: a message was posted {posted[name]} times, and is kept {kept[name]} times"
