"""What else goes on: strangers pay us at Deriv, and people set new exchange rates."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from penpay.application.payments.fx import ApproveRate, EnterRate
from penpay.bootstrap import Sandbox, System
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency
from penpay.domain.shared.phone import PhoneNumber
from penpay.simulation.nemesis import Nemesis
from penpay.simulation.oracle import Oracle
from penpay.simulation.people import Forger, answer_prompts
from penpay.simulation.profile import Hazard
from penpay.simulation.quiet import moment
from penpay.simulation.template import AGENT_LOGIN_ID, DARAJA_PORT, FIRST_MID_E8

if TYPE_CHECKING:
    from penpay.simulation.world import World


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
            # Whoever has begun to pay goes on when the world is repaired meanwhile.
            await asyncio.shield(at_sandbox(sandbox.deriv.exchange.top_up(AGENT_LOGIN_ID, cents)))


async def _moving_rates(world: World) -> None:
    """Now and then two people agree on a new rate, at any process that serves, until the nemesis rests."""
    chance = world.chance("rates")
    while world.nemesis.is_active:
        await asyncio.sleep(chance.randint(2, 60))
        found = world.serving()
        if found and world.nemesis.strikes(Hazard.RATE_MOVES):
            process, system = chance.choice(found)
            world.at(process, _agree(system, world.oracle, FIRST_MID_E8 * chance.randint(990, 1_010) // 1_000))


async def _belated_rate(world: World) -> None:
    """After a while two people agree on another rate than the old one; they try until they have it."""
    chance, agreed = world.chance("belated rate"), world.oracle.rates.agreed
    had = len(agreed)
    await asyncio.sleep(chance.randint(5, 120))
    while world.nemesis.is_active and len(agreed) == had:
        if found := world.serving():
            process, system = chance.choice(found)
            world.at(process, _agree(system, world.oracle, FIRST_MID_E8, confirms=True))
        await asyncio.sleep(chance.randint(5, 30))


async def _leaping_rates(world: World) -> None:
    """Now and then a rate is far from the last one, until the nemesis rests.

    Some are right, and whoever approves them says that she has looked again. The others are slips of the keyboard, and
    one of those that is approved without another look breaks a rule.
    """
    chance = world.chance("leaping rates")
    while world.nemesis.is_active:
        await asyncio.sleep(chance.randint(2, 60))
        found = world.serving()
        if found and world.nemesis.strikes(Hazard.RATE_LEAPS):
            process, system = chance.choice(found)
            if chance.randrange(2):
                mid_e8 = FIRST_MID_E8 * chance.choice((900, 1_100)) // 1_000
                world.at(process, _agree(system, world.oracle, mid_e8, confirms=True))
            else:
                world.at(process, _slip(system, world.oracle, FIRST_MID_E8 * chance.choice((1, 10, 1_000)) // 100))


async def _slip(system: System, oracle: Oracle, mid_e8: int) -> None:
    if await _agree(system, oracle, mid_e8):
        oracle.broken.append(f"I11: a rate of {mid_e8} was approved and nobody has looked again")


async def _agree(system: System, oracle: Oracle, mid_e8: int, *, confirms: bool = False) -> bool:
    """Whether they come to have it; what keeps the two from it concerns nobody else."""
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
        await system.executor.execute(ApproveRate(rate_id=rate.id, approved_by="checker", confirm_move=confirms))
    except DomainError:
        return False
    oracle.rates.agreed.append((oracle.now_us(), rate.valid_from))
    return True


def begin(world: World) -> list[asyncio.Task[None]]:
    """Start all that goes on beside what users do: their handsets, which stay, and the rest, until it is cancelled."""
    (rate,) = world.books.ours("SELECT valid_from FROM fx_rates")
    world.oracle.rates.agreed.append((world.loop.now_us, moment(rate["valid_from"])))
    (spent,) = world.books.operators("SELECT DISTINCT coalesce(day_total_cents, 0) cents FROM operator_customers")
    for person in world.people:
        world.oracle.has_paid(person.msisdn, spent["cents"])
    if world.profile.level(Hazard.NO_LIST):
        world.reach(f"fault {Hazard.NO_LIST}")
    _hand_out_phones(world)
    return [world.loop.start(work(), None, "background") for work in _background(world)]


def _hand_out_phones(world: World) -> None:
    """Everybody has a handset, and answers what it asks. What a payer does there is what M-Pesa tells us of."""
    for person in world.people:
        phone = world.sandbox.daraja.phone(PhoneNumber.parse(person.msisdn))
        answers = answer_prompts(
            phone,
            chance=world.chance(f"phone/{person.number}"),
            nemesis=world.nemesis,
            oracle=world.oracle,
            notes=world,
            script=world.script,
        )
        world.at_sandbox(answers)


def _background(world: World) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """All that goes on beside what users do, until the nemesis rests."""
    nemesis, network = world.nemesis, world.network
    daraja = network.hosts[("127.0.0.1", DARAJA_PORT)]
    lasting = {
        Hazard.DISK_FULL: nemesis.fill_disk,
        Hazard.OWN_OUTAGE: lambda: nemesis.stand_still(world.stand_still),
        Hazard.AGENT_EMPTY: lambda: nemesis.take_away(
            Hazard.AGENT_EMPTY,
            lambda: setattr(world, "is_agent_empty", True),
            lambda: setattr(world, "is_agent_empty", False),
        ),
        Hazard.STATEMENT_UNREADABLE: lambda: nemesis.take_away(
            Hazard.STATEMENT_UNREADABLE,
            lambda: setattr(network, "is_statement_unreadable", True),
            lambda: setattr(network, "is_statement_unreadable", False),
        ),
        Hazard.RATE_LEAPS: lambda: _leaping_rates(world),
        Hazard.RATE_STALE: lambda: _belated_rate(world),
    }
    return [
        # One step more would put all others into another order, so only what can strike is there.
        *(work for hazard, work in lasting.items() if world.profile.level(hazard)),
        lambda: nemesis.pause_processes(world.alive),
        lambda: nemesis.move_clocks(lambda: [life.clock for life in world.lives]),
        lambda: nemesis.take_away(
            Hazard.DARAJA_DOWN, lambda: setattr(daraja, "is_down", True), lambda: setattr(daraja, "is_down", False)
        ),
        lambda: nemesis.take_away(Hazard.DERIV_DOWN, network.deriv_down, network.deriv_up),
        lambda: strange_credits(
            world.sandbox, nemesis, world.oracle, world.chance("strange credits"), world.at_sandbox
        ),
        lambda: _moving_rates(world),
        Forger(
            client=network.client(),
            chance=world.chance("forger"),
            profile=world.profile,
            oracle=world.oracle,
            notes=world,
            prompts=world.prompts,
        ).live,
    ]
