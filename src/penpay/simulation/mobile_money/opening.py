"""How the simulated operator stands when a seed begins: its customers, their money, and the tariff in force."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import httpx
from starlette.types import ASGIApp

from penpay.config import Settings
from penpay.simulation.loop import SimLoop
from penpay.simulation.mobile_money.installation import DATABASE, Installation, settings_at
from penpay.simulation.mobile_money.members import PAYBILL, PIN, TILL, Desk, Member, Members
from penpay.simulation.mobile_money.prices import tariff_file
from penpay.simulation.profile import profile_of
from penpay.simulation.template import SEEDED_BEFORE

_OWN_SHILLINGS: Final = 50_000
_ISSUED_SHILLINGS: Final = 20_000
_ISSUES: Final = 3
_AGENT_SHILLINGS: Final = 15_000
_SUBSCRIBER_SHILLINGS: Final = 3_000
_SUBSCRIBERS: Final = 3
_AGENTS: Final = 2


class _Silent:
    def trace(self, line: str) -> None:
        """Nobody reads it."""

    def reach(self, place: str) -> None:
        """Nobody counts it."""


async def make_members(loop: SimLoop, settings: Settings, folder: Path, app: ASGIApp) -> Members:
    """Make the database in this folder, by the operator's own interface, where nothing goes wrong."""
    calm = replace(profile_of(0), hazards={})
    installation = Installation(
        loop=loop,
        profile=calm,
        notes=_Silent(),
        chance=lambda purpose: random.Random(f"mobile money/{purpose}"),  # noqa: S311  (repeatable on purpose)
        settings=settings_at(settings, folder),
        app=app,
        look=lambda: None,
        skew=-SEEDED_BEFORE,
    )
    installation.launch(0)
    await installation.whole()
    members = await _register(Desk(installation.client()))
    for system in installation.systems:
        await system.stop()
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return members


def copy_database(template: Path, folder: Path) -> None:
    """Give a seed a database of its own, as the template's was left."""
    shutil.copyfile(template / DATABASE, folder / DATABASE)


async def _register(desk: Desk) -> Members:
    first = await desk.register("administrator_one", "administrator")
    await desk.is_logged_in(first)
    second = await desk.register("administrator_two", "administrator", by=first, role="finance")
    super_agent = await desk.register("super_agent_one", "agent", phone="254712300001")
    agents = [
        await desk.register(f"agent_{number}", "agent", phone=f"25471230001{number}")
        for number in range(1, _AGENTS + 1)
    ]
    subscribers = [
        await desk.register(f"subscriber_{number}", "subscriber", phone=f"25471230002{number}")
        for number in range(1, _SUBSCRIBERS + 2)
    ]
    merchant = await desk.register("merchant_one", "merchant", phone="254712300031")
    members = Members(
        administrator=first,
        second_administrator=second,
        super_agent=super_agent,
        agents=tuple(agents),
        subscribers=tuple(subscribers[:-1]),
        careless=subscribers[-1],
        merchant=merchant,
    )
    await _set_up(desk, members)
    return members


async def _set_up(desk: Desk, members: Members) -> None:
    """PINs, numbers, the tariff, and money for everybody but the merchant."""

    async def done(member: Member, path: str, body: Mapping[str, object], method: str = "POST") -> None:
        await desk.is_logged_in(member)
        answer = await desk.send(member, method, path, body)
        if answer.status_code != httpx.codes.OK:
            raise RuntimeError(f"{path} was answered {answer.text}")

    first, super_agent, merchant = members.administrator, members.super_agent, members.merchant
    for one in members.customers:
        await done(one, "/api/account/pin", {"newPin": PIN}, "PUT")
    await done(first, "/api/admin/super-agent-status", {"email": super_agent.email}, "PUT")
    for kind, number in (("PAYBILL", PAYBILL), ("TILL", TILL)):
        plan = "SHARED" if kind == "PAYBILL" else ""
        opened: dict[str, object] = {"kind": kind, "name": "SHOP", "shortCode": number, "plan": plan}
        await done(merchant, "/api/merchant/numbers", opened)
    own: dict[str, object] = {"bankReference": "own-funds", "amount": _OWN_SHILLINGS, "ownFunds": True}
    await done(first, "/api/admin/bank-deposits", own)
    for place in range(_ISSUES):
        issue: dict[str, object] = {
            "accountNo": super_agent.email,
            "amount": _ISSUED_SHILLINGS,
            "bankReference": f"opening-{place}",
        }
        await done(first, "/api/admin/assign-float", issue)
    for agent in members.agents:
        await done(super_agent, "/api/transaction/deposit", _deposit(agent, _AGENT_SHILLINGS))
    for place, one in enumerate((*members.subscribers, members.careless)):
        agent = members.agents[place % _AGENTS]
        await done(agent, "/api/transaction/deposit", _deposit(one, _SUBSCRIBER_SHILLINGS))
    # Deposits before it earn nothing, so the books of a seed begin without commission.
    await done(first, "/api/admin/tariffs", json.loads(tariff_file(), parse_float=Decimal))


def _deposit(target: Member, shillings: int) -> dict[str, object]:
    return {"accountNo": target.email, "customerType": target.type, "amount": shillings, "pin": PIN}
