"""Creating customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penpay.application.collections.naming import look_up, named, numbers_footprint, take_number
from penpay.application.collections.rows import CUSTOMERS, CUSTOMERS_BY_PHONE
from penpay.application.collections.views import customer_view
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.collections.customer import Contact, Customer, CustomerId
from penpay.domain.collections.errors import CustomerExists
from penpay.domain.collections.numbers import SeriesName
from penpay.domain.collections.reference import Referent
from penpay.domain.shared.events import DomainEvent, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCustomer:
    """Somebody whom the business will bill."""

    contact: Contact
    number: str | None = None
    """None: the next of the series."""
    auto_apply_credit: bool = True
    by: str


class CreateCustomerHandler:
    async def footprint(self, commands: Sequence[CreateCustomer], find: Find) -> Footprint:
        await look_up((command.number for command in commands if command.number), find)
        await find(CUSTOMERS_BY_PHONE, {c.contact.phone for c in commands if c.contact.phone is not None})
        return numbers_footprint(Footprint(), SeriesName.CUSTOMER)

    def handle(self, command: CreateCustomer, work: Work) -> Answer:
        """Create her; the answer is `customer_view`. Raises CustomerExists naming the field, and InvalidNumber."""
        phone = command.contact.phone
        if phone is not None and work.found(CUSTOMERS_BY_PHONE, phone) is not None:
            raise CustomerExists("Another customer has this phone number.", field="phone")
        if command.number is not None and named(work, command.number, Referent.CUSTOMER) is not None:
            raise CustomerExists("Another customer has this number.", field="customer_id")
        customer = Customer(
            id=CustomerId(work.ids.new()),
            number=take_number(work, SeriesName.CUSTOMER, command.number),
            contact=command.contact,
            auto_apply_credit=command.auto_apply_credit,
            created_at=work.now,
        )
        work.add(CUSTOMERS, customer.id, customer)
        facts: dict[str, Fact] = {"customer_id": customer.number, "customer_balance_cents": 0}
        work.record(DomainEvent("CustomerCreated", "Customer", customer.id, 1, facts))
        work.audit(command.by, "customer.created", "customer", customer.id, customer_id=customer.number)
        return customer_view(customer)
