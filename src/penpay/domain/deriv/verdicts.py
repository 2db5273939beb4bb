"""Which answers of Deriv v3 to a payment-agent transfer mean refused, not executed yet, or unknown.

Only what is listed here is known to have moved no money; everything else is UNKNOWN, because a transfer cannot be
called back and must not be sent twice (deriv.md §1.4, §2.10, §3). Two kinds of "not executed" are told apart by who
can cure them: a refusal of *this* transfer is final (FAILED), one of our agent account or of the moment passes
(NOT_SENT, with the time to wait at least).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penpay.domain.deriv.gateway import TransferOutcome

TRANSFER_ERROR = "PaymentAgentTransferError"
"""The one code all business refusals of a transfer share; only the English message tells them apart."""

SESSION_LOST = frozenset({"AuthorizationRequired", "InvalidToken"})
"""Codes after which the connection must be authorised anew before anything else can succeed."""

RATE_LIMITED = "RateLimit"

_SECOND = 1_000
_MINUTE = 60 * _SECOND


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: TransferOutcome
    retry_after_ms: int | None = None
    """With NOT_SENT: how long to wait at least before another try."""


_FAILED = Verdict(TransferOutcome.FAILED)
_UNKNOWN = Verdict(TransferOutcome.UNKNOWN)


def _later(milliseconds: int) -> Verdict:
    return Verdict(TransferOutcome.NOT_SENT, milliseconds)


_BY_CODE: Final[Mapping[str, Verdict]] = {
    # The front end refused the request before the call ran: the frame is wrong and will stay wrong.
    "InputValidationFailed": _FAILED,
    "UnrecognisedRequest": _FAILED,
    "BadRequest": _FAILED,
    "SanityCheckFailed": _FAILED,
    # The budgets are counted by the minute (deriv.md §1.6).
    RATE_LIMITED: _later(_MINUTE),
    # Cured by a new authorize, which the gateway does by itself.
    "AuthorizationRequired": _later(5 * _SECOND),
    "InvalidToken": _later(30 * _SECOND),
    # Cured by an operator: token scopes, our account's standing, our application id, our own profile.
    "PermissionDenied": _later(5 * _MINUTE),
    "DisabledClient": _later(5 * _MINUTE),
    "AccountDisabled": _later(5 * _MINUTE),
    "InvalidAppID": _later(5 * _MINUTE),
    "ASK_FIX_DETAILS": _later(5 * _MINUTE),
}

_BY_MESSAGE = (
    # First what may have been executed all the same, whatever else the sentence says.
    ("request too frequent", _UNKNOWN),
    ("an error occurred", _UNKNOWN),
    # Then what is wrong with this transfer. "You cannot transfer to account X, as their cashier is locked" stands
    # before "cashier is locked", which alone is said of our own account.
    ("you cannot transfer to account", _FAILED),
    ("invalid amount", _FAILED),
    ("decimal places", _FAILED),
    ("not authorized for transfers via payment agents", _FAILED),
    (") does not exist", _FAILED),
    ("not within your portfolio", _FAILED),
    ("must not exceed 250 characters", _FAILED),
    ("is not the default account currency for", _FAILED),
    ("not allowed within the same account", _FAILED),
    ("not allowed for the specified accounts", _FAILED),
    ("not allowed to transfer to other payment agents", _FAILED),
    ("exceed your account limit", _FAILED),
    ("balance will exceed limits", _FAILED),
    # Last what passes: maintenance, our day's totals, our cashier, an empty agent account.
    ("temporarily disabled due to system maintenance", _later(5 * _MINUTE)),
    ("temporarily unavailable in the client", _later(15 * _MINUTE)),
    ("exceeded the maximum allowable transfer amount", _later(60 * _MINUTE)),
    ("maximum allowable transactions", _later(60 * _MINUTE)),
    ("cashier is locked", _later(5 * _MINUTE)),
    ("documents have expired", _later(5 * _MINUTE)),
    ("profile appears to be incomplete", _later(5 * _MINUTE)),
    ("needs to be authenticated", _later(5 * _MINUTE)),
    ("account balance is insufficient for this transaction", _later(5 * _MINUTE)),
    ("you cannot withdraw. your account balance is", _later(5 * _MINUTE)),
)


def verdict_on_refusal(code: str, message: str) -> Verdict:
    """Say what an `error` answer to the real call means for the money; anything unlisted is UNKNOWN."""
    if code != TRANSFER_ERROR:
        return _BY_CODE.get(code, _UNKNOWN)
    said = message.casefold()
    return next((verdict for part, verdict in _BY_MESSAGE if part in said), _UNKNOWN)


def verdict_on_dry_run_refusal(code: str, message: str) -> Verdict:
    """Say what an `error` answer to a dry run means: a dry run moves nothing, so the unlisted is merely NOT_SENT."""
    verdict = verdict_on_refusal(code, message)
    return _later(30 * _SECOND) if verdict.outcome is TransferOutcome.UNKNOWN else verdict
