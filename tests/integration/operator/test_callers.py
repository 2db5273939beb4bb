"""Who may do what: the first administrator, roles, logging in, and what a token is worth."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import jwt
import pytest

from tests.integration.operator.stage import (
    FOREIGN,
    SECRET,
    TOKEN_KEY,
    Caller,
    Stage,
    email,
    opened,
    person,
    read,
    refusal,
)

FIRST = {**person("boss"), "role": "finance"}


async def test_the_first_administrator_registers_from_this_machine_and_becomes_super(stage: Stage) -> None:
    """Whatever role was asked for: there is nobody else to give rights."""
    boss = await stage.registered("administrator", "boss")

    (row,) = await boss.get("/admin/administrators")

    assert (row["role"], row["isActive"]) == ("SUPER", True)


async def test_nobody_becomes_the_first_administrator_from_elsewhere(stage: Stage) -> None:
    """Neither without the secret, nor with a wrong one, nor through a proxy on this machine."""
    abroad, here = stage.caller(peer=FOREIGN), stage.caller()

    for answer in (
        await abroad.call("POST", "/user/administrator", FIRST),
        await abroad.call("POST", "/user/administrator", FIRST, X_Bootstrap_Secret=SECRET[:-1]),
        await abroad.call("POST", "/user/administrator", FIRST, X_Forwarded_For="127.0.0.1"),
        await here.call("POST", "/user/administrator", FIRST, X_Forwarded_For=FOREIGN),
    ):
        assert refusal(answer) == (401, "unauthorized")

    made = await abroad.call("POST", "/user/administrator", FIRST, X_Bootstrap_Secret=SECRET)
    assert made.status_code == 200


async def test_where_no_secret_is_set_none_opens_the_door(sqlite_url: str) -> None:
    """An empty header is not the secret that is not there."""
    async with opened(sqlite_url, secret=None) as stage:
        abroad = stage.caller(peer=FOREIGN)
        for given in ("", "None"):
            answer = await abroad.call("POST", "/user/administrator", FIRST, X_Bootstrap_Secret=given)
            assert refusal(answer) == (401, "unauthorized")


async def test_the_second_administrator_is_made_by_the_first(stage: Stage) -> None:
    """Being on the right machine is not enough any more; customer care is the role where none is named."""
    boss = await stage.registered("administrator", "boss")

    assert await stage.caller().refused("/user/administrator", **person("second")) == (403, "forbidden")
    secret = await stage.caller().call("POST", "/user/administrator", person("second"), X_Bootstrap_Secret=SECRET)
    assert refusal(secret) == (403, "forbidden")

    await boss.post("/user/administrator", **person("second"))
    assert [row["role"] for row in await boss.get("/admin/administrators")] == ["SUPER", "CUSTOMER_CARE"]


async def test_each_role_reaches_its_own_routes_alone(stage: Stage) -> None:
    """A route that a role may not use says so before it looks at anything else."""
    boss = await stage.registered("administrator", "boss")
    routes = {
        "GET /admin/customers": {"customer_care", "finance"},
        "PATCH /admin/customers/x": {"customer_care"},
        "PUT /admin/customers/x/status": {"customer_care"},
        "DELETE /admin/customers/x": {"customer_care"},
        "GET /admin/administrators": {"it"},
        "POST /admin/administrators": {"it"},
        "PATCH /admin/administrators/x": {"it"},
        "POST /user/administrator": {"it"},
        "PUT /admin/super-agent-status": {"finance"},
        "POST /admin/assign-float": {"finance"},
        "POST /admin/bank-deposits": {"finance"},
        "POST /admin/sweep": {"finance"},
        "POST /admin/commission": {"finance"},
        "POST /admin/settle-charges": {"finance"},
        "GET /admin/reconciliation": {"finance"},
        "POST /admin/update-charge": {"finance"},
        "POST /admin/tariffs": {"finance"},
        "POST /admin/reversals": {"customer_care", "finance"},
    }
    for role in ("customer_care", "finance", "it"):
        one = await stage.administrator(boss, role.replace("_", ""), role)
        for route, allowed in routes.items():
            method, path = route.split()
            status = (await one.call(method, path, None if method == "GET" else {"surplus": "1"})).status_code
            assert (status != 403) is (role in allowed), (role, route, status)


async def test_a_customer_reaches_no_route_of_administrators(stage: Stage) -> None:
    """The predecessor let any subscriber issue float."""
    town = await stage.town()
    for method, path in (
        ("POST", "/admin/assign-float"),
        ("POST", "/admin/update-charge"),
        ("GET", "/admin/get-tariff"),
        ("PUT", "/admin/super-agent-status"),
        ("GET", "/admin/customers"),
        ("GET", "/admin/approvals"),
        ("GET", "/admin/tariffs"),
        ("GET", "/admin/reconciliation"),
    ):
        answer = await town.one.call(method, path, None if method == "GET" else {})
        assert refusal(answer) == (403, "forbidden"), path


async def test_an_administrator_has_no_account(stage: Stage) -> None:
    """Neither a balance nor anything to transfer."""
    town = await stage.town()

    assert await town.boss.refused("/account/balance", "GET") == (403, "no_wallet")
    assert await town.boss.refused("/account/statement", "GET") == (403, "no_wallet")
    transfer = {"amount": 10, "accountNo": email("one"), "customerType": "subscriber"}
    assert await town.boss.refused("/transaction/transfer", **transfer) == (403, "no_wallet")


async def test_whom_an_address_belongs_to_cannot_be_learned_by_logging_in(stage: Stage) -> None:
    """An unknown address and a wrong password get the same answer, byte for byte."""
    await stage.registered("subscriber", "one")
    nobody = stage.caller()

    wrong = await nobody.call("POST", "/login/subscriber", {"email": email("one"), "password": "not the one"})
    unknown = await nobody.call("POST", "/login/subscriber", {"email": email("nobody"), "password": "not the one"})
    other_type = await nobody.call("POST", "/login/agent", {"email": email("one"), "password": "not the one"})

    assert refusal(wrong) == (401, "wrong_credentials")
    assert wrong.content == unknown.content == other_type.content


async def test_after_five_guesses_the_right_password_is_none_for_a_while(stage: Stage) -> None:
    """A quarter of an hour; the lock is not told, for only a known address can be locked."""
    await stage.registered("subscriber", "one")
    nobody = stage.caller()
    login = {"email": email("one"), "password": person("one")["password"]}

    guesses = [
        await nobody.refused("/login/subscriber", email=email("one"), password=f"guess number {number}")
        for number in range(5)
    ]

    locked = await nobody.call("POST", "/login/subscriber", login)
    unknown = await nobody.call("POST", "/login/subscriber", {**login, "email": email("nobody")})
    assert guesses == [(401, "wrong_credentials")] * 5
    assert refusal(locked) == (401, "wrong_credentials")
    assert locked.content == unknown.content
    stage.clock.moment += timedelta(minutes=14)
    assert await nobody.refused("/login/subscriber", **login) == (401, "wrong_credentials")
    stage.clock.moment += timedelta(minutes=1)
    assert (await nobody.call("POST", "/login/subscriber", login)).status_code == 200


async def test_a_token_says_who_one_is_and_ends_after_six_hours(stage: Stage) -> None:
    """Its claims are exactly those of the original; its age is counted on our clock."""
    one = await stage.registered("subscriber", "one")
    claims = json.loads(_part(one.token or "", 1))
    now = int(stage.clock.now().timestamp())

    assert claims == {"user": {"userId": one.user_id, "userType": "subscriber"}, "iat": now, "exp": now + 6 * 3600}
    stage.clock.moment += timedelta(hours=6, seconds=-1)
    assert await one.balance() == 0
    stage.clock.moment += timedelta(seconds=1)
    assert await one.refused("/account/balance", "GET") == (401, "unauthorized")


async def test_only_tokens_that_we_made_so_are_taken(stage: Stage) -> None:
    """Tampered with, unsigned, signed otherwise, for somebody unknown, with more or fewer claims: none."""
    one = await stage.registered("subscriber", "one")
    key, now = TOKEN_KEY, int(stage.clock.now().timestamp())
    token = one.token or ""
    user = {"userId": one.user_id, "userType": "subscriber"}
    good = {"user": user, "iat": now, "exp": now + 60}
    head, body, seal = token.split(".")
    other = json.dumps({**good, "user": {**user, "userType": "administrator"}}).encode()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")

    assert await _holds(stage, jwt.encode(good, key, "HS256"))
    for forged in (
        "",
        "x",
        f"{head}.{base64.urlsafe_b64encode(other).decode().rstrip('=')}.{seal}",
        f"{unsigned}.{body}.",
        f"{head}.{body}.",
        jwt.encode(good, b"k" * 32, "HS256"),
        jwt.encode(good, key * 2, "HS512"),
        jwt.encode(good, key * 2, "HS384"),
        jwt.encode({"user": user, "exp": now + 60}, key, "HS256"),
        jwt.encode({"user": user, "iat": now}, key, "HS256"),
        jwt.encode({**good, "exp": now + 0.5}, key, "HS256"),
        jwt.encode({**good, "sub": "x"}, key, "HS256"),
        jwt.encode({**good, "user": one.user_id}, key, "HS256"),
        jwt.encode({**good, "user": {**user, "userType": "SUBSCRIBER"}}, key, "HS256"),
        jwt.encode({**good, "user": {**user, "userId": 1}}, key, "HS256"),
        jwt.encode({**good, "user": {**user, "userId": "00000000-0000-0000-0000-000000000000"}}, key, "HS256"),
    ):
        assert not await _holds(stage, forged), forged
    bare = stage.caller()
    assert await bare.refused("/account/balance", "GET") == (401, "unauthorized")
    basic = await bare.call("GET", "/account/balance", Authorization=f"Basic {token}")
    assert refusal(basic) == (401, "unauthorized")
    assert basic.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("status", ["suspended", "closed"])
async def test_a_token_is_worth_nothing_once_its_holder_is_suspended_or_closed(stage: Stage, status: str) -> None:
    """At once, on every route; and no new one is given."""
    town = await stage.town()
    gone = town.two
    await town.boss.call("PUT", f"/admin/customers/{gone.user_id}/status", {"status": status, "reason": "by request"})

    for method, path, fields in (
        ("GET", "/account/balance", None),
        ("POST", "/account/statement", {}),
        ("GET", "/account/messages", None),
        ("PUT", "/account/pin", {"newPin": "1234"}),
        ("GET", "/account/approvals", None),
        ("POST", "/transaction/transfer", {"amount": 10, "accountNo": email("one"), "customerType": "subscriber"}),
        ("POST", "/transaction/withdraw", {"amount": 10, "agentNumber": email("agent")}),
        (
            "POST",
            "/transaction/quote",
            {"operation": "transfer", "amount": 10, "accountNo": email("one"), "customerType": "subscriber"},
        ),
        ("POST", "/transaction/cash-out-code", {"amount": 10}),
    ):
        assert refusal(await gone.call(method, path, fields)) == (401, "unauthorized"), path
    login = await stage.caller().call("POST", "/login/subscriber", _login("two"))
    assert refusal(login) == (403, "customer_not_active")


async def test_a_suspended_customer_asks_for_no_reversal(stage: Stage) -> None:
    """With a token from before."""
    town = await stage.town()
    paid = await town.one.post("/transaction/transfer", amount=50, accountNo=email("two"), customerType="subscriber")
    path = f"/admin/customers/{town.one.user_id}/status"
    await town.boss.call("PUT", path, {"status": "suspended", "reason": "by request"})

    asked = await town.one.refused("/transaction/reversals", transactionId=paid["transactionId"])

    assert asked == (401, "unauthorized")
    assert await town.boss.get("/admin/approvals") == []


async def test_an_administrator_who_is_switched_off_is_out_at_once(stage: Stage) -> None:
    """With a token from before; nobody switches herself off."""
    boss = await stage.registered("administrator", "boss")
    care = await stage.administrator(boss, "care", "customer_care")
    await care.get("/admin/customers")

    changed = await boss.call("PATCH", f"/admin/administrators/{care.user_id}", {"active": False})

    assert read(changed)["data"] == {"userID": care.user_id, "role": "CUSTOMER_CARE", "isActive": False}
    assert await care.refused("/admin/customers", "GET") == (401, "unauthorized")
    assert await boss.refused(f"/admin/administrators/{boss.user_id}", "PATCH", active=False) == (403, "forbidden")


async def test_a_promoted_agent_acts_as_super_agent_with_her_old_token(stage: Stage) -> None:
    """What she may do stands in her row, not in the token."""
    town = await stage.town()
    sale = {"amount": 100, "accountNo": email("one"), "customerType": "subscriber"}
    await town.agent.post("/transaction/deposit", **sale)

    await town.boss.call("PUT", "/admin/super-agent-status", {"email": email("agent"), "superAgent": True})

    assert await town.agent.refused("/transaction/deposit", **sale) == (403, "super_agent_not_allowed")


async def _holds(stage: Stage, token: str) -> bool:
    caller: Caller = stage.caller(token)
    answer = await caller.call("GET", "/account/balance")
    if answer.status_code != 200:
        assert refusal(answer) == (401, "unauthorized")
    return answer.status_code == 200


def _login(name: str) -> dict[str, str]:
    return {"email": email(name), "password": person(name)["password"]}


def _part(token: str, number: int) -> bytes:
    text = token.split(".")[number]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
