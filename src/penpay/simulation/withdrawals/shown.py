"""What users were told of withdrawals, and what we were told of payouts, against what is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import httpx
from sqlalchemy import select

from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.engine import reading
from penpay.infrastructure.sql.payments import WebhookRepository
from penpay.infrastructure.sql.tables import webhook_logs
from penpay.simulation.books import Books, Payment
from penpay.simulation.told import expected_of, told_of

if TYPE_CHECKING:
    from penpay.simulation.withdrawals.desk import Withdrawals
    from penpay.simulation.withdrawals.tally import Tally
    from penpay.simulation.world import World

_ASKED: Final = ("deriv_login_id", "currency", "amount_cents")
_SOURCES: Final = ("daraja_b2c", "daraja_status", "daraja_timeout")


async def as_promised(withdrawals: Withdrawals, books: Books) -> list[str]:
    """W6, W8: users are told what the books hold; messages are kept as they came, and again change nothing."""
    broken = list(_asked_for(withdrawals, books))
    broken.extend(await _shown(withdrawals, books))
    broken.extend(await kept_as_told(withdrawals.world, withdrawals.tally))
    broken.extend(await told_again(withdrawals.world, withdrawals.tally, books))
    return broken


def _asked_for(withdrawals: Withdrawals, books: Books) -> Iterator[str]:
    """W6: every withdrawal in the books is one that somebody asked for, and was told of at its price."""
    promises = withdrawals.users.promises
    payments = {payment.id: payment for payment in books.withdrawals()}
    unclaimed = Counter(tuple(body[name] for name in _ASKED) for body in promises.asked.values())
    unclaimed.subtract(tuple(one.transaction[name] for name in _ASKED) for one in payments.values())
    for about, left in unclaimed.items():
        if left < 0:
            yield f"W6: a withdrawal of {about} that nobody asked for"
    for key, told in promises.accepted.items():
        payment = payments.get(str(told["id"]))
        if payment is None:
            yield f"W6: {told['id']} was accepted and is not there"
            continue
        asked = promises.asked[key]
        if any(told[name] != asked[name] for name in _ASKED) or told["type"] != "WITHDRAWAL":
            yield f"W6: {key} was accepted as something else"
        if (
            not books.ours(_REQUOTED, payment.transaction["id"])
            and told["kes_cents"] != payment.transaction["kes_charged_cents"]
        ):
            yield f"W6: {told['kes_cents']} was promised, and {payment.transaction['kes_charged_cents']} is to be paid"


_REQUOTED: Final = "SELECT 1 FROM domain_events WHERE aggregate_id = ? AND name = 'WithdrawalRequoted'"


async def _shown(withdrawals: Withdrawals, books: Books) -> list[str]:
    """W6: asked over HTTP, a withdrawal is shown to its user as it stands in the books."""
    broken = []
    world = withdrawals.world
    people = {person.login_id: person for person in world.template.people}
    for payment in list(books.withdrawals()):
        user = people[payment.transaction["deriv_login_id"]]
        try:
            answer = await world.users.ask_about(user, payment.id)
        except httpx.TransportError as fault:
            broken.append(f"W6: nobody shows {payment.id}: {type(fault).__name__}")
            continue
        broken.extend(_compared(books, payment, answer))
    return broken


def _compared(books: Books, payment: Payment, answer: httpx.Response) -> Iterator[str]:
    if answer.status_code != httpx.codes.OK:
        yield f"W6: {payment.id} is shown to its user as {answer.status_code}"
        return
    told, expected = told_of(answer.content), expected_of(books, payment)
    for name in sorted(told.keys() | expected.keys()):
        if told.get(name) != expected.get(name):
            yield f"W6: {payment.id} is shown with {name} {told.get(name)}, and it is {expected.get(name)}"


async def kept_as_told(world: World, tally: Tally) -> list[str]:
    """W8: each message about a payout that we said we had taken is kept byte for byte, and none that did not come."""
    life = world.lives[0]
    repository = WebhookRepository(FieldCipher(world.settings.key_ring, life.system.random))
    kept: Counter[bytes] = Counter()
    async with reading(life.system.engine).connect() as connection:
        rows = await connection.execute(select(webhook_logs).where(webhook_logs.c.source.in_(_SOURCES)))
        for row in rows.all():
            if not row.outcome.startswith("REFUSED"):
                kept[repository.body(row)] += 1
    answered, posted = Counter[bytes](), Counter[bytes]()
    for (_, body), times in tally.answered.items():
        answered[body] += times
    for (_, body), times in tally.posted.items():
        posted[body] += times
    broken = [f"W8: a message of {len(body)} bytes was taken and is not kept" for body in answered - kept]
    return [*broken, *(f"W8: a message of {len(body)} bytes is kept more often than it came" for body in kept - posted)]


async def told_again(world: World, tally: Tally, books: Books) -> list[str]:
    """W8: every Result of the run, delivered once more, moves no money."""
    before = books.money(receipts=True) + books.reviews()
    await world.deliver_again([one for one in tally.heard if not one.is_forged])
    after = books.money(receipts=True) + books.reviews()
    changed = [row for row in after if row not in before]
    return [f"W8: Results told again have changed something: {changed[:2]}"] if before != after else []
