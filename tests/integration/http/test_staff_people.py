"""An owner decides over HTTP who is on the staff; nobody else does, and what she decides holds at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from penpay.presentation.http.routes.staff_people import PersonBody
from tests.contract.office.stage import ACCOUNTANT, CASHIER, OWNER, PASSWORD, Office
from tests.integration.http.desk import Desk, done, refused

NEW = {"email": "Till2@example.com", "role": "cashier", "password": "nine lives of a cat"}


async def people(desk: Desk) -> dict[str, dict[str, Any]]:
    """The staff by address, as the owner is told."""
    return {one["email"]: one for one in done(await desk.owner.get("/api/staff"))["staff"]}


async def entered(office: Office, email: str, password: str) -> int:
    """The status of a login."""
    async with office.client() as browser:
        return (await browser.post("/api/staff/login", json={"email": email, "password": password})).status_code


async def test_an_owner_adds_somebody_who_can_log_in_at_once(desk: Desk) -> None:
    """With the role she was given; the answers are what is documented, and no password is in any."""
    added = done(await desk.owner.post("/api/staff", json=NEW), 201)
    again = await desk.owner.post("/api/staff", json=NEW)
    listed = await people(desk)

    assert set(PersonBody.model_fields) == set(added)
    assert ("till2@example.com", "cashier", None) == (added["email"], added["role"], added["disabled_at"])
    assert (409, "staff_exists") == refused(again)
    assert ["owner@example.com", "accountant@example.com", "cashier@example.com", "till2@example.com"] == list(listed)
    assert added == listed["till2@example.com"]
    assert 200 == await entered(desk.office, NEW["email"], NEW["password"])
    (made,) = [row for row in await desk.office.audited("staff.created") if row.subject_id == added["id"]]
    assert made.actor.startswith("staff:")


async def test_whoever_is_disabled_is_out_at_once_and_can_be_let_in_again(desk: Desk) -> None:
    """Her session ends with the call that disables her, and does not come back with the one that enables her."""
    cashier = (await people(desk))[CASHIER.address]["id"]
    before = await desk.cashier.get("/api/staff/me")
    disabled = done(await desk.owner.post(f"/api/staff/{cashier}/disable"))
    out = await desk.cashier.get("/api/customers")
    refused_login = await entered(desk.office, CASHIER.address, PASSWORD)
    repeated = done(await desk.owner.post(f"/api/staff/{cashier}/disable"))
    enabled = done(await desk.owner.post(f"/api/staff/{cashier}/enable"))

    assert (200, 401, 401) == (before.status_code, out.status_code, refused_login)
    assert disabled["disabled_at"] is not None
    assert disabled == repeated
    assert enabled["disabled_at"] is None
    assert 401 == (await desk.cashier.get("/api/customers")).status_code
    assert 200 == await entered(desk.office, CASHIER.address, PASSWORD)


async def test_another_role_or_password_ends_the_sessions(desk: Desk) -> None:
    """An accountant who becomes a cashier logs in anew and keeps no door open; the old password opens nothing."""
    accountant = (await people(desk))[ACCOUNTANT.address]["id"]
    cashier = (await people(desk))[CASHIER.address]["id"]
    changed = done(await desk.owner.post(f"/api/staff/{accountant}/role", json={"role": "cashier"}))
    reset = await desk.owner.post(f"/api/staff/{cashier}/password", json={"password": NEW["password"]})

    assert "cashier" == changed["role"]
    assert NEW["password"] not in reset.text
    assert [401, 401] == [
        (await client.get("/api/customers")).status_code for client in (desk.accountant, desk.cashier)
    ]
    assert (401, 200) == (
        await entered(desk.office, CASHIER.address, PASSWORD),
        await entered(desk.office, CASHIER.address, NEW["password"]),
    )


async def test_nobody_but_an_owner_decides_about_the_staff(desk: Desk) -> None:
    """Neither to look nor to change, her own role least of all; a stranger is asked who he is."""
    own = (await people(desk))[CASHIER.address]["id"]
    for client, answer in ((desk.cashier, (403, "forbidden")), (desk.stranger, (401, "unauthorized"))):
        assert answer == refused(await client.get("/api/staff"))
        assert answer == refused(await client.post("/api/staff", json=NEW))
        assert answer == refused(await client.post(f"/api/staff/{own}/role", json={"role": "owner"}))
        assert answer == refused(await client.post(f"/api/staff/{own}/password", json={"password": "x" * 12}))
        assert answer == refused(await client.post(f"/api/staff/{own}/disable"))
        assert answer == refused(await client.post(f"/api/staff/{own}/enable"))
    assert 3 == len(await people(desk))


async def test_the_last_owner_stays(desk: Desk) -> None:
    """She can neither leave nor become something else, until there is another."""
    owner = (await people(desk))[OWNER.address]["id"]
    left = await desk.owner.post(f"/api/staff/{owner}/disable")
    stepped_down = await desk.owner.post(f"/api/staff/{owner}/role", json={"role": "cashier"})
    done(await desk.owner.post("/api/staff", json={**NEW, "role": "owner"}), 201)
    gone = done(await desk.owner.post(f"/api/staff/{owner}/disable"))

    assert [(409, "last_owner")] * 2 == [refused(left), refused(stepped_down)]
    assert gone["disabled_at"] is not None
    assert 401 == (await desk.owner.get("/api/staff")).status_code


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", {**NEW, "password": "too short"}, 422, "weak_password"),
        ("", {**NEW, "role": "boss"}, 400, "invalid_request"),
        ("", {**NEW, "email": "nobody"}, 422, "invalid_email"),
        ("", {"email": NEW["email"], "role": "cashier"}, 400, "invalid_request"),
        (f"/{UUID(int=7)}/role", {"role": "cashier"}, 404, "staff_not_found"),
        ("/nobody/role", {"role": "cashier"}, 400, "invalid_request"),
        (f"/{UUID(int=7)}/disable", None, 404, "staff_not_found"),
    ],
)
async def test_what_cannot_be_done_says_why(
    desk: Desk, path: str, body: dict[str, str] | None, status: int, code: str
) -> None:
    """Nothing of the password comes back, and nobody is added."""
    answer = await desk.owner.post(f"/api/staff{path}", json=body)

    assert (status, code) == refused(answer)
    assert "too short" not in answer.text
    assert 3 == len(await people(desk))
