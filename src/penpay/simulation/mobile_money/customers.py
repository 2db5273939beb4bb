"""What people do at the simulated operator: they deposit, withdraw, pay, err, ask back, and issue float."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from penpay.domain.mobile_money.transaction import Operation
from penpay.simulation.mobile_money.asking import Counter
from penpay.simulation.mobile_money.installation import APPROVAL_ABOVE_CENTS
from penpay.simulation.mobile_money.members import OTHER_PIN, PAYBILL, PIN, TILL, Member, Members
from penpay.simulation.mobile_money.wishes import BANK, UNEVIDENCED, Movement, What, Wish
from penpay.simulation.nemesis import Notes
from penpay.simulation.profile import Level

Act = Callable[[Member], Coroutine[Any, Any, None]]
Life = Callable[[], Coroutine[Any, Any, None]]

_ROUNDS: Final[Mapping[Level, int]] = {Level.MILD: 2, Level.EXTREME: 6}
_FUNDS: Final = frozenset({"insufficient_funds"})
_LARGE_SHILLINGS: Final = APPROVAL_ABOVE_CENTS // 100 + 1
_MISSES: Final = 4


class Customers:
    """Everybody who acts at the operator in one seed."""

    def __init__(self, counter: Counter, members: Members, chance: random.Random, notes: Notes, level: Level) -> None:
        self._counter = counter
        self._oracle = counter.oracle
        self._members = members
        self._chance = chance
        self._notes = notes
        self._rounds = _ROUNDS[level]
        self._keys = 0
        self._paid: list[Wish] = []
        """Payments that were answered as done, and that nobody has asked back yet."""

    def lives(self) -> list[Life]:
        """What each of them does until she has done it all."""
        members = self._members
        payments = (self._transfer, self._pay_merchant, self._withdraw, self._whole_balance, self._cash_out)
        acts: list[tuple[Member, tuple[Act, ...]]] = [
            *((one, (*payments, self._ask_back, self._hot_pair)) for one in members.subscribers),
            *((one, (self._deposit, self._deposit, self._buy_float)) for one in members.agents),
            (members.super_agent, (self._deposit_to_agent,)),
            (members.merchant, (self._pay_out,)),
            (members.administrator, (self._issue, self._issue_large, self._evidence, self._commission, self._reverse)),
        ]
        lives: list[Life] = [
            lambda one=one, own=own: self._live(one, own)  # type: ignore[misc]  # bound now, not when called
            for one, own in acts
        ]
        return [*lives, lambda: self._forget_pin(members.careless)]

    async def _live(self, member: Member, acts: tuple[Act, ...]) -> None:
        for _ in range(self._rounds):
            await asyncio.sleep(self._chance.randint(0, 15_000) / 1_000)
            await self._chance.choice(acts)(member)

    # -- wishes

    def _key(self, member: Member) -> str | None:
        """Most clients send one with each request."""
        self._keys += 1
        return f"{member.name}-{self._keys:06d}" if self._chance.randrange(6) else None

    def _shillings(self, most: int = 600) -> int:
        """Often just where a fee begins."""
        return self._chance.choice((self._chance.randint(50, most), self._chance.randint(50, 99), 100, 101))

    def _address(self, member: Member) -> str:
        return member.email if member.phone is None else self._chance.choice((member.email, f"+{member.phone}"))

    def _payment(self, what: What, source: Member, target: Member, shillings: int) -> Wish:
        operation = {What.DEPOSIT: Operation.DEPOSIT, What.WITHDRAWAL: Operation.WITHDRAW}.get(what, Operation.TRANSFER)
        body: dict[str, object] = {"amount": shillings, "pin": PIN}
        if what is What.WITHDRAWAL:
            body["agentNumber"] = self._address(target)
        else:
            body |= {"accountNo": self._address(target), "customerType": target.type}
        if what is What.PAYBILL:
            body |= {"accountNo": PAYBILL, "billRefNumber": f"bill {shillings}"}
        elif what is What.TILL:
            body["accountNo"] = TILL
        route = {Operation.WITHDRAW: "withdraw"}.get(operation, operation.value.lower())
        movement = Movement(
            operation=operation, source=source, target=target, cents=shillings * 100, till=what is What.TILL
        )
        return Wish(
            what=what,
            asker=source,
            path=f"/api/transaction/{route}",
            body=body,
            key=self._key(source),
            movement=movement,
            refusals=_FUNDS,
        )

    async def _pay(self, wish: Wish) -> bool:
        """Ask for a payment; done, sometimes again under its key, and sometimes another one under it."""
        done = await self._counter.ask(wish)
        if not done:
            return False
        self._paid.append(wish)
        if wish.key is None:
            return True
        if self._chance.randrange(3) == 0:
            self._notes.reach("operator client repeats what was answered")
            await self._counter.ask(wish, tries=1)
        if self._chance.randrange(4) == 0:
            await self._ask_otherwise(wish)
        return True

    async def _ask_otherwise(self, wish: Wish) -> None:
        body = {**wish.body, "amount": int(str(wish.body["amount"])) + 1}
        await self._forbidden(wish, wish.path, body, {"idempotency_conflict"}, key=wish.key)

    async def _forbidden(
        self,
        wish: Wish,
        path: str,
        body: dict[str, object],
        codes: set[str],
        *,
        key: str | None,
        by: Member | None = None,
    ) -> Wish:
        """Ask for something beside a wish that must be refused with one of these codes; what became of it."""
        asker = by or wish.asker
        other = Wish(
            what=wish.what, asker=asker, path=path, body=body, key=key, refusals=frozenset(codes), is_forbidden=True
        )
        await self._counter.ask(other, tries=2)
        return other

    def _another(self, members: tuple[Member, ...], member: Member) -> Member:
        return self._chance.choice([one for one in members if one is not member])

    # -- subscribers

    async def _transfer(self, member: Member) -> None:
        target = self._another(self._members.subscribers, member)
        await self._pay(self._payment(What.TRANSFER, member, target, self._shillings()))

    async def _pay_merchant(self, member: Member) -> None:
        what = self._chance.choice((What.PAYBILL, What.TILL))
        await self._pay(self._payment(what, member, self._members.merchant, self._shillings()))

    async def _withdraw(self, member: Member) -> None:
        agent = self._chance.choice(self._members.agents)
        await self._pay(self._payment(What.WITHDRAWAL, member, agent, self._shillings()))

    async def _hot_pair(self, member: Member) -> None:
        """Two who pay each other at the same moment, more than once, and one request that is sent twice at once."""
        other = self._another(self._members.subscribers, member)
        wishes = [
            self._payment(What.TRANSFER, source, target, self._shillings(90))
            for source, target in ((member, other), (other, member), (member, other))
        ]
        twice = wishes[0] if wishes[0].key is not None else wishes[1]
        asked = [*wishes, *([twice] if twice.key is not None else [])]
        await asyncio.gather(*(self._counter.ask(wish) for wish in asked))

    async def _whole_balance(self, member: Member) -> None:
        """Pay all there is, to the last shilling; and a shilling more."""
        shown = await self._counter.look(member, "/api/account/balance")
        if shown is None:
            return
        target = self._another(self._members.subscribers, member)
        shillings = int(shown["balanceCents"]) // 100
        wish = self._payment(What.TRANSFER, member, target, max(1, shillings))
        fee = 0 if wish.movement is None else wish.movement.cost.payer_fee // 100
        beyond = self._chance.choice((0, 0, 1, fee))
        if shillings - fee + beyond < 1:
            return
        self._notes.reach(f"operator client pays {'more than' if beyond else 'all'} there is")
        await self._pay(self._payment(What.TRANSFER, member, target, shillings - fee + beyond))

    async def _cash_out(self, member: Member) -> None:
        """Make a code, and have both agents pay for it at once; it is good for one of them, and once."""
        shillings = self._shillings(400)
        making = Wish(
            what=What.REDEMPTION,
            asker=member,
            path="/api/transaction/cash-out-code",
            body={"amount": shillings, "pin": PIN},
        )
        if not await self._counter.ask(making):
            return
        code = str(making.answer["code"])
        wishes = [self._redemption(agent, member, shillings, code) for agent in self._members.agents]
        await asyncio.gather(*(self._counter.ask(wish) for wish in wishes[: self._chance.randint(1, 2)]))
        if sum(wish.is_done for wish in wishes) > 1:
            self._oracle.found(f"O6: a code of {member.name} was redeemed twice")
        if any(wish.is_done for wish in wishes):
            again = self._redemption(self._members.agents[0], member, shillings, code)
            await self._forbidden(again, again.path, dict(again.body), {"wrong_code"}, key=again.key)

    def _redemption(self, agent: Member, payer: Member, shillings: int, code: str) -> Wish:
        return Wish(
            what=What.REDEMPTION,
            asker=agent,
            path="/api/agent/redeem",
            body={"accountNo": payer.email, "amount": shillings, "code": code},
            key=self._key(agent),
            movement=Movement(operation=Operation.WITHDRAW, source=payer, target=agent, cents=shillings * 100),
            refusals=frozenset({"wrong_code", *_FUNDS}),
        )

    async def _forget_pin(self, member: Member) -> None:
        """Wrong PINs until it is locked, then the right one, which must not help; then customer care does."""
        told = None
        for _ in range(_MISSES):
            await asyncio.sleep(self._chance.randint(0, 5_000) / 1_000)
            told = (await self._miss_pin(member, OTHER_PIN, {"wrong_pin", "pin_locked"})).refusal
        if told != "pin_locked":
            return  # too much went unanswered to know
        paying = self._payment(What.TRANSFER, member, self._members.subscribers[0], self._shillings())
        locked = await self._forbidden(paying, paying.path, dict(paying.body), {"pin_locked"}, key=None)
        if locked.is_open:
            # It may lie at a process that stands still, and come true when that goes on and the lock is off.
            locked.movement = paying.movement
        care = self._members.administrator
        unlocked = await self._counter.change(care, "PATCH", f"/api/admin/customers/{member.id}", {"unlockPin": True})
        if unlocked and await self._counter.change(member, "PUT", "/api/account/pin", {"newPin": PIN, "oldPin": PIN}):
            self._oracle.pin_set(member)
            self._notes.reach("operator client has a new PIN")
            await self._pay(self._payment(What.TRANSFER, member, self._members.subscribers[0], self._shillings(90)))

    async def _miss_pin(self, member: Member, pin: str, codes: set[str]) -> Wish:
        """Try to pay with this PIN, which must not do; what became of it."""
        wish = self._payment(What.TRANSFER, member, self._members.subscribers[0], self._shillings())
        return await self._forbidden(wish, wish.path, {**wish.body, "pin": pin}, codes, key=None)

    # -- agents, the super agent and the merchant

    async def _deposit(self, member: Member) -> None:
        target = self._chance.choice(self._members.subscribers)
        await self._pay(self._payment(What.DEPOSIT, member, target, self._shillings()))

    async def _deposit_to_agent(self, member: Member) -> None:
        await self._pay(self._payment(What.DEPOSIT, member, self._chance.choice(self._members.agents), 500))

    async def _pay_out(self, member: Member) -> None:
        """What a merchant has taken so far, or somewhat more."""
        target = self._chance.choice(self._members.subscribers)
        await self._pay(self._payment(What.TRANSFER, member, target, self._shillings()))

    async def _buy_float(self, member: Member) -> None:
        seller, shillings = self._members.super_agent, self._chance.randint(100, 900)
        body: dict[str, object] = {"superAgent": seller.email, "amount": shillings}
        asking = Wish(
            what=What.PURCHASE, asker=member, path="/api/agent/float-purchase", body=body, key=self._key(member)
        )
        if await self._counter.ask(asking):
            movement = Movement(operation=Operation.DEPOSIT, source=seller, target=member, cents=shillings * 100)
            await self._decide(asking, seller, movement, "/api/account/approvals", _FUNDS)

    async def _ask_back(self, member: Member) -> None:
        """Ask for a payment of hers back; whoever has received it agrees."""
        own = [wish for wish in self._paid if wish.asker is member and wish.movement is not None]
        if not own:
            return
        wish = own[-1]
        self._paid.remove(wish)
        body: dict[str, object] = {"transactionId": wish.answer["transactionId"]}
        refusals = frozenset({"nothing_to_reverse"})
        path = "/api/transaction/reversals"
        asking = Wish(what=What.CONSENT, asker=member, path=path, body=body, key=self._key(member), refusals=refusals)
        if await self._counter.ask(asking) and wish.movement is not None and wish.movement.target is not None:
            movement = self._reversal_of(wish)
            refusals |= _FUNDS
            await self._decide(asking, wish.movement.target, movement, "/api/account/approvals", refusals)

    def _reversal_of(self, wish: Wish) -> Movement:
        paid = wish.movement
        return Movement(
            operation=Operation.REVERSAL,
            source=None if paid is None else paid.target,
            target=None if paid is None else paid.source,
            cents=None,
            at_most_cents=0 if paid is None or paid.cents is None else paid.cents,
            reverses_id=str(wish.answer["transactionId"]),
        )

    async def _decide(
        self, asking: Wish, decider: Member, movement: Movement, path: str, refusals: frozenset[str]
    ) -> None:
        """Whoever asked cannot agree with herself; the other one does, and nobody can decide once more."""
        route = f"{path}/{asking.answer['approvalId']}"
        body: dict[str, object] = {"decision": "approve"}
        if self._chance.randrange(2):
            await self._forbidden(asking, route, body, {"own_approval"}, key=self._key(asking.asker), by=asking.asker)
        wish = Wish(
            what=What.DECISION,
            asker=decider,
            path=route,
            body=body,
            key=self._key(decider),
            movement=movement,
            refusals=refusals,
        )
        if await self._counter.ask(wish) and self._chance.randrange(3) == 0:
            await self._forbidden(wish, route, body, {"approval_decided"}, key=None)

    # -- administrators

    def _float(self, shillings: int, reference: str | None, *, moves: bool = True) -> Wish:
        members = self._members
        body: dict[str, object] = {"accountNo": members.super_agent.email, "amount": shillings}
        body |= {} if reference is None else {"bankReference": reference}
        movement = Movement(
            operation=Operation.FLOAT_ASSIGNMENT,
            source=None,
            target=members.super_agent,
            cents=shillings * 100,
            against=UNEVIDENCED if reference is None else BANK,
        )
        return Wish(
            what=What.FLOAT,
            asker=members.administrator,
            path="/api/admin/assign-float",
            body=body,
            key=self._key(members.administrator),
            movement=movement if moves else None,
        )

    def _reference(self) -> str | None:
        """Every second issue of float names its bank deposit."""
        self._keys += 1
        return f"bank-{self._keys:06d}" if self._chance.randrange(2) else None

    async def _issue(self, member: Member) -> None:
        del member  # who issues float is always the same one
        await self._counter.ask(self._float(self._chance.choice((1_000, 2_000)), self._reference()))

    async def _issue_large(self, member: Member) -> None:
        """More than one person may issue: the second one agrees."""
        asking = self._float(_LARGE_SHILLINGS, self._reference(), moves=False)
        issued = self._float(
            _LARGE_SHILLINGS, str(asking.body["bankReference"]) if "bankReference" in asking.body else None
        )
        if await self._counter.ask(asking) and issued.movement is not None:
            second = self._members.second_administrator
            await self._decide(asking, second, issued.movement, "/api/admin/approvals", frozenset())
        del member

    async def _evidence(self, member: Member) -> None:
        """A bank deposit, as large as float is issued; then the same one again, and with another amount."""
        self._keys += 1
        shillings = self._chance.choice((1_000, 2_000, _LARGE_SHILLINGS))
        body: dict[str, object] = {"bankReference": f"deposit-{self._keys:06d}", "amount": shillings}
        path = "/api/admin/bank-deposits"
        wish = Wish(what=What.EVIDENCE, asker=member, path=path, body=body, key=self._key(member))
        if await self._counter.ask(wish):
            await self._counter.ask(Wish(what=What.EVIDENCE, asker=member, path=path, body=body), tries=1)
            other = {**body, "amount": shillings + 1}
            await self._forbidden(wish, path, other, {"bank_deposit_exists"}, key=None)

    async def _commission(self, member: Member) -> None:
        agent = self._chance.choice(self._members.agents)
        movement = Movement(operation=Operation.COMMISSION, source=None, target=agent, cents=None, at_most_cents=10**9)
        wish = Wish(
            what=What.COMMISSION,
            asker=member,
            path="/api/admin/commission",
            body={"userID": agent.id},
            key=self._key(member),
            movement=movement,
            refusals=frozenset({"invalid_amount"}),
        )
        await self._counter.ask(wish)

    async def _reverse(self, member: Member) -> None:
        """Give a payment back, and try to give it back once more when all of it was."""
        if not self._paid:
            return
        paid = self._paid.pop(self._chance.randrange(len(self._paid)))
        body: dict[str, object] = {"transactionId": paid.answer["transactionId"]}
        path = "/api/admin/reversals"
        wish = Wish(
            what=What.REVERSAL,
            asker=member,
            path=path,
            body=body,
            key=self._key(member),
            movement=self._reversal_of(paid),
            refusals=frozenset({"nothing_to_reverse"}),
        )
        if await self._counter.ask(wish) and wish.answer["notReversedCents"] == 0:
            await self._forbidden(wish, path, body, {"nothing_to_reverse"}, key=None)
