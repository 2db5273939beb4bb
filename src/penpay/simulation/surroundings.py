"""What else goes on: strangers pay us at Deriv, and people set new exchange rates."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from penpay.application.payments.fx import ApproveRate, EnterRate
from penpay.bootstrap import Sandbox, System
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency
from penpay.simulation.loop import Process
from penpay.simulation.nemesis import Nemesis
from penpay.simulation.oracle import Oracle
from penpay.simulation.profile import Hazard
from penpay.simulation.template import AGENT_LOGIN_ID, FIRST_MID_E8


async def strange_credits(
    sandbox: Sandbox,
    nemesis: Nemesis,
    oracle: Oracle,
    chance: random.Random,
    at_sandbox: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
) -> None:
    """Now and then somebody pays our agent account without being asked, until the nemesis rests."""
    while nemesis.is_active:
        await asyncio.sleep(chance.randint(5, 60))
        if nemesis.strikes(Hazard.STRANGE_CREDIT):
            cents = chance.randint(100, 50_000)
            oracle.credited_cents += cents
            await at_sandbox(sandbox.deriv.exchange.top_up(AGENT_LOGIN_ID, cents))


async def moving_rates(
    serving: Callable[[], list[tuple[Process, System]]],
    nemesis: Nemesis,
    chance: random.Random,
    at: Callable[[Process, Coroutine[Any, Any, Any]], asyncio.Task[Any]],
) -> None:
    """Now and then two people agree on a new rate, at any process that serves, until the nemesis rests."""
    while nemesis.is_active:
        await asyncio.sleep(chance.randint(2, 60))
        found = serving()
        if found and nemesis.strikes(Hazard.RATE_MOVES):
            process, system = chance.choice(found)
            at(process, _agree(system, FIRST_MID_E8 * chance.randint(990, 1_010) // 1_000))


async def _agree(system: System, mid_e8: int) -> None:
    """What keeps the two from it concerns nobody else."""
    enter = EnterRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=mid_e8,
        source="simulation",
        entered_by="maker",
        valid_from=None,
    )
    try:
        rate = await system.executor.execute(enter)
        await system.executor.execute(ApproveRate(rate_id=rate.id, approved_by="checker"))
    except DomainError:
        return
