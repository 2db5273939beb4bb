"""A deposit whose transfer Deriv carries out without saying so: it is found in the statement, and never sent again.

Usage: python examples/deriv_drop.py
"""

from __future__ import annotations

from penpay.demo.world import World
from penpay.sandbox.deriv.faults import DropAfterCommit, FaultRule
from showing import ask, give_pin, show, until


async def _tell(world: World) -> str:
    world.sandbox.deriv_faults.add(FaultRule(fault=DropAfterCommit()))
    deposit = await ask(world, "deposit")
    await give_pin(world, deposit)
    print("M-Pesa's callback comes, and M-Pesa, asked, confirms it. PenPay sends the dollars.")
    print("Deriv carries the transfer out, and its socket drops before the answer: it may have happened, or not.")
    await until(world, deposit, "COMPLETED")
    print("PenPay sends nothing again. It looks for its own reference in Deriv's statement, and finds one row.")
    return deposit


if __name__ == "__main__":
    show("A deposit whose transfer is not answered", _tell)
