"""Every call of our client in its plainest form, and how its caller learns the truth when the answer is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from penpay.domain.mpesa.gateway import CallAnswer, PullWindow, StatusQuestion
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.faults import DarajaCall
from tests.contract.daraja.both import START, Both, Client
from tests.contract.sandbox.world import PAYER

MOVING = (DarajaCall.PUSH, DarajaCall.C2B_SIMULATE, DarajaCall.B2C, DarajaCall.B2B, DarajaCall.REVERSAL)
ASKING = (DarajaCall.QUERY, DarajaCall.C2B_REGISTER, DarajaCall.STATUS, DarajaCall.BALANCE, DarajaCall.PULL)
SHILLINGS = 100


@dataclass(frozen=True)
class Sent:
    """What the client concludes from one call."""

    outcome: str
    retry_seconds: int | None = None
    existed: bool = False
    token: str = ""
    """Of the messages about it, and its id where the caller chooses one."""

    @classmethod
    def of(cls, answer: CallAnswer, token: str = "") -> Sent:
        return cls(answer.outcome, _seconds(answer.retry_after_ms), answer.existed, token)

    @property
    def conclusion(self) -> str:
        """As the tables write it: the outcome, the seconds to wait, and whether it was there before."""
        waits = "" if self.retry_seconds is None else f" {self.retry_seconds} s"
        return f"{self.outcome}{waits}{' existed' if self.existed else ''}"


@dataclass(frozen=True)
class Prepared:
    """What a call needs that is made beforehand."""

    checkout_request_id: str = ""
    receipt: str = ""


Sending = Callable[[Both, Client, Prepared], Awaitable[Sent]]


async def prepared(both: Both, call: DarajaCall) -> Prepared:
    """A payment to ask about or to give back, for the calls that do; what moves is counted from after it."""
    if call not in {DarajaCall.QUERY, DarajaCall.STATUS, DarajaCall.REVERSAL}:
        return Prepared()
    answer, callback = await both.paid(SHILLINGS)
    both.world.phone(PAYER).standing_answer = None
    await both.world.settled()
    await both.begin()
    return Prepared(answer.checkout_request_id or "", callback.receipt or "")


async def _push(both: Both, client: Client, _: Prepared) -> Sent:
    push = both.push(SHILLINGS)
    answer = await client.stk.stk_push(push)
    return Sent(answer.outcome, _seconds(answer.retry_after_ms), token=push.callback_token)


async def _query(_: Both, client: Client, prepared: Prepared) -> Sent:
    answer = await client.stk.stk_query(prepared.checkout_request_id)
    return Sent(answer.outcome, _seconds(answer.retry_after_ms))


async def _register(both: Both, client: Client, _: Prepared) -> Sent:
    answer = await client.receipts.register_addresses(both.addresses())
    both.world.what_runs_now_never_ends()
    return Sent.of(answer)


async def _simulate(both: Both, client: Client, _: Prepared) -> Sent:
    return Sent.of(await client.receipts.simulate_payment(both.simulated(SHILLINGS)))


async def _b2c(both: Both, client: Client, _: Prepared) -> Sent:
    payment = both.payout(SHILLINGS)
    return Sent.of(await client.pay.pay_customer(payment), payment.callback_token)


async def _b2b(both: Both, client: Client, _: Prepared) -> Sent:
    payment = both.bill(SHILLINGS)
    return Sent.of(await client.pay.pay_business(payment), payment.callback_token)


async def _reverse(both: Both, client: Client, prepared: Prepared) -> Sent:
    reversal = both.reversal(prepared.receipt, SHILLINGS)
    return Sent.of(await client.pay.reverse(reversal), reversal.callback_token)


async def _status(both: Both, client: Client, prepared: Prepared) -> Sent:
    question = StatusQuestion(callback_token=both.name(), receipt=prepared.receipt)
    return Sent.of(await client.pay.transaction_status(question), question.callback_token)


async def _balance(both: Both, client: Client, _: Prepared) -> Sent:
    token = both.name()
    return Sent.of(await client.pay.account_balance(token), token)


async def _pull(both: Both, client: Client, _: Prepared) -> Sent:
    now = both.world.clock.now()
    answer = await client.receipts.pull(PullWindow(since=now.replace(hour=0, minute=0, second=0), until=now))
    return Sent(answer.outcome, _seconds(answer.retry_after_ms))


SEND: Mapping[DarajaCall, Sending] = {
    DarajaCall.PUSH: _push,
    DarajaCall.QUERY: _query,
    DarajaCall.C2B_REGISTER: _register,
    DarajaCall.C2B_SIMULATE: _simulate,
    DarajaCall.B2C: _b2c,
    DarajaCall.B2B: _b2b,
    DarajaCall.REVERSAL: _reverse,
    DarajaCall.STATUS: _status,
    DarajaCall.BALANCE: _balance,
    DarajaCall.PULL: _pull,
}


async def times_moved(both: Both, call: DarajaCall) -> int:
    """How often the money of this call has moved since the beginning; the client is told the same balance."""
    books, held, told = await both.books(), await both.held(), await both.balance()
    assert (held.utility, held.working) == tuple(
        told[name].available.whole_units() for name in ("Utility Account", "Working Account")
    )
    per_time = {
        DarajaCall.PUSH: (SHILLINGS, 0),
        DarajaCall.C2B_SIMULATE: (SHILLINGS, 0),
        DarajaCall.B2C: (-SHILLINGS, 0),
        DarajaCall.B2B: (0, -SHILLINGS),
        DarajaCall.REVERSAL: (-SHILLINGS, 0),
    }[call]
    moved = (books.utility - START.utility, books.working - START.working)
    times = sum(moved) // sum(per_time)
    assert (times * per_time[0], times * per_time[1]) == moved
    return times


async def answered_prompt(both: Both) -> bool:
    """Give the PIN to the prompt there is, if there is one."""
    await asyncio.sleep(0)
    phone = both.world.sandbox.phone(PhoneNumber("+" + PAYER))
    if phone.prompt is None:
        return False
    await phone.give_pin("1234")
    return True


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // 1000
