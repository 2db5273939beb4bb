"""Which answers of Deriv v3 to a client's withdrawal, and to the request for its code, mean refused, later or unknown.

As for transfers only what is listed is known to have moved no money (deriv.md §1.4, §2.11). The session is the
client's, so what bars that account is final for this withdrawal; it is not ours to cure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.deriv.verdicts import RATE_LIMITED, Verdict

WITHDRAWAL_ERROR: Final = "PaymentAgentWithdrawError"
"""The one code most business refusals share; only the English message tells them apart."""
WRONG_CODE: Final = "InvalidToken"
"""What Deriv says of a wrong or used verification code, in a session that is authorised."""

_FAILED: Final = Verdict(TransferOutcome.FAILED)
_UNKNOWN: Final = Verdict(TransferOutcome.UNKNOWN)
_MINUTE: Final = 60_000
_LATER: Final = Verdict(TransferOutcome.NOT_SENT, 5 * _MINUTE)

_BY_CODE: Final[Mapping[str, Verdict]] = {
    # The front end refused the request before the call ran (deriv.md §1.4).
    "InputValidationFailed": _FAILED,
    "UnrecognisedRequest": _FAILED,
    "BadRequest": _FAILED,
    "SanityCheckFailed": _FAILED,
    "AuthorizationRequired": _FAILED,
    "PermissionDenied": _FAILED,
    "AccountDisabled": _FAILED,
    "DisabledClient": _FAILED,
    WRONG_CODE: _FAILED,
    RATE_LIMITED: Verdict(TransferOutcome.NOT_SENT, _MINUTE),
    "InvalidAppID": _LATER,
    # Rules about this client (deriv.md §2.11).
    "ASK_FIX_DETAILS": _FAILED,
    "PaymentAgentJustification": _FAILED,
    "PaymentAgentWithdrawSameMethod": _FAILED,
    "PaymentAgentUseOtherMethod": _FAILED,
    "PaymentAgentZeroDeposits": _FAILED,
}

_BY_MESSAGE: Final = (
    # First what may have been executed all the same, whatever else the sentence says.
    ("request too frequent", _UNKNOWN),
    ("an error occurred", _UNKNOWN),
    # The code was taken before these checks, so nothing here is worth another try with it.
    ("invalid amount", _FAILED),
    ("decimal places", _FAILED),
    ("must not exceed 250 characters", _FAILED),
    ("valid payment agent id", _FAILED),
    ("temporarily unavailable in", _FAILED),
    ("temporarily disabled due to system maintenance", _FAILED),
    ("cashier is locked", _FAILED),
    ("withdraw funds to the same account", _FAILED),
    ("is not the default account currency for", _FAILED),
    ("you cannot perform the withdrawal to account", _FAILED),
    ("you cannot perform this action", _FAILED),
    ("exceeded the maximum allowable", _FAILED),
    ("please authenticate your account", _FAILED),
    ("same payment method you used to deposit", _FAILED),
    ("not authorized for withdrawals via payment agents", _FAILED),
    ("not within your portfolio", _FAILED),
    ("documents have expired", _FAILED),
    ("profile appears to be incomplete", _FAILED),
    ("account balance is insufficient for this transaction", _FAILED),
    ("you cannot withdraw. your account balance is", _FAILED),
)


def verdict_on_withdrawal_refusal(code: str, message: str) -> Verdict:
    """Say what an `error` answer to the real call means for the money; anything unlisted is UNKNOWN."""
    if code != WITHDRAWAL_ERROR:
        return _BY_CODE.get(code, _UNKNOWN)
    said = message.casefold()
    return next((verdict for part, verdict in _BY_MESSAGE if part in said), _UNKNOWN)


def verdict_on_harmless_refusal(code: str, message: str) -> Verdict:
    """Say what an `error` means to what moves nothing, a dry run or a request for a code; the unlisted is later."""
    verdict = verdict_on_withdrawal_refusal(code, message)
    return Verdict(TransferOutcome.NOT_SENT, _MINUTE // 2) if verdict.outcome is TransferOutcome.UNKNOWN else verdict
