"""Refusals about users that a caller can act on."""

from __future__ import annotations

from penpay.domain.shared.errors import DomainError


class UserExists(DomainError):
    code = "user_exists"
    title = "Another user has this e-mail address or phone number."


class DerivAccountTaken(DomainError):
    code = "deriv_account_taken"
    title = "The Deriv account is bound to another user."
