"""Reading one's own transactions; another user's are as good as not there."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.payments.views import moment, story_view, transaction_view
from penpay.domain.shared.errors import NotFound
from penpay.domain.shared.ids import TransactionId
from penpay.presentation.http.auth import Caller
from penpay.presentation.http.routes.shapes import (
    TransactionPageBody,
    TransactionWithStoryBody,
    TransactionWithTimelineBody,
    answers,
)
from penpay.presentation.http.system import system_of

router = APIRouter(prefix="/api/v1", tags=["transactions"])


@router.get("/transactions/{transaction_id}", responses=answers(200, TransactionWithTimelineBody))
async def one_transaction(request: Request, caller: Caller, transaction_id: UUID) -> Response:
    """A transaction with its timeline."""
    books = system_of(request).payment_books
    transaction = await books.transaction(caller, TransactionId(transaction_id))
    if transaction is None:
        raise NotFound
    timeline = await books.timeline(transaction.id)
    # Read a moment later: what has happened in between is left out, so that the two agree.
    entries = timeline[: transaction.version]
    view = {
        **transaction_view(transaction),
        "timeline": [{"at": moment(entry.at), "event": entry.event, "status": entry.status} for entry in entries],
    }
    return Response(orjson.dumps(view), media_type="application/json")


@router.get("/transactions/{transaction_id}/story", responses=answers(200, TransactionWithStoryBody))
async def story_of_transaction(request: Request, caller: Caller, transaction_id: UUID) -> Response:
    """All that happened to a transaction, in order: events, calls outside, journals, callbacks and messages."""
    story = await system_of(request).stories.story(TransactionId(transaction_id), caller)
    if story is None:
        raise NotFound
    return Response(orjson.dumps(story_view(story)), media_type="application/json")


@router.get("/transactions", responses=answers(200, TransactionPageBody))
async def some_transactions(
    request: Request,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """The newest transactions, or those older than `before`."""
    cursor = None if before is None else TransactionId(before)
    page = await system_of(request).payment_books.transactions(caller, limit, cursor)
    view = {
        "transactions": [transaction_view(transaction) for transaction in page.transactions],
        "next": None if page.next is None else str(page.next),
    }
    return Response(orjson.dumps(view), media_type="application/json")
