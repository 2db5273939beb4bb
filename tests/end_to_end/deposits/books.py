"""Every balance a deposit can touch, and what each stands at between two of its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from penpay.demo.world import AGENT_FUNDS


@dataclass(frozen=True, kw_only=True)
class Books:
    """Every balance a deposit can touch, in cents: ours, then the operator's own, then Deriv's own."""

    collection: int = 0
    wallet_kes: int = 0
    wallet_usd: int = 0
    suspense_kes: int = 0
    suspense_usd: int = 0
    in_flight: int = 0
    agent: int = AGENT_FUNDS.cents
    spread: int = 0
    rounding: int = 0
    at_operator_payer: int = 5_000_000
    at_operator_paybill: int = 0
    at_deriv_agent: int = AGENT_FUNDS.cents
    at_deriv_client: int = 0


UNTOUCHED: Final = Books()
PAID: Final = replace(UNTOUCHED, at_operator_payer=5_000_000 - 132_100, at_operator_paybill=132_100)
"""USD 10.00 at 129.5 plus 2 % is KES 1,320.90, so 1,321 shillings have left the phone; our books say nothing yet."""
BOOKED: Final = replace(PAID, collection=132_100, wallet_kes=132_100)
IN_SUSPENSE: Final = replace(PAID, collection=132_100, suspense_kes=132_100)
CONVERTED: Final = replace(PAID, collection=132_100, wallet_usd=1_000, spread=2_590, rounding=10)
"""The mid is KES 1,295.00, the spread KES 25.90, the rounding to whole shillings KES 0.10."""
IN_FLIGHT: Final = replace(CONVERTED, wallet_usd=0, in_flight=1_000)
COMPLETED: Final = replace(CONVERTED, wallet_usd=0, agent=999_000, at_deriv_agent=999_000, at_deriv_client=1_000)
