"""The sandbox's own HTTP routes for its time and its chance; see `sandbox.controls`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, Field, model_validator

from penpay.sandbox.controls import Controls, NotAdjustable, SandboxClock
from penpay.sandbox.daraja.admin import Body, read
from penpay.sandbox.daraja.answers import json_response
from penpay.sandbox.daraja.app import api_of

router = APIRouter(prefix="/sandbox")
_LONGEST_SEED = 2**63


class NewTime(Body):
    """Exactly one of the two."""

    fixed_at: AwareDatetime | None = None
    offset_ms: int | None = None

    @model_validator(mode="after")
    def _one(self) -> NewTime:
        if (self.fixed_at is None) is (self.offset_ms is None):
            raise ValueError("either fixed_at or offset_ms is given")
        return self


class Step(Body):
    milliseconds: Annotated[int, Field(gt=0)]


class NewSeed(Body):
    seed: Annotated[int, Field(ge=0, lt=_LONGEST_SEED)] | None


@router.get("/clock")
async def show_time(request: Request) -> Response:
    """What time it is in the sandbox, whether it stands still, and how far it is ahead of the machine's."""
    return _shown(_controls(request).clock)


@router.put("/clock")
async def set_time(request: Request) -> Response:
    """Stand still: {"fixed_at": "2026-11-20T09:00:00Z"}. Go on, so far ahead of the machine: {"offset_ms": 0}."""
    clock = _controls(request).clock
    body = await read(NewTime, request)
    if body.fixed_at is not None:
        clock.fix(body.fixed_at)
    elif body.offset_ms is not None:
        clock.run_ahead(body.offset_ms)
    return _shown(clock)


@router.post("/clock/steps")
async def step(request: Request) -> Response:
    """Move on: {"milliseconds": 61000}. What waits for less begins when this is answered; a repeat moves on again."""
    clock = _controls(request).clock
    clock.step((await read(Step, request)).milliseconds)
    return _shown(clock)


@router.get("/seed")
async def show_seed(request: Request) -> Response:
    return json_response(200, {"seed": _controls(request).chance.seed})


@router.put("/seed")
async def set_seed(request: Request) -> Response:
    """Begin anew with a seed, the same one as well: {"seed": 7}; null: nobody can tell what is drawn next."""
    chance = _controls(request).chance
    chance.sow((await read(NewSeed, request)).seed)
    return json_response(200, {"seed": chance.seed})


def _controls(request: Request) -> Controls:
    found = api_of(request).controls
    if found is None:
        raise NotAdjustable
    return found


def _shown(clock: SandboxClock) -> Response:
    return json_response(
        200, {"now": clock.now().isoformat(), "is_fixed": clock.is_fixed, "offset_ms": clock.offset_ms}
    )
