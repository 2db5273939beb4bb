"""When people were asked, and when things ended: neither before their time nor long after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from penpay.application.payments.policy import (
    PAID_WITHIN,
    PAYMENT_UNRESOLVED_AFTER,
    QUERY_BACKOFF_SECONDS,
    STATEMENT_UNREADABLE_AFTER,
    TRANSFER_UNRESOLVED_AFTER,
)
from penpay.simulation.books import Books, Payment, Row
from penpay.simulation.endings import settled_at
from penpay.simulation.profile import Hazard
from penpay.simulation.quiet import moment
from penpay.simulation.watched import LATENESS_MS

if TYPE_CHECKING:
    from penpay.simulation.world import World

_ENDED: Final = frozenset({"COMPLETED", "FAILED"})
_LONGEST_PAUSE: Final = timedelta(seconds=max(QUERY_BACKOFF_SECONDS))
_STEPS: Final = 20
"""Looks and waits between one step of a deposit and the next, each as late as a busy machine's timers ring."""


def neither_early_nor_late(world: World, books: Books) -> Iterator[str]:
    """I7: what needs no people ends soon after the last fault; people are asked in time, and not before it is due."""
    usual = enough(world)
    for payment in books.deposits():
        if payment.payouts or payment.decisions:
            continue  # paying back takes a road of its own, and people take their time
        begun, at_most = _begun(world, payment), usual + _until_listed(payment)
        if payment.status in _ENDED and (took := settled_at(books, payment) - begun) > at_most:
            yield f"I7: ended {took} after the last fault, {at_most} would do ({payment.about})"
        for review in payment.reviews:
            opened_at = moment(review["opened_at"])
            since, wait = _not_before(world, payment, review)
            if opened_at - since < wait:
                yield f"I7: {review['reason']} after {opened_at - since} instead of {wait} ({payment.about})"
            if opened_at - begun > wait + at_most:
                yield f"I7: {review['reason']} only {opened_at - begun} after the last fault ({payment.about})"


def _begun(world: World, payment: Payment) -> datetime:
    """The true moment from which nothing held this deposit up any more.

    A push without an id to ask by has only its callback to wait for, however late that comes.
    """
    told = (world.oracle.told_us.get(request["account_reference"], 0) for request in payment.requests)
    true = world.loop.begins_at + timedelta(microseconds=max(world.healed_us, *told, 0))
    return max(true, moment(payment.transaction["created_at"]))


def _until_listed(payment: Payment) -> timedelta:
    """How much longer a push may take whose id our own call was never told.

    An answer that it has failed may be another push's: it counts once M-Pesa's list is whole.
    """
    is_certain = all(request["merchant_request_id"] is not None for request in payment.requests)
    return timedelta(0) if is_certain else PAID_WITHIN


def enough(world: World) -> timedelta:
    """How long the product's own schedules let a deposit take once everything works, and whatever was due before.

    A lease that somebody died over, the longest pause between two questions to M-Pesa, one more lease, and the time in
    which a transfer is looked for (`application.payments.policy`); as far as a clock was ever ahead in this seed, for
    what it made due then is due so much later once it is right again; and late timers. Where few questions are allowed,
    each other deposit may take the turn, and the pause comes again.
    """
    lease = timedelta(seconds=world.settings.lease_seconds)
    lateness = timedelta(milliseconds=LATENESS_MS) * _STEPS
    enough = 2 * lease + _LONGEST_PAUSE + TRANSFER_UNRESOLVED_AFTER + max(world.wrongness.skews) + lateness
    if world.profile.limited_queries:
        enough += _LONGEST_PAUSE * (world.profile.users * world.profile.deposits - 1)
    if world.profile.level(Hazard.PENDING_FOR_EVER):
        enough += PAYMENT_UNRESOLVED_AFTER  # a question may be answered after many that were not
    return enough


def _not_before(world: World, payment: Payment, review: Row) -> tuple[datetime, timedelta]:
    """Since when, and how long, the product must have waited before this question to people.

    Both moments are of our clocks, right or wrong, as the product must compare them; so there is nothing to allow for.
    """
    created = moment(payment.transaction["created_at"])
    if review["reason"] == "PAYMENT_UNRESOLVED":
        return max(moment(request["created_at"]) for request in payment.requests), PAYMENT_UNRESOLVED_AFTER
    if review["reason"] == "DERIV_UNRESOLVED":
        facts = json.loads(review["facts"], parse_float=Decimal)
        unread = facts["statement_rows"] is None
        sent = max(moment(transfer["sent_at"] or transfer["created_at"]) for transfer in payment.transfers)
        return sent, STATEMENT_UNREADABLE_AFTER if unread else TRANSFER_UNRESOLVED_AFTER
    if review["reason"] == "CONFIRMED_LATE" and len(payment.reviews) == 1:
        return created, world.lives[0].system.policy.forward_within
    return moment(review["opened_at"]), timedelta(0)
