"""Payment-agent transfers: a dry run, then one real call; different ones overlap, equal ones take turns."""

from __future__ import annotations

import re
from collections.abc import Callable

from penpay.application.shared.ports import Clock
from penpay.domain.deriv.gateway import TransferAnswer, TransferOutcome, TransferToClient
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.deriv.verdicts import (
    RATE_LIMITED,
    Verdict,
    verdict_on_dry_run_refusal,
    verdict_on_refusal,
)
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency
from penpay.infrastructure.deriv.connection import DerivConnection, NoAnswer
from penpay.infrastructure.deriv.turns import Turns
from penpay.infrastructure.deriv.wire import Frame, Request, error_of

_REFERENCE = re.compile(r"[0-9A-Za-z-]{1,40}", re.ASCII)

_EXECUTED = 1
_DRY_RUN_PASSED = 2

_RECONNECTING_MS = 5_000
_BUSY_MS = 2_000
_AT_ONCE = 32
"""Transfers under way together while Deriv's limits on calls allow it."""
_LONGER_MS = 1_000
"""So much longer than Deriv asks for nothing is sent: whoever was told to come back then is due again, in its place."""


class TransferExecutor:
    """Makes money calls, several at once over one session, begun in the order in which they were asked for.

    An answer belongs to its call by `req_id`, and a row of the statement by our reference. Two of the same amount for
    the same client are never under way together, since nothing else would tell them apart where a remark is cut
    (ADR 0030). `ready` returns the connection that may carry money now, or None.
    """

    def __init__(self, *, ready: Callable[[], DerivConnection | None], clock: Clock, answer_within_ms: int) -> None:
        self._ready = ready
        self._clock = clock
        self._answer_within_ms = answer_within_ms
        self._turns = Turns(_AT_ONCE)
        self._limited_until_ms = 0

    @property
    def holds_back(self) -> bool:
        """Whether nothing is sent now, since Deriv said a moment ago that it was called too often."""
        return self._limited_until_ms > self._clock.monotonic_ms()

    async def transfer(self, transfer: TransferToClient) -> TransferAnswer:
        """Carry out one transfer; takes at most three times the answer time: the queue, the dry run, the real call."""
        refusal = _unsendable(transfer)
        if refusal is not None:
            return refusal
        alike = (transfer.login_id, transfer.amount)
        try:
            await self._turns.take(alike, within_ms=self._answer_within_ms)
        except TimeoutError:
            return _not_sent("busy", "Other transfers were being made all the time.", _BUSY_MS)
        try:
            return await self._in_turn(transfer)
        finally:
            self._turns.give_back(alike)

    async def _in_turn(self, transfer: TransferToClient) -> TransferAnswer:
        connection = self._ready()
        if connection is None:
            return _not_sent("not_connected", "There is no connection to Deriv now.", _RECONNECTING_MS)
        limited_ms = self._limited_until_ms - self._clock.monotonic_ms()
        if limited_ms > 0:
            come_back_ms = max(limited_ms - _LONGER_MS, 0)
            return _not_sent(RATE_LIMITED, "Deriv's rate limit was reached a moment ago.", come_back_ms)
        answer = await self._dry_run(connection, transfer) or await self._execute(connection, transfer)
        if answer.outcome is TransferOutcome.CONFIRMED:
            self._turns.widen()
        return answer

    async def _dry_run(self, connection: DerivConnection, transfer: TransferToClient) -> TransferAnswer | None:
        """Let Deriv check everything without moving money; None means go on."""
        try:
            frame = await connection.call({**_request(transfer), "dry_run": 1}, within_ms=self._answer_within_ms)
        except NoAnswer as lost:
            return _not_sent("no_answer", f"The dry run: {lost.reason}.", _RECONNECTING_MS)
        error = error_of(frame)
        if error is not None:
            return self._refused(connection, error, verdict_on_dry_run_refusal(*error))
        said = frame.get("paymentagent_transfer")
        if said == _DRY_RUN_PASSED:
            return None
        # An answer to a dry run that speaks of an execution must never be followed by a second one.
        return _unknown("unexpected_answer", "The dry run was not answered as a dry run.")

    async def _execute(self, connection: DerivConnection, transfer: TransferToClient) -> TransferAnswer:
        try:
            frame = await connection.call(_request(transfer), within_ms=self._answer_within_ms)
        except NoAnswer as lost:
            if not lost.sent:
                return _not_sent("not_connected", f"The transfer was not sent: {lost.reason}.", _RECONNECTING_MS)
            return _unknown("no_answer", f"The transfer was sent: {lost.reason}.")
        error = error_of(frame)
        if error is not None:
            return self._refused(connection, error, verdict_on_refusal(*error))
        return _executed(frame, transfer)

    def _refused(self, connection: DerivConnection, error: tuple[str, str], verdict: Verdict) -> TransferAnswer:
        code, message = error
        connection.retire_if_lost(code)
        if code == RATE_LIMITED and verdict.retry_after_ms is not None:
            # A dry run and a call for each: were many to begin together again, all might spend theirs on dry runs.
            self._turns.narrow()
            self._limited_until_ms = self._clock.monotonic_ms() + verdict.retry_after_ms + _LONGER_MS
        return TransferAnswer(
            outcome=verdict.outcome, code=code, message=message, retry_after_ms=verdict.retry_after_ms
        )


def _unsendable(transfer: TransferToClient) -> TransferAnswer | None:
    """A final refusal of what Deriv's schema would refuse anyway, or must never be asked for."""
    try:
        transfer.amount.require_positive()
        virtual = DerivLoginId(transfer.login_id).is_virtual
    except DomainError as refused:
        return _failed(refused.code, refused.message)
    if virtual:
        return _failed("virtual_account", "The account is a demo account.")
    if transfer.amount.currency is not Currency.USD:
        return _failed("currency_mismatch", "The agent account holds USD.")
    if _REFERENCE.fullmatch(transfer.reference) is None:
        return _failed("invalid_reference", "The reference could not be found again in a statement.")
    return None


def _request(transfer: TransferToClient) -> Request:
    return {
        "paymentagent_transfer": 1,
        "amount": transfer.amount,
        "currency": transfer.amount.currency.value,
        "transfer_to": transfer.login_id,
        "description": transfer.reference,
    }


def _executed(frame: Frame, transfer: TransferToClient) -> TransferAnswer:
    """Confirmed only if the answer says so of this very transfer (deriv.md §2.10)."""
    provider_id = frame.get("transaction_id")
    if frame.get("paymentagent_transfer") != _EXECUTED or type(provider_id) is not int:
        return _unknown("unexpected_answer", "The answer does not say that the transfer was made.")
    if frame.get("client_to_loginid", transfer.login_id) != transfer.login_id:
        return _unknown("unexpected_answer", "The answer names another account.")
    return TransferAnswer(outcome=TransferOutcome.CONFIRMED, provider_id=str(provider_id))


def _failed(code: str, message: str) -> TransferAnswer:
    return TransferAnswer(outcome=TransferOutcome.FAILED, code=code, message=message)


def _not_sent(code: str, message: str, retry_after_ms: int) -> TransferAnswer:
    return TransferAnswer(outcome=TransferOutcome.NOT_SENT, code=code, message=message, retry_after_ms=retry_after_ms)


def _unknown(code: str, message: str) -> TransferAnswer:
    return TransferAnswer(outcome=TransferOutcome.UNKNOWN, code=code, message=message)
