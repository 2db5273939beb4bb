"""The staff at the door of the back office: cookies for browsers, bearer tokens for scripts, and other sites' pages."""

from __future__ import annotations

from datetime import timedelta
from http.cookies import SimpleCookie

import httpx
import pytest
from fastapi import FastAPI

from penpay.application.identity.staff import ACCOUNT_LIMIT
from penpay.domain.identity.staff import SESSION_LIFETIME, StaffRole
from penpay.presentation.http.app import bind
from penpay.presentation.http.errors import HANDLERS
from penpay.presentation.http.routes.staff import StaffBody
from penpay.presentation.http.staff_auth import Accountant, Cashier, Owner, Staff
from tests.contract.office.stage import ACCOUNTANT, CASHIER, OWNER, PASSWORD, SHOP, Office, opened
from tests.integration.http.stage import read

LOGIN = {"email": "Owner@example.com", "password": PASSWORD}


def cookie(response: httpx.Response) -> tuple[str, str, dict[str, str]]:
    """Name, value and attributes of the one cookie that is set."""
    (header,) = response.headers.get_list("set-cookie")
    ((name, morsel),) = SimpleCookie(header).items()
    return name, morsel.value, {key: str(value) for key, value in morsel.items() if value}


async def test_a_browser_logs_in_acts_and_logs_out(office: Office) -> None:
    """The cookie is all it takes; after logging out it is gone, and worth nothing to whoever kept it."""
    async with office.client(Origin="http://office") as browser:
        answer = await browser.post("/api/staff/login", json=LOGIN)
        me = await browser.get("/api/staff/me")
        token = cookie(answer)[1]
        out = await browser.post("/api/staff/logout")
        after = await browser.get("/api/staff/me")
    async with office.client(token) as thief:
        stolen = await thief.get("/api/staff/me")

    assert (200, 200, 204) == (answer.status_code, me.status_code, out.status_code)
    assert read(answer) == read(me)
    assert ("owner@example.com", "owner") == (read(me)["email"], read(me)["role"])
    assert set(StaffBody.model_fields) == set(read(me))
    assert (401, "unauthorized") == (after.status_code, read(after)["code"])
    assert 401 == stolen.status_code


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(office: Office, sqlite_url: str) -> None:
    """HttpOnly and SameSite=Strict, for as long as the session; Secure and bound to the host in production."""
    async with office.client() as browser:
        name, token, told = cookie(await browser.post("/api/staff/login", json=LOGIN))
    production = {
        "APP_ENV": "production",
        "MPESA_CALLBACK_URL": "https://pay.example.com/api/v1/callbacks/stk",
        "MPESA_BASE_URL": "https://api.safaricom.co.ke",
        "DERIV_ENDPOINT": "wss://ws.derivws.com",
    }
    async with opened(sqlite_url, seed=2, changes=production) as live, live.client() as browser:
        live_name, _, live_told = cookie(await browser.post("/api/staff/login", json=LOGIN))

    common = {
        "path": "/", "httponly": "True", "samesite": "strict", "max-age": str(SESSION_LIFETIME // timedelta(seconds=1)),
    }  # fmt: skip
    assert ("penpay_staff", common) == (name, told)
    assert ("__Host-penpay_staff", {**common, "secure": "True"}) == (live_name, live_told)
    assert token.startswith("pps_")


async def test_the_token_is_in_no_body(office: Office) -> None:
    """No script of a page can read it out of an answer."""
    async with office.client() as browser:
        answer = await browser.post("/api/staff/login", json=LOGIN)

    assert cookie(answer)[1] not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"Origin": "http://office"}, 204),
        ({"Origin": "https://office"}, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://pay.example.com"}, 204),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://office"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://office:8080"}, 403),
        ({"Origin": "http://office.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_what_another_sites_page_sends_is_refused(office: Office, headers: dict[str, str], status: int) -> None:
    """A write that a browser says comes from elsewhere is refused, whoever is logged in; reading is not asked."""
    async with office.client() as browser:
        await browser.post("/api/staff/login", json=LOGIN)
        seen = await browser.get("/api/staff/me", headers=headers)
        login = await browser.post("/api/staff/login", json=LOGIN, headers=headers)
        answer = await browser.post("/api/staff/logout", headers=headers)

    assert (200, status) == (seen.status_code, answer.status_code)
    assert (200 if status == 204 else 403) == login.status_code
    if status == 403:
        assert "cross_site" == read(answer)["code"]


async def test_a_script_uses_the_token_as_a_bearer_credential(office: Office) -> None:
    """It goes before a cookie; one that is not ours, or a user's API key, opens nothing."""
    token = await office.token()
    async with office.client(token) as script:
        me = await script.get("/api/staff/me")
    answers = []
    for text in (token[:-1] + ("A" if token[-1] != "A" else "B"), "W" * 52, "pps_", "x" * 5000):
        async with office.client(text) as script:
            answers.append(await script.get("/api/staff/me"))
    async with office.client() as nobody:
        answers.append(await nobody.get("/api/staff/me"))

    assert ("owner", 200) == (read(me)["role"], me.status_code)
    assert [(401, "unauthorized")] * 5 == [(one.status_code, read(one)["code"]) for one in answers]


async def test_a_session_of_the_staff_is_no_key_to_a_users_account(office: Office) -> None:
    """The two kinds of credential open different doors."""
    async with office.client(await office.token()) as script:
        answer = await script.get("/api/v1/balances")

    assert 401 == answer.status_code


async def test_guessing_is_told_the_same_for_everybody(office: Office) -> None:
    """Unknown addresses and wrong passwords give the same bytes, and so do the locks."""
    async with office.client() as one, office.client(peer="198.51.100.9") as other:
        known = [
            await one.post("/api/staff/login", json={**LOGIN, "password": "wrong"})
            for _ in range(ACCOUNT_LIMIT.wrong + 1)
        ]
        unknown = [
            await other.post("/api/staff/login", json={"email": "nobody@example.com", "password": "wrong"})
            for _ in range(ACCOUNT_LIMIT.wrong + 1)
        ]

    assert [answer.content for answer in known] == [answer.content for answer in unknown]
    codes = [(answer.status_code, read(answer)["code"]) for answer in known]
    assert [(401, "wrong_credentials")] * 5 + [(403, "login_locked")] == codes


async def test_the_source_is_who_stands_before_our_proxy(office: Office) -> None:
    """Behind a trusted proxy each shop is counted by itself; what a stranger claims of himself is not believed."""
    async with office.client(peer="10.0.0.1") as proxy, office.client(peer=SHOP) as direct:
        for forwarded in ("192.0.2.1", "192.0.2.2"):
            await proxy.post(
                "/api/staff/login", json={**LOGIN, "password": "wrong"}, headers={"X-Forwarded-For": forwarded}
            )
        for forwarded in ("192.0.2.3", "192.0.2.4"):
            await direct.post(
                "/api/staff/login", json={**LOGIN, "password": "wrong"}, headers={"X-Forwarded-For": forwarded}
            )

    # The address itself, two shops behind the proxy, and one source for what came directly.
    assert [1, 1, 2, 4] == sorted(row.wrong for row in await office.rows("login_attempts"))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "owner@example.com"}, 400, "invalid_request"),
        ({**LOGIN, "role": "owner"}, 400, "invalid_request"),
        ({**LOGIN, "password": 7}, 400, "invalid_request"),
        ({**LOGIN, "email": "no address"}, 422, "invalid_email"),
        ({**LOGIN, "password": "x" * 1025}, 400, "invalid_request"),
        ([], 400, "invalid_request"),
    ],
)
async def test_a_bad_login_names_its_fields_and_no_value(office: Office, body: object, status: int, code: str) -> None:
    """Nothing of what was sent comes back, and nothing is counted."""
    async with office.client() as browser:
        answer = await browser.post("/api/staff/login", json=body)

    assert (status, code) == (answer.status_code, read(answer)["code"])
    assert PASSWORD not in answer.text
    assert [] == await office.rows("login_attempts")


async def test_a_role_opens_its_own_doors_and_an_owner_every_one(office: Office) -> None:
    """Whoever is let in nowhere is told what she would have to be."""
    await office.hire(ACCOUNTANT, StaffRole.ACCOUNTANT)
    await office.hire(CASHIER, StaffRole.CASHIER)
    doors = FastAPI(exception_handlers=dict(HANDLERS))

    @doors.get("/till")
    async def till(_: Cashier) -> None: ...

    @doors.get("/books")
    async def books(_: Accountant) -> None: ...

    @doors.get("/safe")
    async def safe(_: Owner) -> None: ...

    @doors.get("/kitchen")
    async def kitchen(_: Staff) -> None: ...

    found: dict[str, list[int]] = {}
    transport = httpx.ASGITransport(bind(doors, office.system), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://office") as client:
        for email in (CASHIER, ACCOUNTANT, OWNER):
            headers = {"Authorization": f"Bearer {await office.token(email)}"}
            answers = [await client.get(f"/{door}", headers=headers) for door in ("till", "books", "safe", "kitchen")]
            found[email.address.partition("@")[0]] = [answer.status_code for answer in answers]

    assert {
        "cashier": [200, 403, 403, 200],
        "accountant": [403, 200, 403, 200],
        "owner": [200, 200, 200, 200],
    } == found
