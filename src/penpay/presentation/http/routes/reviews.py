"""What waits for people, and their decisions: one on the staff proposes, another approves."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.payments.deciding import ApproveDecision, ProposeDecision, RejectDecision
from penpay.application.payments.queries import ReviewCase, ReviewState
from penpay.application.payments.rehearsing import RehearseDecisions
from penpay.application.payments.review_views import option_view, review_view
from penpay.application.payments.rows import Decision, ReviewReason
from penpay.application.payments.views import story_view
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.ids import ReviewId
from penpay.presentation.http.body import JsonRoute
from penpay.presentation.http.routes.money_posts import Body, Limit, chosen
from penpay.presentation.http.routes.review_shapes import ReviewBody, ReviewsBody, ReviewWithEvidenceBody
from penpay.presentation.http.routes.shapes import answers
from penpay.presentation.http.staff_auth import Accountant, Owner
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["reviews"])


class ProposalBody(Body):
    """What should be done about a review, and why."""

    decision: Decision = Field(strict=False, json_schema_extra={"example": "RETURN"})
    note: str = Field(
        description="1 to 500 characters, for whoever approves it and for later.",
        json_schema_extra={"example": "Her cashier is open again."},
    )


class ApprovalBody(Body):
    """Which proposal is approved."""

    version: int = Field(description="`version` of the review as it was read.", json_schema_extra={"example": 2})


@router.get("/reviews", responses=answers(200, ReviewsBody))
async def some_reviews(  # each is a part of the question
    *,
    request: Request,
    staff: Accountant,  # noqa: ARG001  (whoever keeps the books may look)
    state: Annotated[str, Query(max_length=20, description="`open`, `proposed` or `resolved`.")] = "open",
    reason: Annotated[str | None, Query(max_length=40, description="Such as `NOT_RETURNED`, in any case.")] = None,
    limit: Limit = 50,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """Reviews: those that wait, the longest waiting first; of the resolved ones, the last resolved first."""
    page = await system_of(request).review_books.page(
        chosen("state", state.lower(), ReviewState),
        limit,
        reason=None if reason is None else chosen("reason", reason.upper(), ReviewReason),
        after=None if after is None else ReviewId(after),
    )
    return _json(
        {
            "reviews": [review_view(case) for case in page.cases],
            "next": None if page.next is None else str(page.next),
        }
    )


@router.get("/reviews/{review_id}", responses=answers(200, ReviewWithEvidenceBody))
async def one_review(request: Request, staff: Accountant, review_id: UUID) -> Response:  # noqa: ARG001  (as above)
    """A review with the story of its transaction, and what each possible decision would book."""
    system = system_of(request)
    options = await system.executor.execute(RehearseDecisions(review_id=ReviewId(review_id)))
    case = await _case(request, review_id)
    about = case.review.transaction_id
    story = None if about is None else await system.stories.story(about)
    return _json(
        {
            **review_view(case),
            "options": [option_view(option) for option in options],
            "story": [] if story is None else story_view(story)["story"],
        }
    )


@router.post("/reviews/{review_id}/propose", responses=answers(200, ReviewBody))
async def propose(request: Request, staff: Accountant, review_id: UUID, body: ProposalBody) -> Response:
    """Propose a decision; somebody else must approve it. It takes the place of an earlier proposal."""
    command = ProposeDecision(
        review_id=ReviewId(review_id), decision=body.decision, note=body.note, proposed_by=str(staff.id)
    )
    await system_of(request).executor.execute(command)
    return _json(review_view(await _case(request, review_id)))


@router.post("/reviews/{review_id}/approve", responses=answers(200, ReviewBody))
async def approve(request: Request, staff: Owner, review_id: UUID, body: ApprovalBody) -> Response:
    """Approve what somebody else has proposed: it is done at once, and once.

    Whoever proposed it is refused (`own_proposal`), and so is everybody once it is done, or when the review is another
    than the one that was read (`decision_not_possible`).
    """
    command = ApproveDecision(review_id=ReviewId(review_id), approved_by=str(staff.id), version=body.version)
    await system_of(request).executor.execute(command)
    return _json(review_view(await _case(request, review_id)))


@router.post("/reviews/{review_id}/reject", responses=answers(200, ReviewBody))
async def reject(request: Request, staff: Accountant, review_id: UUID) -> Response:
    """Drop what is proposed; whoever proposed it may take it back so. The review waits for another proposal."""
    await system_of(request).executor.execute(RejectDecision(review_id=ReviewId(review_id), rejected_by=str(staff.id)))
    return _json(review_view(await _case(request, review_id)))


async def _case(request: Request, review_id: UUID) -> ReviewCase:
    case = await system_of(request).review_books.review(ReviewId(review_id))
    if case is None:
        raise NotFound("There is no such review.")
    return case


def _json(view: dict[str, object]) -> Response:
    return Response(orjson.dumps(view), media_type="application/json")
