"""Who decides reviews: three people, two for each decision, who have looked at the providers themselves.

They tell the truth about what is in doubt, and leave open what nobody should close: a review about money that has not
come where it should.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from penpay.application.payments.deciding import ApproveDecision, ProposeDecision, RejectDecision
from penpay.application.payments.queries import ReviewCase
from penpay.application.payments.rows import Decision, ReviewReason
from penpay.application.payments.situation import Situation, options
from penpay.application.shared.unit_of_work import Transient
from penpay.bootstrap import System
from penpay.domain.shared.errors import DomainError
from penpay.simulation.agreed import debited, paid_out
from penpay.simulation.books import Payment
from penpay.simulation.withdrawals.tally import Tally

if TYPE_CHECKING:
    from penpay.simulation.world import World

_NAMES: Final = ("amina", "baraka", "chebet")
_PATIENCE_SECONDS: Final = 40
_LOOKED_AT_LONGER_US: Final = 1_200_000_000
"""So long people wait before they say what became of something; nothing is on its way by then."""
_ROUNDS: Final = 8
_OWN: Final = "own_proposal"
_WAYS: Final = ("plainly", "plainly", "alone", "both at once", "rejected")
_REFUSALS: Final = frozenset({"decision_not_possible", "overloaded", "in_progress"})
"""What the second of two may be told, or anybody who comes when the money has moved on."""
_MOVES: Final[tuple[Decision, ...]] = (
    Decision.PAY_OUT,
    Decision.REFUND,
    Decision.RETURN,
    Decision.FORWARD,
    Decision.OWNERS,
)


class Staff:
    """Looks at open reviews now and then, and once more when everything works."""

    def __init__(self, world: World, tally: Tally) -> None:
        self._world = world
        self._tally = tally
        self._chance = world.chance("withdrawals/staff")
        self._seen: dict[object, int] = {}
        """By review and when it was opened: when somebody saw it first."""
        self._left: dict[object, bool] = {}
        """By the same: whether it is left as it is."""

    @property
    def _is_free(self) -> bool:
        """Whether they do as they like, and not as a script lays down."""
        return self._world.script is None

    async def live(self) -> None:
        """Decide now and then until cancelled."""
        while True:
            await asyncio.sleep(self._chance.randint(20, 120))
            await self.look(patient=False)

    async def finish(self) -> None:
        """Decide what can be decided, and what comes of that."""
        for _ in range(_ROUNDS):
            tried = await self.look(patient=True)
            await self._world.settle()
            if not tried:
                return

    async def look(self, *, patient: bool) -> int:
        """Go through what is open; how many decisions somebody proposed."""
        tried = 0
        for case in await self._open():
            key = (case.review.id, case.review.opened_at)
            since = self._seen.setdefault(key, self._world.loop.now_us)
            if self._left.setdefault(key, self._is_free and self._chance.randrange(6) == 0):
                continue
            waited = patient or self._world.loop.now_us - since > _LOOKED_AT_LONGER_US
            decision = self._choice(case, waited=waited)
            if decision is not None:
                tried += 1
                await self._decide(case, decision)
        return tried

    # -- what to decide

    def _choice(self, case: ReviewCase, *, waited: bool) -> Decision | None:
        possible = options(case.review, case.situation, case.payout)
        if not possible:
            return None
        if Decision.IT_DID_NOT in possible:
            return self._as_seen(case, possible) if waited else None
        found: list[Decision] = sorted(one for one in _MOVES if one in possible)
        if Decision.SUSPEND in possible and self._is_free and self._chance.randrange(6) == 0:
            return Decision.SUSPEND
        if case.situation is None and Decision.ACCEPT in possible:
            found.append(Decision.ACCEPT)
        if found:
            return self._chance.choice(found)
        return Decision.ACCEPT if Decision.ACCEPT in possible and waited and self._is_harmless(case) else None

    def _as_seen(self, case: ReviewCase, possible: Collection[Decision]) -> Decision | None:
        """What the provider's own books show of what is in doubt or told; None while it may still happen."""
        books, situation = self._world.books, case.situation
        if situation is None:
            return None if case.payout is None else self._as_paid(case, case.payout.id, possible)
        if situation.transfer_in_doubt is not None:
            found = next(one for one in situation.transfers if one.id == situation.transfer_in_doubt)
            return Decision.IT_ARRIVED if paid_out(books, found.reference) else Decision.IT_DID_NOT
        payout = situation.disbursement_in_doubt or situation.unproven
        if payout is not None:
            return self._as_paid(case, payout, possible)
        return None if debited(books, self._payment(situation)) else Decision.IT_DID_NOT

    def _as_paid(self, case: ReviewCase, payout: UUID, possible: Collection[Decision]) -> Decision | None:
        """The same of a payout by M-Pesa."""
        books = self._world.books
        (ocid,) = [row[0] for row in books.ours(_PAYOUTS) if _same(row[1], payout)]
        if books.operators(_TO_COME, ocid):
            return None
        if all(row["ocid"] != ocid for row in books.paid_out()):
            return Decision.IT_DID_NOT
        if Decision.IT_ARRIVED in possible:
            return Decision.IT_ARRIVED
        return Decision.ACCEPT if self._is_harmless(case) else None

    def _is_harmless(self, case: ReviewCase) -> bool:
        """Whether nobody's money is missing when this is closed and nothing is done."""
        situation = case.situation
        if situation is None:
            return True
        if situation.open_reviews > 1:
            return case.review.reason is not ReviewReason.CONTRADICTION
        payment, books = self._payment(situation), self._world.books
        arrived = sum(len(paid_out(books, row["reference"])) for row in payment.transfers)
        ocids = {row["originator_conversation_id"] for row in payment.payouts}
        paid = sum(row["ocid"] in ocids for row in books.paid_out())
        if payment.is_deposit:
            came = sum(self._world.oracle.paid_cents[row["account_reference"]] for row in payment.requests)
            return arrived + paid == (1 if came else 0)
        return arrived + paid == len(debited(books, payment))

    def _payment(self, situation: Situation) -> Payment:
        wanted = str(situation.transaction_id)
        return next(payment for payment in self._world.books.payments() if payment.id == wanted)

    # -- deciding

    async def _decide(self, case: ReviewCase, decision: Decision) -> None:
        """Two people decide, mostly; the same one twice is refused, and of two at once one is."""
        maker, checker, third = self._chance.sample(_NAMES, 3)
        review = case.review.id
        proposal = ProposeDecision(review_id=review, decision=decision, note="as seen there", proposed_by=maker)
        if (await self._ask(proposal))[0] != "done":
            return
        self._world.reach(f"staff proposes {decision}")
        how = self._chance.choice(_WAYS) if self._is_free else "plainly"
        self._world.reach(f"staff decides {how}")
        if how == "rejected":
            await self._ask(RejectDecision(review_id=review, rejected_by=checker))
            return
        if how == "alone":
            kind, told = await self._ask(ApproveDecision(review_id=review, approved_by=maker))
            if kind == "done" or (kind == "refused" and told not in {_OWN, "decision_not_possible", "overloaded"}):
                self._tally.found(f"W5: {maker} approves her own proposal and is told {told}")
        names = (checker, third) if how == "both at once" else (checker,)
        approvals = [ApproveDecision(review_id=review, approved_by=name) for name in names]
        answers = await asyncio.gather(*(self._ask(one) for one in approvals))
        for kind, told in answers:
            if kind == "refused" and told not in _REFUSALS:
                self._tally.found(f"W5: who approves {decision} is refused {told}")
        done = sum(kind == "done" for kind, _ in answers)
        if done > 1:
            self._tally.found(f"W5: {decision} was approved {done} times")
        if done:
            self._world.reach(f"staff carries out {decision}")
            self._world.trace(f"{checker} approves {decision}, proposed by {maker}")

    async def _ask(self, command: object) -> tuple[str, str]:
        """Ask any process that serves, once: done, refused by a code, or unknown."""
        found = self._world.serving()
        if not found:
            return "unknown", ""
        process, system = self._chance.choice(found)
        task = self._world.at(process, _execute(system, command))
        for _ in range(_PATIENCE_SECONDS):
            done, _pending = await asyncio.wait({task}, timeout=1)
            if done or process.is_dead:
                break
        answer: tuple[str, str] = task.result() if task.done() else ("unknown", "")
        if answer[0] == "refused":
            self._world.reach(f"staff is refused {answer[1]}")
        return answer

    async def _open(self) -> list[ReviewCase]:
        found = self._world.serving()
        if not found:
            return []
        process, system = self._chance.choice(found)
        task = self._world.at(process, _look(system))
        for _ in range(_PATIENCE_SECONDS):
            done, _pending = await asyncio.wait({task}, timeout=1)
            if done or process.is_dead:
                break
        cases: list[ReviewCase] = task.result() if task.done() else []
        self._chance.shuffle(cases)
        return cases


_PAYOUTS: Final = "SELECT originator_conversation_id, id FROM mpesa_disbursements"
_TO_COME: Final = "SELECT 1 FROM daraja_requests WHERE originator_conversation_id = ? AND state = 'ACCEPTED'"


def _same(stored: Any, id_: UUID) -> bool:
    return (stored if isinstance(stored, str) else str(UUID(bytes=stored))) == str(id_)


async def _execute(system: System, command: object) -> tuple[str, str]:
    try:
        await system.executor.execute(command)
    except DomainError as refused:
        return "unknown" if refused.code == "commit_unresolved" else "refused", refused.code
    except Transient:
        return "unknown", ""
    return "done", ""


async def _look(system: System) -> list[ReviewCase]:
    try:
        return list(await system.review_books.open_reviews(100))
    except (DomainError, Transient):
        return []
