"""What must hold of what was agreed with the user: her rate and price, her phone, her account at Deriv, her wallet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from penpay.simulation.books import Books, Payment, Row
from penpay.simulation.quiet import moment
from penpay.simulation.template import AGENT_LOGIN_ID

if TYPE_CHECKING:
    from penpay.simulation.world import World

_ABOUT_THE_MOMENT: Final = frozenset({"CONTRADICTION", "IDENTITY_MISMATCH"})
"""Reasons that name what was at stake when they came up; it may have gone where it should since."""
_FORWARDED_WITHIN: Final = timedelta(hours=24)
"""Money confirmed later than this after it was asked for is for people to decide about."""


def paid_out(books: Books, reference: str) -> list[Row]:
    """What Deriv paid out of our account under one reference."""
    query = "SELECT * FROM deriv_sim_rows WHERE login_id = ? AND amount_cents < 0 AND remark LIKE '%' || ?"
    return books.derivs(query, AGENT_LOGIN_ID, reference)


def unexpected(books: Books, withdrawal: Payment) -> list[Row]:
    """What Deriv has credited us with for a withdrawal, and our books hold for nobody."""
    return [row for row in debited(books, withdrawal) if books.ours(_NOBODYS, str(row["transaction_id"]))]


def debited(books: Books, withdrawal: Payment) -> list[Row]:
    """What Deriv has credited us with under a withdrawal's reference."""
    query = "SELECT * FROM deriv_sim_rows WHERE login_id = ? AND amount_cents > 0 AND remark LIKE '%' || ? || '%'"
    return [row for debit in withdrawal.debits for row in books.derivs(query, AGENT_LOGIN_ID, debit["reference"])]


_NOBODYS: Final = """SELECT 1 FROM ledger_journals
    WHERE kind = 'deriv_incoming_credit' AND reference = ? AND transaction_id IS NULL"""


def as_agreed(_: World, books: Books) -> Iterator[str]:
    """I4, I11: a prompt is sent while its rate holds, and money goes out in time and to the user's own account."""
    for payment in books.deposits():
        t = payment.transaction
        for request in payment.requests:
            if request["sent_at"] is not None and request["sent_at"] >= t["rate_expires_at"]:
                yield f"I11: a prompt was sent when its rate had run out ({payment.about})"
        for transfer in payment.transfers:
            late = moment(transfer["created_at"]) - moment(t["created_at"]) > _FORWARDED_WITHIN
            if late and "FORWARD" not in payment.decisions:
                yield f"I11: forwarded although confirmed too late ({payment.about})"
            if any(row["counterpart"] != t["deriv_login_id"] for row in paid_out(books, transfer["reference"])):
                yield f"I4: Deriv paid another account than the user's ({payment.about})"


def at_the_newest_rate(world: World, books: Books) -> Iterator[str]:
    """I11: the rate that was locked is, of those approved by then, the one that became valid last.

    Which came first is told by the order in which SQLite has written the events, one writer at a time; no clock of ours
    is believed for it. A clock set back while the batch was under way may have found another one valid.
    """
    for row in books.ours(_LOCKED):
        if row["newest_e8"] == row["rate_mid_e8"]:
            continue
        locked_at = moment(row["rate_locked_at"])
        if not any(timedelta(0) <= shown - locked_at <= _BATCH_AT_MOST for shown in world.wrongness.set_back):
            yield f"I11: locked at {row['rate_mid_e8']} when {row['newest_e8']} was in force"


def at_a_rate_in_force(world: World, books: Books) -> Iterator[str]:
    """I11: no rate is locked that is too old or not valid yet, and nobody is refused for want of one while one is good.

    An age is told by the clock of whoever locks, so a refusal is right if any clock of this seed could have found none.
    """
    max_age = world.lives[0].system.policy.rate_max_age
    approved = books.ours("SELECT mid_e8, valid_from FROM fx_rates WHERE approved_by IS NOT NULL")
    for row in books.ours(_LOCKED):
        ages = [
            moment(row["rate_locked_at"]) - moment(rate["valid_from"])
            for rate in approved
            if rate["mid_e8"] == row["rate_mid_e8"]
        ]
        if not any(timedelta(0) <= age <= max_age for age in ages):
            yield f"I11: locked at {row['rate_mid_e8']}, whose age was {max(ages, default=None)}"
    skews, tally = world.wrongness.skews, world.oracle.rates
    for begun_us, answered_us in tally.refused:
        first = world.loop.begins_at + timedelta(microseconds=begun_us) + min(skews)
        last = world.loop.begins_at + timedelta(microseconds=answered_us) + max(skews)
        for agreed_us, valid_from in tally.agreed:
            if agreed_us <= begun_us and valid_from <= first and last - valid_from <= max_age:
                yield f"I11: refused for want of a rate at {first}, and one of {valid_from} was in force"


_BATCH_AT_MOST: Final = timedelta(seconds=10)
"""From the moment a batch goes by until it has read its rows: a wait for the write lock, and a few steps."""
_LOCKED: Final = """SELECT t.rate_mid_e8, t.rate_locked_at,
    (SELECT r.mid_e8 FROM fx_rates r JOIN domain_events a ON a.aggregate_id = r.id AND a.name = 'FxRateApproved'
     WHERE a.rowid < c.rowid AND a.batch_id <> c.batch_id AND r.valid_from <= t.rate_locked_at
     ORDER BY r.valid_from DESC, r.approved_at DESC, r.id DESC LIMIT 1) newest_e8
    FROM transactions t JOIN domain_events c ON c.aggregate_id = t.id AND c.sequence = 1"""


def priced(world: World, books: Books) -> Iterator[str]:
    """I11: a deposit settles at its locked rate, to the cent, and asks for exactly that on the phone."""
    approved = {row["mid_e8"] for row in books.ours("SELECT mid_e8 FROM fx_rates WHERE approved_by IS NOT NULL")}
    for payment in books.deposits():
        t = payment.transaction
        if t["rate_mid_e8"] not in approved:
            yield f"I11: locked at a rate that nobody approved ({payment.about})"
        mid = round(Fraction(t["usd_cents"] * t["rate_mid_e8"], 10**8))
        if t["kes_at_mid_cents"] != mid:
            yield f"I11: the mid is {t['kes_at_mid_cents']}, not {mid} ({payment.about})"
        price = round(Fraction(t["usd_cents"] * t["rate_mid_e8"] * (10_000 + t["rate_spread_bps"]), 10**12))
        if t["kes_priced_cents"] != price or t["rate_spread_bps"] != world.settings.fx_spread_bps:
            yield f"I11: the price is {t['kes_priced_cents']}, not {price} ({payment.about})"
        if t["amount_cents"] != (t["usd_cents"] if t["currency"] == "USD" else t["kes_charged_cents"]):
            yield f"I11: quoted for another amount than was asked ({payment.about})"
        rounding = t["kes_charged_cents"] - t["kes_priced_cents"]
        # Asked in shillings, what is left over is less than the price of one more US cent.
        most = 100 if t["currency"] == "USD" else round(Fraction(t["rate_mid_e8"] * 12, 10**9))
        if t["kes_charged_cents"] % 100 or not 0 <= rounding < most:
            yield f"I11: {t['kes_priced_cents']} was charged as {t['kes_charged_cents']} ({payment.about})"


def converted_as_priced(world: World, books: Books) -> Iterator[str]:
    """I11: the phone is asked for what was quoted, and what is converted is that."""
    for payment in books.deposits():
        t = payment.transaction
        for request in payment.requests:
            for asked in world.oracle.asked_cents[request["account_reference"]]:
                if asked != t["kes_charged_cents"]:
                    yield f"I11: {asked} asked on the phone, {t['kes_charged_cents']} quoted ({payment.about})"
        converted = books.ours(_CONVERTED, payment.id)
        if converted and {(row["code"].split(":")[0], row["side"], row["amount_cents"]) for row in converted} != _lines(
            t
        ):
            yield f"I11: converted at another rate than the one locked ({payment.about})"


_CONVERTED: Final = """SELECT a.code, e.side, e.amount_cents FROM ledger_entries e
    JOIN ledger_accounts a ON a.id = e.account_id JOIN ledger_journals j ON j.id = e.journal_id
    WHERE j.kind = 'deposit_converted' AND j.reference = ?"""


def _lines(t: Row) -> set[tuple[str, str, int]]:
    """The journal of a conversion as DESIGN draws it; zero lines are left out."""
    lines = {
        ("wallet", "DEBIT", t["kes_charged_cents"]),
        ("fx", "CREDIT", t["kes_at_mid_cents"]),
        ("revenue", "CREDIT", t["kes_priced_cents"] - t["kes_at_mid_cents"]),
        ("revenue", "CREDIT", t["kes_charged_cents"] - t["kes_priced_cents"]),
        ("fx", "DEBIT", t["usd_cents"]),
        ("wallet", "CREDIT", t["usd_cents"]),
    }
    return {line for line in lines if line[2]}


def asked_of_the_user(world: World, books: Books) -> Iterator[str]:
    """I4: the prompt for a deposit goes to the user's own phone."""
    phones = {person.login_id: person.msisdn for person in world.template.people}
    for payment in books.deposits():
        for request in payment.requests:
            asked = world.oracle.asked_msisdns[request["account_reference"]]
            if asked - {phones.get(payment.transaction["deriv_login_id"])}:
                yield f"I4: somebody else's phone was asked ({payment.about})"


def on_own_wallets(_: World, books: Books) -> Iterator[str]:
    """I2: a deposit's money goes over its user's own wallets."""
    for row in books.ours(_ON_WALLETS):
        yield f"I2: a deposit went over {row['code']}, which is not its user's"


def kept_as_reviewed(_: World, books: Books) -> Iterator[str]:
    """I2: what is kept from where it should be, deposit by deposit, is what that deposit's reviews name."""
    in_suspense = 0
    for payment in books.payments():
        kept = Counter[str]()
        for row in books.ours(_KEPT, payment.transaction["id"]):
            kept[row["currency"]] += row["cents"]
            in_suspense += row["cents"] if row["code"] == "suspense:KES" else 0
        if not payment.is_deposit:
            continue  # `withdrawals.checks` is stricter with them
        for currency in ("KES", "USD"):
            told = [(one["reason"], one["amount_cents"]) for one in payment.open_reviews if one["currency"] == currency]
            if payment.decisions and kept[currency] in {0, *(cents for _, cents in told)}:
                continue  # people have moved it; another question about it may still be open
            now = max((cents for reason, cents in told if reason not in _ABOUT_THE_MOMENT), default=0)
            if kept[currency] not in {now, max((cents for _, cents in told), default=0)}:
                yield f"I2: {kept[currency]} {currency} cents are kept, the reviews say {told} ({payment.about})"
    if books.balance("suspense:KES") != in_suspense:
        yield f"I2: suspense:KES is {books.balance('suspense:KES')}, the deposits kept {in_suspense} there"
    for row in books.ours(_OTHER_REVENUE):
        yield f"I2: a journal {row['kind']} posts revenue"


_DEPOSITS_ENTRIES: Final = """FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.account_id
    JOIN ledger_journals j ON j.id = e.journal_id LEFT JOIN ledger_journals r ON r.id = j.reverses_id"""
_KEPT: Final = f"""
    SELECT a.code, a.currency, sum(CASE e.side WHEN 'CREDIT' THEN e.amount_cents ELSE -e.amount_cents END) cents
    {_DEPOSITS_ENTRIES} WHERE coalesce(j.transaction_id, r.transaction_id) = ?
    AND (a.code LIKE 'wallet:%' OR a.code LIKE 'suspense:%'
    OR a.code IN ('deriv:in_flight', 'mpesa:payout_in_flight'))
    GROUP BY a.id HAVING cents <> 0"""
_ON_WALLETS: Final = f"""
    SELECT a.code {_DEPOSITS_ENTRIES} JOIN transactions t ON t.id = coalesce(j.transaction_id, r.transaction_id)
    WHERE a.code LIKE 'wallet:%' AND (a.owner_id IS NULL OR a.owner_id <> t.user_id)"""
_OTHER_REVENUE: Final = f"""
    SELECT j.kind {_DEPOSITS_ENTRIES} WHERE a.code LIKE 'revenue:%'
    AND coalesce(r.kind, j.kind) NOT IN ('deposit_converted', 'withdrawal_converted')"""
