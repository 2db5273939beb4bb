"""Whom the simulated operator serves, and how they speak to it: by HTTP, with a password, a token and a PIN."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx

from penpay.simulation.mobile_money.installation import URL

PIN: Final = "1234"
OTHER_PIN: Final = "9999"
PASSWORD: Final = "a-password"  # noqa: S105  (of nobody)
PAYBILL: Final = "700100"
TILL: Final = "700200"


@dataclass(frozen=True, slots=True)
class Member:
    """A customer or an administrator of the operator."""

    name: str
    type: str
    """As paths have it: `administrator`, `agent`, `merchant` or `subscriber`."""
    id: str
    phone: str | None

    @property
    def email(self) -> str:
        return email_of(self.name)

    @property
    def wallet(self) -> str:
        """The ledger code of the account."""
        return f"{self.type}:{self.id}:KES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Everybody, by what they do."""

    administrator: Member
    second_administrator: Member
    super_agent: Member
    agents: tuple[Member, ...]
    subscribers: tuple[Member, ...]
    careless: Member
    """A subscriber who forgets her PIN."""
    merchant: Member

    @property
    def customers(self) -> tuple[Member, ...]:
        """Whoever holds an account."""
        return (self.super_agent, *self.agents, *self.subscribers, self.careless, self.merchant)


def email_of(name: str) -> str:
    """The e-mail address of somebody of this name."""
    return f"{name}@example.org"


def read(content: bytes) -> Mapping[str, Any]:
    """A JSON object; empty for what is none."""
    try:
        found = json.loads(content, parse_float=Decimal)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Desk:
    """Where members make their requests, each with the token she was given last."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._tokens: dict[str, str] = {}

    async def is_logged_in(self, member: Member) -> bool:
        """Whether she has a token, after asking for one if she has none. Raises httpx's transport errors."""
        if member.name not in self._tokens:
            body = {"email": member.email, "password": PASSWORD}
            answer = await self._client.post(f"{URL}/api/login/{member.type}", data=body)
            if answer.status_code == httpx.codes.OK:
                self._tokens[member.name] = str(read(answer.content)["token"])
        return member.name in self._tokens

    def log_out(self, member: Member) -> None:
        """Forget the token, which has become too old."""
        self._tokens.pop(member.name, None)

    async def send(
        self,
        member: Member,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """One request under the token she has; raises httpx's transport errors."""
        headers = {"Authorization": f"Bearer {self._tokens[member.name]}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self._client.request(method, f"{URL}{path}", json=body, headers=headers)

    async def register(
        self, name: str, type_: str, *, phone: str | None = None, by: Member | None = None, role: str | None = None
    ) -> Member:
        """Open an account; administrators are made by another one. Raises KeyError when that is refused."""
        body = {"firstName": name, "lastName": "X", "email": email_of(name), "password": PASSWORD}
        body |= {} if phone is None else {"phoneNumber": phone}
        body |= {} if role is None else {"role": role}
        if by is None:
            answer = await self._client.post(f"{URL}/api/user/{type_}", json=body)
        else:
            answer = await self.send(by, "POST", f"/api/user/{type_}", body)
        return Member(name, type_, str(read(answer.content)["data"]["userID"]), phone)
