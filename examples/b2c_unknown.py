"""A withdrawal of which M-Pesa says nothing: PenPay asks by its own id, and the phone is paid once.

Usage: python examples/b2c_unknown.py
"""

from __future__ import annotations

from penpay.demo.world import World
from penpay.sandbox.faults import DarajaCall, FaultRule, LostCallback, Spoilt, SpoiltReply
from showing import ask, give_code, show, until


async def _tell(world: World) -> str:
    for fault in (SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT, done=True), LostCallback()):
        world.sandbox.daraja.faults.add(FaultRule(fault=fault))
    withdrawal = await ask(world, "withdrawal")
    await give_code(world, withdrawal)
    print("Deriv moves the dollars to our account. They are converted, and PenPay asks M-Pesa to pay the phone.")
    print("M-Pesa does, but its answer is cut off and its Result is lost: it may have happened, or not.")
    await until(world, withdrawal, "COMPLETED")
    print("PenPay sends nothing again. After 3 s it asks by the id it had given the payout: M-Pesa has paid it.")
    return withdrawal


if __name__ == "__main__":
    # Deriv's answer and the credit come in either order; only the credit is money.
    show("A withdrawal that M-Pesa does not answer", _tell, leaving_out=("DerivWithdrawalAccepted",))
