"""A deposit whose callback comes late: PenPay asks M-Pesa itself, and what comes afterwards is only a receipt.

Usage: python examples/late_callback.py
"""

from __future__ import annotations

from penpay.demo.world import World
from penpay.sandbox.faults import FaultRule, LateCallback
from showing import ask, give_pin, show, until, until_told

_LATE_MS = 12_000


async def _tell(world: World) -> str:
    world.sandbox.daraja.faults.add(FaultRule(fault=LateCallback(milliseconds=_LATE_MS)))
    deposit = await ask(world, "deposit")
    await give_pin(world, deposit)
    print("M-Pesa keeps its callback back. After 3 s (30 s where nobody waits for an example) PenPay asks.")
    await until(world, deposit, "COMPLETED")
    print("M-Pesa says that it was paid, so the dollars are sent. The callback comes then, and books nothing.")
    await until_told(world, deposit, "MpesaReceiptAttached")
    return deposit


if __name__ == "__main__":
    show("A deposit whose callback comes late", _tell)
