"""Customers' statuses, limits and logins, administrators' rights, approvals, cash-out codes and merchants' numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from penpay.domain.mobile_money.administrator import AdministratorRole, Right
from penpay.domain.mobile_money.approval import Approval, ApprovalId, ApprovalKind, ApprovalState
from penpay.domain.mobile_money.cash_out import CashOutCode, CodeState
from penpay.domain.mobile_money.customer import Bar, Customer, CustomerStatus, Login, check_password
from penpay.domain.mobile_money.errors import (
    ApprovalDecided,
    BalanceLeft,
    BillReferenceRefused,
    BillReferenceRequired,
    CustomerNotActive,
    IllegalStatus,
    InvalidPassword,
    OwnApproval,
    WrongCode,
)
from penpay.domain.mobile_money.merchant import Merchant, MerchantId, NumberKind
from penpay.domain.mobile_money.policy import OPEN, KycTier, Limits, OperatorPolicy
from penpay.domain.shared.errors import DomainError, Forbidden, LoginLocked
from penpay.domain.shared.money import Money
from tests.unit.mobile_money.people import NOON, a_customer, an_administrator, kes

ACTIVE, DORMANT, SUSPENDED, FROZEN, CLOSED = CustomerStatus
NOTHING = kes(0)

# -- statuses


@pytest.mark.parametrize(
    ("status", "pays", "receives", "logs_in"),
    [
        (ACTIVE, True, True, True),
        (DORMANT, False, True, True),
        (FROZEN, False, True, True),
        (SUSPENDED, False, False, False),
        (CLOSED, False, False, False),
    ],
)
def test_what_each_status_allows(status: CustomerStatus, pays: bool, receives: bool, logs_in: bool) -> None:  # noqa: FBT001 -- a table
    """Paying, receiving, logging in."""
    customer = a_customer(status=status)
    expected = None if pays else Bar.NOT_ACTIVE
    assert (expected, receives, logs_in) == (barred(customer, kes(10)), status.may_receive, status.may_log_in)
    if receives:
        customer.require_receiving()
    else:
        with pytest.raises(CustomerNotActive):
            customer.require_receiving()


@pytest.mark.parametrize("before", CustomerStatus)
@pytest.mark.parametrize("after", CustomerStatus)
def test_every_status_leads_to_every_other_but_closed_is_final(before: CustomerStatus, after: CustomerStatus) -> None:
    """From CLOSED nowhere, and to what it is already not at all."""
    customer = a_customer(status=before, version=3)
    if before is CLOSED or before is after:
        with pytest.raises(IllegalStatus):
            customer.moved_to(after, "asked for", balance=NOTHING)
        return
    moved = customer.moved_to(after, "asked for", balance=NOTHING)
    assert (after, "asked for", 4) == (moved.status, moved.status_reason, moved.version)


def test_only_an_empty_account_is_closed() -> None:
    """One cent is enough to keep it; suspending needs no empty account."""
    one_cent = Money(1, NOTHING.currency)
    with pytest.raises(BalanceLeft):
        a_customer().moved_to(CLOSED, "asked for", balance=one_cent)
    assert SUSPENDED is a_customer().moved_to(SUSPENDED, "asked for", balance=one_cent).status


# -- what bars a payment

POLICY = OperatorPolicy(
    limits={KycTier.BASIC: Limits(transaction=kes(1_000), day=kes(1_500), balance=kes(5_000))},
    repeat_window=timedelta(minutes=2),
)


def barred(customer: Customer, amount: Money, *, fee: int = 0, balance: int = 9_000, **facts: Any) -> Bar | None:
    asked: dict[str, Any] = {"policy": POLICY, "at": NOON} | facts
    return customer.bar_to(amount, fee=kes(fee), balance=kes(balance), **asked)


def test_the_first_broken_rule_is_the_one_that_is_told() -> None:
    """All six at once, then one mended after the other."""
    paid = a_customer().paid(kes(1_001), NOON, "174379")
    asked: dict[str, Any] = {"balance": 0, "short_code": "174379"}
    worst = replace(paid, status=FROZEN, pin_locked=True)
    no_limits = replace(POLICY, limits={})
    only_day = replace(POLICY, limits={KycTier.BASIC: Limits(day=kes(1_500))})
    assert [
        Bar.NOT_ACTIVE,
        Bar.PIN_LOCKED,
        Bar.ABOVE_MAXIMUM,
        Bar.ABOVE_DAILY_LIMIT,
        Bar.REPEATED,
        Bar.INSUFFICIENT_FUNDS,
        None,
    ] == [
        barred(worst, kes(1_001), **asked),
        barred(replace(worst, status=ACTIVE), kes(1_001), **asked),
        barred(paid, kes(1_001), **asked),
        barred(paid, kes(1_001), **asked, policy=only_day),
        barred(paid, kes(1_001), **asked, policy=no_limits),
        barred(paid, kes(1_001), balance=0, short_code="600100", policy=no_limits),
        barred(paid, kes(1_001), short_code="600100", policy=no_limits),
    ]


def test_the_fee_counts_against_the_balance_and_not_against_the_limits() -> None:
    """1,000 for a fee of 13: the limit is for what is sent, the account must hold both."""
    assert barred(a_customer(), kes(1_000), fee=13, balance=1_013) is None
    assert Bar.INSUFFICIENT_FUNDS is barred(a_customer(), kes(1_000), fee=13, balance=1_012)
    assert kes(500) == a_customer().paid(kes(1_000), NOON).left_today(POLICY, NOON)
    assert a_customer(tier=KycTier.FULL).left_today(POLICY, NOON) is None


def test_a_payment_to_a_person_never_counts_as_repeated() -> None:
    """Two friends may be sent the same amount; only merchants' numbers are compared."""
    paid = a_customer().paid(kes(100), NOON)
    assert barred(paid, kes(100)) is None


# -- logging in


def test_the_fifth_wrong_password_in_a_row_locks_the_login_for_a_quarter_of_an_hour() -> None:
    """Then the count begins anew, and the right one is refused as well until the time is over."""
    login = Login(password_hash="stored")
    for missed in range(1, 5):
        login = login.missed(OPEN, NOON)
        assert (missed, None) == (login.wrong_passwords, login.locked_until)
    locked = login.missed(OPEN, NOON)
    assert (0, NOON + timedelta(minutes=15)) == (locked.wrong_passwords, locked.locked_until)
    with pytest.raises(LoginLocked):
        locked.require_open(NOON + timedelta(minutes=15) - timedelta(microseconds=1))
    locked.require_open(NOON + timedelta(minutes=15))


def test_a_right_password_forgives_the_wrong_ones_before_it() -> None:
    """Only wrong passwords in a row count, and an old lock is taken off."""
    login = Login(password_hash="stored", wrong_passwords=4, locked_until=NOON)
    assert Login(password_hash="stored") == login.passed()


@pytest.mark.parametrize("password", ["12345", "", "x" * 129, "secret\x00"])
def test_a_password_that_is_too_short_too_long_or_broken_is_refused(password: str) -> None:
    """6 to 128 characters and no NUL."""
    with pytest.raises(InvalidPassword):
        check_password(password)


@pytest.mark.parametrize("password", ["123456", "x" * 128, "pass word"])
def test_a_password_may_be_anything_else(password: str) -> None:
    """The limits themselves, and blanks."""
    assert password == check_password(password)


# -- administrators

RIGHTS = """
               | SUPER | CUSTOMER_CARE | FINANCE | IT
ADMINISTRATORS | yes   | -             | -       | yes
VIEW_CUSTOMERS | yes   | yes           | yes     | -
EDIT_CUSTOMERS | yes   | yes           | -       | -
SUPER_AGENTS   | yes   | -             | yes     | -
FLOAT          | yes   | -             | yes     | -
TARIFF         | yes   | -             | yes     | -
REVERSALS      | yes   | yes           | yes     | -
APPROVALS      | yes   | -             | yes     | -
"""


def test_each_role_has_its_rights_and_no_other() -> None:
    """The whole table; every right and every role is in it."""
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in RIGHTS.strip("\n").splitlines())
    table = {
        (Right(row[0]), AdministratorRole(role)): cell
        for row in rows
        for role, cell in zip(head[1:], row[1:], strict=True)
    }
    assert {(right, role) for right in Right for role in AdministratorRole} == table.keys()
    assert table == {
        (right, role): "yes" if allowed(role, right) else "-" for right in Right for role in AdministratorRole
    }


def allowed(role: AdministratorRole, right: Right, *, is_active: bool = True) -> bool:
    try:
        an_administrator(role, is_active=is_active).require(right)
    except Forbidden:
        return False
    return True


def test_a_suspended_administrator_has_no_right_at_all() -> None:
    """Whatever the role."""
    assert not any(allowed(role, right, is_active=False) for role in AdministratorRole for right in Right)


# -- approvals


def an_approval() -> Approval:
    return Approval(
        id=ApprovalId(UUID(int=60)),
        kind=ApprovalKind.FLOAT_ASSIGNMENT,
        facts={},
        amount=kes(1_000_000),
        requested_by="administrator:maker",
        requested_at=NOON,
        customer_id=None,
    )


@pytest.mark.parametrize(
    ("state", "by", "refusal"),
    [
        (ApprovalState.APPROVED, "administrator:checker", None),
        (ApprovalState.REFUSED, "administrator:checker", None),
        (ApprovalState.REFUSED, "administrator:maker", None),  # taken back
        (ApprovalState.APPROVED, "administrator:maker", OwnApproval),
    ],
)
def test_a_second_person_approves_and_the_first_may_only_take_back(
    state: ApprovalState, by: str, refusal: type[DomainError] | None
) -> None:
    """Who decides what."""
    if refusal is not None:
        with pytest.raises(refusal):
            an_approval().decided(state, by, NOON)
        return
    decided = an_approval().decided(state, by, NOON)
    assert (state, by, NOON, 1) == (decided.state, decided.decided_by, decided.decided_at, decided.version)


@pytest.mark.parametrize("first", [ApprovalState.APPROVED, ApprovalState.REFUSED])
@pytest.mark.parametrize("second", [ApprovalState.APPROVED, ApprovalState.REFUSED])
def test_a_request_is_decided_once(first: ApprovalState, second: ApprovalState) -> None:
    """Neither again nor the other way."""
    decided = an_approval().decided(first, "administrator:checker", NOON)
    with pytest.raises(ApprovalDecided):
        decided.decided(second, "administrator:other", NOON)


@pytest.mark.parametrize(
    ("above", "shillings", "expected"),
    [(None, 10**9, False), (1_000, 1_000, False), (1_000, 1_001, True), (0, 1, True)],
)
def test_what_is_above_the_limit_needs_a_second_person(above: int | None, shillings: int, expected: bool) -> None:  # noqa: FBT001 -- a table
    """The limit itself does not; without a limit nothing does."""
    policy = OperatorPolicy(approval_above=None if above is None else kes(above))
    assert expected is policy.needs_approval(kes(shillings))


# -- cash-out codes


def a_code() -> CashOutCode:
    return CashOutCode(
        customer_id=a_customer().id, digest="d", amount=kes(500), expires_at=NOON + timedelta(minutes=10)
    )


def test_a_code_is_good_for_its_amount_until_its_time() -> None:
    """A microsecond before is in time; at the time it is too late; another amount never fits."""
    just = NOON + timedelta(minutes=10) - timedelta(microseconds=1)
    a_code().require_usable(kes(500), just)
    for amount, at in ((kes(500), NOON + timedelta(minutes=10)), (kes(499), NOON), (kes(501), NOON)):
        with pytest.raises(WrongCode):
            a_code().require_usable(amount, at)


def test_a_code_is_used_once() -> None:
    """Then it is worth nothing."""
    used = a_code().used()
    assert (CodeState.USED, 1) == (used.state, used.version)
    with pytest.raises(WrongCode):
        used.require_usable(kes(500), NOON)


def test_the_third_wrong_code_cancels_the_right_one() -> None:
    """Twice is forgiven."""
    twice = a_code().missed().missed()
    twice.require_usable(kes(500), NOON)
    cancelled = twice.missed()
    assert (CodeState.CANCELLED, 3) == (cancelled.state, cancelled.wrong_codes)
    with pytest.raises(WrongCode):
        cancelled.require_usable(kes(500), NOON)


# -- merchants' numbers

PAYBILL = Merchant(
    id=MerchantId(UUID(int=70)), short_code="174379", name="SHOP ONE", customer_id=a_customer("merchant").id
)
TILL = replace(PAYBILL, short_code="600100", kind=NumberKind.TILL)


@pytest.mark.parametrize("reference", ["A", "INV-7 / 2", "x" * 20])
def test_a_paybill_needs_the_account_that_is_paid(reference: str) -> None:
    """1 to 20 printable characters."""
    PAYBILL.check_reference(reference)


@pytest.mark.parametrize("reference", [None, "", "x" * 21, "line\nbreak", "é"])
def test_a_paybill_without_a_proper_account_is_refused(reference: str | None) -> None:
    """Nothing, too much, and what is not printable ASCII."""
    with pytest.raises(BillReferenceRequired):
        PAYBILL.check_reference(reference)


@pytest.mark.parametrize("reference", ["A", ""])
def test_a_till_takes_no_account(reference: str) -> None:
    """Whoever names one means something else."""
    TILL.check_reference(None)
    with pytest.raises(BillReferenceRefused):
        TILL.check_reference(reference)
