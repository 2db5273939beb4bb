"""Another merchant in one seed, its Daraja, and what must hold of both at the end. Numbers as in docs/simulation.md."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from penpay.domain.mpesa.gateway import CallOutcome, PaymentOutcome
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from penpay.simulation.books import Books, Row
from penpay.simulation.mobile_money.installation import uncovered
from penpay.simulation.mobile_money.merchant import Merchant
from penpay.simulation.mobile_money.merchant_sandbox import OPENING_CENTS, MerchantSandbox, settings_at
from penpay.simulation.ports import SimClock
from penpay.simulation.profile import MERCHANTS, Hazard

if TYPE_CHECKING:
    from penpay.simulation.world import World

_MOVED: Final = "SELECT * FROM operator_transactions ORDER BY id"
_REQUESTS: Final = "SELECT * FROM daraja_requests"
_BALANCES: Final = "SELECT code, balance_cents FROM ledger_accounts ORDER BY code"


class Market:
    """Where the rest of Daraja is used."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.sandbox = MerchantSandbox(
            loop=world.loop,
            profile=world.profile,
            notes=world,
            chance=lambda purpose: world.chance(f"merchant/{purpose}"),
            settings=settings_at(world.settings, world.folder),
        )
        chance = world.chance("merchant/acts")
        self.merchant = Merchant(
            sandbox=self.sandbox,
            clock=SimClock(world.loop, chance),
            chance=chance,
            settings=world.settings,
            notes=world,
        )
        self.sandbox.serve_merchant(self.merchant.app)
        self.known = {str(row["receipt"]) for row in world.books.merchants(_MOVED)}
        self.broken: list[str] = []

    def begin(self) -> list[asyncio.Task[None]]:
        """Start the sandbox and the merchant."""
        self._world.reach(f"fault {Hazard.MERCHANT}")
        self.sandbox.launch()
        return [self._world.loop.start(self.merchant.live(), None, "merchant")]

    def has_struck(self, hazard: Hazard) -> bool:
        """Whether this has happened in this seed."""
        return bool(self._world.reached[f"fault {hazard}"])

    def heal(self) -> None:
        """Everything works again."""
        self.sandbox.heal()

    async def finish(self) -> None:
        """Learn what became of everything, look into the books, and let nothing of it run on."""
        await self.sandbox.whole()
        await self.merchant.finish()
        found = await SqlLedgerBooks(self.sandbox.system.engine).verify()
        self.broken = [f"M2: ledger verify: {one.check} {one.subject} {one.difference_cents}" for one in found]
        self.sandbox.end()


def check_market(market: Market, books: Books) -> list[str]:
    """Every invariant of the other merchant that does not hold."""
    merchant = market.merchant
    moved = [row for row in books.merchants(_MOVED) if str(row["receipt"]) not in market.known]
    requests = books.merchants(_REQUESTS)
    balances = [(str(row["code"]), int(row["balance_cents"])) for row in books.merchants(_BALANCES)]
    return [
        *market.broken,
        *merchant.broken,
        *(f"M2: {finding}" for finding in uncovered(balances)),
        *_asked_for(merchant, moved, requests),
        *_as_told(merchant, moved, market.known),
        *_paid_out(merchant, moved, requests),
        *_listed(merchant, moved),
        *_held(merchant, moved, dict(balances)),
        *_ended(requests),
        *(() if _anything_struck(market) else _all_paid(merchant, moved)),
    ]


def _asked_for(merchant: Merchant, moved: list[Row], requests: list[Row]) -> Iterator[str]:
    """M1: every movement is one that the merchant or a customer asked for, with that amount, and is there once."""
    ids = {row["transaction_id"]: str(row["originator_conversation_id"]) for row in requests if row["transaction_id"]}
    receipts = {row["id"]: str(row["receipt"]) for row in moved}
    times: Counter[str] = Counter()
    for row in moved:
        about = receipts.get(row["reverses_id"]) or row["bill_reference"] or ids.get(row["id"], "nobody")
        times[about] += 1
        bill, payout, back = (
            merchant.bills.get(about),
            merchant.payouts.get(about),
            merchant.given_back.get(about),
        )
        wanted = bill or payout or back
        if wanted is None or wanted.cents != row["amount_cents"]:
            yield f"M1: {row['amount_cents']} moved for {about}, and nobody has asked for that"
        if bill is not None and bill.is_refused:
            yield f"M6: {about} was refused by the merchant, and was paid"
    yield from (f"M3: {about} has moved {count} times" for about, count in sorted(times.items()) if count > 1)


def _as_told(merchant: Merchant, moved: list[Row], known: set[str]) -> Iterator[str]:
    """M4: each receipt is told with one amount, and that is what moved."""
    cents = {str(row["receipt"]): int(row["amount_cents"]) for row in moved}
    for receipt, told in sorted(merchant.told.items()):
        if receipt not in known and told != {cents.get(receipt)}:
            yield f"M4: {receipt} is told with {sorted(told)}, and moved {cents.get(receipt)}"
    paid = {str(row["receipt"]): row["bill_reference"] for row in moved if row["bill_reference"]}
    for bill in merchant.bills.values():
        for receipt in bill.confirmations:
            if bill.is_refused:
                yield f"M6: {bill.reference} was refused by the merchant, and is confirmed"
            if paid.get(receipt) != bill.reference:
                yield f"M4: {receipt} is confirmed for {bill.reference}, and the books have {paid.get(receipt)}"


def _paid_out(merchant: Merchant, moved: list[Row], requests: list[Row]) -> Iterator[str]:
    """M3, M5: what was accepted is there; Result and status say what the books say; a refusal moved nothing."""
    known = {str(row["originator_conversation_id"]): row for row in requests}
    made = {row["id"] for row in moved}
    for payout in merchant.payouts.values():
        row = known.get(payout.id)
        is_paid = row is not None and row["transaction_id"] in made
        if CallOutcome.ACCEPTED in payout.outcomes and row is None:
            yield f"M5: {payout.id} was accepted, and is not in the books"
        if any(outcome is ResultOutcome.SUCCEEDED for outcome in payout.results) and not is_paid:
            yield f"M3: {payout.id} is told as paid, and is not"
        if any(outcome is ResultOutcome.FAILED for outcome in payout.results) and is_paid:
            yield f"M3: {payout.id} is told as failed, and is paid"
        if set(payout.outcomes) == {CallOutcome.FAILED} and row is not None:
            yield f"M3: {payout.id} was refused each time, and is in the books"
        if is_paid is not any(status.payment is PaymentOutcome.PAID for status in payout.statuses):
            yield f"M4: {payout.id} is {'paid' if is_paid else 'not paid'}, and its status says otherwise"
    for back in merchant.given_back.values():
        if len(back.done) > 1:
            yield f"M3: {back.receipt} is told as given back {len(back.done)} times"


def _listed(merchant: Merchant, moved: list[Row]) -> Iterator[str]:
    """M4: the list has every payment of a customer, and nothing else."""
    paid = {str(row["receipt"]): int(row["amount_cents"]) for row in moved if row["bill_reference"]}
    if merchant.pulled != paid:
        yield f"M4: the list has {len(merchant.pulled)} payments, and {len(paid)} were made"


def _held(merchant: Merchant, moved: list[Row], balances: dict[str, int]) -> Iterator[str]:
    """M2: the merchant holds what it held, and what customers paid, less what it paid out and gave back."""
    expected = OPENING_CENTS
    for row in moved:
        gained = bool(row["bill_reference"]) and row["reverses_id"] is None
        expected += row["amount_cents"] - row["payee_fee_cents"] if gained else -row["amount_cents"]
    held = sum(cents for code, cents in balances.items() if code.startswith("merchant:") and code.endswith(":KES"))
    if held != expected:
        yield f"M2: the merchant holds {held} instead of {expected}"
    told = None if merchant.balance is None else merchant.balance.accounts.get("Utility Account")
    if told is not None and told.current.cents != held:
        yield f"M4: the balance is told as {told.current.cents}, and is {held}"


def _ended(requests: list[Row]) -> Iterator[str]:
    """M5: every request that was accepted has ended."""
    for row in requests:
        if row["state"] == "ACCEPTED":
            yield f"M5: a request for {row['kind']} has not ended"


def _all_paid(merchant: Merchant, moved: list[Row]) -> Iterator[str]:
    """M5: where nothing goes wrong, what was accepted is paid and confirmed."""
    paid = {str(row["bill_reference"]) for row in moved}
    for bill in merchant.bills.values():
        is_due = bill.outcome is CallOutcome.ACCEPTED and not bill.is_refused
        if is_due and (bill.reference not in paid or not bill.confirmations):
            yield f"M5: {bill.reference} was accepted, and is not paid or not confirmed"


def _anything_struck(market: Market) -> bool:
    return any(market.has_struck(hazard) for hazard in MERCHANTS - {Hazard.MERCHANT})
