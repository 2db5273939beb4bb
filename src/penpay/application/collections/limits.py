"""The rules a payment may break: it was paid all the same, so it is booked and flagged."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from penpay.application.collections.rows import CUSTOMERS, PAYMENTS
from penpay.application.collections.using import customer_of
from penpay.application.shared.unit_of_work import Kind, Work
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.payment import DAY_LIMIT, TRANSACTION_LIMIT, PaymentFlag
from penpay.domain.shared.money import Money
from penpay.domain.shared.nairobi import nairobi_day

PAID_DAYS: Final[Kind[tuple[CustomerId, date], int]] = Kind("paid_days")
"""What a customer paid on one day in Nairobi, reversed or not, in cents: a sum over her payments that nobody writes.

It is read once her own row is locked, so no payment of hers can come between.
"""


def limits_broken(
    work: Work, amount: Money, customer_id: CustomerId | None, paid_at: datetime
) -> frozenset[PaymentFlag]:
    """The flags of a payment that is being booked, which counts to the sum of the day on which it was paid.

    Raises NotLocked for one of a day before her newest, the first time: only such a one needs that day's sum.
    """
    flags = set()
    if amount > TRANSACTION_LIMIT:
        flags.add(PaymentFlag.OVER_TRANSACTION_LIMIT)
    if customer_id is not None:
        before, day = customer_of(work, customer_id), nairobi_day(paid_at)
        after = before.paid(amount, paid_at)
        work.put(CUSTOMERS, customer_id, after)
        is_newest = after.paid_on == day.isoformat()
        paid = after.paid_on_cents if is_newest else _paid_on(work, customer_id, day) + amount.cents
        if paid > DAY_LIMIT.cents:
            flags.add(PaymentFlag.OVER_DAY_LIMIT)
    return frozenset(flags)


def _paid_on(work: Work, customer_id: CustomerId, day: date) -> int:
    """What she paid on an earlier day, with what this batch has booked on it."""
    known = work.get(PAID_DAYS, (customer_id, day)) or 0
    booked = (change.after for change in work.changes(PAYMENTS) if change.before is None)
    return known + sum(
        one.amount.cents
        for one in booked
        if one is not None and one.customer_id == customer_id and nairobi_day(one.paid_at) == day
    )
