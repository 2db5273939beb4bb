"""Reviews over HTTP: who may look and decide, what each decision would book, and that one person is never two."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel

from penpay.application.payments.crediting import BookIncomingCredit
from penpay.application.payments.deciding import ApproveDecision, ProposeDecision
from penpay.application.payments.rows import Decision
from penpay.domain.deriv.gateway import IncomingCredit
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.email import Email
from penpay.domain.shared.ids import ReviewId
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.http.routes.review_shapes import ReviewBody, ReviewWithEvidenceBody
from tests.integration.http.desk import Desk, done, refused

OWNERS = {"decision": "OWNERS", "note": "The owner topped it up."}


async def credited(desk: Desk, provider_id: str = "9001", cents: int = 5_000) -> str:
    """Dollars nobody asked for reach our account at Deriv; the id of their review."""
    office = desk.office
    credit = IncomingCredit(
        provider_id=provider_id,
        amount=Money(cents, Currency.USD),
        balance=None,
        remark="by the cashier",
        happened_at=office.clock.now(),
    )
    known = {row.id for row in await office.rows("reviews")}
    await office.system.executor.execute(BookIncomingCredit(credit=credit))
    (made,) = [row.id for row in await office.rows("reviews") if row.id not in known]
    await office.clock.sleep(60_000)
    return str(made)


async def proposed(desk: Desk, review: str, by: httpx.AsyncClient | None = None) -> dict[str, Any]:
    return done(await (by or desk.accountant).post(f"/api/v1/reviews/{review}/propose", json=OWNERS))


async def approve(by: httpx.AsyncClient, review: str, version: int) -> httpx.Response:
    return await by.post(f"/api/v1/reviews/{review}/approve", json={"version": version})


async def balances(desk: Desk) -> dict[str, int]:
    return {row.code: row.balance_cents for row in await desk.office.rows("ledger_accounts")}


async def test_a_review_is_read_proposed_and_approved_by_two(desk: Desk) -> None:
    """The accountant proposes, the owner approves: what was shown is what is booked, and both stand in the record."""
    review = await credited(desk)
    shown = done(await desk.accountant.get(f"/api/v1/reviews/{review}"))
    before = await balances(desk)
    waiting = await proposed(desk, review)
    unmoved = await balances(desk)
    resolved = done(await approve(desk.owner, review, waiting["version"]))

    assert ["ACCEPT", "OWNERS"] == shown["possible"] == [one["decision"] for one in shown["options"]]
    nothing, owners = shown["options"]
    assert ([], None, None) == (nothing["journals"], nothing["code"], owners["code"])
    assert [
        {
            "kind": "owners_credit",
            "lines": [
                {"account": "suspense:USD", "side": "DEBIT", "amount_cents": 5_000, "currency": "USD"},
                {"account": "equity:owner:USD", "side": "CREDIT", "amount_cents": 5_000, "currency": "USD"},
            ],
        }
    ] == owners["journals"]
    assert before == unmoved == {"deriv:agent": 5_000, "suspense:USD": 5_000}
    assert {"deriv:agent": 5_000, "suspense:USD": 0, "equity:owner:USD": 5_000} == await balances(desk)
    accountant, owner = [done(await one.get("/api/staff/me"))["id"] for one in (desk.accountant, desk.owner)]
    assert ("OWNERS", OWNERS["note"], accountant) == (waiting["decision"], waiting["note"], waiting["proposed_by"])
    assert ("OWNERS", owner, []) == (resolved["decision"], resolved["approved_by"], resolved["possible"])
    (proposal,), (approval,) = (
        await desk.office.audited("review.proposed"),
        await desk.office.audited("review.approved"),
    )
    assert (f"staff:{accountant}", f"staff:{owner}") == (proposal.actor, approval.actor)


async def test_looking_changes_nothing(desk: Desk) -> None:
    """Whoever reads what could be decided leaves no journal, event, audit row or version behind."""
    review = await credited(desk)
    tables = ("reviews", "ledger_accounts", "ledger_journals", "ledger_entries", "domain_events", "audit_logs")
    before = [[tuple(row) for row in await desk.office.rows(name)] for name in tables]
    for _ in range(3):
        done(await desk.accountant.get(f"/api/v1/reviews/{review}"))

    assert before == [[tuple(row) for row in await desk.office.rows(name)] for name in tables]


async def test_nobody_approves_her_own_proposal(desk: Desk) -> None:
    """An owner neither: it takes a second one, and the first may only take it back."""
    review = await credited(desk)
    version = (await proposed(desk, review, desk.owner))["version"]
    own = await approve(desk.owner, review, version)
    second = Email("second@example.com")
    await desk.office.hire(second, StaffRole.OWNER)
    async with desk.office.client(await desk.office.token(second)) as other:
        agreed = await approve(other, review, version)

    assert (403, "own_proposal") == refused(own)
    assert "OWNERS" == done(agreed)["decision"]


async def test_what_was_not_read_is_not_approved(desk: Desk) -> None:
    """Proposed anew while the owner reads: she is told to look again; dropped or done, there is nothing to approve."""
    review = await credited(desk)
    first = await proposed(desk, review)
    again = await proposed(desk, review)
    stale = await approve(desk.owner, review, first["version"])
    dropped = done(await desk.accountant.post(f"/api/v1/reviews/{review}/reject"))
    empty = await approve(desk.owner, review, dropped["version"])
    last = await proposed(desk, review)
    answers = await asyncio.gather(*(approve(desk.owner, review, last["version"]) for _ in range(2)))

    assert again["version"] == first["version"] + 1
    assert (409, "decision_not_possible") == refused(stale) == refused(empty)
    assert [200, 409] == sorted(answer.status_code for answer in answers)
    assert 0 == (await balances(desk))["suspense:USD"]


async def test_a_role_decides_what_is_its_own(desk: Desk) -> None:
    """Cashiers see none of it, accountants do not approve, and a stranger is nobody."""
    review = await credited(desk)
    version = (await proposed(desk, review))["version"]
    url = f"/api/v1/reviews/{review}"
    for cashier in (
        await desk.cashier.get("/api/v1/reviews"),
        await desk.cashier.get(url),
        await desk.cashier.post(f"{url}/propose", json=OWNERS),
        await desk.cashier.post(f"{url}/reject"),
        await approve(desk.accountant, review, version),
    ):
        assert (403, "forbidden") == refused(cashier)
    assert (401, "unauthorized") == refused(await desk.stranger.get("/api/v1/reviews"))
    assert (401, "unauthorized") == refused(await approve(desk.stranger, review, version))
    foreign = await desk.owner.post(
        f"{url}/approve", json={"version": version}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert (403, "cross_site") == refused(foreign)


async def test_reviews_are_listed_page_by_page(desk: Desk) -> None:
    """The longest waiting first, without gap or repeat; proposed and resolved ones by themselves."""
    ids = [await credited(desk, str(number)) for number in range(5)]

    async def listed(**params: Any) -> tuple[list[str], Any]:
        found = done(await desk.accountant.get("/api/v1/reviews", params=params))
        return [one["id"] for one in found["reviews"]], found["next"]

    first, cursor = await listed(limit=2)
    second, cursor = await listed(limit=2, after=cursor)
    last, end = await listed(limit=2, after=cursor)
    assert (ids, None) == ([*first, *second, *last], end)
    assert (ids, None) == await listed(limit=5)

    for review in (ids[3], ids[1]):
        version = (await proposed(desk, review))["version"]
        assert ([review], None) == await listed(state="PROPOSED")
        done(await approve(desk.owner, review, version))
        await desk.office.clock.sleep(60_000)
    assert ([ids[0], ids[2], ids[4]], None) == await listed(reason="unmatched_credit")
    assert ([], None) == await listed(reason="NOT_RETURNED")
    newest, cursor = await listed(state="resolved", limit=1)
    assert ([ids[1]], [ids[3]]) == (newest, (await listed(state="resolved", after=cursor))[0])


async def test_what_is_answered_is_what_is_documented(desk: Desk) -> None:
    """Every answer has the members of its description and no other; so have the examples."""
    review = await credited(desk)
    page = done(await desk.accountant.get("/api/v1/reviews"))
    pairs: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (ReviewBody, page["reviews"][0]),
        (ReviewBody, await proposed(desk, review)),
        (ReviewWithEvidenceBody, done(await desk.accountant.get(f"/api/v1/reviews/{review}"))),
    ]
    pairs += [(model, model.model_json_schema()["example"]) for model in (ReviewBody, ReviewWithEvidenceBody)]
    for model, view in pairs:
        model.model_validate(view)
        assert set(model.model_fields) == set(view), model


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"decision": "OWNERS"}, 400, "invalid_request"),
        ({"decision": "PLEASE", "note": "x"}, 400, "invalid_request"),
        ({"decision": 1, "note": "x"}, 400, "invalid_request"),
        ({"decision": "OWNERS", "note": "x", "by": "ann"}, 400, "invalid_request"),
        ({"decision": "OWNERS", "note": " "}, 400, "invalid_request"),
        ({"decision": "OWNERS", "note": "x" * 501}, 400, "invalid_request"),
        ({"decision": "REFUND", "note": "x"}, 409, "decision_not_possible"),
    ],
)
async def test_a_bad_proposal_is_told_what_is_wrong_with_it(
    desk: Desk, body: dict[str, Any], status: int, code: str
) -> None:
    """Nothing is proposed by it."""
    review = await credited(desk)
    answer = await desk.accountant.post(f"/api/v1/reviews/{review}/propose", json=body)

    assert (status, code) == refused(answer)
    assert [None] == [row.decision for row in await desk.office.rows("reviews")]


async def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    """A review nobody opened cannot be read or decided; a list knows its own words only."""
    nowhere = "/api/v1/reviews/019a0000-0000-7000-8000-000000000001"
    for answer in (
        await desk.accountant.get(nowhere),
        await desk.accountant.post(f"{nowhere}/propose", json=OWNERS),
        await desk.owner.post(f"{nowhere}/approve", json={"version": 1}),
        await desk.accountant.post(f"{nowhere}/reject"),
    ):
        assert (404, "not_found") == refused(answer)
    for query in ("state=lost", "reason=BOREDOM", "limit=0", "after=9"):
        assert (400, "invalid_request") == refused(await desk.accountant.get(f"/api/v1/reviews?{query}"))


async def test_the_terminal_and_the_office_are_two_doors_to_one_review(desk: Desk) -> None:
    """What a handle proposed at the terminal somebody on the staff approves, and the other way round."""
    first, second = await credited(desk, "1"), await credited(desk, "2")
    execute = desk.office.system.executor.execute
    review = ReviewId(UUID(first))
    await execute(ProposeDecision(review_id=review, decision=Decision.OWNERS, note="seen", proposed_by="ann"))
    version = done(await desk.owner.get(f"/api/v1/reviews/{first}"))["version"]
    by_owner = done(await approve(desk.owner, first, version))
    await proposed(desk, second)
    await execute(ApproveDecision(review_id=ReviewId(UUID(second)), approved_by="ann"))

    assert "ann" == by_owner["proposed_by"]
    assert 0 == (await balances(desk))["suspense:USD"]
