"""What the examples share: everything on this machine, one story, and the books it leaves, printed alike every time.

No id, no moment and no receipt is printed, so that two runs can be compared.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from penpay.application.wallet.funding import FundAccount
from penpay.application.wallet.withdrawal_postings import UTILITY
from penpay.demo.world import LOGIN_ID, PHONE, PIN, SHORT_CODE, World, demo_world
from penpay.domain.shared.ids import TransactionId
from penpay.domain.shared.money import Currency, Money

USD_10: Final = 1_000
PAYBILL_FLOAT: Final = Money(2_000_000, Currency.KES)
HER_DOLLARS: Final = 20_000
PATIENCE_SECONDS: Final = 60
_ENDED: Final = frozenset({"COMPLETED", "FAILED", "REVERSED", "IN_REVIEW"})
_NAMED: Final = ("mpesa:collection", "mpesa:utility", "deriv:agent")
"""Our accounts at providers, whose balances the providers know too."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What M-Pesa and Deriv say that she and we have, by their own books."""

    her_phone: Money
    our_paybill: Money
    her_deriv: Money
    our_agent: Money


async def outside(world: World) -> Outside:
    """As it is at this moment."""
    operator = await world.sandbox.operator.books.balances()
    deriv = world.sandbox.deriv_book
    return Outside(
        dict(operator.subscribers)[PHONE],
        dict(operator.merchants)[SHORT_CODE],
        Money(await deriv.balance_of(LOGIN_ID), Currency.USD),
        Money(await deriv.balance_of(world.system.deriv_login_id), Currency.USD),
    )


async def ask(world: World, kind: str) -> str:
    """Ask our API for a deposit or withdrawal of USD 10.00; the transaction's id."""
    body = {
        "amount_cents": USD_10,
        "currency": "USD",
        "deriv_login_id": LOGIN_ID,
        "idempotency_key": "example-0123456789",
    }
    response = await world.api.post(f"/api/v1/{kind}s", json=body)
    response.raise_for_status()
    created = response.json(parse_float=Decimal)
    print(f"She asks for a {kind} of USD 10.00: {Money(created['kes_cents'], Currency.KES)} at {created['rate']}.")
    return str(created["id"])


async def until(world: World, transaction_id: str, *statuses: str) -> Mapping[str, Any]:
    """The transaction as our API shows it, once it is in one of these states."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            response = await world.api.get(f"/api/v1/transactions/{transaction_id}")
            response.raise_for_status()
            found: dict[str, Any] = response.json(parse_float=Decimal)
            if found["status"] in statuses:
                return found
            await world.system.clock.sleep(50)


async def until_told(world: World, transaction_id: str, event: str) -> None:
    """Wait until this has happened to the transaction."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while event not in {line["event"] for line in (await until(world, transaction_id, *_ENDED))["timeline"]}:
            await world.system.clock.sleep(50)


async def give_pin(world: World, transaction_id: str) -> None:
    """She answers the prompt, once M-Pesa has answered our call."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await world.sandbox.daraja.phone(PHONE).next_prompt()
    await until(world, transaction_id, "AWAITING_MPESA_CALLBACK")
    await world.sandbox.daraja.phone(PHONE).give_pin(PIN)
    print("Her handset shows the prompt, and she types her PIN: the shillings have left her phone.")


async def give_code(world: World, transaction_id: str) -> None:
    """She hands over the code that Deriv has mailed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (mails := await world.sandbox.deriv_mailbox.mails()):
            await world.system.clock.sleep(50)
    path = f"/api/v1/withdrawals/{transaction_id}/confirm"
    (await world.api.post(path, json={"verification_code": mails[0].code})).raise_for_status()
    print("Deriv mails her a code, and she hands it over.")


Tell = Callable[[World], Awaitable[str]]
"""Plays a story and gives the id of its transaction once that has ended."""


def show(title: str, tell: Tell, *, leaving_out: Sequence[str] = ()) -> None:
    """Tell one story and print what it left; exits with 1 unless every book agrees.

    `leaving_out` names events that can come in more than one place.
    """
    # What goes wrong on purpose is told below, and not a second time as a warning.
    logging.disable(logging.WARNING)
    sys.exit(0 if asyncio.run(_show(title, tell, leaving_out)) else 1)


async def _show(title: str, tell: Tell, leaving_out: Sequence[str]) -> bool:
    async with _stage() as world:
        before, booked = await outside(world), await _booked(world)
        print(f"{title}\n{'=' * len(title)}")
        transaction_id = await tell(world)
        transaction = await until(world, transaction_id, *_ENDED)
        how = f", learned by {transaction['recovered_by']}" if transaction["recovered_by"] else ""
        print(f"It is {transaction['status']}{how}.\n\nEvents")
        for line in transaction["timeline"]:
            if line["event"] not in leaving_out:
                print(f"  {line['event']:<28}{line['status']}")
        await _print_journals(world, transaction_id)
        await _print_accounts(world)
        return await _compare(world, before, booked)


@asynccontextmanager
async def _stage() -> AsyncIterator[World]:
    """Everything running on free ports, with embedded databases that go when the story is over."""
    with tempfile.TemporaryDirectory() as folder:
        api, daraja, deriv = (_free_port() for _ in range(3))
        async with demo_world(Path(folder), api_port=api, daraja_port=daraja, deriv_port=deriv) as world:
            await world.sandbox.deriv.exchange.top_up(LOGIN_ID, HER_DOLLARS)
            await world.sandbox.operator.issue_to_merchant(SHORT_CODE, PAYBILL_FLOAT, "example-float")
            await world.system.executor.execute(
                FundAccount(account=UTILITY, amount=PAYBILL_FLOAT, reference="example-float", entered_by="example")
            )
            yield world


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _booked(world: World) -> Mapping[str, Money]:
    """Our accounts at providers, by our own books."""
    rows = {row.code: Money(row.debit_cents - row.credit_cents, row.currency) for row in await _rows(world)}
    return {code: rows.get(code, Money.zero(Currency.KES)) for code in _NAMED}


async def _rows(world: World) -> Sequence[Any]:
    return list(await world.system.ledger_books.trial_balance())


async def _print_journals(world: World, transaction_id: str) -> None:
    """Every journal of the transaction, debits first."""
    story = await world.system.stories.story(TransactionId(UUID(transaction_id)))
    print("\nJournals")
    for line in story.lines if story is not None else ():
        if line.kind == "journal":
            kind, _, sides = line.text.partition(": ")
            print(f"  {kind}")
            for side in sides.split("; "):
                word, account, currency, amount = side.split(" ")
                print(f"    {word:<8}{account:<24}{currency} {amount:>12}")


async def _print_accounts(world: World) -> None:
    """The trial balance: every account that was moved, and both sides of each currency."""
    print("\nAccounts                            debit           credit")
    totals: dict[Currency, list[int]] = {}
    for row in await _rows(world):
        code = f"wallet:{row.currency.value}" if row.code.startswith("wallet:") else row.code
        print(f"  {code:<24}{_amount(row.debit_cents, row.currency)}{_amount(row.credit_cents, row.currency)}".rstrip())
        sides = totals.setdefault(row.currency, [0, 0])
        sides[0] += row.debit_cents
        sides[1] += row.credit_cents
    for currency, (debits, credits_) in sorted(totals.items()):
        print(f"  {'both sides':<24}{_amount(debits, currency)}{_amount(credits_, currency)}")


def _amount(cents: int, currency: Currency) -> str:
    return f"{str(Money(cents, currency)) if cents else '':>17}"


async def _compare(world: World, before: Outside, booked: Mapping[str, Money]) -> bool:
    """Print what the providers say has moved beside what we booked; whether all of it is the same."""
    after, now = await outside(world), await _booked(world)
    moved = {code: now[code] - booked[code] for code in _NAMED}
    ours = moved["mpesa:collection"] + moved["mpesa:utility"]
    lines = (
        ("her phone", after.her_phone - before.her_phone, Money.zero(Currency.KES) - ours),
        ("our PayBill", after.our_paybill - before.our_paybill, ours),
        ("her Deriv account", after.her_deriv - before.her_deriv, Money.zero(Currency.USD) - moved["deriv:agent"]),
        ("our Deriv account", after.our_agent - before.our_agent, moved["deriv:agent"]),
    )
    print("\nWhat has moved              by their books     by ours")
    for what, theirs, by_us in lines:
        print(f"  {what:<22}{theirs!s:>17}{by_us!s:>17}")
    agree = all(theirs == by_us for _, theirs, by_us in lines) and not await world.system.ledger_books.verify()
    print("Every book agrees." if agree else "THE BOOKS DO NOT AGREE.")
    return agree
