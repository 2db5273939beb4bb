"""Customers and administrators as a test needs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from penpay.domain.mobile_money.administrator import Administrator, AdministratorId, AdministratorRole
from penpay.domain.mobile_money.customer import Customer, CustomerId, CustomerType, Login
from penpay.domain.shared.email import Email
from penpay.domain.shared.money import Currency, Money

NOON = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)  # noon in Nairobi
KINDS = {
    "subscriber": (CustomerType.SUBSCRIBER, False),
    "agent": (CustomerType.AGENT, False),
    "super agent": (CustomerType.AGENT, True),
    "merchant": (CustomerType.MERCHANT, False),
}


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


def a_customer(kind: str = "subscriber", number: int = 1, **facts: Any) -> Customer:
    """An active customer; two numbers are two customers."""
    type_, is_super_agent = KINDS[kind]
    made = Customer(
        id=CustomerId(UUID(int=number)),
        type=type_,
        name=f"Customer {number}",
        created_at=NOON,
        is_super_agent=is_super_agent,
    )
    return replace(made, **facts)


def an_administrator(role: AdministratorRole, *, is_active: bool = True) -> Administrator:
    return Administrator(
        id=AdministratorId(UUID(int=50)),
        name="Administrator One",
        email=Email.parse("administrator@operator.example"),
        phone=None,
        login=Login(password_hash="stored"),
        role=role,
        is_active=is_active,
        created_at=NOON,
    )
