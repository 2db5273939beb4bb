"""Withdrawals in a client's name: a session of the client's own for each call, a dry run, then one real call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from penpay.application.shared.ports import Clock
from penpay.domain.deriv.gateway import IncomingCredit, TransferAnswer, TransferOutcome
from penpay.domain.deriv.verdicts import Verdict
from penpay.domain.deriv.verdicts_withdrawals import (
    WRONG_CODE,
    verdict_on_harmless_refusal,
    verdict_on_withdrawal_refusal,
)
from penpay.domain.deriv.withdrawals import CodeRequest, WithdrawalFromClient
from penpay.domain.shared.money import Currency
from penpay.infrastructure.deriv.connection import Connect, DerivConnection, NoAnswer, Spawn
from penpay.infrastructure.deriv.gateway import DerivWsGateway
from penpay.infrastructure.deriv.wire import BadFrame, Frame, Request, error_of, part

_EXECUTED: Final = 1
_DRY_RUN_PASSED: Final = 2
_RECONNECTING_MS: Final = 5_000
_TOKEN_REFUSED: Final = "deriv_token_refused"  # noqa: S105  (a code, not a secret)
_PING_EVERY_MS: Final = 30_000


class _Refused(Exception):
    """The session cannot serve; nothing was executed."""

    def __init__(self, answer: TransferAnswer) -> None:
        super().__init__(answer.code)
        self.answer = answer


class DerivClientSessions:
    """`DerivWithdrawalGateway` over v3; the agent's own session reads the statement."""

    def __init__(
        self,
        *,
        connect: Connect,
        agent: DerivWsGateway,
        agent_login_id: str,
        clock: Clock,
        spawn: Spawn,
        answer_within_ms: int = 30_000,
    ) -> None:
        self._connect = connect
        self._agent = agent
        self._agent_login_id = agent_login_id
        self._clock = clock
        self._spawn = spawn
        self._answer_within_ms = answer_within_ms

    async def ask_for_code(self, request: CodeRequest) -> TransferAnswer:
        """See `DerivWithdrawalGateway`."""
        try:
            async with self._session(request.token, request.login_id) as (connection, account):
                answer = await self._asked_for_code(connection, account, request)
        except _Refused as refused:
            return refused.answer
        return answer

    async def withdraw_from_client(self, withdrawal: WithdrawalFromClient) -> TransferAnswer:
        """See `DerivWithdrawalGateway`; takes at most four times the answer time."""
        try:
            async with self._session(withdrawal.token, withdrawal.login_id) as (connection, _):
                return await self._dry_run(connection, withdrawal) or await self._execute(connection, withdrawal)
        except _Refused as refused:
            return refused.answer

    async def credits_since(self, since: datetime) -> Sequence[IncomingCredit]:
        """See `DerivWithdrawalGateway`."""
        return await self._agent.credits_since(since)

    @asynccontextmanager
    async def _session(self, token: str, login_id: str) -> AsyncIterator[tuple[DerivConnection, Frame]]:
        """A connection that is the client's, and what `authorize` told of her. Raises _Refused."""
        try:
            transport = await self._connect()
        except OSError as refused:
            raise _Refused(_not_sent("not_connected", f"No connection to Deriv: {refused}.")) from None
        connection = DerivConnection(
            transport,
            clock=self._clock,
            spawn=self._spawn,
            on_push=_ignored,
            ping_every_ms=_PING_EVERY_MS,
            pong_within_ms=self._answer_within_ms,
        )
        try:
            yield connection, await self._authorized(connection, token, login_id)
        finally:
            await connection.close()

    async def _authorized(self, connection: DerivConnection, token: str, login_id: str) -> Frame:
        try:
            frame = await connection.call({"authorize": token}, within_ms=self._answer_within_ms)
            error = error_of(frame)
            if error is not None:
                raise _Refused(_refused_token(*error))
            account = part(frame, "authorize")
        except NoAnswer as lost:
            raise _Refused(_not_sent("not_connected", f"The authorize: {lost.reason}.")) from None
        except BadFrame as bad:
            raise _Refused(_not_sent("unreadable_answer", f"The authorize: {bad}.")) from None
        scopes = account.get("scopes")
        if account.get("loginid") != login_id or account.get("is_virtual") != 0:
            raise _Refused(_failed(_TOKEN_REFUSED, "The token is of another account."))
        if account.get("currency") != Currency.USD.value:
            raise _Refused(_failed("currency_mismatch", "The account does not hold USD."))
        if not isinstance(scopes, list) or "payments" not in scopes:
            raise _Refused(_failed(_TOKEN_REFUSED, "The token lacks the payments scope."))
        return account

    async def _asked_for_code(
        self, connection: DerivConnection, account: Frame, request: CodeRequest
    ) -> TransferAnswer:
        email = account.get("email")
        if not isinstance(email, str) or not email:
            return _failed("no_email", "Deriv knows no e-mail address of this account.")
        # The parameters are an object, which the flat requests of this adapter do not have: Deriv needs none of them.
        asked: Request = {"verify_email": email, "type": "paymentagent_withdraw"}
        try:
            frame = await connection.call(asked, within_ms=self._answer_within_ms)
        except NoAnswer as lost:
            return _not_sent("no_answer", f"The request for a code: {lost.reason}.")
        error = error_of(frame)
        if error is not None:
            return _answered(error, verdict_on_harmless_refusal(*error))
        if frame.get("verify_email") != 1:
            return _not_sent("unexpected_answer", f"The code for {request.reference} was not asked for.")
        return TransferAnswer(outcome=TransferOutcome.CONFIRMED)

    async def _dry_run(self, connection: DerivConnection, withdrawal: WithdrawalFromClient) -> TransferAnswer | None:
        """Let Deriv check everything but the code without moving money; None means go on."""
        request = {**self._request(withdrawal), "dry_run": 1}
        try:
            frame = await connection.call(request, within_ms=self._answer_within_ms)
        except NoAnswer as lost:
            return _not_sent("no_answer", f"The dry run: {lost.reason}.")
        error = error_of(frame)
        if error is not None:
            return _answered(error, verdict_on_harmless_refusal(*error))
        if frame.get("paymentagent_withdraw") == _DRY_RUN_PASSED:
            return None
        # An answer to a dry run that speaks of an execution must never be followed by a second one.
        return _unknown("unexpected_answer", "The dry run was not answered as a dry run.")

    async def _execute(self, connection: DerivConnection, withdrawal: WithdrawalFromClient) -> TransferAnswer:
        try:
            frame = await connection.call(self._request(withdrawal), within_ms=self._answer_within_ms)
        except NoAnswer as lost:
            if not lost.sent:
                return _not_sent("not_connected", f"The withdrawal was not sent: {lost.reason}.")
            return _unknown("no_answer", f"The withdrawal was sent: {lost.reason}.")
        error = error_of(frame)
        if error is not None:
            code, message = error
            named = ("wrong_verification_code" if code == WRONG_CODE else code, message)
            return _answered(named, verdict_on_withdrawal_refusal(code, message))
        row = frame.get("transaction_id")
        if frame.get("paymentagent_withdraw") != _EXECUTED or type(row) is not int:
            return _unknown("unexpected_answer", "The answer does not say that the withdrawal was made.")
        return TransferAnswer(outcome=TransferOutcome.CONFIRMED, provider_id=str(row))

    def _request(self, withdrawal: WithdrawalFromClient) -> Request:
        return {
            "paymentagent_withdraw": 1,
            "amount": withdrawal.amount,
            "currency": withdrawal.amount.currency.value,
            "paymentagent_loginid": self._agent_login_id,
            "verification_code": withdrawal.verification_code,
            "description": withdrawal.reference,
        }


def _ignored(_: Frame) -> None:
    """No stream is asked for in these sessions."""


def _refused_token(code: str, message: str) -> TransferAnswer:
    verdict = verdict_on_harmless_refusal(code, message)
    named = _TOKEN_REFUSED if verdict.outcome is TransferOutcome.FAILED else code
    return _answered((named, message), verdict)


def _answered(error: tuple[str, str], verdict: Verdict) -> TransferAnswer:
    code, message = error
    return TransferAnswer(outcome=verdict.outcome, code=code, message=message, retry_after_ms=verdict.retry_after_ms)


def _failed(code: str, message: str) -> TransferAnswer:
    return TransferAnswer(outcome=TransferOutcome.FAILED, code=code, message=message)


def _not_sent(code: str, message: str) -> TransferAnswer:
    return TransferAnswer(outcome=TransferOutcome.NOT_SENT, code=code, message=message, retry_after_ms=_RECONNECTING_MS)


def _unknown(code: str, message: str) -> TransferAnswer:
    return TransferAnswer(outcome=TransferOutcome.UNKNOWN, code=code, message=message)
