"""The stories the demo tells: what the user does, what goes wrong, and how each must end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx

from penpay.demo.world import LOGIN_ID, PHONE, PIN, World
from penpay.sandbox.faults import FaultRule, ForcedResult, LostCallback

PATIENCE_SECONDS: Final = 40
_DEPOSITS: Final = "/api/v1/deposits"
_WITHDRAWALS: Final = "/api/v1/withdrawals"
_ENDED: Final = frozenset({"COMPLETED", "FAILED", "REVERSED", "IN_REVIEW"})
Say = Callable[[str], None]
Answer = Callable[[World, str, Say], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One deposit or withdrawal and the end it must come to."""

    name: str
    opening: str
    usd_cents: int
    answer: Answer
    """What the user does once it is asked for."""
    status: str
    route: str = _DEPOSITS
    failure_code: str | None = None
    recovered_by: str | None = None

    def ended_as_told(self, transaction: Mapping[str, Any]) -> bool:
        """Whether the transaction ended the way this story must."""
        told = (self.status, self.failure_code, self.recovered_by)
        return told == (transaction["status"], transaction["failure_code"], transaction["recovered_by"])


async def _right_pin(world: World, transaction_id: str, say: Say) -> None:  # noqa: ARG001  (Answer)
    await _show_prompt(world, say)
    await world.sandbox.daraja.phone(PHONE).give_pin(PIN)
    say("She types her PIN.")


async def _wrong_pin(world: World, transaction_id: str, say: Say) -> None:  # noqa: ARG001  (Answer)
    await _show_prompt(world, say)
    await world.sandbox.daraja.phone(PHONE).give_pin("9999")
    say("She types a wrong PIN.")


async def _cancel(world: World, transaction_id: str, say: Say) -> None:  # noqa: ARG001  (Answer)
    await _show_prompt(world, say)
    await world.sandbox.daraja.phone(PHONE).cancel()
    say("She presses cancel.")


async def _right_pin_callback_lost(world: World, transaction_id: str, say: Say) -> None:
    world.sandbox.daraja.faults.add(FaultRule(fault=LostCallback(), msisdn=PHONE.msisdn, times=1))
    say("The operator will lose the callback of this one.")
    await _right_pin(world, transaction_id, say)
    say("No callback comes, so PenPay asks M-Pesa itself: here after 3 s instead of the usual 30 s, to spare you.")


async def _give_code(world: World, transaction_id: str, say: Say) -> None:
    code = await _mailed_code(world)
    say("Deriv has mailed her a code; she gives it to PenPay.")
    path = f"{_WITHDRAWALS}/{transaction_id}/confirm"
    (await world.api.post(path, json={"verification_code": code})).raise_for_status()


async def _give_code_full_wallet(world: World, transaction_id: str, say: Say) -> None:
    say("M-Pesa will refuse to pay: her wallet would hold too much.")
    world.sandbox.daraja.faults.add(
        FaultRule(fault=ForcedResult(code="8", text="Declined due to limit rule"), msisdn=PHONE.msisdn, times=1)
    )
    await _give_code(world, transaction_id, say)


async def _mailed_code(world: World) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            response = await world.api.get(f"{world.daraja_url}/sandbox/deriv/mail")
            unused = [mail for mail in _json(response)["mails"] if not mail["is_used"]]
            if unused:
                return str(unused[0]["code"])
            await world.system.clock.sleep(100)


async def _show_prompt(world: World, say: Say) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        prompt = await world.sandbox.daraja.phone(PHONE).next_prompt()
    say(f"Her handset shows: pay {prompt.amount} to {prompt.merchant}, account {prompt.account_reference}.")


STORIES: Final = (
    Story(
        name="deposit",
        opening="A deposit of USD 10.00 from an M-Pesa wallet to Deriv.",
        usd_cents=1_000,
        answer=_right_pin,
        status="COMPLETED",
    ),
    Story(
        name="wrong_pin",
        opening="A deposit of USD 5.00, answered with a wrong PIN.",
        usd_cents=500,
        answer=_wrong_pin,
        status="FAILED",
        failure_code="wrong_pin",
    ),
    Story(
        name="cancelled",
        opening="A deposit of USD 6.00, cancelled on the handset.",
        usd_cents=600,
        answer=_cancel,
        status="FAILED",
        failure_code="cancelled_by_user",
    ),
    Story(
        name="insufficient_funds",
        opening="A deposit of USD 450.00, more than her wallet holds.",
        usd_cents=45_000,
        answer=_right_pin,
        status="FAILED",
        failure_code="insufficient_funds",
    ),
    Story(
        name="callback_lost",
        opening="A deposit of USD 7.50 whose callback never comes.",
        usd_cents=750,
        answer=_right_pin_callback_lost,
        status="COMPLETED",
        recovered_by="stk_query",
    ),
    Story(
        name="withdrawal",
        opening="A withdrawal of USD 8.00 from Deriv to M-Pesa.",
        usd_cents=800,
        answer=_give_code,
        status="COMPLETED",
        route=_WITHDRAWALS,
    ),
    Story(
        name="payout_refused",
        opening="A withdrawal of USD 5.00 that M-Pesa refuses to pay: the dollars go back to Deriv.",
        usd_cents=500,
        answer=_give_code_full_wallet,
        status="REVERSED",
        failure_code="payout_failed",
        route=_WITHDRAWALS,
    ),
)


async def tell(story: Story, world: World, say: Say) -> dict[str, Any]:
    """Play one story through the public API and return the transaction as the API shows it, timeline included."""
    body = {
        "amount_cents": story.usd_cents,
        "currency": "USD",
        "deriv_login_id": LOGIN_ID,
        "idempotency_key": f"demo-{story.name}",
    }
    response = await world.api.post(story.route, json=body)
    response.raise_for_status()
    created = _json(response)
    shillings = f"{created['kes_cents'] // 100:,} shillings {'asked' if story.route == _DEPOSITS else 'to come'}"
    say(f"POST {story.route} → 202, transaction {created['id']}, {shillings}.")
    await story.answer(world, created["id"], say)
    return await _ended(world, created["id"], say)


async def _ended(world: World, transaction_id: str, say: Say) -> dict[str, Any]:
    """Follow the transaction until it has ended, telling each new line of its timeline."""
    told = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            response = await world.api.get(f"/api/v1/transactions/{transaction_id}")
            response.raise_for_status()
            transaction = _json(response)
            for line in transaction["timeline"][told:]:
                say(f"{line['at'][11:23]}  {line['event']:<24} {line['status']}")
            told = len(transaction["timeline"])
            if transaction["status"] in _ENDED:
                return transaction
            await world.system.clock.sleep(100)


def _json(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json(parse_float=Decimal)
    return found
