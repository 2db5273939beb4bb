"""What must hold at the end of every seed, whatever went wrong in it. Numbers as in docs/simulation.md.

An open review excuses exactly what it is about and never switches a check off: money that is in doubt must be in doubt
by that much, under that reason, and the fault history must hold something that can bring that reason about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from penpay.infrastructure.security.checkpoint_keys import CheckpointKey, CheckpointPublicKey
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.sql.audit_trail import SqlAuditTrail
from penpay.infrastructure.sql.engine import reading
from penpay.infrastructure.sql.replay import SqlHistory
from penpay.simulation.agreed import (
    as_agreed,
    asked_of_the_user,
    at_a_rate_in_force,
    at_the_newest_rate,
    converted_as_priced,
    kept_as_reviewed,
    on_own_wallets,
    paid_out,
    priced,
    unexpected,
)
from penpay.simulation.books import Books, Payment, identifier
from penpay.simulation.excused import Logged, unforeseen, without_cause
from penpay.simulation.posted import as_posted
from penpay.simulation.profile import Hazard
from penpay.simulation.quiet import moment
from penpay.simulation.template import AGENT_CENTS, AGENT_LOGIN_ID, WALLET_CENTS
from penpay.simulation.timely import neither_early_nor_late
from penpay.simulation.told import as_asked, shown

if TYPE_CHECKING:
    from penpay.simulation.world import World

_ENDED: Final = frozenset({"COMPLETED", "FAILED", "REVERSED", "IN_REVIEW"})
_UNBOOKED: Final = frozenset({"PAYMENT_UNRESOLVED", "IDENTITY_MISMATCH"})
"""Reasons that say: nobody can tell whether the payer has paid; our books hold all of it or nothing."""
_EVIDENCE: Final[Mapping[str, str]] = {
    "mpesa_requests": "mpesa_request",
    "deriv_transfers": "deriv_transfer",
    "deriv_withdrawals": "deriv_withdrawal",
    "mpesa_disbursements": "mpesa_disbursement",
    "till_pushes": "till_push",
}
"""By table: what the audit trail calls it."""
_IN_DOUBT: Final = frozenset({"DERIV_UNRESOLVED", "DERIV_DUPLICATE"})
"""Reasons that say: Deriv may have paid out, and our books hold it in flight."""


async def check(world: World, errors: Sequence[Logged]) -> list[str]:
    """Every invariant that does not hold, the weightiest first."""
    books = world.books
    broken = [
        finding
        for invariant in (
            _double_entry,
            _shillings,
            _dollars,
            _once,
            _nothing_for_nothing,
            _not_forwarded,
            as_agreed,
            kept_as_reviewed,
            on_own_wallets,
            _final,
            _decided,
            neither_early_nor_late,
            _delivered,
            _audited,
            at_the_newest_rate,
            at_a_rate_in_force,
            priced,
            converted_as_priced,
            asked_of_the_user,
            as_asked,
            _promises,
        )
        for finding in invariant(world, books)
    ]
    broken.extend(await _provable(world))
    found = await world.lives[0].system.ledger_books.verify()
    broken.extend(f"I1: ledger verify: {one.check} {one.subject} {one.difference_cents}" for one in found)
    broken.extend(await shown(world, books))
    broken.extend(await _repetition(world, books))
    broken.extend(await as_posted(world, books))
    broken.extend(unforeseen(world, errors))
    return broken


def _double_entry(_: World, books: Books) -> Iterator[str]:
    """I1: every journal balances in every currency, counted without the product's own verifier."""
    query = """SELECT j.kind, a.currency, sum(CASE e.side WHEN 'DEBIT' THEN e.amount_cents ELSE -e.amount_cents END) d
               FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.account_id
               JOIN ledger_journals j ON j.id = e.journal_id GROUP BY j.id, a.currency HAVING d <> 0"""
    for row in books.ours(query):
        yield f"I1: a journal {row['kind']} is out of balance by {row['d']} {row['currency']}"


def _shillings(world: World, books: Books) -> Iterator[str]:
    """I2 for KES: what was paid by the wire is what the books hold, push by push, and at the operator."""
    paid = world.oracle.paid_cents
    booked_in_all = 0
    for payment in books.deposits():
        for request in payment.requests:
            booked = books.collected(request)
            booked_in_all += booked
            missing = paid[request["account_reference"]] - booked
            excused = abs(missing) == request["amount_cents"] and payment.reasons & _UNBOOKED
            if missing and not excused:
                yield f"I2: {missing} KES cents of {request['account_reference']} are not booked ({payment.about})"
    if books.balance("mpesa:collection") != booked_in_all:
        yield f"I2: mpesa:collection holds {books.balance('mpesa:collection')}, its pushes {booked_in_all}"
    held = {row["code"]: row["balance_cents"] for row in books.operators("SELECT * FROM ledger_accounts")}
    merchant = sum(cents for code, cents in held.items() if code.startswith("merchant:"))
    bills = world.oracle.bills_cents
    paid_out = sum(row["amount_cents"] for row in books.paid_out())
    left_here = sum(paid.values()) + bills + world.oracle.float_cents - paid_out
    if merchant != left_here:
        yield f"I2: the operator holds {merchant} for us, and {left_here} was paid on the handsets and not paid out"
    wallets = sum(cents for code, cents in held.items() if code.startswith("subscriber:"))
    left = WALLET_CENTS * len(world.template.people) - sum(world.oracle.spent_cents.values())
    left += world.oracle.bill_wallets_cents - bills + paid_out
    if wallets != left:
        yield f"I2: the operator's subscribers hold {wallets}, and {left} is left on the handsets"


def _dollars(world: World, books: Books) -> Iterator[str]:
    """I2 for USD: the agent account at Deriv, less exactly what open doubts are about, is the one in our books."""
    in_doubt = 0
    for payment in books.payments():
        for transfer in payment.transfers:
            sent = sum(-row["amount_cents"] for row in paid_out(books, transfer["reference"]))
            expected = transfer["amount_cents"] if transfer["state"] == "CONFIRMED" else 0
            if transfer["state"] == "UNKNOWN" and payment.reasons & _IN_DOUBT and sent in {0, transfer["amount_cents"]}:
                in_doubt += sent
            elif sent != expected:
                yield f"I2: {transfer['reference']} is {transfer['state']} and Deriv paid {sent} ({payment.about})"
    held = sum(row["balance_cents"] for row in books.derivs(_AGENT, AGENT_LOGIN_ID))
    if books.balance("deriv:agent") - in_doubt != held:
        yield f"I2: deriv:agent is {books.balance('deriv:agent')}, in doubt {in_doubt}, and Deriv holds {held}"
    owners = sum(row["amount_cents"] for row in books.ours(_OWNERS))
    kept = world.oracle.credited_cents - owners + sum(row["cents"] for row in books.ours(_KEPT_IN_SUSPENSE))
    kept += sum(row["amount_cents"] for payment in books.withdrawals() for row in unexpected(books, payment))
    if books.balance("suspense:USD") != kept:
        yield f"I2: suspense:USD is {books.balance('suspense:USD')}, and {kept} is kept there"
    if books.balance("equity:owner:USD") != AGENT_CENTS + owners:
        yield "I2: the owner's money has changed"


_OWNERS: Final = "SELECT amount_cents FROM reviews WHERE decision = 'OWNERS' AND resolved_at IS NOT NULL"
_KEPT_IN_SUSPENSE: Final = """
    SELECT sum(CASE e.side WHEN 'CREDIT' THEN e.amount_cents ELSE -e.amount_cents END) cents FROM ledger_entries e
    JOIN ledger_accounts a ON a.id = e.account_id JOIN ledger_journals j ON j.id = e.journal_id
    WHERE a.code = 'suspense:USD' AND j.transaction_id IS NOT NULL HAVING cents IS NOT NULL"""
"""What belongs to a transaction there."""
_AGENT: Final = "SELECT balance_cents FROM deriv_sim_accounts WHERE login_id = ?"


def _once(world: World, books: Books) -> Iterator[str]:
    """I3: at most one prompt for a deposit, at most one payment at Deriv."""
    prompts: dict[str, int] = {}
    for row in books.operators("SELECT account_reference, count(*) n FROM stk_pushes GROUP BY account_reference"):
        prompts[row["account_reference"]] = row["n"]
    known = {request["account_reference"] for payment in books.deposits() for request in payment.requests}
    known.update(row[0] for row in books.ours("SELECT account_reference FROM till_pushes"))
    for reference in sorted(world.oracle.asked_cents.keys() - known):
        yield f"I3: a prompt went out under {reference}, which the books do not know"
    for payment in books.deposits():
        shown = sum(prompts.get(request["account_reference"], 0) for request in payment.requests)
        if shown > 1:
            yield f"I3: {shown} prompts for one deposit ({payment.about})"
        payouts = sum(len(paid_out(books, transfer["reference"])) for transfer in payment.transfers)
        if payouts > 1:
            yield f"I3: {payouts} payments at Deriv for one deposit ({payment.about})"


def _nothing_for_nothing(world: World, books: Books) -> Iterator[str]:
    """I4, I6: Deriv pays only for what was paid on a handset; what was refused for good never shows up."""
    for payment in books.deposits():
        paid = sum(world.oracle.paid_cents[request["account_reference"]] for request in payment.requests)
        payouts = sum(len(paid_out(books, transfer["reference"])) for transfer in payment.transfers)
        if payouts and not paid:
            yield f"I4: Deriv was paid and the handset was not ({payment.about})"
        elif payouts and _first_payout(books, payment) < _last_payment(books, payment):
            yield f"I4: Deriv was paid before the handset was ({payment.about})"
        if payment.status == "FAILED" and paid and not payment.reviews:
            yield f"I6: told as failed, and {paid} KES cents were paid ({payment.about})"
        if payment.status == "FAILED" and payouts:
            yield f"I6: told as failed, and Deriv was paid ({payment.about})"
    known = {transfer["reference"] for payment in books.payments() for transfer in payment.transfers}
    for row in books.derivs(
        "SELECT remark FROM deriv_sim_rows WHERE login_id = ? AND amount_cents < 0", AGENT_LOGIN_ID
    ):
        if row["remark"].rsplit(" ", 1)[-1] not in known:
            yield f"I4: Deriv paid under a reference that is not ours: {row['remark'][-24:]}"


def _first_payout(books: Books, payment: Payment) -> datetime:
    sent = [row["happened_at_ms"] for transfer in payment.transfers for row in paid_out(books, transfer["reference"])]
    return _EPOCH + timedelta(milliseconds=min(sent))


def _last_payment(books: Books, payment: Payment) -> datetime:
    query = "SELECT ended_at FROM stk_pushes WHERE state = 'PAID' AND account_reference = ?"
    ended = [row[0] for request in payment.requests for row in books.operators(query, request["account_reference"])]
    return moment(max(ended)).replace(microsecond=0)


def _not_forwarded(world: World, books: Books) -> Iterator[str]:
    """I4: a payment told with another amount or phone than we asked for is looked at by people."""
    altered = {name for name, checkout in world.oracle.altered if world.oracle.prompts.get(name) == checkout}
    for payment in books.deposits():
        if not payment.reviews and any(request["account_reference"] in altered for request in payment.requests):
            yield f"I4: another amount or phone was told, and nobody looks ({payment.about})"


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _final(world: World, books: Books) -> Iterator[str]:
    """I6, I9: a verdict that is final stays, or people know it was wrong; nobody tells us one at a made-up address."""
    for payment in books.deposits():
        failed = [request["account_reference"] for request in payment.requests if request["state"] == "FAILED"]
        if not payment.reviews and any(world.oracle.paid_cents[reference] for reference in failed):
            yield f"I6: a push has failed, was paid, and nobody looks ({payment.about})"
    refuted = {row[0] for row in books.ours(_BY_PEOPLE)}
    for row in books.ours("SELECT * FROM simulated_moves WHERE origin IN ('CONFIRMED', 'FAILED') AND state <> origin"):
        if row["state"] != "FAILED" or row["evidence"] not in refuted:
            yield f"I6: what was {row['origin']} has become {row['state']}"
    (approved,) = books.ours(_FOUND_NOT_TO_BE)
    if len(refuted) > approved[0]:
        yield f"I6: {len(refuted)} payouts have not been made, and people have found that of {approved[0]}"
    for path in world.oracle.strange:
        yield f"I9: a callback was taken at an address we never gave out, ending in {path[-1]}"


_BY_PEOPLE: Final = "SELECT id FROM mpesa_disbursements WHERE state = 'FAILED' AND code = 'people'"
_FOUND_NOT_TO_BE: Final = """SELECT count(*) FROM audit_logs
    WHERE action = 'review.approved' AND facts ->> 'decision' = 'IT_DID_NOT'"""


def _decided(world: World, books: Books) -> Iterator[str]:
    """I7: everything is over or with people, and people are asked only where something gave cause."""
    for payment in books.deposits():
        if payment.status not in _ENDED:
            yield f"I7: not decided ({payment.about})"
        if payment.status == "IN_REVIEW" and not payment.reviews:
            yield f"I7: in review without a review ({payment.about})"
        keys = [(review["reason"], review["amount_cents"]) for review in payment.reviews]
        if len(keys) != len({reason for reason, _ in keys}):
            yield f"I7: one question twice: {sorted(keys)} ({payment.about})"
        for reason in without_cause(world, books, payment):
            yield f"I7: {reason} without a cause ({payment.about})"
        for evidence in (*payment.requests, *payment.transfers):
            if evidence["state"] not in {"CONFIRMED", "FAILED"} and not payment.reviews:
                yield f"I7: evidence is {evidence['state']} and nobody looks ({payment.about})"


def _delivered(_: World, books: Books) -> Iterator[str]:
    """I8: nothing is owed to anybody, and nobody holds a lease on what is over."""
    for row in books.ours("SELECT consumer, dead FROM deliveries"):
        yield f"I8: an event is {'dead' if row['dead'] else 'owed'} to {row['consumer']}"
    for table in _EVIDENCE:
        for row in books.ours(f"SELECT state FROM {table} WHERE lease_until IS NOT NULL"):  # noqa: S608  (own names)
            yield f"I8: a lease is held on a row of {table} in {row['state']}"


def _audited(_: World, books: Books) -> Iterator[str]:
    """I10: every batch that changed something says who did it, every licence and every callback too."""
    query = """SELECT e.name FROM domain_events e LEFT JOIN audit_logs a ON a.batch_id = e.batch_id
               WHERE a.batch_id IS NULL"""
    for row in books.ours(query):
        yield f"I10: {row['name']} happened and no audit row says who did it"
    noted = {(row["action"], row["subject_id"]): row["times"] for row in books.ours(_NOTED)}
    for table, kind in _EVIDENCE.items():
        for row in books.ours(f"SELECT id, fence FROM {table}"):  # noqa: S608  (own names)
            times = noted.get((f"{kind}.claimed", identifier(row["id"])), 0)
            if times != row["fence"]:
                yield f"I10: a {kind} was claimed {row['fence']} times, and {times} are noted"
    for row in books.ours(
        "SELECT id, outcome FROM webhook_logs"
        " WHERE source IN ('daraja_stk', 'daraja_till', 'daraja_b2c', 'daraja_status')"
    ):
        refused, applied = row["outcome"].startswith("REFUSED"), row["outcome"] != "RECEIVED"
        first = "webhook.refused" if refused else "webhook.received"
        for action in (first,) if refused or not applied else (first, "webhook.applied"):
            if noted.get((action, identifier(row["id"])), 0) != 1:
                yield f"I10: a callback is {row['outcome']}, and no row says {action}"
    for row in books.ours(
        """SELECT id, version, (SELECT count(*) FROM domain_events e WHERE e.aggregate_id = t.id) events,
                  (SELECT max(sequence) FROM domain_events e WHERE e.aggregate_id = t.id) last FROM transactions t"""
    ):
        if not row["version"] == row["events"] == row["last"]:
            yield f"I10: {identifier(row['id'])} is version {row['version']} after {row['events']} events"


_MESSAGES: Final = """SELECT id, outcome FROM webhook_logs
    WHERE source IN ('daraja_stk', 'daraja_b2c', 'daraja_status', 'daraja_timeout')"""
_NOTED: Final = "SELECT action, subject_id, count(*) times FROM audit_logs GROUP BY action, subject_id"


async def _provable(world: World) -> list[str]:
    """I10: the audit trail is sealed and verifies; events and entries rebuild every transaction and balance."""
    engine = reading(world.lives[0].system.engine)
    signer = CheckpointKey(world.settings.derived_key(KeyPurpose.AUDIT_CHECKPOINT))
    report = await SqlAuditTrail(engine).verify(CheckpointPublicKey(signer.public_key))
    replayed = await SqlHistory(engine).check()
    broken = [f"I10: the books cannot be rebuilt: {difference}" for difference in replayed.differences]
    if report.broken is not None:
        broken.append(f"I10: the audit trail is broken: {report.broken}")
    if report.waiting_rows:
        broken.append(f"I10: {report.waiting_rows} audit rows are not sealed")
    return broken


def _promises(world: World, _: Books) -> Iterator[str]:
    """I12 to I14: what users were told is kept, limits too; nobody calls out with a transaction open."""
    yield from world.users.promises.broken
    yield from world.oracle.broken
    yield from world.network.broken_rules


async def _repetition(world: World, books: Books) -> list[str]:
    """I9: every callback of the run, delivered once more, changes nothing; a forged one moves no money."""
    broken = []
    heard = list(world.oracle.heard)
    # Where somebody forges, a true callback may have been set aside for naming another prompt, until we knew better.
    receipts = not world.profile.level(Hazard.FORGER)
    for forged in (False, True):
        before = books.balances() if forged else books.money(receipts=receipts) + books.reviews()
        await world.deliver_again([one for one in heard if one.is_forged is forged])
        after = books.balances() if forged else books.money(receipts=receipts) + books.reviews()
        if before != after:
            changed = [row for row in after if row not in before]
            broken.append(
                f"I9: {'forged ' if forged else ''}callbacks told again have changed something: {changed[:2]}"
            )
    return broken
