"""Creating a user: everything of hers at once, and nothing that is somebody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penpay.application.identity.rows import API_KEYS, DERIV_ACCOUNTS, USER_PHONES, USERS
from penpay.application.identity.users import CreateUser, CreateUserHandler
from penpay.application.shared.unit_of_work import AUDIT, EVENTS, Find, Work
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.errors import DerivAccountTaken, UserExists
from penpay.domain.identity.user import UserStatus
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import DomainError, InvalidDerivLoginId
from penpay.domain.shared.ids import BatchId
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom

USER_ONE = CreateUser(
    email=Email("user_one@example.com"),
    phone=PhoneNumber("+254712345678"),
    phone_verified=True,
    deriv_login_id=DerivLoginId("CR900001"),
    api_key_hash="a" * 64,
)
OTHER = CreateUser(
    email=Email("user_two@example.com"),
    phone=PhoneNumber("+254722000000"),
    phone_verified=False,
    deriv_login_id=DerivLoginId("CR900002"),
    api_key_hash="b" * 64,
)


async def work_for(*commands: CreateUser) -> Work:
    """A batch with the footprint of these commands on an empty database."""
    ids = UuidV7(HandClock(), SeededRandom())
    work = Work(batch_id=BatchId(ids.new()), now=MORNING, ids=ids, subscriptions={})
    find: Find = None  # type: ignore[assignment]  # this footprint looks nothing up
    footprint = await CreateUserHandler().footprint(commands, find)
    for kind, keys in footprint.rows.items():
        work.loaded(kind, dict.fromkeys(keys))
    return work


async def test_a_user_comes_with_all_that_is_hers() -> None:
    """One command makes the user, her phone, her Deriv account and her key, with one event and one audit record."""
    work = await work_for(USER_ONE)

    user = CreateUserHandler().handle(USER_ONE, work)

    assert UserStatus.ACTIVE is user.status
    (phone,) = (change.after for change in work.changes(USER_PHONES))
    (account,) = (change.after for change in work.changes(DERIV_ACCOUNTS))
    (key,) = (change.after for change in work.changes(API_KEYS))
    assert phone is not None
    assert account is not None
    assert key is not None
    assert {user.id} == {phone.user_id, account.user_id, key.user_id}
    assert (MORNING, "CR900001", "USD", "a" * 64) == (
        phone.verified_at,
        account.deriv_login_id,
        account.currency,
        key.key_hash,
    )
    (stored,) = work.appended(EVENTS)
    (audit,) = work.appended(AUDIT)
    assert ("UserRegistered", user.id, 1) == (stored.event.name, stored.event.aggregate_id, stored.event.sequence)
    assert ("user.registered", str(user.id)) == (audit.action, audit.subject_id)


async def test_what_can_never_be_erased_names_nobody() -> None:
    """Neither the event nor the audit record holds her address, her number or her Deriv login."""
    work = await work_for(USER_ONE)

    CreateUserHandler().handle(USER_ONE, work)

    kept = repr((work.appended(EVENTS), work.appended(AUDIT)))
    for personal in ("user_one", "712345678", "CR900001", "a" * 64):
        assert personal not in kept


async def test_a_phone_nobody_vouches_for_is_not_verified() -> None:
    """Without the operator's word the number waits for its own proof."""
    work = await work_for(OTHER)

    CreateUserHandler().handle(OTHER, work)

    (phone,) = (change.after for change in work.changes(USER_PHONES))
    assert phone is not None
    assert None is phone.verified_at


@pytest.mark.parametrize(
    ("second", "refusal", "details"),
    [
        (replace(OTHER, email=USER_ONE.email), UserExists, {"field": "email"}),
        (replace(OTHER, phone=USER_ONE.phone), UserExists, {"field": "phone"}),
        (replace(OTHER, deriv_login_id=USER_ONE.deriv_login_id), DerivAccountTaken, {}),
        (replace(OTHER, deriv_login_id=DerivLoginId("VRTC900002")), InvalidDerivLoginId, {}),
    ],
)
async def test_what_is_taken_is_refused(
    second: CreateUser, refusal: type[DomainError], details: dict[str, object]
) -> None:
    """An address, a number or a Deriv account belongs to one user; a demo account to nobody."""
    work = await work_for(USER_ONE, second)
    CreateUserHandler().handle(USER_ONE, work)

    with pytest.raises(refusal) as refused:
        CreateUserHandler().handle(second, work)

    assert details == refused.value.details
    assert 1 == len(work.changes(USERS))
