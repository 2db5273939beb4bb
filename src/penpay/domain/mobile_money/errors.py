"""Refusals of the mobile-money operator that a caller can act on."""

from __future__ import annotations

from penpay.domain.shared.errors import DomainError

# -- people and what they hold


class CustomerExists(DomainError):
    code = "customer_exists"
    title = "A customer or administrator of this kind has this e-mail address or phone number."


class CustomerNotFound(DomainError):
    code = "customer_not_found"
    title = "There is no such customer."


class CustomerNotActive(DomainError):
    code = "customer_not_active"
    title = "The customer's account is not active, so this cannot be done with it."


class IllegalStatus(DomainError):
    code = "illegal_status"
    title = "The customer's status cannot be changed to this one."


class BalanceLeft(DomainError):
    code = "balance_left"
    title = "The account still holds money; it can be closed when it is empty."


class NoWallet(DomainError):
    code = "no_wallet"
    title = "An administrator holds no account."


class ShortCodeTaken(DomainError):
    code = "short_code_taken"
    title = "Another merchant has this short code."


class MerchantNotFound(DomainError):
    code = "merchant_not_found"
    title = "There is no merchant with this short code."


class InvalidShortCode(DomainError):
    code = "invalid_short_code"
    title = "A short code is five to seven digits."


# -- proving who one is


class InvalidPassword(DomainError):
    code = "invalid_password"
    title = "A password has 6 to 128 characters."


class InvalidPin(DomainError):
    code = "invalid_pin"
    title = "A PIN is four digits."


class PinRequired(DomainError):
    code = "pin_required"
    title = "The PIN must be given with this request."


class WrongPin(DomainError):
    code = "wrong_pin"
    title = "The PIN is wrong."


class PinLocked(DomainError):
    code = "pin_locked"
    title = "The PIN is locked after too many wrong ones; customer care unlocks it."


# -- moving money


class SameAccount(DomainError):
    code = "same_account"
    title = "Source and destination are the same account."


class BelowMinimum(DomainError):
    code = "below_minimum"
    title = "The amount is below the smallest one of this operation."


class NotAnAgent(DomainError):
    code = "not_an_agent"
    title = "Only an agent can do that, and only with an agent's own float."


class SuperAgentNotAllowed(DomainError):
    code = "super_agent_not_allowed"
    title = "A super agent only deposits, and only to agents."


class NotASuperAgent(DomainError):
    code = "not_a_super_agent"
    title = "The agent is not a super agent."


class DepositNotAllowed(DomainError):
    code = "deposit_not_allowed"
    title = "This customer cannot receive a deposit."


class OperationNotOffered(DomainError):
    code = "operation_not_offered"
    title = "There is no charge for this operation between these two kinds of customers, so it is not offered."


class InsufficientFunds(DomainError):
    code = "insufficient_funds"
    title = "The account does not hold the amount and its fee."


class BillReferenceRequired(DomainError):
    code = "bill_reference_required"
    title = "A payment to a PayBill number names the account it is for (1 to 20 printable characters)."


class BillReferenceRefused(DomainError):
    code = "bill_reference_refused"
    title = "A payment to a till carries no account number."


class TransactionNotFound(DomainError):
    code = "transaction_not_found"
    title = "There is no such transaction."


class NothingToReverse(DomainError):
    code = "nothing_to_reverse"
    title = "Nothing of this transaction can be given back."


# -- tariff, float and approvals


class ChargeNotFound(DomainError):
    code = "charge_not_found"
    title = "There is no such charge; none can be added."


class TariffExists(DomainError):
    code = "tariff_exists"
    title = "Another tariff begins on the same day."


class BankDepositExists(DomainError):
    code = "bank_deposit_exists"
    title = "This bank reference has been used."


class SweepTooLarge(DomainError):
    code = "sweep_too_large"
    title = "Less than this amount has been earned or collected and not yet been swept."


class CommissionNotCovered(DomainError):
    code = "commission_not_covered"
    title = "The operator's earnings do not cover this commission."


class ApprovalNotFound(DomainError):
    code = "approval_not_found"
    title = "There is no such request for approval."


class ApprovalDecided(DomainError):
    code = "approval_decided"
    title = "The request has been decided already."


class OwnApproval(DomainError):
    code = "own_approval"
    title = "Whoever asked for something cannot approve it."


class WrongCode(DomainError):
    code = "wrong_code"
    title = "The cash-out code is wrong, used, cancelled or too old."


class UrlsRegistered(DomainError):
    code = "urls_registered"
    title = "This short code has registered its addresses already."


# -- payments pushed to a phone, and requests of merchants


class SubscriberBusy(DomainError):
    code = "subscriber_busy"
    title = "The subscriber has another payment prompt open."


class CheckoutIdTaken(DomainError):
    code = "checkout_id_taken"
    title = "A payment prompt with this id exists already."


class PushNotFound(DomainError):
    code = "push_not_found"
    title = "There is no such payment prompt."


class PushEnded(DomainError):
    code = "push_ended"
    title = "The payment prompt has already been answered, cancelled or has expired."


class ConversationIdTaken(DomainError):
    code = "conversation_id_taken"
    title = "This OriginatorConversationID was used before."


class RequestNotFound(DomainError):
    code = "request_not_found"
    title = "There is no such request."


class RequestEnded(DomainError):
    code = "request_ended"
    title = "The request is over."
