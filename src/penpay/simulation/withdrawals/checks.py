"""What must hold of withdrawals, refunds and decisions at the end. Numbers as in docs/simulation.md.

An open review takes out exactly what it is about: money in doubt must be in doubt by that much, under a reason that
says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from penpay.simulation.agreed import debited, paid_out, unexpected
from penpay.simulation.books import Books, Payment, Row, identifier
from penpay.simulation.endings import settled_at
from penpay.simulation.excused import without_cause
from penpay.simulation.quiet import moment
from penpay.simulation.template import SHORT_CODE
from penpay.simulation.timely import enough
from penpay.simulation.withdrawals.desk import Withdrawals
from penpay.simulation.withdrawals.figures import converted_as_quoted, held, priced_as_promised
from penpay.simulation.withdrawals.opening import CLIENT_CENTS
from penpay.simulation.withdrawals.shown import as_promised

_FINAL = frozenset({"COMPLETED", "FAILED", "REVERSED"})
_IN_DOUBT = frozenset({"UNKNOWN", "ACCEPTED"})


class Outcome:
    """What became of one transaction at the two providers, and what the books say of it."""

    def __init__(self, books: Books, payment: Payment) -> None:
        self.payment = payment
        t = payment.transaction
        self.status = payment.status
        self.usd, self.kes = int(t["usd_cents"]), int(t["kes_charged_cents"])
        self.debits = debited(books, payment)
        """Rows at Deriv that took the client's dollars."""
        self.stray = unexpected(books, payment)
        """Those of them that are in suspense."""
        self.sent_back = [row for one in payment.transfers for row in paid_out(books, one["reference"])]
        """Rows at Deriv that paid the client."""
        ocids = {row["originator_conversation_id"] for row in payment.payouts}
        self.paid = [row for row in books.paid_out() if row["ocid"] in ocids]
        """What M-Pesa has paid to her phone."""

    def named(self, currency: str, cents: int, *reasons: str) -> bool:
        """Whether an open review, for one of these reasons if there are any, is about exactly this."""
        return any(
            review["currency"] == currency
            and review["amount_cents"] == cents
            and (not reasons or review["reason"] in reasons)
            for review in self.payment.open_reviews
        )

    @property
    def about(self) -> str:
        return self.payment.about


async def check_withdrawals(withdrawals: Withdrawals, books: Books) -> list[str]:
    """Every invariant of withdrawals that does not hold, the weightiest first."""
    outcomes = [Outcome(books, payment) for payment in books.payments()]
    broken = [
        *withdrawals.tally.broken,
        *(finding for one in outcomes for finding in _at_most_once(one)),
        *_as_sent(withdrawals, outcomes),
        *(finding for one in outcomes if not one.payment.is_deposit for finding in _as_it_ended(withdrawals, one)),
        *(finding for one in outcomes if one.payment.is_deposit for finding in _refunded(one)),
        *(finding for one in outcomes for finding in _evidence(withdrawals, one)),
        *_three_books(withdrawals, books, outcomes),
        *(finding for one in outcomes for finding in _kept(books, one)),
        *(finding for one in outcomes if not one.payment.is_deposit for finding in _decided(withdrawals, books, one)),
        *_by_two(books),
        *priced_as_promised(withdrawals.world, books),
        *converted_as_quoted(books),
        *withdrawals.users.promises.broken,
    ]
    broken.extend(await as_promised(withdrawals, books))
    return broken


def _at_most_once(one: Outcome) -> Iterator[str]:
    """W1: nobody is debited, paid or sent back twice, and what goes out goes one way."""
    if len(one.debits) > 1:
        yield f"W1: Deriv has debited {len(one.debits)} times for one withdrawal ({one.about})"
    if any(row["amount_cents"] != one.usd for row in one.debits):
        yield f"W1: Deriv has debited another amount than {one.usd} ({one.about})"
    if any(row["counterpart"] != one.payment.transaction["deriv_login_id"] for row in one.debits):
        yield f"W1: Deriv has debited somebody else ({one.about})"
    if len(one.paid) > 1:
        yield f"W2: M-Pesa has paid {len(one.paid)} times ({one.about})"
    if len(one.sent_back) > 1:
        yield f"W2: Deriv was paid {len(one.sent_back)} times ({one.about})"
    if one.paid and one.sent_back:
        yield f"W2: the phone and Deriv were paid both ({one.about})"


def _as_sent(withdrawals: Withdrawals, outcomes: list[Outcome]) -> Iterator[str]:
    """W2: what reached M-Pesa is a payout in the books, under its own id, to the user's phone; not before the dollars.

    What is sent again is sent under the same id.
    """
    world = withdrawals.world
    phones = {person.login_id: person.msisdn for person in world.template.people}
    known = {row["originator_conversation_id"]: (one, row) for one in outcomes for row in one.payment.payouts}
    # Those of a business's refunds are looked at there.
    refunds = {row[0] for row in world.books.ours(_OF_REFUNDS)}
    for sent in (one for one in withdrawals.tally.sent if one.id not in refunds):
        if sent.id not in known:
            yield f"W2: a payout was sent under {sent.id}, which the books do not know"
            continue
        one, row = known[sent.id]
        if sent.cents != row["amount_cents"] or sent.cents != one.kes:
            yield f"W2: {sent.cents} were sent, and {one.kes} are to be paid ({one.about})"
        if sent.msisdn != phones.get(one.payment.transaction["deriv_login_id"]):
            yield f"W2: a payout was sent to somebody else's phone ({one.about})"
        sent_ms = (world.loop.begins_at + timedelta(microseconds=sent.at_us)).timestamp() * 1_000
        if not one.payment.is_deposit and not any(row["happened_at_ms"] <= sent_ms for row in one.debits):
            yield f"W3: a payout was sent before Deriv had debited anybody ({one.about})"
    begun = payouts_begun(world.books.ours(_BEGINNINGS))
    all_sent = {sent.id for sent in withdrawals.tally.sent}
    for one in outcomes:
        ids = {row["originator_conversation_id"] for row in one.payment.payouts} & all_sent
        if len(ids) > begun[one.payment.id] + (not one.payment.is_deposit):
            yield f"W2: payouts under {len(ids)} ids ({one.about})"


def payouts_begun(events: Iterable[Row]) -> Counter[str]:
    """By transaction: how many payouts people, or a transfer that Deriv refused, have begun.

    A review keeps its last decision alone: of one that was opened again, only the events tell each that was carried
    out. A withdrawal has a payout of its own beside these.
    """
    begun: Counter[str] = Counter()
    for event in events:
        by_people = event["name"] == "ReviewResolved" and event["decision"] in _PAYING
        # What Deriv refuses while people look at the deposit, they give back or nobody.
        by_itself = event["name"] == "DerivTransferRefused" and event["status"] == "AWAITING_DERIV_CONFIRMATION"
        begun[identifier(event["aggregate_id"])] += by_people or by_itself
    return begun


_PAYING = frozenset({"PAY_OUT", "REFUND"})
_BEGINNINGS = """SELECT name, aggregate_id, payload ->> 'decision' decision, payload ->> 'status' status
    FROM domain_events WHERE name IN ('ReviewResolved', 'DerivTransferRefused')"""
_OF_REFUNDS = "SELECT originator_conversation_id FROM mpesa_disbursements WHERE purpose = 'COLLECTIONS_REFUND'"


def _as_it_ended(withdrawals: Withdrawals, one: Outcome) -> Iterator[str]:
    """W3: what a user is told is what has happened at both providers."""
    debits, back, paid = len(one.debits), len(one.sent_back), len(one.paid)
    expected = {"COMPLETED": (1, 0, 1), "REVERSED": (1, 1, 0), "FAILED": (0, 0, 0)}.get(one.status)
    if expected is None or (debits, back, paid) == expected:
        return
    lied = any(row["originator_conversation_id"] in withdrawals.tally.lied for row in one.payment.payouts)
    if one.status == "COMPLETED" and (debits, back, paid) == (1, 0, 0) and lied and one.named("KES", one.kes):
        return  # a forged Result was believed, as it may be, and people know
    stray = sum(row["amount_cents"] for row in one.stray)
    foretold = "IT_DID_NOT" in one.payment.decisions
    if foretold and len(one.stray) == debits - expected[0] and stray and one.named("USD", stray, "CONTRADICTION"):
        return  # somebody was debited after people had said that nobody would be
    yield f"W3: told as {one.status}: debited {debits} times, sent back {back} times, paid {paid} times ({one.about})"


def _refunded(one: Outcome) -> Iterator[str]:
    """W3: a deposit is told as given back if and only if the payer has got it."""
    if one.status == "REVERSED" and len(one.paid) != 1:
        lied = one.named("KES", one.kes)
        if not lied:
            yield f"W3: told as given back, and paid {len(one.paid)} times ({one.about})"
    if one.paid and one.status != "REVERSED" and not one.named("KES", one.kes, "DISBURSEMENT_UNRESOLVED"):
        yield f"W3: given back, and told as {one.status} ({one.about})"


def _evidence(withdrawals: Withdrawals, one: Outcome) -> Iterator[str]:
    """W4: what the books say of each call is what became of it, or people are asked about exactly that."""
    for row in one.payment.payouts:
        state, cents = row["state"], row["amount_cents"]
        was_paid = any(paid["ocid"] == row["originator_conversation_id"] for paid in one.paid)
        lied = row["originator_conversation_id"] in withdrawals.tally.lied
        if state in _IN_DOUBT and one.named("KES", cents, "DISBURSEMENT_UNRESOLVED"):
            continue
        if state == "CONFIRMED" and (was_paid or (lied and one.named("KES", cents))):
            continue
        if state == "FAILED" and not was_paid:
            continue
        yield f"W4: a payout is {state}, and {'was' if was_paid else 'was not'} paid ({one.about})"
    for row in one.payment.debits:
        state, cents = row["state"], row["amount_cents"]
        booked = len(one.debits) - len(one.stray)
        if state == "CONFIRMED" and booked == 1:
            continue
        if state == "FAILED" and not booked:
            continue
        if state in _IN_DOUBT and not booked and one.named("USD", cents, "DERIV_UNRESOLVED"):
            continue
        yield f"W4: a debit is {state}, and {booked} credits are booked for it ({one.about})"


def _three_books(withdrawals: Withdrawals, books: Books, outcomes: list[Outcome]) -> Iterator[str]:
    """W4: our account at M-Pesa and every client's at Deriv hold what they held, and what these transactions moved."""
    confirmed = sum(
        row["amount_cents"] for one in outcomes for row in one.payment.payouts if row["state"] == "CONFIRMED"
    )
    claimed = books.balance("receivable:recovery:KES")
    if books.balance("mpesa:utility") != -confirmed - claimed:
        yield f"W4: mpesa:utility is {books.balance('mpesa:utility')}, {confirmed} was paid and {claimed} is owed to us"
    in_flight = sum(row["amount_cents"] for one in outcomes for row in one.payment.payouts if row["state"] in _IN_DOUBT)
    if books.balance("mpesa:payout_in_flight") != in_flight:
        yield f"W4: mpesa:payout_in_flight is {books.balance('mpesa:payout_in_flight')}, and {in_flight} is in doubt"
    asked = {sent.id for sent in withdrawals.tally.sent}
    for row in books.paid_out():
        if row["ocid"] not in asked:
            yield f"W2: M-Pesa has paid {row['amount_cents']} of {SHORT_CODE} under {row['ocid']}, which nobody sent"
    moved: Counter[str] = Counter()
    for one in outcomes:
        client = one.payment.transaction["deriv_login_id"]
        moved[client] -= sum(row["amount_cents"] for row in (*one.debits, *one.sent_back))
    for person in withdrawals.world.template.people:
        (row,) = books.derivs("SELECT balance_cents FROM deriv_sim_accounts WHERE login_id = ?", person.login_id)
        if row["balance_cents"] != CLIENT_CENTS + moved[person.login_id]:
            yield f"W4: {person.login_id} holds {row['balance_cents']} at Deriv, and {moved[person.login_id]} has moved"


def _kept(books: Books, one: Outcome) -> Iterator[str]:
    """W4: nothing is kept but what an open review names, to the cent."""
    kept = held(books, one.payment)
    if one.status in _FINAL and not all(one.named(place[0], cents) for place, cents in kept.items()):
        yield f"W4: it is over, and the books keep {kept} for it ({one.about})"
    if one.status != "IN_REVIEW" or one.payment.is_deposit:
        return
    by_currency: Counter[str] = Counter()
    for place, cents in kept.items():
        by_currency[place[0]] += cents
    for currency, cents in by_currency.items():
        if not one.named(currency, cents):
            told = [(row["reason"], row["amount_cents"]) for row in one.payment.open_reviews]
            yield f"W4: {cents} {currency} are kept, and the reviews say {told} ({one.about})"
    if not kept and len(one.debits) - len(one.stray) - len(one.sent_back) - len(one.paid):
        yield f"W4: nothing is kept, and not all has gone on ({one.about})"


def _decided(withdrawals: Withdrawals, books: Books, one: Outcome) -> Iterator[str]:
    """W7: everything is over or with people, who are asked where something gave cause, and not before it is due."""
    world = withdrawals.world
    payment = one.payment
    if one.status not in _FINAL and not payment.open_reviews:
        yield f"W7: not decided, and nobody looks ({one.about})"
    if one.status not in {*_FINAL, "IN_REVIEW"}:
        yield f"W7: not decided ({one.about})"
    for reason in without_cause(world, books, payment):
        yield f"W7: {reason} without a cause ({one.about})"
    for row in payment.open_reviews:
        since = payment.debits[0]["sent_at"] if row["reason"] == "DERIV_UNRESOLVED" else None
        if since is not None and moment(row["opened_at"]) - moment(since) < _LOOKED_FOR:
            yield f"W7: people were asked about a debit too early ({one.about})"
    begun = max(
        world.loop.begins_at + timedelta(microseconds=world.healed_us), moment(payment.transaction["created_at"])
    )
    took = settled_at(books, payment) - begun
    if one.status in _FINAL and not payment.reviews and took > _ROADS * enough(world):
        yield f"W7: ended {took} after the last fault, {_ROADS * enough(world)} would do ({one.about})"
    if payment.id not in withdrawals.users.promises.true_codes and one.debits:
        yield f"W1: debited without the code that was mailed ({one.about})"


_LOOKED_FOR = timedelta(minutes=10)
_ROADS = 2
"""The one to the phone and the one back, each with pauses and leases of its own, as long as a deposit may take."""


def _by_two(books: Books) -> Iterator[str]:
    """W5: each decision is one person's proposal and another's approval, and is carried out once."""
    approvals: Counter[str] = Counter()
    for row in books.ours(_APPROVED):
        approvals[row["subject_id"]] += 1
        if row["actor"] == f"staff:{row['proposed_by']}":
            yield f"W5: {row['actor']} has approved what she proposed"
    for row in books.ours("SELECT * FROM reviews WHERE approved_by = proposed_by"):
        yield f"W5: {row['approved_by']} has decided alone"
    carried = Counter(row["review_id"] for row in books.ours(_CARRIED_OUT))
    for review, times in carried.items():
        if times != approvals[review]:
            yield f"W5: a decision was approved {approvals[review]} times and carried out {times} times"


_APPROVED = """SELECT actor, subject_id, facts ->> 'proposed_by' proposed_by FROM audit_logs
    WHERE action = 'review.approved'"""
_CARRIED_OUT = "SELECT payload ->> 'review_id' review_id FROM domain_events WHERE name = 'ReviewResolved'"
