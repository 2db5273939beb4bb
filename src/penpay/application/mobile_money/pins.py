"""What a PIN proves: it is compared before the unit of work, and the answer is held against the row within it."""

from __future__ import annotations

from dataclasses import dataclass, field

from penpay.application.mobile_money import notices
from penpay.application.mobile_money.notices import tell
from penpay.application.mobile_money.rows import CUSTOMERS
from penpay.application.shared.executor import Refused
from penpay.application.shared.unit_of_work import Work
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.mobile_money.errors import PinLocked, PinRequired, WrongPin
from penpay.domain.mobile_money.policy import OperatorPolicy


@dataclass(frozen=True, slots=True)
class PinAnswer:
    """What comparing the PIN has shown; that takes too long for a unit of work, so it is done before."""

    right: bool
    compared_with: str | None = field(repr=False)
    """The stored PIN it was held against; of another one that was set since then the answer says nothing."""

    def is_about(self, customer: Customer) -> bool:
        """Whether she still has that PIN."""
        return self.compared_with == customer.pin_hash


def check_pin_answer(
    work: Work, customer: Customer, answer: PinAnswer | None, policy: OperatorPolicy
) -> Refused | None:
    """Count a wrong PIN and refuse; raises PinRequired and PinLocked. Wrong ones are forgotten by a payment.

    Raises WrongPin, and counts nothing, when another PIN was set or hers taken off since it was compared.
    """
    if customer.pin_locked and answer is not None:
        raise PinLocked
    if answer is not None and not answer.is_about(customer):
        raise WrongPin("The PIN was changed while this waited.")
    if answer is not None and not answer.right:
        after = customer.enter_wrong_pin(policy)
        work.put(CUSTOMERS, customer.id, after)
        work.audit(f"customer:{customer.id}", "pin.wrong", "customer", customer.id, wrong_pins=after.wrong_pins)
        left = policy.pin_attempts - after.wrong_pins
        tell(work, customer.id, notices.of_wrong_pin(after, policy))
        return Refused(PinLocked() if after.pin_locked else WrongPin(attempts_left=left))
    if answer is None and policy.pin_required:
        raise PinRequired
    return None
