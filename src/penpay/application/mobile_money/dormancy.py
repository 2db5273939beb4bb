"""Putting accounts to rest that nobody has used for a long time (kenya.md §5, row 13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penpay.application.mobile_money.rows import CUSTOMERS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.application.wallet import postings
from penpay.domain.mobile_money.customer import CustomerId, CustomerStatus
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.money import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkDormant:
    """An active customer without a posting since `idle_since` falls asleep; customer care wakes her."""

    customer_id: CustomerId
    idle_since: datetime


class MarkDormantHandler:
    async def footprint(self, commands: Sequence[MarkDormant], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(CUSTOMERS, command.customer_id)
            postings.customer_footprint(footprint, command.customer_id)
        return footprint

    def handle(self, command: MarkDormant, work: Work) -> bool:
        """Whether she fell asleep: not if she has moved money since she was found, or is not active."""
        customer = work.get(CUSTOMERS, command.customer_id)
        if customer is None or customer.status is not CustomerStatus.ACTIVE:
            return False
        last = postings.last_posting(work, customer.wallet) or customer.created_at
        if last >= command.idle_since:
            return False
        balance = postings.balance(work, customer.wallet, Currency.KES)
        asleep = customer.moved_to(CustomerStatus.DORMANT, "not used for long", balance=balance)
        work.put(CUSTOMERS, asleep.id, asleep)
        facts = {"status": asleep.status.value}
        work.record(DomainEvent("CustomerStatusChanged", "Customer", asleep.id, asleep.version + 1, facts))
        work.audit("operator", "customer.status", "customer", asleep.id, **facts)
        return True
