"""The error catalogue: every refusal a caller can meet, each with one stable code.

Three kinds are never mixed. A *refusal* (`DomainError`) is something the caller can act on. An *outcome*
(a provider's verdict) is a normal value. A *bug* is any other exception and crashes the command.
The HTTP status of each code stands in one table in `presentation.http.errors`.
"""

from typing import ClassVar


class DomainError(Exception):
    """The command is refused and changes nothing; `code` is stable, the message is for people.

    `details` carries machine-readable facts (JSON scalars or lists); never a secret, a name or a phone number.
    """

    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, message: str | None = None, **details: object) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.details = details


class InvalidAmount(DomainError):
    code = "invalid_amount"
    title = "The amount is not a positive whole number of cents that this operation accepts."


class AmountOutOfRange(DomainError):
    code = "amount_out_of_range"
    title = "The amount is outside the limits of this operation."


class LimitExceeded(DomainError):
    code = "limit_exceeded"
    title = "A limit of this account would be exceeded."


class UnknownCurrency(DomainError):
    code = "unknown_currency"
    title = "The currency is not one of those this platform handles."


class CurrencyMismatch(DomainError):
    code = "currency_mismatch"
    title = "Two amounts of different currencies were combined."


class InvalidPhoneNumber(DomainError):
    code = "invalid_phone_number"
    title = "The phone number is not a Kenyan mobile number."


class InvalidEmail(DomainError):
    code = "invalid_email"
    title = "The e-mail address is not valid."


class InvalidDerivLoginId(DomainError):
    code = "invalid_deriv_login_id"
    title = "The Deriv login id is not of the expected form."


class InvalidIdempotencyKey(DomainError):
    code = "invalid_idempotency_key"
    title = "The idempotency key must be 8 to 128 printable characters without spaces."


class IdempotencyConflict(DomainError):
    code = "idempotency_conflict"
    title = "This idempotency key was used with another request body."


class InProgress(DomainError):
    code = "in_progress"
    title = "The first request under this idempotency key has not been answered yet."


class Unbalanced(DomainError):
    code = "unbalanced_journal"
    title = "The debits and credits of a journal differ in some currency."


class Overdrawn(DomainError):
    code = "overdrawn"
    title = "The account does not hold enough."


class AccountNotFound(DomainError):
    code = "account_not_found"
    title = "There is no such ledger account."


class DuplicateJournal(DomainError):
    code = "duplicate_journal"
    title = "A journal of this kind and reference is already in the books."


class JournalNotFound(DomainError):
    code = "journal_not_found"
    title = "There is no such journal."


class NotFound(DomainError):
    code = "not_found"
    title = "There is no such resource, or it is not yours."


class Unauthorized(DomainError):
    code = "unauthorized"
    title = "A valid credential is required."


class WrongCredentials(DomainError):
    code = "wrong_credentials"
    title = "The e-mail address or the password is wrong."


class LoginLocked(DomainError):
    code = "login_locked"
    title = "Too many wrong passwords; log in again later."


class Forbidden(DomainError):
    code = "forbidden"
    title = "This credential does not allow that."


class AccountNotYours(DomainError):
    code = "deriv_account_not_yours"
    title = "The Deriv account is not bound to this user."


class DecisionNotPossible(DomainError):
    code = "decision_not_possible"
    title = "This cannot be decided about the review as things stand."


class OwnProposal(DomainError):
    code = "own_proposal"
    title = "Whoever proposed a decision cannot approve it."


class WithdrawalsUnavailable(DomainError):
    code = "withdrawals_unavailable"
    title = "Nothing can be paid out by M-Pesa now."


class DerivTokenMissing(DomainError):
    code = "deriv_token_missing"
    title = "This Deriv account is not connected, or its connection has expired."


class InvalidVerificationCode(DomainError):
    code = "invalid_verification_code"
    title = "The code is not of the form that Deriv mails."


class FxUnavailable(DomainError):
    code = "fx_unavailable"
    title = "No usable exchange rate is available now."


class RateNotApprovable(DomainError):
    code = "rate_not_approvable"
    title = "The exchange rate cannot be approved."


class IllegalMove(DomainError):
    code = "illegal_move"
    title = "The transaction is not in a state that allows this."


class LostLicence(DomainError):
    code = "lost_licence"
    title = "Another worker has taken over; this answer is no longer wanted."


class Overloaded(DomainError):
    code = "overloaded"
    title = "The system is busy; try again shortly."


class InvalidRequest(DomainError):
    code = "invalid_request"
    title = "The request is malformed."


class RequestTooLarge(DomainError):
    code = "request_too_large"
    title = "The request body is larger than this endpoint accepts."


class UnsupportedMediaType(DomainError):
    code = "unsupported_media_type"
    title = "This endpoint takes application/json."


class CallbackRefused(DomainError):
    code = "callback_refused"
    title = "The callback is refused; the refusal is in the audit log."


class CommitUnresolved(DomainError):
    code = "commit_unresolved"
    title = "It is not yet known whether the request was committed; ask again with the same idempotency key."
