"""`penpay reviews`: what waits for people, and their decisions: one proposes, another approves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

import typer

from penpay.application.payments.deciding import MEANINGS, ApproveDecision, ProposeDecision, RejectDecision
from penpay.application.payments.queries import ReviewCase
from penpay.application.payments.review_views import review_view
from penpay.application.payments.rows import Decision, Review
from penpay.application.payments.situation import DERIV_IN_FLIGHT, Situation, options
from penpay.application.payments.views import moment
from penpay.cli.output import AsJson, show_json, show_table
from penpay.cli.session import books, fail, opened, run
from penpay.domain.shared.ids import ReviewId
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.queries import SqlPaymentBooks

By = Annotated[str, typer.Option("--by", help="Your operator's handle.")]


def commands() -> typer.Typer:
    app = typer.Typer(help="What waits for people.", no_args_is_help=True)
    app.command("list")(list_)
    app.command("show")(show)
    app.command("propose")(propose)
    app.command("approve")(approve)
    app.command("reject")(reject)
    return app


def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, longest waiting first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the open reviews, the longest waiting first."""
    reviews = run(_reviews(limit))
    if as_json:
        show_json(
            [
                {
                    "id": str(review.id),
                    "transaction_id": None if review.transaction_id is None else str(review.transaction_id),
                    "reason": review.reason.value,
                    "amount_cents": review.amount.cents,
                    "currency": review.amount.currency.value,
                    "opened_at": moment(review.opened_at),
                    "facts": dict(review.facts),
                }
                for review in reviews
            ]
        )
    elif reviews:
        show_table(
            ("review", "opened", "reason", "amount", "transaction"),
            [
                (
                    str(review.id),
                    str(moment(review.opened_at)),
                    review.reason.value,
                    str(review.amount),
                    str(review.transaction_id or ""),
                )
                for review in reviews
            ],
        )
    else:
        typer.echo("Nothing waits for people.")


async def _reviews(limit: int) -> Sequence[Review]:
    async with books() as engine:
        return await SqlPaymentBooks(engine).reviews(limit)


def show(
    review_id: Annotated[UUID, typer.Argument(help="The review, as `reviews list` names it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a review: where the money stands, what was proposed, and what can be decided."""
    case = run(_case(ReviewId(review_id)))
    if case is None:
        fail("not_found", "There is no such review.")
    view = review_view(case)
    if as_json:
        show_json(view)
        return
    for line in _told(case):
        typer.echo(line)


def _told(case: ReviewCase) -> Iterator[str]:
    """A review for people, one thing a line."""
    review, view = case.review, review_view(case)
    for name in ("id", "reason", "opened_at", "transaction_id", "status"):
        yield f"{name:<15} {view[name] or ''}"
    yield f"{'about':<15} {review.amount}"
    yield from (f"{name:<15} {value}" for name, value in review.facts.items())
    if case.situation is not None:
        yield from _standing(case.situation)
    if case.payout is not None:
        yield f"{'refund payout':<15} {case.payout.reference} {case.payout.state.value}"
    if review.decision is not None:
        agreed = f", approved by {review.approved_by}" if review.approved_by else ""
        yield f"{'decision':<15} {review.decision.value}, proposed by {review.proposed_by}{agreed}: {review.note}"
    if review.is_open:
        for decision in sorted(options(review, case.situation, case.payout)):
            yield f"{'possible':<15} {decision.value:<11} {MEANINGS[decision]}"


def _standing(situation: Situation) -> Iterator[str]:
    """Where the money of a transaction waits, and what has been tried."""
    for place, cents in sorted(situation.held.items()):
        currency = Currency.USD if place.endswith(("USD", DERIV_IN_FLIGHT)) else Currency.KES
        yield f"{'money waits':<15} {Money(cents, currency)} in {place}"
    tried = (("transfer", situation.transfers), ("payout", situation.disbursements))
    yield from (f"{what:<15} {one.reference} {one.state.value}" for what, found in tried for one in found)


def propose(
    review_id: Annotated[UUID, typer.Argument(help="The review.")],
    decision: Annotated[Decision, typer.Argument(help="What should be done; `reviews show` lists what can be.")],
    *,
    by: By,
    note: Annotated[str, typer.Option(help="Why, for whoever approves it and for later.")],
) -> None:
    """Propose what should be done about a review; somebody else must approve it."""
    command = ProposeDecision(review_id=ReviewId(review_id), decision=decision, note=note, proposed_by=by)
    run(_execute(command))
    typer.echo(f"{decision.value} is proposed and waits for somebody else's approval.")


def approve(review_id: Annotated[UUID, typer.Argument(help="The review.")], *, by: By) -> None:
    """Approve what somebody else has proposed: it is done at once."""
    resolved = run(_execute(ApproveDecision(review_id=ReviewId(review_id), approved_by=by)))
    typer.echo(f"{resolved.decision and resolved.decision.value} is done.")


def reject(review_id: Annotated[UUID, typer.Argument(help="The review.")], *, by: By) -> None:
    """Drop what is proposed; the review waits for another proposal."""
    run(_execute(RejectDecision(review_id=ReviewId(review_id), rejected_by=by)))
    typer.echo("The proposal is dropped.")


async def _case(review_id: ReviewId) -> ReviewCase | None:
    async with opened() as system:
        return await system.review_books.review(review_id)


async def _execute(command: ProposeDecision | ApproveDecision | RejectDecision) -> Review:
    async with opened() as system:
        done: Review = await system.executor.execute(command)
    return done
