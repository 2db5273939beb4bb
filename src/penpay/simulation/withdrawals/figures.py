"""The figures of a withdrawal, computed anew: its price, its conversion, and where the books hold its money."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from penpay.simulation.books import Books, Payment, Row

if TYPE_CHECKING:
    from penpay.simulation.world import World

_HELD: Final = """
    SELECT a.code, a.currency, sum(CASE e.side WHEN 'CREDIT' THEN e.amount_cents ELSE -e.amount_cents END) cents
    FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.account_id
    JOIN ledger_journals j ON j.id = e.journal_id LEFT JOIN ledger_journals r ON r.id = j.reverses_id
    WHERE coalesce(j.transaction_id, r.transaction_id) = ?
    AND (a.code LIKE 'wallet:%' OR a.code LIKE 'suspense:%'
         OR a.code IN ('deriv:in_flight', 'mpesa:payout_in_flight'))
    GROUP BY a.id HAVING cents <> 0"""
_CONVERTED: Final = """SELECT a.code, e.side, e.amount_cents FROM ledger_entries e
    JOIN ledger_accounts a ON a.id = e.account_id JOIN ledger_journals j ON j.id = e.journal_id
    WHERE j.kind = 'withdrawal_converted' AND j.reference = ?"""
_APPROVED: Final = "SELECT mid_e8 FROM fx_rates WHERE approved_by IS NOT NULL"


def held(books: Books, payment: Payment) -> dict[tuple[str, str], int]:
    """By currency and account: cents that the books hold for a transaction on its way."""
    rows = books.ours(_HELD, payment.transaction["id"])
    return {(row["currency"], row["code"].split(":")[0]): row["cents"] for row in rows}


def priced_as_promised(world: World, books: Books) -> Iterator[str]:
    """I11: a withdrawal is priced at an approved rate less our margin, and paid in whole shillings, rounded down."""
    approved = {row["mid_e8"] for row in books.ours(_APPROVED)}
    for payment in books.withdrawals():
        t = payment.transaction
        if t["rate_mid_e8"] not in approved or t["rate_spread_bps"] != world.settings.fx_spread_bps:
            yield f"I11: a withdrawal is locked at a rate that nobody approved ({payment.about})"
        client = Fraction(t["rate_mid_e8"] * (10_000 - t["rate_spread_bps"]), 10**12)
        mid, price = round(Fraction(t["usd_cents"] * t["rate_mid_e8"], 10**8)), round(t["usd_cents"] * client)
        if (t["kes_at_mid_cents"], t["kes_priced_cents"]) != (mid, price):
            yield f"I11: the price is {t['kes_priced_cents']} of {t['kes_at_mid_cents']}, not {price} of {mid}"
        requoted = bool(books.ours(_REQUOTED, t["id"]))
        if t["currency"] == "USD" or requoted:
            expected = price // 100 * 100
        else:
            expected = t["amount_cents"]
            if (t["usd_cents"] - 1) * client >= expected:
                yield f"I11: {t['usd_cents']} are taken for {expected}, and a cent less would do ({payment.about})"
        if t["kes_charged_cents"] != expected:
            yield f"I11: {t['kes_charged_cents']} is paid instead of {expected} ({payment.about})"
        if t["amount_cents"] != t["usd_cents"] and t["currency"] == "USD":
            yield f"I11: another amount than was asked for leaves Deriv ({payment.about})"


_REQUOTED: Final = "SELECT 1 FROM domain_events WHERE aggregate_id = ? AND name = 'WithdrawalRequoted'"


def converted_as_quoted(books: Books) -> Iterator[str]:
    """I11: what is converted is what was quoted, and what the rate leaves over is revenue."""
    for payment in books.withdrawals():
        rows = books.ours(_CONVERTED, payment.id)
        if rows and {(row["code"].split(":")[0], row["side"], row["amount_cents"]) for row in rows} != _lines(
            payment.transaction
        ):
            yield f"I11: a withdrawal was converted at another rate than the one locked ({payment.about})"


def _lines(t: Row) -> set[tuple[str, str, int]]:
    lines = {
        ("wallet", "DEBIT", t["usd_cents"]),
        ("fx", "CREDIT", t["usd_cents"]),
        ("fx", "DEBIT", t["kes_at_mid_cents"]),
        ("wallet", "CREDIT", t["kes_charged_cents"]),
        ("revenue", "CREDIT", t["kes_at_mid_cents"] - t["kes_priced_cents"]),
        ("revenue", "CREDIT", t["kes_priced_cents"] - t["kes_charged_cents"]),
    }
    return {line for line in lines if line[2]}
