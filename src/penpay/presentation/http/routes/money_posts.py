"""What the routes of the back office share: commands that may be repeated, lines of bills, and pages of lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.collections.queries import Page
from penpay.application.identity.staff import actor
from penpay.application.identity.staff_access import StaffPerson
from penpay.application.shared.idempotency import Answer, IdempotencyKey, render
from penpay.domain.collections.line import MILLI, ZERO, LineItem
from penpay.domain.shared.errors import InvalidIdempotencyKey, InvalidRequest, NotFound
from penpay.domain.shared.money import MAX_CENTS, Currency, Money
from penpay.presentation.http.system import system_of

E = TypeVar("E", bound=StrEnum)

CREATED: Final = 201
REPEATABLE: Final[Mapping[str, Any]] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "8 to 128 printable characters; the same for every repeat of this request, kept for 24 h.",
            "schema": {"type": "string", "minLength": 8, "maxLength": 128},
        }
    ]
}
"""Documents the header of a POST that moves money, for `openapi_extra`."""

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
After = Annotated[str | None, Query(max_length=128, description="`next` of the page before.")]


class Body(BaseModel):
    """A body in which every member is known and of its own type. The rules of money are the domain's."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LineBody(Body):
    """What was sold: a quantity at a price."""

    description: str = Field(json_schema_extra={"example": "Maize flour, 2 kg"})
    quantity_milli: int = Field(MILLI, description="Thousandths: 1500 is one and a half.")
    unit_price_cents: int = Field(json_schema_extra={"minimum": 0, "maximum": MAX_CENTS, "example": 21_000})
    discount_cents: int = Field(0, description="Taken off the whole line.")
    vat_rate_bps: int = Field(0, description="1600 is 16 %.")
    unit_cost_cents: int | None = Field(None, description="What one costs the business, where that is known.")


class BillBody(Body):
    """Lines, or one amount, which is one line without VAT."""

    lines: list[LineBody] | None = Field(None, max_length=200)
    amount_cents: int | None = None
    description: str | None = Field(None, description="Of the one amount.")

    def items(self) -> tuple[LineItem, ...]:
        """What the domain prices. Raises InvalidRequest unless there are either lines or an amount."""
        if (self.lines is None) is (self.amount_cents is None):
            raise InvalidRequest("Either lines or amount_cents is required.", fields=["amount_cents", "lines"])
        if self.lines is None:
            return (LineItem(description=self.description or "Amount", unit_price=kes(self.amount_cents or 0)),)
        if self.description is not None:
            raise InvalidRequest("Each line has a description of its own.", fields=["description"])
        return tuple(
            LineItem(
                description=line.description,
                quantity_milli=line.quantity_milli,
                unit_price=kes(line.unit_price_cents),
                discount=kes(line.discount_cents),
                vat_rate_bps=line.vat_rate_bps,
                unit_cost=None if line.unit_cost_cents is None else kes(line.unit_cost_cents),
            )
            for line in self.lines
        )


async def act(
    request: Request, staff: StaffPerson, command: object, *, route: str, fields: Mapping[str, object], status: int
) -> Response:
    """Run a command and answer with its view; under an Idempotency-Key once, and every repeat gets the first answer.

    `fields` is all that was asked for, what stands in the path too. Raises InvalidIdempotencyKey.
    """
    system = system_of(request)
    given = request.headers.getlist("idempotency-key")
    if not given:
        answer: Answer = await system.executor.execute(command)
        return _json(render(answer), status)
    if len(given) > 1:
        raise InvalidIdempotencyKey
    key = IdempotencyKey.of(system.idempotency_secret, caller=actor(staff.id), route=route, key=given[0], fields=fields)
    return _json(await system.executor.execute(command, idempotency=key, status=status), status)


def one(view: Mapping[str, object] | None) -> Response:
    """The view of one thing. Raises NotFound."""
    if view is None:
        raise NotFound
    return _json(render(view), 200)


def listed(name: str, page: Page) -> Response:
    """A page of a list under its name, and where the next begins."""
    return Response(orjson.dumps({name: page.items, "next": page.next}), media_type="application/json")


def chosen(name: str, text: str, known: type[E]) -> E:
    """One of the words a query may say. Raises InvalidRequest naming all of them."""
    try:
        return known(text)
    except ValueError:
        reason = f"must be one of {', '.join(sorted(member.value.lower() for member in known))}"
        raise InvalidRequest(f"{name} {reason}.", fields=[name], reasons={name: reason}) from None


def kes(cents: int) -> Money:
    """Shillings of a body. Raises AmountOutOfRange."""
    return Money(cents, Currency.KES) if cents else ZERO


def some_kes(cents: int | None) -> Money | None:
    return None if cents is None else kes(cents)


def day(text: str | None, name: str) -> date | None:
    """A day such as 2026-02-03. Raises InvalidRequest naming the field."""
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        reason = "must be a day such as 2026-02-03"
        raise InvalidRequest(f"{name} {reason}.", fields=[name], reasons={name: reason})
    return found


def _json(text: str, status: int) -> Response:
    return Response(text, status_code=status, media_type="application/json")
