"""Who asks, by the token of the request, and under which idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request

from penpay.application.mobile_money.rows import UserType
from penpay.application.shared.idempotency import IdempotencyKey
from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, Right
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType
from penpay.domain.mobile_money.errors import NoWallet
from penpay.domain.shared.errors import Forbidden, InvalidIdempotencyKey, Unauthorized
from penpay.presentation.http.remote import UNKNOWN, remote_address
from penpay.presentation.operator.process import operator_of, process_of
from penpay.presentation.operator.tokens import Holder

_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


def holder(request: Request) -> Holder:
    """Whom the request's token was given to. Raises Unauthorized."""
    scheme, _, token = (_only(request, "authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    process = process_of(request)
    return process.access_tokens.read(token, process.clock.now())


def mover(request: Request) -> tuple[CustomerId, CustomerType]:
    """The customer who asks, for commands that read her row themselves. Raises Unauthorized, NoWallet."""
    found = holder(request)
    if found.user_type is UserType.ADMINISTRATOR:
        raise NoWallet
    return CustomerId(found.id), found.user_type.customer_type


async def customer(request: Request) -> Customer:
    """The customer who asks, as she is now. Raises Unauthorized, also for one suspended or closed, and NoWallet."""
    id_, _ = mover(request)
    found = await operator_of(request).books.customer(id_)
    if found is None or not found.status.may_log_in:
        raise Unauthorized
    return found


async def administrator(request: Request, right: Right | None) -> Administrator:
    """The administrator who asks, as she is now. Raises Unauthorized, and Forbidden without the right.

    None: every administrator may.
    """
    found = holder(request)
    if found.user_type is not UserType.ADMINISTRATOR:
        raise Forbidden("Only administrators may do that.")
    one = await operator_of(request).books.administrator(AdministratorId(found.id))
    if one is None or not one.is_active:
        raise Unauthorized
    if right is not None:
        one.require(right)
    return one


def may_found(request: Request) -> bool:
    """Whether an administrator may be registered without a token while there is none: from this machine or by secret.

    What a proxy passes on is not from this machine, although the proxy is.
    """
    secret = process_of(request).bootstrap_secret
    given = _only(request, "x-bootstrap-secret")
    if secret is not None and given is not None and compare_digest(given.encode(), secret.encode()):
        return True
    if any(name in request.headers for name in _PROXIED):
        return False
    peer = remote_address(None if request.client is None else request.client.host, (), ())
    return peer != UNKNOWN and ip_address(peer).is_loopback


def idempotency_key(
    request: Request, caller: object, route: str, fields: Mapping[str, object]
) -> IdempotencyKey | None:
    """What the request is repeated under, if it may be. Raises InvalidIdempotencyKey.

    PINs are left out of `fields`: they prove who asks and change nothing of what is asked for.
    """
    key = request.headers.getlist("idempotency-key")
    if not key:
        return None
    if len(key) > 1:
        raise InvalidIdempotencyKey
    secret = process_of(request).idempotency_secret
    return IdempotencyKey.of(secret, caller=str(caller), route=route, key=key[0], fields=fields)


async def customers_key(request: Request, route: str, fields: Mapping[str, object]) -> IdempotencyKey | None:
    """The same for a customer. Raises Unauthorized for one who may not act any more.

    A repeat is answered without running its command, which would have looked at her row: it is looked at here.
    """
    key = idempotency_key(request, mover(request)[0], route, fields)
    if key is not None:
        await customer(request)
    return key


def _only(request: Request, name: str) -> str | None:
    """A header that stands once; None for one that is missing or stands twice."""
    found = request.headers.getlist(name)
    return found[0] if len(found) == 1 else None
