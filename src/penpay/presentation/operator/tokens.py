"""Access tokens: JSON Web Tokens that say who somebody is. What she may do is read anew on every call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

import jwt

from penpay.application.mobile_money.rows import UserType
from penpay.domain.mobile_money.administrator import Administrator
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.shared.errors import Unauthorized
from penpay.presentation.operator.fields import identifier

LIFETIME: Final = timedelta(hours=6)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALGORITHM: Final = "HS256"
_REMEMBERED: Final = 10_000
"""Tokens, some five megabytes; checking one anew takes as long as a good part of the payment it comes with."""
_SUPER_AGENT: Final = "super_agent"
_USER_TYPES: Final[Mapping[str, UserType]] = MappingProxyType(
    {**{kind.value.lower(): kind for kind in UserType}, _SUPER_AGENT: UserType.AGENT}
)


class Holder(NamedTuple):
    """Whom a token was given to. A user's type never changes."""

    id: UUID
    user_type: UserType


def type_name(user: Customer | Administrator) -> str:
    """What clients call this type of user; a super agent has a name of her own."""
    if isinstance(user, Administrator):
        return UserType.ADMINISTRATOR.value.lower()
    return _SUPER_AGENT if user.is_super_agent else user.type.value.lower()


class AccessTokens:
    """Makes tokens and reads them; of those lately read it knows the signature to be good."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, tuple[Holder, int]] = {}

    def issue(self, user: Customer | Administrator, now: datetime) -> str:
        """A token for six hours."""
        claims = {
            "user": {"userId": str(user.id), "userType": type_name(user)},
            "iat": _seconds(now),
            "exp": _seconds(now + LIFETIME),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, now: datetime) -> Holder:
        """Whom a token was given to. Raises Unauthorized for one that we have not made so, or that is too old."""
        holder, expires_at = self._known.get(token) or self._verified(token)
        if expires_at <= _seconds(now):
            raise Unauthorized
        return holder

    def _verified(self, token: str) -> tuple[Holder, int]:
        # Time is a port, so the library's own clock is not asked.
        untimed: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            found = _holder(jwt.decode(token, self._key, algorithms=[_ALGORITHM], options=untimed))
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError):
            raise Unauthorized from None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[token] = found
        return found


def _holder(claims: Mapping[str, Any]) -> tuple[Holder, int]:
    user = claims["user"]
    if claims.keys() != {"user", "iat", "exp"} or user.keys() != {"userId", "userType"}:
        raise ValueError
    issued_at, expires_at = claims["iat"], claims["exp"]
    if type(issued_at) is not int or type(expires_at) is not int:
        raise ValueError
    id_ = identifier(user["userId"])
    if id_ is None:
        raise ValueError
    return Holder(id_, _USER_TYPES[user["userType"]]), expires_at


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)
