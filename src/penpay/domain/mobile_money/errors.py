"""Refusals of the mobile-money operator that a caller can act on."""

from __future__ import annotations

from penpay.domain.shared.errors import DomainError


class SubscriberBusy(DomainError):
    code = "subscriber_busy"
    title = "The subscriber has another payment prompt open."


class SubscriberExists(DomainError):
    code = "subscriber_exists"
    title = "This phone number already has a wallet."


class SubscriberNotFound(DomainError):
    code = "subscriber_not_found"
    title = "This phone number has no wallet."


class MerchantNotFound(DomainError):
    code = "merchant_not_found"
    title = "There is no merchant with this short code."


class CheckoutIdTaken(DomainError):
    code = "checkout_id_taken"
    title = "A payment prompt with this id exists already."


class PushNotFound(DomainError):
    code = "push_not_found"
    title = "There is no such payment prompt."


class PushEnded(DomainError):
    code = "push_ended"
    title = "The payment prompt has already been answered, cancelled or has expired."


class InvalidPin(DomainError):
    code = "invalid_pin"
    title = "A PIN is four digits."


class InvalidShortCode(DomainError):
    code = "invalid_short_code"
    title = "A short code is five to seven digits."
