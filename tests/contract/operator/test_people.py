"""Who may do what: PINs, passwords, statuses, tiers, roles, second persons, codes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penpay.application.mobile_money.care import (
    ChangeStatus,
    EditCustomer,
    RemoveCustomer,
    SetSuperAgent,
)
from penpay.application.mobile_money.dormancy import MarkDormant
from penpay.application.mobile_money.registration import Person
from penpay.application.mobile_money.rows import UserType
from penpay.domain.mobile_money.administrator import AdministratorRole
from penpay.domain.mobile_money.customer import CustomerStatus, CustomerType
from penpay.domain.mobile_money.errors import (
    BalanceLeft,
    CustomerExists,
    CustomerNotActive,
    CustomerNotFound,
    IllegalStatus,
)
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Forbidden, LoginLocked, Unauthorized, WrongCredentials
from tests.contract.operator.stage import PASSWORD, Stage

DEPOSIT, WITHDRAW, TRANSFER = Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER


# -- passwords


async def test_a_wrong_password_and_an_unknown_address_look_alike(stage: Stage) -> None:
    """Nobody learns from an answer who is a customer."""
    operator = stage.process.operator
    for address in ("first@example.org", "nobody@example.org"):
        with pytest.raises(WrongCredentials):
            await operator.log_in(UserType.SUBSCRIBER, Email(address), "not-the-password")


async def test_five_wrong_passwords_lock_the_login_for_a_quarter_of_an_hour(stage: Stage) -> None:
    """Then even the right one must wait; a right one before forgives the wrong ones."""
    operator, address = stage.process.operator, Email("first@example.org")

    async def tries(count: int) -> list[type[BaseException]]:
        found: list[type[BaseException]] = []
        for _ in range(count):
            with pytest.raises((WrongCredentials, LoginLocked)) as refused:
                await operator.log_in(UserType.SUBSCRIBER, address, "not-the-password")
            found.append(refused.type)
        return found

    await tries(4)
    await operator.log_in(UserType.SUBSCRIBER, address, PASSWORD)
    assert [WrongCredentials] * 4 + [LoginLocked] == await tries(5)
    with pytest.raises(LoginLocked):
        await operator.log_in(UserType.SUBSCRIBER, address, PASSWORD)

    stage.clock.moment += timedelta(minutes=15)
    assert stage.people["first"].id == (await operator.log_in(UserType.SUBSCRIBER, address, PASSWORD)).id


async def test_two_who_register_with_one_address_at_once(stage: Stage) -> None:
    """One is registered, the other is told; the same address may serve once for each kind of user."""
    asked = await asyncio.gather(
        *(stage.customer("both", kind) for kind in (CustomerType.SUBSCRIBER, CustomerType.SUBSCRIBER)),
        return_exceptions=True,
    )

    assert 1 == sum(isinstance(answer, CustomerExists) for answer in asked)
    await stage.customer("both", CustomerType.AGENT)


# -- the first administrator and the others


async def test_only_the_first_administrator_makes_herself(stage: Stage) -> None:
    """After that an administrator does, and gives no right that she does not have."""
    operator = stage.process.operator

    async def person(name: str) -> Person:
        return await operator.person(name=name, email=Email(f"{name}@example.org"), phone=None, password=PASSWORD)

    with pytest.raises(Forbidden):
        await operator.register_administrator(await person("intruder"), AdministratorRole.SUPER, None)
    technician = await operator.register_administrator(
        await person("technician"),
        AdministratorRole.IT,
        stage.administrator.id,
    )
    with pytest.raises(Forbidden):
        await operator.register_administrator(await person("friend"), AdministratorRole.SUPER, technician.id)
    with pytest.raises(Forbidden):
        await stage.do(
            ChangeStatus(
                customer_id=stage.people["first"].id,
                status=CustomerStatus.SUSPENDED,
                reason="no reason",
                by=technician.id,
            )
        )


# -- statuses


async def test_a_suspended_customer_moves_nothing_in_either_direction(stage: Stage) -> None:
    """Frozen and dormant ones may still receive; a re-activated one does everything again."""
    await stage.move(DEPOSIT, "agent", "first", 500)

    async def put(status: CustomerStatus) -> None:
        customer = stage.people["first"].id
        await stage.do(ChangeStatus(customer_id=customer, status=status, reason="test", by=stage.administrator.id))

    await put(CustomerStatus.SUSPENDED)
    with pytest.raises(Unauthorized):
        await stage.move(TRANSFER, "first", "second", 10)
    with pytest.raises(CustomerNotActive):
        await stage.move(DEPOSIT, "agent", "first", 10)
    with pytest.raises(CustomerNotActive):
        await stage.process.operator.log_in(UserType.SUBSCRIBER, Email("first@example.org"), PASSWORD)
    for status in (CustomerStatus.FROZEN, CustomerStatus.DORMANT):
        await put(status)
        await stage.move(DEPOSIT, "agent", "first", 10)
        with pytest.raises(CustomerNotActive):
            await stage.move(TRANSFER, "first", "second", 10)
    await put(CustomerStatus.ACTIVE)
    await stage.move(TRANSFER, "first", "second", 520)

    assert (0, 520_00) == (await stage.cents("first"), await stage.cents("second"))
    assert await stage.agrees()


async def test_an_account_is_closed_when_it_is_empty_and_for_good(stage: Stage) -> None:
    """Who never moved money is deleted; who did is closed, and her address is free for another."""
    by = stage.administrator.id
    await stage.move(DEPOSIT, "agent", "first", 10)
    with pytest.raises(BalanceLeft):
        await stage.do(RemoveCustomer(known=stage.people["first"], by=by))
    await stage.move(WITHDRAW, "first", "agent", 10)

    closed = await stage.do(RemoveCustomer(known=stage.people["first"], by=by))
    deleted = await stage.do(RemoveCustomer(known=stage.people["shop"], by=by))

    assert ("closed", "deleted") == (closed["outcome"], deleted["outcome"])
    with pytest.raises(IllegalStatus):
        await stage.do(
            ChangeStatus(customer_id=stage.people["first"].id, status=CustomerStatus.ACTIVE, reason="back", by=by)
        )
    with pytest.raises(CustomerNotFound):
        await stage.move(DEPOSIT, "agent", "shop", 10)
    await stage.customer("first", CustomerType.SUBSCRIBER)
    assert await stage.agrees()


async def test_an_account_nobody_uses_falls_asleep(stage: Stage) -> None:
    """Half a year without a posting; whoever moved money since stays awake."""
    await stage.move(DEPOSIT, "agent", "first", 500)
    stage.clock.moment += timedelta(days=100)
    await stage.move(TRANSFER, "first", "second", 10)
    stage.clock.moment += timedelta(days=100)
    idle_since = stage.clock.moment - timedelta(days=180)

    idle = await stage.process.operator.books.idle_since(idle_since)
    for one in idle:
        await stage.do(MarkDormant(customer_id=one, idle_since=idle_since))

    names = {name for name, customer in stage.people.items() if customer.id in idle}
    assert {"chief", "agent", "shop"} == names
    assert [] == await stage.process.operator.books.idle_since(idle_since)


async def test_a_promotion_takes_effect_at_once_and_ends_when_the_float_is_gone(stage: Stage) -> None:
    """A super agent with float cannot become an ordinary one, who could hand it to anybody."""
    by = stage.administrator.id
    await stage.assign_float(100)

    toggle = SetSuperAgent(agent=stage.people["chief"].id, super_agent=None, by=by)
    with pytest.raises(BalanceLeft):
        await stage.do(toggle)
    await stage.move(DEPOSIT, "chief", "agent", 100)

    assert [False, True] == [(await stage.do(toggle))["isSuperAgent"] for _ in range(2)]


async def test_contacts_change_and_the_old_ones_are_free(stage: Stage) -> None:
    """Another one's address cannot be taken."""
    by, first = stage.administrator.id, stage.people["first"]
    with pytest.raises(CustomerExists):
        await stage.do(EditCustomer(customer_id=first.id, by=by, email=Email("second@example.org"), known=first))

    await stage.do(EditCustomer(customer_id=first.id, by=by, email=Email("other@example.org"), known=first))

    await stage.customer("first", CustomerType.SUBSCRIBER)
