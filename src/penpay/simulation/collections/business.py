"""A business in one seed: its PayBill, its staff, its payers, and what M-Pesa takes back from it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from penpay.application.collections.outflows import BookOutflow
from penpay.application.collections.registering import RegistrationState
from penpay.application.collections.reminding import DecideReminders
from penpay.application.collections.reversing import ReversedBy, ReversePayment
from penpay.application.mobile_money.approving import Actor
from penpay.application.mobile_money.reversing import Reverse
from penpay.bootstrap import System
from penpay.config import Settings
from penpay.domain.collections.outflow import OutflowUse
from penpay.domain.mobile_money.administrator import AdministratorRole
from penpay.domain.mobile_money.transaction import OperatorTransactionId
from penpay.domain.mpesa.gateway import CallOutcome, UnansweredValidation
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency, Money
from penpay.simulation.books import identifier
from penpay.simulation.collections.office import Office
from penpay.simulation.collections.payers import PHONES, PIN, WALLETS, BillForger, Payers
from penpay.simulation.collections.paying_out import PayingOut, pays_out
from penpay.simulation.collections.pushing import COUNTER, PURSES, hand_out_phones, unpaid_push
from penpay.simulation.collections.reminding import LEVELS, Gateway, day_of
from penpay.simulation.collections.staff import NAMES, Board, Staff
from penpay.simulation.collections.tally import Tally, What, Wish
from penpay.simulation.people import API
from penpay.simulation.profile import Hazard

if TYPE_CHECKING:
    from penpay.simulation.world import World

_SMALL_CENTS: Final = 60_00
"""In three of five seeds a larger push pays its sale only once M-Pesa, asked by us, has confirmed it."""
_UNDER_WAY_SECONDS: Final = 60
"""Longer than a request, its retries and a commit that lingers take together."""
_BOOKED_SECONDS: Final = 10
"""Within so long a payment is told to us and booked when everything works."""
_MINUTE_US: Final = 60_000_000
_PULLS_WITHIN: Final = 40
"""Looks, a minute apart, within which M-Pesa's list must have been read once more when everything works."""
_A_LOOK_SECONDS: Final = 5
_PASSWORD: Final = "a-password"  # noqa: S105  (of nobody)
_NOMINATED: Final = PHONES[0]


def settings_of(settings: Settings, seed: int) -> Settings:
    """The settings of a business, drawn by the seed's number: in two of three seeds it reads M-Pesa's list."""
    return settings.model_copy(
        update={
            "mpesa_pull": "off" if seed % 3 == 0 else "on",
            "pull_minutes": 15,
            "c2b_validate": "limits" if seed % 2 else "accept",
            "verify_above_cents": _SMALL_CENTS if seed % 5 < 3 else settings.verify_above_cents,  # noqa: PLR2004  (three)
            "mpesa_c2b_version": "v1" if seed % 4 < 2 else "v2",  # noqa: PLR2004  (every other pair)
        }
    )


class Business:
    """Where Collections is used."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.settings = settings_of(world.settings, world.seed)
        self.pulls = world.settings.mpesa_pull == "on"
        self.paying = PayingOut(world) if pays_out(world.profile, world.seed) else None
        self.messages = Gateway(world) if world.seed % 4 in {1, 2} else None
        chance = world.chance("business")
        self._chance = chance
        self.board = Board(today=None if self.messages is None else day_of(world))
        self.tally = Tally(world)
        world.oracle.business = self.tally
        self.office = Office(world, self.tally, chance)
        self._staff = Staff(
            self.office,
            self.board,
            world.chance("business/staff"),
            self._level,
            is_true=lambda number: unpaid_push(world, self.tally, number),
            paying=self.paying,
        )
        self._payers = Payers(world, self.board, self.tally, world.chance("business/payers"))
        self._forger = BillForger(
            world=world,
            client=world.network.client(),
            board=self.board,
            tally=self.tally,
            address=lambda: self.address,
        )
        self.address: str | None = None
        """The path of our confirmations, once it is registered."""
        self.is_reminding = False
        """Whether customers are reminded, as far as anybody knows."""
        self._is_pulled = not self.pulls
        self._reversals: dict[str, Wish] = {}
        self._by_hand: set[str] = set()
        """Reversals that no statement is to tell of any more."""
        self._undone: set[str] = set()
        """Those that a statement has told of, and that were booked."""
        self._background: list[asyncio.Task[None]] = []

    @property
    def _level(self) -> Any:
        return self._world.profile.level(Hazard.COLLECTIONS)

    @property
    def world(self) -> World:
        """Where it is."""
        return self._world

    def begin(self) -> list[asyncio.Task[None]]:
        """Start everybody; those who work and those who pay are returned."""
        world = self._world
        world.reach(f"fault {Hazard.COLLECTIONS}")
        hand_out_phones(world)
        if self.messages is not None:
            self.messages.begin()
        if world.chance("business/confirmations").randrange(3):
            board = world.sandbox.daraja.switches
            board.now = replace(board.now, push_confirmation=True)
        self._background = [world.loop.start(self._forger.live(), None, "bill forger")]
        if self.paying is not None:
            self._background += self.paying.begin()
        acts = [world.loop.start(self._open(), None, "business")]
        acts += [world.loop.start(self._staff.live(who), None, "staff") for who in NAMES]
        return acts

    async def _open(self) -> None:
        """Payers get their handsets, our addresses are registered, and then people pay; M-Pesa takes some back."""
        world = self._world
        operator = world.sandbox.operator
        for phone, cents in zip((*PHONES, *COUNTER), (*WALLETS, *PURSES), strict=True):
            await world.at_sandbox(operator.register_subscriber(phone, PIN))
            await world.at_sandbox(operator.issue_float(phone, Money(cents, Currency.KES), f"bills-{phone.msisdn}"))
        world.oracle.bill_wallets_cents = sum((*WALLETS, *PURSES))
        if self.paying is not None:
            await self.paying.fund()
        await self._reminders()
        await self._registered()
        paying = [world.loop.start(self._payers.live(phone), None, "payer") for phone in PHONES]
        paying.append(world.loop.start(self._reverse(), None, "reversals"))
        try:
            await asyncio.gather(*paying)
        finally:
            for task in paying:
                task.cancel()

    # -- what M-Pesa must know

    async def _registered(self, tries: int = 8) -> None:
        """Register our addresses, and that we read the list; whoever hears nothing asks again."""
        for _ in range(tries):
            if self.address is None:
                self.address = await self.office.look(_register)
            if not self._is_pulled:
                self._is_pulled = bool(await self.office.look(_register_pull))
            if self.address is not None and self._is_pulled:
                return
            await asyncio.sleep(self._chance.randint(1, 5))

    async def _reminders(self) -> None:
        """An owner has customers reminded, if that is not decided yet."""
        if self.messages is None or self.is_reminding:
            return
        wish = self.office.wish("akinyi", What.REMINDERS, keyed=True)
        command = DecideReminders(is_on=True, levels=LEVELS, by=wish.by)
        self.is_reminding = await self.office.ask(wish, command, tries=2)

    # -- what M-Pesa takes back

    async def _reverse(self) -> None:
        """Now and then the operator takes a payment back, and somebody enters that."""
        world, operator = self._world, self._world.sandbox.operator
        person = await world.at_sandbox(
            operator.person(name="Back Office", email=Email("back@operator.example"), phone=None, password=_PASSWORD)
        )
        by = await world.at_sandbox(operator.register_administrator(person, AdministratorRole.SUPER, None))
        for _ in range(self._chance.randint(0, 3)):
            await asyncio.sleep(self._chance.randint(8, 40))
            kept = sorted(self.tally.bills.keys() - self.tally.reversed.keys())
            if not kept:
                continue
            receipt = self._chance.choice(kept)
            (row,) = world.books.operators("SELECT id FROM operator_transactions WHERE receipt = ?", receipt)
            id_ = OperatorTransactionId(UUID(identifier(row["id"])))
            given = await asyncio.shield(
                world.at_sandbox(self._taken_back(Reverse(transaction_id=id_, by=Actor.administrator(by.id)), receipt))
            )
            if given:
                await self._enter(receipt)

    async def _taken_back(self, command: Reverse, receipt: str) -> bool:
        try:
            answer = await self._world.sandbox.operator.do(command)
        except DomainError as refused:
            self._world.reach(f"business reversal refused {refused.code}")
            return False
        self.tally.reversed[receipt] = int(answer["amountCents"])
        if self._chance.randrange(2):
            self._by_hand.add(receipt)
        self._world.trace(f"M-Pesa takes {receipt} back")
        return True

    async def _enter(self, receipt: str) -> None:
        """Somebody enters a reversal, or imports the statement that tells of it; what we do not know yet, later."""
        if receipt not in self._by_hand and receipt not in self.tally.forged and await self._imported(receipt):
            return
        self._by_hand.add(receipt)
        # Whoever heard nothing asks under the same key, so that it is known whether it was done.
        wish = self._reversals.get(receipt) or self.office.wish("akinyi", What.REVERSAL, keyed=True)
        self._reversals[receipt] = wish
        await self.office.ask(
            wish, ReversePayment(receipt=receipt, reversed_by=ReversedBy.SAFARICOM, by=wish.by), tries=2
        )

    async def _imported(self, receipt: str) -> bool:
        """Whether the statement's row of a reversal, read once or twice, need not be entered by hand."""
        cents = Money(self.tally.reversed[receipt], Currency.KES)
        row = BookOutflow(
            receipt=f"R{receipt}", amount=cents, at=None, is_reversal=True, linked_receipt=receipt, by="staff:import"
        )
        booked = None
        for _ in range(self._chance.randint(1, 2)):
            booked = await self.office.look(lambda system: system.executor.execute(row))
        if booked is None:
            return True
        self.tally.imported.add(row.receipt)
        self._world.reach(f"business statement {booked.use}")
        if booked.use is OutflowUse.REVERSAL:
            self._undone.add(receipt)
        return booked.use is OutflowUse.REVERSAL

    # -- the end

    def heal(self) -> None:
        """Nobody forges any more."""
        for task in self._background:
            task.cancel()

    async def finish(self) -> None:
        """Once everything works, M-Pesa's list is read once more, and what it took back is entered."""
        world = self._world
        await asyncio.sleep(_UNDER_WAY_SECONDS)
        await self._reminders()
        await self._registered()
        if self.messages is not None and await self._payers.pay_meanwhile():
            await asyncio.sleep(_BOOKED_SECONDS)
            self.messages.see()
        if self.pulls:
            await self._pulled()
        await world.settle()
        for receipt in sorted(self.tally.reversed):
            wish = self._reversals.get(receipt)
            if receipt not in self._undone and (wish is None or not wish.is_done):
                await self._enter(receipt)
        if self.paying is not None:
            await self.paying.finish()

    async def _pulled(self) -> None:
        """Wait until somebody has read the list who began after everything was repaired."""
        world = self._world
        begun = self._readings(ended=False)
        for _ in range(_PULLS_WITHIN):
            if self._readings(ended=True) > begun:
                return
            world.loop.skip(_MINUTE_US)
            await asyncio.sleep(_A_LOOK_SECONDS)
        self.tally.found("K7: M-Pesa's list is not read, and all is repaired")

    def _readings(self, *, ended: bool) -> int:
        """How many readings of the list have begun, the last of which, where that is asked, has come to its end."""
        rows = self._world.books.ours("SELECT fence, lease_until, code FROM receipt_pulls")
        return sum(row["fence"] for row in rows if not ended or (row["lease_until"] is None and row["code"] is None))


async def _register(system: System) -> str | None:
    addresses = system.capture.addresses(UnansweredValidation.COMPLETE)
    kept, _ = await system.capture.registrar(system.receipts).register(addresses, by="staff:akinyi")
    if kept.state is not RegistrationState.REGISTERED:
        return None
    return urlsplit(addresses.confirmation_url).path


async def _register_pull(system: System) -> bool:
    answer = await system.receipts.register_pull(nominated_phone=_NOMINATED, callback_url=f"{API}/api/webhooks/pull")
    return answer.outcome is CallOutcome.ACCEPTED
