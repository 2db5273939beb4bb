"""The verdict table, redrawn from the protocol reference and not from the module."""

from __future__ import annotations

import pytest

from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.deriv.verdicts import verdict_on_dry_run_refusal, verdict_on_refusal

ANSWERS = """
FAILED    InputValidationFailed       Input validation failed: amount
FAILED    UnrecognisedRequest         Unrecognised request
FAILED    BadRequest                  no object
FAILED    SanityCheckFailed           Parameters sanity check failed.
NOT_SENT  RateLimit                   You have reached the rate limit for paymentagent_transfer.
NOT_SENT  AuthorizationRequired       Please log in.
NOT_SENT  InvalidToken                The token is invalid.
NOT_SENT  PermissionDenied            Permission denied, requires payments scope
NOT_SENT  DisabledClient              This account is unavailable.
NOT_SENT  AccountDisabled             Account is disabled.
NOT_SENT  InvalidAppID                Your app_id is invalid.
NOT_SENT  ASK_FIX_DETAILS             Your profile appears to be incomplete.
UNKNOWN   WrongResponse               Sorry, an error occurred while processing your request.
UNKNOWN   CallError                   Sorry, an error occurred while processing your request.
UNKNOWN   InternalServerError         Sorry, an error occurred while processing your request.
UNKNOWN   OutputValidationFailed      Output validation failed: transaction_id
UNKNOWN   Timeout                     Timeout
UNKNOWN   ResponseTooLarge            Response too large.
UNKNOWN   AlreadySubscribed           You are already subscribed to balance
UNKNOWN   PaymentAgentWithdrawError   Invalid amount. Minimum is 10, maximum is 2000.
UNKNOWN   InsufficientBalance         Your account balance is insufficient for this transaction.
UNKNOWN   -                           Login ID (CR1) does not exist.
FAILED    PaymentAgentTransferError   Invalid amount. Amount provided can not have more than 2 decimal places.
FAILED    PaymentAgentTransferError   Invalid amount. Minimum is 10, maximum is 2000.
FAILED    PaymentAgentTransferError   You are not authorized for transfers via payment agents.
FAILED    PaymentAgentTransferError   Login ID (CR1) does not exist.
FAILED    PaymentAgentTransferError   This client's country is not within your portfolio.
FAILED    PaymentAgentTransferError   Notes must not exceed 250 characters.
FAILED    PaymentAgentTransferError   USD is not the default account currency for client CR1.
FAILED    PaymentAgentTransferError   USD is not the default account currency for payment agent CR2.
FAILED    PaymentAgentTransferError   You cannot transfer to account CR1, as their cashier is locked.
FAILED    PaymentAgentTransferError   You cannot transfer to account CR1, as their verification documents have expired.
FAILED    PaymentAgentTransferError   Payment agent transfers are not allowed within the same account.
FAILED    PaymentAgentTransferError   Payment agent transfers are not allowed for the specified accounts.
FAILED    PaymentAgentTransferError   You are not allowed to transfer to other payment agents.
FAILED    PaymentAgentTransferError   This deposit will exceed your account limit.
FAILED    PaymentAgentTransferError   The balance will exceed limits.
NOT_SENT  PaymentAgentTransferError   Transfers are temporarily disabled due to system maintenance.
NOT_SENT  PaymentAgentTransferError   Transfers are temporarily unavailable in the client's country.
NOT_SENT  PaymentAgentTransferError   You have exceeded the maximum allowable transfer amount 1000 for today.
NOT_SENT  PaymentAgentTransferError   You have exceeded the maximum allowable transactions for today.
NOT_SENT  PaymentAgentTransferError   Your cashier is locked.
NOT_SENT  PaymentAgentTransferError   Your documents have expired.
NOT_SENT  PaymentAgentTransferError   Your profile appears to be incomplete.
NOT_SENT  PaymentAgentTransferError   You needs to be authenticated.
NOT_SENT  PaymentAgentTransferError   Your account balance is insufficient for this transaction.
NOT_SENT  PaymentAgentTransferError   Sorry, you cannot withdraw. Your account balance is 5.00 USD.
UNKNOWN   PaymentAgentTransferError   Request too frequent. Please try again later.
UNKNOWN   PaymentAgentTransferError   Sorry, an error occurred whilst processing your request.
UNKNOWN   PaymentAgentTransferError   Sorry, an error occurred. Invalid amount, please try again in one minute.
UNKNOWN   PaymentAgentTransferError   A sentence nobody has seen.
"""

TABLE = [line.split(None, 2) for line in ANSWERS.strip().splitlines()]


@pytest.mark.parametrize(("outcome", "code", "message"), TABLE)
def test_what_each_answer_means(outcome: str, code: str, message: str) -> None:
    """Every listed answer, and some that must stay unknown; only a retry says how long to wait."""
    verdict = verdict_on_refusal(code, message)

    assert (outcome, outcome == "NOT_SENT") == (verdict.outcome.value, verdict.retry_after_ms is not None)


@pytest.mark.parametrize(("outcome", "code", "message"), TABLE)
def test_a_refused_dry_run_is_final_or_to_be_repeated(outcome: str, code: str, message: str) -> None:
    """A dry run moved nothing whatever it says: what is unknown of a real call is merely not sent."""
    verdict = verdict_on_dry_run_refusal(code, message)

    expected = TransferOutcome.FAILED if outcome == "FAILED" else TransferOutcome.NOT_SENT
    assert (expected, expected is TransferOutcome.NOT_SENT) == (verdict.outcome, verdict.retry_after_ms is not None)


def test_the_words_count_not_their_case() -> None:
    """Deriv has written its sentences in more than one way."""
    said = verdict_on_refusal("PaymentAgentTransferError", "REQUEST TOO FREQUENT")

    assert TransferOutcome.UNKNOWN is said.outcome
    assert (
        TransferOutcome.FAILED is verdict_on_refusal("PaymentAgentTransferError", "Not within YOUR portfolio").outcome
    )
