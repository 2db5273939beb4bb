"""Refusals about users that a caller can act on."""

from __future__ import annotations

from penpay.domain.shared.errors import DomainError


class UserExists(DomainError):
    code = "user_exists"
    title = "Another user has this e-mail address or phone number."


class DerivAccountTaken(DomainError):
    code = "deriv_account_taken"
    title = "The Deriv account is bound to another user."


class StaffExists(DomainError):
    code = "staff_exists"
    title = "Somebody on the staff has this e-mail address."


class StaffNotFound(DomainError):
    code = "staff_not_found"
    title = "There is nobody like that on the staff."


class LastOwner(DomainError):
    code = "last_owner"
    title = "The last owner can be neither disabled nor given another role."


class WeakPassword(DomainError):
    code = "weak_password"
    title = "A password of the staff has 12 to 128 characters."


class CrossSite(DomainError):
    code = "cross_site"
    title = "The request comes from a page of another site."
