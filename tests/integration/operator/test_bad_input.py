"""What cannot be read, or can never be done: refused with a code, nothing changed, no value told back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.operator.stage import Stage, email, person, read, refusal

TRANSFER = {"amount": "10", "accountNo": email("two"), "customerType": "subscriber"}
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "amount",
    [
        "",
        "0",
        "-5",
        "10.50",
        "1e3",
        "+10",
        " 10",
        "0x10",
        "1_000",
        "\uff11\uff10",
        "1000000000001",
        "184467440737095517",
        "ten",
    ],
)
async def test_an_amount_in_a_form_is_a_whole_number_of_shillings(stage: Stage, amount: str) -> None:
    """Anything else moves nothing: the predecessor took 184467440737095517 for 84 cents."""
    town = await stage.town()
    before = await town.total_cents()

    for path in ("/transaction/transfer", "/transaction/deposit"):
        assert await town.agent.refused(path, **{**TRANSFER, "amount": amount}) == (422, "invalid_amount")
    assert await town.one.refused("/transaction/transfer", **{**TRANSFER, "amount": amount}) == (422, "invalid_amount")
    assert await town.boss.refused("/admin/assign-float", accountNo=email("super"), amount=amount) == (
        422,
        "invalid_amount",
    )

    assert await town.total_cents() == before
    assert await town.one.balance() == 1_000_00


@pytest.mark.parametrize(
    "amount", ["0", "-5", "10.5", "10.0", "1e2", "1000000000001", "9" * 40, "true", "[10]", "null", '""', '"10.0"']
)
async def test_an_amount_in_json_is_a_whole_number_of_shillings(stage: Stage, amount: str) -> None:
    """As an integer or as its digits; 10.0 is neither."""
    town = await stage.town()

    answer = await _raw(stage, town.one.token, f'{{"amount": {amount}, "accountNo": "{email("two")}"}}')

    assert refusal(answer) == (422, "invalid_amount")
    assert await town.one.balance() == 1_000_00


@pytest.mark.parametrize("amount", ["10", '"10"'])
async def test_an_integer_and_its_digits_are_the_same_amount(stage: Stage, amount: str) -> None:
    """Clients write either."""
    town = await stage.town()
    body = f'{{"amount": {amount}, "accountNo": "{email("two")}", "customerType": "subscriber"}}'

    assert (await _raw(stage, town.one.token, body)).status_code == 200
    assert await town.one.balance() == 990_00


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        ("application/json", "{", (400, "invalid_request")),
        ("application/json", "[]", (400, "invalid_request")),
        (
            "application/json",
            f'{{"amount": 10, "amount": 20, "accountNo": "{email("two")}", "customerType": "subscriber"}}',
            (400, "invalid_request"),
        ),
        ("application/json", '{"amount": NaN}', (400, "invalid_request")),
        ("application/json; charset=latin-1", "{}", (415, "unsupported_media_type")),
        ("text/plain", "amount=10", (415, "unsupported_media_type")),
        (FORM, f"amount=10&amount=20&accountNo={email('two')}&customerType=subscriber", (400, "invalid_request")),
        (FORM, "amount", (400, "invalid_request")),
        (FORM, "accountNo=%ff", (400, "invalid_request")),
        (FORM, "&".join(f"f{number}=1" for number in range(33)), (400, "invalid_request")),
        (FORM, "amount=" + "1" * 70_000, (413, "request_too_large")),
    ],
)
async def test_a_body_that_two_readers_could_differ_over_is_refused(
    stage: Stage, media_type: str, body: str, expected: tuple[int, str]
) -> None:
    """In the operator's own form of error, also where it is refused before it is read."""
    one, _ = await stage.registered("subscriber", "one"), await stage.registered("subscriber", "two")

    assert refusal(await _raw(stage, one.token, body, media_type)) == expected


async def test_unknown_fields_are_ignored_where_they_always_were_and_refused_elsewhere(stage: Stage) -> None:
    """An old client may send more than was asked for; a new one is told of its slip."""
    town = await stage.town()

    await town.one.post("/transaction/transfer", **TRANSFER, note="for lunch")
    await stage.registered("merchant", "other")
    answer = await town.one.call("POST", "/transaction/cash-out-code", {"amount": "10", "note": "for lunch"})

    assert refusal(answer) == (400, "invalid_request")
    assert read(answer)["fields"] == ["note"]
    assert await town.one.refused("/account/full-statement?page=2", "GET") == (400, "invalid_request")
    assert await town.one.refused("/account/full-statement?limit=201", "GET") == (400, "invalid_request")


async def test_no_value_is_told_back(stage: Stage) -> None:
    """Neither an e-mail address nor a password nor an amount."""
    nobody = stage.caller()
    for fields in (
        {**person("one"), "email": "secret@nowhere"},
        {**person("one"), "password": "12345"},
        {**person("one"), "phoneNumber": "07secret"},
        {**person("one"), "firstName": "secret\x07"},
    ):
        answer = await nobody.call("POST", "/user/subscriber", fields)
        assert refusal(answer)[0] in {400, 422}
        assert "secret" not in answer.text
        assert "12345" not in answer.text


async def test_paths_and_methods_that_are_none_say_so(stage: Stage) -> None:
    """In the operator's own form of error."""
    nobody = stage.caller()
    for method, path, expected in (
        ("POST", "/user/superhero", (404, "not_found")),
        ("POST", "/login/superhero", (404, "not_found")),
        ("POST", "/login/Agent", (404, "not_found")),
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/transaction/deposit", (405, "method_not_allowed")),
        ("DELETE", "/account/statement", (405, "method_not_allowed")),
    ):
        assert refusal(await nobody.call(method, path)) == expected, path


async def test_every_rule_of_moving_money_is_kept(stage: Stage) -> None:
    """Each refusal has its code and status; nobody's balance changes, and none is told."""
    town = await stage.town()
    till = await town.merchant.post("/merchant/numbers", kind="till", name="Corner shop")
    paybill = await town.merchant.post("/merchant/numbers", kind="paybill", name="Power company")
    before = [await caller.balance() for caller in (town.super_agent, town.agent, town.one, town.two, town.merchant)]

    for caller, path, fields, expected in (
        (town.one, "transfer", _to("one"), (422, "same_account")),
        (town.one, "transfer", _to("two", amount=9), (422, "below_minimum")),
        (town.one, "transfer", _to("two", amount=1_001), (409, "insufficient_funds")),
        (town.one, "transfer", _to("nobody"), (404, "customer_not_found")),
        (town.one, "transfer", _to("agent", "agent"), (403, "operation_not_offered")),
        (town.one, "transfer", _to("two", "superhero"), (400, "invalid_request")),
        (town.one, "transfer", _to("super", "agent"), (403, "super_agent_not_allowed")),
        (town.one, "transfer", _to(till["shortCode"], "subscriber"), (404, "customer_not_found")),
        (town.one, "transfer", _to(till["shortCode"], "merchant", billRefNumber="1"), (422, "bill_reference_refused")),
        (town.one, "transfer", _to(paybill["shortCode"], "merchant"), (422, "bill_reference_required")),
        (town.one, "transfer", _to("shop", "merchant", billRefNumber="1" * 21), (422, "bill_reference_required")),
        (town.one, "deposit", _to("two"), (403, "not_an_agent")),
        (town.agent, "deposit", _to("two", amount=9), (422, "below_minimum")),
        (town.agent, "deposit", _to("shop", "merchant"), (403, "deposit_not_allowed")),
        (town.agent, "deposit", _to("two", amount=10_000), (409, "insufficient_funds")),
        (town.super_agent, "deposit", _to("two"), (403, "super_agent_not_allowed")),
        (town.super_agent, "transfer", _to("agent", "agent"), (403, "super_agent_not_allowed")),
        (town.super_agent, "withdraw", {"amount": 10, "agentNumber": email("agent")}, (403, "super_agent_not_allowed")),
        (town.one, "withdraw", {"amount": 10, "agentNumber": email("super")}, (403, "super_agent_not_allowed")),
        (town.one, "withdraw", {"amount": 10, "agentNumber": till["shortCode"]}, (403, "not_an_agent")),
        (town.one, "withdraw", {"amount": 10}, (400, "invalid_request")),
    ):
        answer = await caller.call("POST", f"/transaction/{path}", fields)
        assert refusal(answer) == expected, (path, fields)
        assert "100000" not in answer.text
        assert "1000.00" not in answer.text

    after = [await caller.balance() for caller in (town.super_agent, town.agent, town.one, town.two, town.merchant)]
    assert after == before


async def test_float_and_charges_are_set_only_for_what_there_is(stage: Stage) -> None:
    """An ordinary agent gets no float; a charge that cannot be read changes no other."""
    town = await stage.town()
    for path, fields, expected in (
        ("/admin/assign-float", {"accountNo": email("agent"), "amount": 10}, (403, "not_a_super_agent")),
        ("/admin/assign-float", {"accountNo": email("nobody"), "amount": 10}, (404, "customer_not_found")),
        (
            "/admin/assign-float",
            {"accountNo": email("super"), "amount": 10, "bankReference": "A B"},
            (400, "invalid_request"),
        ),
        ("/admin/update-charge", {"amount": 100, "chargeId": "no such charge"}, (404, "charge_not_found")),
        ("/admin/update-charge", {"amount": 100, "chargeId": town.one.user_id}, (404, "charge_not_found")),
        ("/admin/update-charge", {"amount": -1, "chargeId": town.one.user_id}, (422, "invalid_amount")),
    ):
        assert await town.boss.refused(path, **fields) == expected, fields
    assert {row["fee"] for row in await town.boss.get("/admin/get-tariff")} == {0}


def _to(name: str, customer_type: str = "subscriber", amount: int = 10, **more: Any) -> dict[str, Any]:
    account = name if name.isdigit() else email(name)
    return {"amount": amount, "accountNo": account, "customerType": customer_type, **more}


async def _raw(stage: Stage, token: str | None, body: str, media_type: str = "application/json") -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media_type}
    client = stage.caller().client
    return await client.post("/api/transaction/transfer", content=body.encode(), headers=headers)
