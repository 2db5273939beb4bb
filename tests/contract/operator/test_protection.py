"""PINs, limits, merchants' numbers, second persons and codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from penpay.application.mobile_money.approving import Actor, Decide
from penpay.application.mobile_money.care import EditCustomer, SetPin
from penpay.application.mobile_money.cash_out import BuyFloat
from penpay.application.mobile_money.moving import Move
from penpay.application.mobile_money.pins import PinAnswer
from penpay.application.mobile_money.registration import RegisterMerchant
from penpay.application.mobile_money.rows import Address, UserType
from penpay.bootstrap import kenyan_policy
from penpay.domain.mobile_money.administrator import AdministratorRole
from penpay.domain.mobile_money.approval import ApprovalId
from penpay.domain.mobile_money.customer import CustomerType
from penpay.domain.mobile_money.errors import (
    BillReferenceRefused,
    BillReferenceRequired,
    OwnApproval,
    PinLocked,
    PinRequired,
    WrongCode,
    WrongPin,
)
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.mobile_money.policy import KycTier, OperatorPolicy
from penpay.domain.mobile_money.transaction import Operation
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import AmountOutOfRange, Forbidden, LimitExceeded
from tests.contract.operator.stage import PASSWORD, Stage, kes, opened

DEPOSIT, WITHDRAW, TRANSFER = Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Stage]:
    """An operator under Kenya's rules: a PIN to move money, and limits."""
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'strict.sqlite3'}") as open_rules:
        await open_rules.network(400_000)
        people, administrator = open_rules.people, open_rules.administrator
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'strict.sqlite3'}", kenyan_policy(), administrator) as made:
        made.people = people
        yield made


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Stage]:
    """An operator where everything above 1,000 shillings needs a second administrator."""
    policy = OperatorPolicy(approval_above=kes(1_000))
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'supervised.sqlite3'}", policy) as made:
        await made.network(900)
        yield made


# -- PINs and limits


async def test_money_moves_with_the_right_pin_and_three_wrong_ones_lock_it(strict: Stage) -> None:
    """Customer care takes the lock off together with the PIN."""
    operator, agent = strict.process.operator, strict.people["agent"]
    await operator.set_pin(agent.id, "1234", None)

    async def deposit(pin: str | None) -> dict[str, object]:
        answer = await operator.pin_answer(agent.id, pin)
        return await strict.do(replace(strict.moving(DEPOSIT, "agent", "first", kes(100)), pin=answer))

    with pytest.raises(PinRequired):
        await deposit(None)
    await deposit("1234")
    for refusal in (WrongPin, WrongPin, PinLocked, PinLocked):
        with pytest.raises(refusal):
            await deposit("9999")
    with pytest.raises(PinLocked):
        await deposit("1234")

    await strict.do(EditCustomer(customer_id=agent.id, by=strict.administrator.id, unlock_pin=True, known=agent))
    await operator.set_pin(agent.id, "4321", None)
    await deposit("4321")

    assert 200_00 == await strict.cents("first")
    assert any("You have 2 attempts left" in text for text in await strict.texts("agent"))


async def test_a_pin_that_was_compared_before_it_was_changed_moves_nothing(strict: Stage) -> None:
    """Neither the old PIN when another one was set meanwhile, nor one whose lock was taken off; no guess is counted."""
    operator, agent = strict.process.operator, strict.people["agent"]
    await operator.set_pin(agent.id, "1234", None)
    right, wrong = [await operator.pin_answer(agent.id, pin) for pin in ("1234", "9999")]

    async def refused(pin: PinAnswer | None) -> None:
        with pytest.raises(WrongPin):
            await strict.do(replace(strict.moving(DEPOSIT, "agent", "first", kes(100)), pin=pin))

    await operator.set_pin(agent.id, "4321", "1234")
    for _ in range(3):
        await refused(right)
        await refused(wrong)
    with pytest.raises(WrongPin):
        await strict.do(SetPin(customer_id=agent.id, pin_hash="another", old=right))
    fresh = await operator.pin_answer(agent.id, "4321")
    await strict.do(EditCustomer(customer_id=agent.id, by=strict.administrator.id, unlock_pin=True, known=agent))
    await refused(fresh)

    assert 0 == await strict.cents("first")
    await operator.set_pin(agent.id, "4321", None)
    await strict.do(
        replace(strict.moving(DEPOSIT, "agent", "first", kes(100)), pin=await operator.pin_answer(agent.id, "4321"))
    )
    assert 100_00 == await strict.cents("first")


async def test_limits_follow_the_tier(strict: Stage) -> None:
    """BASIC: 30,000 a transaction, 60,000 a day, 50,000 in the account; the day begins at midnight in Nairobi."""
    first = strict.people["first"]

    async def send(operation: Operation, source: str, target: str, shillings: int) -> None:
        right = PinAnswer(right=True, compared_with=None)
        await strict.do(replace(strict.moving(operation, source, target, kes(shillings)), pin=right))

    with pytest.raises(LimitExceeded):
        await send(DEPOSIT, "agent", "first", 50_001)
    await send(DEPOSIT, "agent", "first", 50_000)
    with pytest.raises(AmountOutOfRange):
        await send(WITHDRAW, "first", "agent", 30_001)
    await send(WITHDRAW, "first", "agent", 30_000)
    await send(DEPOSIT, "agent", "first", 30_000)
    await send(WITHDRAW, "first", "agent", 30_000)
    with pytest.raises(LimitExceeded):
        await send(WITHDRAW, "first", "agent", 50)
    strict.clock.moment += timedelta(hours=24)
    await send(WITHDRAW, "first", "agent", 50)

    await strict.do(EditCustomer(customer_id=first.id, by=strict.administrator.id, tier=KycTier.FULL, known=first))
    await send(DEPOSIT, "agent", "first", 250_000)
    assert await strict.agrees()


# -- merchants


async def test_a_merchant_has_any_number_of_numbers(stage: Stage) -> None:
    """A PayBill asks for an account, a till refuses one; all pay into one account, and two merchants can register."""
    shop = stage.people["shop"].id
    await stage.customer("stall", CustomerType.MERCHANT)
    for code, kind in (("400001", NumberKind.PAYBILL), ("500001", NumberKind.TILL), ("400002", NumberKind.PAYBILL)):
        await stage.do(RegisterMerchant(short_code=code, name="Shop", kind=kind, customer_id=shop))
    await stage.move(DEPOSIT, "agent", "first", 100)

    async def pay(code: str, reference: str | None) -> None:
        first = stage.people["first"]
        await stage.do(
            Move(
                operation=TRANSFER,
                source=first.id,
                source_type=first.type,
                target=Address.short_code(code),
                amount=kes(10),
                bill_reference=reference,
            )
        )

    with pytest.raises(BillReferenceRequired):
        await pay("400001", None)
    with pytest.raises(BillReferenceRefused):
        await pay("500001", "INV-1")
    await pay("400001", "INV #1 b")
    await pay("400002", "INV-2")
    await pay("500001", None)

    assert 30_00 == await stage.cents("shop")
    (line,) = await stage.process.operator.books.statement(stage.people["shop"], 1, 3)
    assert line.transaction is not None
    assert ("400002", "INV-2") == (line.transaction.short_code, line.transaction.bill_reference)
    assert await stage.agrees()


# -- second persons


async def test_above_the_limit_a_second_administrator_decides(supervised: Stage) -> None:
    """Whoever asked cannot approve; what was refused or done is over."""
    operator = supervised.process.operator
    person = await operator.person(name="Second", email=Email("other-admin@example.org"), phone=None, password=PASSWORD)
    other = await operator.register_administrator(person, AdministratorRole.FINANCE, supervised.administrator.id)

    asked = await supervised.assign_float(5_000)
    assert "PENDING" == asked["approvalState"]
    assert 0 == await supervised.cents("chief")
    id_ = ApprovalId(UUID(str(asked["approvalId"])))
    with pytest.raises(OwnApproval):
        await supervised.do(Decide(approval_id=id_, by=Actor.administrator(supervised.administrator.id), approve=True))
    await supervised.do(Decide(approval_id=id_, by=Actor.administrator(other.id), approve=True))

    assert 5_000_00 == await supervised.cents("chief")
    assert [] == await operator.books.approvals(None, 10)
    assert await supervised.agrees()


async def test_an_agent_buys_float_from_a_super_agent_who_agrees(stage: Stage) -> None:
    """Nothing moves before; the super agent is told."""
    await stage.assign_float(1_000)
    chief, agent = stage.people["chief"], stage.people["agent"]

    asked = await stage.do(BuyFloat(agent=agent.id, super_agent=chief.id, amount=kes(400)))
    id_ = ApprovalId(UUID(str(asked["approvalId"])))
    assert "asks you for float of Ksh400.00" in (await stage.texts("chief"))[0]
    with pytest.raises(OwnApproval):
        await stage.do(Decide(approval_id=id_, by=Actor.customer(agent.id), approve=True))
    with pytest.raises(Forbidden):
        await stage.do(Decide(approval_id=id_, by=Actor.customer(stage.people["first"].id), approve=True))
    await stage.do(Decide(approval_id=id_, by=Actor.customer(chief.id), approve=True))

    assert (600_00, 10_400_00) == (await stage.cents("chief"), await stage.cents("agent"))
    assert await stage.agrees()


# -- cash by code


async def test_a_code_pays_once_in_time_and_for_its_amount(stage: Stage) -> None:
    """Three wrong codes cancel it; ten minutes end it; it is used once."""
    operator, first, agent = stage.process.operator, stage.people["first"], stage.people["agent"]
    address = Address.email(UserType.SUBSCRIBER, Email("first@example.org"))
    await stage.move(DEPOSIT, "agent", "first", 300)

    async def code() -> str:
        return str((await operator.make_code(first.id, kes(100), None))["code"])

    async def redeem(text: str, shillings: int = 100) -> object:
        return await operator.redeem_code(agent.id, address, kes(shillings), text, None)

    given = await code()
    with pytest.raises(WrongCode):
        await redeem(given, 99)
    await redeem(given)
    with pytest.raises(WrongCode):
        await redeem(given)

    given = await code()
    for _ in range(3):
        with pytest.raises(WrongCode):
            await redeem("00000000" if given != "00000000" else "11111111")
    with pytest.raises(WrongCode):
        await redeem(given)

    given = await code()
    stage.clock.moment += timedelta(minutes=10)
    with pytest.raises(WrongCode):
        await redeem(given)

    assert (200_00, 9_800_00) == (await stage.cents("first"), await stage.cents("agent"))
    assert await stage.agrees()
