"""What is answered before a payment happens: limits are asked about, and doubt lets the payment happen."""

from __future__ import annotations

import asyncio
import json
from ipaddress import IPv4Network
from typing import Any
from uuid import UUID

import pytest

from penpay.application.collections.doors import C2bDoor, Message, ValidationPolicy, Verdict, token_subject
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.domain.mpesa.c2b import C2bPayment
from penpay.domain.shared.errors import CallbackRefused
from penpay.domain.shared.money import Currency, Money


class Recorder:
    """An executor that only keeps what it is given."""

    def __init__(self) -> None:
        self.commands: list[Any] = []

    async def execute(self, command: Any) -> None:
        self.commands.append(command)


class Tokens:
    def sign(self, purpose: str, subject: UUID) -> str:
        return f"{purpose}-{subject.int}"

    def verify(self, purpose: str, token: str) -> UUID | None:
        return token_subject("600600") if token == f"{purpose}-600600" else None


class Ids:
    def new(self) -> UUID:
        return UUID(int=1)


class Days:
    def __init__(self, cents: int | Exception) -> None:
        self._cents = cents

    async def paid_today(self, payment: C2bPayment) -> Money:  # noqa: ARG002  (the port)
        await asyncio.sleep(0)
        if isinstance(self._cents, Exception):
            raise self._cents
        return Money(self._cents, Currency.KES)


def door(
    validation: ValidationPolicy = ValidationPolicy.LIMITS, paid: int | Exception = 0, *, bare_path: bool = False
) -> tuple[C2bDoor, Recorder]:
    recorder: Any = Recorder()

    async def attach(*_: object) -> WebhookOutcome:
        return WebhookOutcome.APPLIED

    made = C2bDoor(
        executor=recorder,
        tokens=Tokens(),
        ids=Ids(),
        short_code="600600",
        allowed_sources=[IPv4Network("196.201.214.0/24")],
        bare_path=bare_path,
        validation=validation,
        days=Days(paid),
        attach=attach,
    )
    return made, recorder


def asked(amount: str, *, token: str | None = "c2b-600600", address: str = "196.201.214.200") -> Message:
    body = {"TransID": "QGK12XYZ9", "TransAmount": amount, "BillRefNumber": "CUST-001"}
    return Message(token=token, remote_address=address, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("validation", "amount", "paid", "verdict"),
    [
        (ValidationPolicy.LIMITS, "250000.00", 0, Verdict.ACCEPTED),
        (ValidationPolicy.LIMITS, "250000.01", 0, Verdict.INVALID_AMOUNT),
        (ValidationPolicy.LIMITS, "100000.00", 40_000_000, Verdict.ACCEPTED),
        (ValidationPolicy.LIMITS, "100000.01", 40_000_000, Verdict.INVALID_AMOUNT),
        (ValidationPolicy.LIMITS, "100.00", OSError("no database"), Verdict.ACCEPTED),
        (ValidationPolicy.ACCEPT, "300000.00", 60_000_000, Verdict.ACCEPTED),
        (ValidationPolicy.LIMITS, "a lot", 0, Verdict.ACCEPTED),
    ],
)
async def test_a_payment_is_refused_for_a_limit_and_for_nothing_else(
    validation: ValidationPolicy, amount: str, paid: int | Exception, verdict: Verdict
) -> None:
    """One payment at most KES 250,000, one customer and day at most KES 500,000; what is not known lets it happen."""
    made, _ = door(validation, paid)

    assert verdict is await made.validate(asked(amount))


async def test_a_refusal_is_kept_as_one() -> None:
    """The log of messages says what was answered."""
    made, kept = door()
    await made.validate(asked("250000.01"))

    assert [("c2b_validation", WebhookOutcome.REJECTED)] == [(one.source, one.outcome) for one in kept.commands]


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (asked("5.00", token="till-600600"), WebhookOutcome.REFUSED_TOKEN),
        (asked("5.00", token=None), WebhookOutcome.REFUSED_TOKEN),
        (asked("5.00", address="203.0.113.9"), WebhookOutcome.REFUSED_SOURCE),
        (asked("5.00", address="unknown"), WebhookOutcome.REFUSED_SOURCE),
    ],
)
async def test_who_is_not_let_in_leaves_a_trace_and_no_more(message: Message, outcome: WebhookOutcome) -> None:
    """Another purpose's token, the bare path where it is closed, another address."""
    made, kept = door()
    with pytest.raises(CallbackRefused):
        await made.validate(message)

    assert [outcome] == [one.outcome for one in kept.commands]


async def test_the_bare_path_is_guarded_by_the_allow_list_where_it_is_open() -> None:
    """Outside production, without any secret."""
    made, _ = door(bare_path=True)

    assert Verdict.ACCEPTED is await made.validate(asked("5.00", token=None))
    with pytest.raises(CallbackRefused):
        await made.validate(asked("5.00", token=None, address="203.0.113.9"))
