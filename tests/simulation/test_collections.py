"""The simulated business: it runs under faults, and what was paid, posted and answered is held against its books."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from penpay.simulation.collections.automatic import SUSPENSE, Shown
from penpay.simulation.collections.tally import Tally, What, Wish
from penpay.simulation.mutants.hunting import PlantedRun, finding_of, named
from penpay.simulation.network import Delivered
from penpay.simulation.profile import Hazard, Level, profile_of
from penpay.simulation.replay import Narrowing
from penpay.simulation.run import Outcome, Simulator

AMINA, OLDER, NEWER, SALE = (str(UUID(int=number)) for number in range(1, 5))
CONFIRMATION = "/api/webhooks/c2b/token/confirmation"


class Silent:
    """Notes that nobody reads."""

    def trace(self, line: str) -> None: ...

    def reach(self, place: str) -> None: ...


def business() -> Shown:
    """Amina owes 100 on an older and 200 on a newer invoice; a sale for 50 names nobody."""
    row: Any = {"customer_id": AMINA, "issued_at": "2026-01-01", "invoice_number": "INV-20260101-0001"}
    newer: Any = {**row, "issued_at": "2026-01-02", "invoice_number": "INV-20260102-0001"}
    sale: Any = {"customer_id": None}
    shown = Shown({OLDER: row, NEWER: newer}, {SALE: sale})
    shown.tell("Customer", AMINA, "CustomerCreated", {"customer_id": "CUST-001"})
    for id_, one, cents in ((NEWER, newer, 20_000), (OLDER, row, 10_000)):
        told = {"invoice_id": one["invoice_number"], "balance_cents": cents, "status": "UNPAID"}
        shown.tell("Invoice", id_, "InvoiceIssued", told)
    shown.tell("Sale", SALE, "SaleOpened", {"pos_id": "POS-001", "to_pay_cents": 5_000, "status": "PENDING"})
    return shown


@pytest.mark.parametrize(
    ("reference", "cents", "uses"),
    [
        ("INV-20260102-0001", 25_000, {("INVOICE", NEWER): 20_000, ("CREDIT", AMINA): 5_000}),
        ("inv20260101 0001", 4_000, {("INVOICE", OLDER): 4_000}),
        ("cust-001", 15_000, {("INVOICE", OLDER): 10_000, ("INVOICE", NEWER): 5_000}),
        ("CUST001", 31_000, {("INVOICE", OLDER): 10_000, ("INVOICE", NEWER): 20_000, ("CREDIT", AMINA): 1_000}),
        ("POS-001", 6_000, {("POS", SALE): 5_000, SUSPENSE: 1_000}),
        ("rent", 700, {SUSPENSE: 700}),
    ],
)
def test_what_a_payment_is_for_is_computed_anew(reference: str, cents: int, uses: dict[tuple[str, str], int]) -> None:
    """One invoice and its excess, the oldest first and the rest, a sale and what is too much, and what nobody knows."""
    assert business().uses_of(reference, cents) == Counter(uses)


def test_a_void_invoice_is_paid_by_nothing() -> None:
    """Money for it waits for people."""
    shown = business()
    told = {"invoice_id": "INV-20260101-0001", "balance_cents": 0, "status": "VOID"}
    shown.tell("Invoice", OLDER, "InvoiceVoided", told)

    assert shown.uses_of("INV-20260101-0001", 10_000) == Counter({SUSPENSE: 10_000})


def test_true_and_forged_confirmations_are_told_apart_by_what_was_forged() -> None:
    """A message counts as M-Pesa's unless a forger has claimed just that."""
    tally = Tally(Silent(), forged={"ABC": {500_00}})
    for receipt, amount in (("ABC", "500.00"), ("ABC", "400.00"), ("XYZ", "500.00")):
        body = f'{{"TransID": "{receipt}", "TransAmount": "{amount}"}}'.encode()
        tally.request(Delivered(CONFIRMATION, "127.0.0.1", body))

    assert tally.delivered == Counter({"ABC": 1, "XYZ": 1})


def test_another_answer_under_one_key_is_seen() -> None:
    """The first answer counts, and a second one that differs is a finding; so is a refusal after it."""
    tally = Tally(Silent())
    wish = Wish(What.INVOICE, "staff:one/1", "key-of-one")
    tally.done(wish, '{"invoice_id": "INV-1"}')
    tally.done(wish, '{"invoice_id": "INV-2"}')
    tally.refused(wish, "invoice_void")

    assert [finding.partition(":")[0] for finding in tally.broken] == ["K5", "K5"]


def test_a_business_lives_through_faults(simulator: Simulator) -> None:
    """With crashes, lost and late confirmations, and a forger, everything is in the books in the end."""
    wrong = (Hazard.CRASH, Hazard.CALLBACK_LOST, Hazard.CALLBACK_REPEATED, Hazard.FORGER)
    hazards = {Hazard.COLLECTIONS: Level.EXTREME, **dict.fromkeys(wrong, Level.MILD)}
    profile = replace(profile_of(1), users=1, deposits=1, hazards=hazards)

    outcome = simulator.run(1, profile=profile)

    assert outcome.broken == ()
    assert outcome.reached["business invoice.issued done"]


def run(simulator: Simulator, seed: int, only: str) -> Outcome:
    return simulator.run(seed, profile=Narrowing(only=only).of(profile_of(seed)))


@pytest.mark.parametrize(
    ("only", "reached"),
    [
        ("collections+,callback_lost+,push_spoilt+", "payer pays"),
        ("collections+,forger+,careless_payer+", "webhook CONTRADICTS"),
        ("collections+,payout_spoilt+,payout_failed", "payout UNKNOWN"),
        ("collections+,forged_result+,payout_queued", "fault forged_result"),
    ],
)
def test_pushes_and_refunds_live_through_what_goes_wrong(simulator: Simulator, only: str, reached: str) -> None:
    """Each of these strikes within eight seeds and breaks nothing."""
    outcomes = [run(simulator, 1, only)]
    while not outcomes[-1].reached[reached] and len(outcomes) < 8:
        outcomes.append(run(simulator, len(outcomes) + 1, only))

    assert [()] * len(outcomes) == [outcome.broken for outcome in outcomes]
    assert outcomes[-1].reached[reached]


def test_the_same_business_is_the_same_run(simulator: Simulator) -> None:
    """With an initiator, whose password is sealed by chance of OpenSSL's own, and with handsets at the counter."""
    first, again = (run(simulator, 1, "collections+,crash,payout_spoilt") for _ in range(2))

    assert first.trace_hash == again.trace_hash


@pytest.mark.parametrize("name", ["altered_push_booked", "paid_refund_left_in_flight"])
def test_a_bug_at_the_counter_is_found(simulator: Simulator, name: str) -> None:
    """Another amount than the phone paid, and money that has left and is in flight for ever, within eight seeds."""
    mutant = named(name)
    runs = (PlantedRun(one, mutant.profile(profile_of(one)), mutant=name).live(simulator) for one in range(1, 9))

    assert any(finding_of(mutant, outcome) for outcome in runs)


def test_most_seeds_have_no_business() -> None:
    """One in sixteen has, and the draw moves none of the others."""
    share = sum(profile_of(seed).level(Hazard.COLLECTIONS) > 0 for seed in range(1, 401))

    assert 10 <= share <= 45
