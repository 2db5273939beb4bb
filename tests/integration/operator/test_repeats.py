"""Requests that come twice: one after another, at once, or under another wish's key."""

from __future__ import annotations

import asyncio

from tests.integration.operator.stage import Stage, email, person, read, refusal

KEY = "retry-me-0001"
TRANSFER = {"amount": 10, "accountNo": email("two"), "customerType": "subscriber"}


async def test_a_repeat_under_its_key_pays_once_and_answers_the_same(stage: Stage) -> None:
    """Also when it comes as JSON and otherwise spelt: it asks for the same."""
    town = await stage.town()

    first = await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY)
    town.one.as_json = True
    again = await town.one.call("POST", "/transaction/transfer", {**TRANSFER, "amount": "010"}, Idempotency_Key=KEY)

    assert first.status_code == 200
    assert first.content == again.content
    assert await town.one.balance() == 990_00


async def test_fifty_at_once_under_one_key_pay_once(stage: Stage) -> None:
    """A client that hammers pays no more than one that waits."""
    town = await stage.town()

    answers = await asyncio.gather(
        *(town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY) for _ in range(50))
    )

    assert {answer.content for answer in answers} == {answers[0].content}
    assert await town.one.balance() == 990_00


async def test_another_wish_under_the_same_key_is_refused_naming_what_differs(stage: Stage) -> None:
    """Nothing is moved."""
    town = await stage.town()
    await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY)

    other = await town.one.call("POST", "/transaction/transfer", {**TRANSFER, "amount": 20}, Idempotency_Key=KEY)

    assert refusal(other) == (409, "idempotency_conflict")
    assert read(other)["fields"] == ["amount"]
    assert await town.one.balance() == 990_00


async def test_a_key_belongs_to_its_caller_and_its_route(stage: Stage) -> None:
    """Somebody else's request, or another route's, is another request."""
    town = await stage.town()
    await town.agent.post("/transaction/deposit", amount=100, accountNo=email("two"), customerType="subscriber")

    await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY)
    back = {**TRANSFER, "accountNo": email("one")}
    assert (await town.two.call("POST", "/transaction/transfer", back, Idempotency_Key=KEY)).status_code == 200
    out = {"amount": 10, "agentNumber": email("agent")}
    assert (await town.one.call("POST", "/transaction/withdraw", out, Idempotency_Key=KEY)).status_code == 200

    assert (await town.one.balance(), await town.two.balance()) == (990_00, 100_00)


async def test_a_refused_request_may_be_put_right_under_its_key(stage: Stage) -> None:
    """Refusals store nothing; a key that is none is refused itself."""
    town = await stage.town()
    refused = await town.one.call("POST", "/transaction/transfer", {**TRANSFER, "amount": 5}, Idempotency_Key=KEY)
    assert refusal(refused) == (422, "below_minimum")

    assert (await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY)).status_code == 200

    short = await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key="short")
    assert refusal(short) == (422, "invalid_idempotency_key")


async def test_a_repeat_is_refused_to_one_who_has_been_suspended(stage: Stage) -> None:
    """Although nothing would be moved: she may not look either."""
    town = await stage.town()
    await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY)
    path = f"/admin/customers/{town.one.user_id}/status"
    await town.boss.call("PUT", path, {"status": "suspended", "reason": "by request"})

    again = await town.one.call("POST", "/transaction/transfer", TRANSFER, Idempotency_Key=KEY)

    assert refusal(again) == (401, "unauthorized")


async def test_float_is_assigned_once_under_one_key(stage: Stage) -> None:
    """The money behind it is there once as well."""
    town = await stage.town()
    wanted = {"accountNo": email("super"), "amount": 300}

    answers = [await town.boss.call("POST", "/admin/assign-float", wanted, Idempotency_Key=KEY) for _ in range(3)]

    assert {answer.content for answer in answers} == {answers[0].content}
    assert (await town.boss.get("/admin/reconciliation"))["issuedCents"] == 10_300_00


async def test_of_two_who_register_one_address_at_once_one_is_told_that_it_is_taken(stage: Stage) -> None:
    """The same for phone numbers; and each type of user has addresses of its own."""
    nobody = stage.caller()
    for first, second, field in (
        (person("one"), person("one"), "email"),
        (
            {**person("two"), "phoneNumber": "0712345678"},
            {**person("three"), "phoneNumber": "+254712345678"},
            "phoneNumber",
        ),
    ):
        answers = await asyncio.gather(*(nobody.call("POST", "/user/subscriber", fields) for fields in (first, second)))
        made, refused = sorted(answers, key=lambda answer: answer.status_code)
        assert made.status_code == 200
        assert refusal(refused) == (409, "customer_exists")
        assert read(refused)["field"] == field
    assert len(await stage.customers()) == 2

    assert (await nobody.call("POST", "/user/merchant", person("one"))).status_code == 200
    assert (await nobody.call("POST", "/user/agent", person("one"))).status_code == 200


async def test_of_two_who_want_to_be_the_first_administrator_one_is(stage: Stage) -> None:
    """The other may be made by that one."""
    nobody = stage.caller()

    answers = await asyncio.gather(
        *(nobody.call("POST", "/user/administrator", person(name)) for name in ("one", "two"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 403]


async def test_the_whole_of_a_wallet_can_be_paid_once(stage: Stage) -> None:
    """A hundred at once for all of it: one succeeds, and the wallet holds nothing."""
    town = await stage.town()
    before = await town.total_cents()

    answers = await asyncio.gather(
        *(town.one.call("POST", "/transaction/transfer", {**TRANSFER, "amount": 1_000}) for _ in range(100))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 99
    assert (await town.one.balance(), await town.two.balance()) == (0, 1_000_00)
    assert await town.total_cents() == before
