"""Somebody who has learned the address of a payout's Result and posts what he likes there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from penpay.simulation.profile import Hazard, Level

if TYPE_CHECKING:
    from penpay.simulation.withdrawals.tally import Tally
    from penpay.simulation.world import World


class ResultForger:
    """Learns addresses as a listener on the way would; those of questions are told to nobody but M-Pesa."""

    def __init__(self, world: World, tally: Tally) -> None:
        self._world = world
        self._tally = tally
        self._client = world.network.client()
        self._chance = world.chance("withdrawals/forger")
        self._level = world.profile.level(Hazard.FORGED_RESULT)

    async def live(self) -> None:
        """Forge until cancelled."""
        while self._level is not Level.OFF:
            await asyncio.sleep(self._chance.randint(500, 20_000 // self._level) / 1_000)
            if self._tally.sent:
                self._world.reach(f"fault {Hazard.FORGED_RESULT}")
                await self._forge()

    async def _forge(self) -> None:
        chance, sent = self._chance, self._tally.sent
        payout, other = chance.choice(sent), chance.choice(sent)
        named = chance.choice((payout.id, payout.id, other.id, "29115-34620561-1", None))
        shillings = chance.choice((payout.cents, payout.cents, 100, 7_000_000)) // 100
        receipt = f"FORGED{chance.randrange(10_000):04d}"
        result: dict[str, object] = {
            "ResultCode": chance.choice((0, 0, "0", 1, 8, 17, 2001, "SFC_IC0003", 9999)),
            "ResultDesc": "forged",
            "OriginatorConversationID": named,
            "TransactionID": receipt,
            "ResultParameters": {
                "ResultParameter": [
                    {"Key": "TransactionAmount", "Value": shillings},
                    {"Key": "TransactionReceipt", "Value": receipt},
                ]
            },
        }
        tampered = chance.randrange(8) == 0
        if not tampered and str(result["ResultCode"]) == "0":
            self._tally.lied.add(payout.id)
        url = payout.result_url + ("A" if tampered else "")
        try:
            await self._client.post(url, json={"Result": result})
        except httpx.TransportError:
            return
