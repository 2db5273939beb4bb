"""What Deriv does with money: a payment agent pays a client, a client pays an agent, and who is listening is told."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from penpay.application.shared.ports import Clock, Random
from penpay.sandbox.deriv import wire
from penpay.sandbox.deriv.book import Account, AgentTerms, Book, MovementRefused, Row, milliseconds_of

_DAY_MS = 86_400_000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_LOCKED: Final[Mapping[str, str]] = {
    "cashier_locked": "cashier is locked",
    "deposit_locked": "deposits are locked",
    "disabled": "account is disabled",
    "document_expired": "verification documents have expired",
    "unwelcome": "account is restricted",
    "transfers_blocked": "transfers are blocked",
}
"""Statuses that bar an account from payments, with how Deriv speaks of them (deriv.md §2.5)."""


class TransferRefused(Exception):
    """A business refusal in Deriv's words (deriv.md §2.10)."""

    def __init__(self, message: str, code: str = "PaymentAgentTransferError") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Exchange:
    """Moves money in the book under Deriv's rules; listeners hear of every committed row, in order."""

    def __init__(self, book: Book, *, clock: Clock, random: Random, repeat_guard_ms: int) -> None:
        self.book = book
        self._clock = clock
        self._random = random
        self._repeat_guard_ms = repeat_guard_ms
        self._listeners: list[Callable[[Row], None]] = []

    def listen(self, listener: Callable[[Row], None]) -> None:
        """Have `listener` called for every row from now on; it must not block."""
        self._listeners.append(listener)

    def deafen(self, listener: Callable[[Row], None]) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    async def transfer_to_client(
        self, *, agent_id: str, client_id: str, amount: object, currency: str, note: str, app_id: int, dry_run: bool
    ) -> tuple[Account, Row | None]:
        """Pay a client from an agent's account; a dry run stops after the checks and returns no row.

        Raises TransferRefused at the first check that fails, in Deriv's order.
        """
        agent = await self._account(agent_id)
        if agent.is_virtual:
            raise TransferRefused("Permission denied.", code="PermissionDenied")
        cents = wire.cents(amount)
        if cents is None:
            raise TransferRefused("Invalid amount. Amount provided can not have more than 2 decimal places.")
        if agent.agent is None:
            raise TransferRefused("You are not authorized for transfers via payment agents.")
        client = await self.book.account(client_id)
        if client is None:
            raise TransferRefused(f"Login ID ({client_id}) does not exist.")
        sent_today = await self.book.sent_since(agent_id, milliseconds_of(self._clock) // _DAY_MS * _DAY_MS)
        attempt = _Attempt(
            agent=agent, terms=agent.agent, client=client, cents=cents, currency=currency, sent_today=sent_today
        )
        for fails, message in _checks(attempt):
            if fails:
                raise TransferRefused(message)
        if dry_run:
            return client, None
        remark = (
            f"Transfer from Payment Agent {agent.agent.name} ({agent_id}) to {client_id}. "
            f"Transaction reference: {self._reference()}. Timestamp: {self._timestamp()}."
        ) + (f" Agent note: {note}" if note else "")
        sent, _ = await self._move(agent_id, client_id, cents, remark, app_id)
        return client, sent

    async def pay_agent(self, *, client_id: str, agent_id: str, cents: int, note: str = "") -> Row:
        """Move a client's money to an agent, as a client's own withdrawal does; return the agent's row.

        Raises TransferRefused.
        """
        agent = await self._account(agent_id)
        if agent.agent is None:
            raise TransferRefused("Please enter a valid payment agent ID.", code="PaymentAgentWithdrawError")
        remark = self._to_agent(client_id, agent, agent.agent, note)
        _, got = await self._move(client_id, agent_id, cents, remark, None)
        return got

    async def withdraw_to_agent(  # the fields of the call
        self, *, client_id: str, agent_id: str, amount: object, currency: str, note: str, app_id: int, dry_run: bool
    ) -> tuple[Account, Row | None]:
        """Pay an agent from a client's account, as the client asks; a dry run stops after the checks, without a row.

        The row is the client's. Raises TransferRefused at the first check that fails, in the order of deriv.md §2.11.
        """
        client = await self._account(client_id)
        cents = wire.cents(amount)
        if cents is None:
            raise _refused_withdrawal("Invalid amount. Amount provided can not have more than 2 decimal places.")
        agent = await self.book.account(agent_id)
        if agent is None or agent.agent is None:
            raise _refused_withdrawal("Please enter a valid payment agent ID.")
        for fails, message in _withdrawal_checks(client, agent, agent.agent, cents, currency):
            if fails:
                raise _refused_withdrawal(message)
        if dry_run:
            return agent, None
        remark = self._to_agent(client_id, agent, agent.agent, note)
        try:
            sent, _ = await self._move(client_id, agent_id, cents, remark, app_id)
        except TransferRefused as refused:
            raise _refused_withdrawal(refused.message) from None
        return agent, sent

    def _to_agent(self, client_id: str, agent: Account, terms: AgentTerms, note: str) -> str:
        remark = (
            f"Transfer from {client_id} to Payment Agent {terms.name} ({agent.login_id}) "
            f"Transaction reference: {self._reference()} Timestamp: {self._timestamp()}"
        )
        return remark + (f". Client note: {note}" if note else "")

    async def top_up(self, login_id: str, cents: int) -> Row:
        """Credit an account from outside, as an agent funds its own account by the cashier."""
        row = await self.book.deposit(login_id, cents, "Cashier deposit")
        self._tell(row)
        return row

    async def _move(self, sender: str, receiver: str, cents: int, remark: str, app_id: int | None) -> tuple[Row, Row]:
        try:
            sent, got = await self.book.move(
                sender=sender,
                receiver=receiver,
                cents=cents,
                remark=remark,
                app_id=app_id,
                repeat_guard_ms=self._repeat_guard_ms,
            )
        except MovementRefused as refused:
            raise TransferRefused(refused.message) from None
        self._tell(sent)
        self._tell(got)
        return sent, got

    def _tell(self, row: Row) -> None:
        for listener in list(self._listeners):
            listener(row)

    async def _account(self, login_id: str) -> Account:
        account = await self.book.account(login_id)
        if account is None:
            raise KeyError(login_id)
        return account

    def _reference(self) -> str:
        return str(uuid.UUID(bytes=self._random.token_bytes(16), version=4)).upper()

    def _timestamp(self) -> str:
        now: datetime = self._clock.now().astimezone(UTC)
        return f"{now.day:02d}-{_MONTHS[now.month - 1]}-{now.year % 100:02d} {now:%H:%M:%S}GMT"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    agent: Account
    terms: AgentTerms
    client: Account
    cents: int
    currency: str
    sent_today: tuple[int, int]
    """Sum in cents and number of what the agent sent since midnight GMT."""


def _checks(attempt: _Attempt) -> Iterator[tuple[bool, str]]:
    """What fails a transfer and how Deriv says it, in its order (deriv.md §2.10 #6 to #15)."""
    agent, terms, client, currency = attempt.agent, attempt.terms, attempt.client, attempt.currency
    total, count = attempt.sent_today
    lowest, highest = wire.amount(terms.min_cents), wire.amount(terms.max_cents)
    yield client.country not in terms.countries, "This client's country is not within your portfolio."
    yield bool(_bar(agent)), f"Your {_bar(agent)}."
    yield (
        not terms.min_cents <= attempt.cents <= terms.max_cents,
        f"Invalid amount. Minimum is {lowest}, maximum is {highest}.",
    )
    yield (
        total + attempt.cents > terms.day_cents,
        "You have exceeded the maximum allowable transfer amount for today.",
    )
    yield count >= terms.day_count, "You have exceeded the maximum allowable transactions for today."
    for account, whose in ((agent, "payment agent"), (client, "client")):
        yield (
            account.currency != currency,
            f"{currency} is not the default account currency for {whose} {account.login_id}.",
        )
    yield bool(_bar(client)), f"You cannot transfer to account {client.login_id}, as their {_bar(client)}."
    yield client.login_id == agent.login_id, "Payment agent transfers are not allowed within the same account."
    yield client.is_virtual, "Payment agent transfers are not allowed for the specified accounts."
    yield client.agent is not None, "You are not allowed to transfer to other payment agents."


def _refused_withdrawal(message: str) -> TransferRefused:
    return TransferRefused(message, code="PaymentAgentWithdrawError")


def _withdrawal_checks(
    client: Account, agent: Account, terms: AgentTerms, cents: int, currency: str
) -> Iterator[tuple[bool, str]]:
    """What fails a client's withdrawal and how Deriv says it, in its order (deriv.md §2.11)."""
    lowest, highest = wire.amount(terms.min_cents), wire.amount(terms.max_cents)
    yield bool(_bar(client)), f"Your {_bar(client)}."
    yield client.login_id == agent.login_id, "You cannot withdraw funds to the same account."
    for account, whose in ((client, "client"), (agent, "payment agent")):
        yield (
            account.currency != currency,
            f"{currency} is not the default account currency for {whose} {account.login_id}.",
        )
    yield (
        bool(_bar(agent)),
        f"You cannot perform the withdrawal to account {agent.login_id}, as the payment agent's {_bar(agent)}.",
    )
    yield not terms.min_cents <= cents <= terms.max_cents, f"Invalid amount. Minimum is {lowest}, maximum is {highest}."
    yield "withdrawal_locked" in client.statuses, "You are not authorized for withdrawals via payment agents."
    yield client.country not in terms.countries, "This client's country is not within your portfolio."


def _bar(account: Account) -> str:
    """What bars the account from payments, or nothing."""
    return next((words for status, words in _LOCKED.items() if status in account.statuses), "")
