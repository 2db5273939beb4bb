"""How `penpay collections` shows what it found, for people and as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import typer

from penpay.application.collections.capturing import CONFIRMATION, VALIDATION
from penpay.application.collections.checking import BalanceCheck
from penpay.application.collections.importing import Imported
from penpay.application.collections.registering import C2bRegistration
from penpay.application.collections.till_pushing import TILL_SOURCE
from penpay.application.shared.webhooks import WebhookOutcome
from penpay.cli.collections_story import bare, local, show_parts, told_of
from penpay.cli.output import show_json, show_table
from penpay.domain.collections.payment import PayerForm
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.capture_stories import PaymentStory, ShownMessage

_WORDS: Final[Mapping[str, str]] = {CONFIRMATION: "confirmed", VALIDATION: "asked", TILL_SOURCE: "till push"}
_SECRET = re.compile(r"(?<=/c2b/)[0-9a-f]{8,}")


def show_registrations(found: Sequence[C2bRegistration], *, as_json: bool) -> None:
    """Where M-Pesa posts, the secret left out."""
    rows = [
        {
            "asked_at": _utc(one.asked_at),
            "short_code": one.short_code,
            "status": one.state.value,
            "response_type": one.addresses.unanswered.value,
            "confirmation_url": _SECRET.sub("…", one.addresses.confirmation_url),
            "validation_url": _SECRET.sub("…", one.addresses.validation_url),
            "code": one.code,
            "by": one.asked_by,
        }
        for one in found
    ]
    if as_json:
        show_json(rows)
        return
    names = ("asked", "number", "status", "unanswered", "confirmation", "code")
    keys = ("asked_at", "short_code", "status", "response_type", "confirmation_url", "code")
    shown = [{**row, "asked_at": local(one.asked_at)} for row, one in zip(rows, found, strict=True)]
    show_table(
        names, [tuple(str(row[key] or "") for key in keys) for row in shown], whole={"asked", "number", "status"}
    )


def show_messages(found: Sequence[ShownMessage], *, as_json: bool) -> None:
    """The last messages, newest first."""
    if as_json:
        show_json([_message(one) for one in found])
    elif found:
        _show_lines(found)
    else:
        typer.echo("No message has come yet.")


def _message(one: ShownMessage) -> dict[str, object]:
    return {
        "id": one.id,
        "received_at": _utc(one.received_at),
        "source": one.source,
        "outcome": one.outcome,
        "mpesa_receipt_number": one.receipt,
        "amount_cents": one.amount_cents,
        "bill_reference": one.bill_reference,
        "remote_address": one.remote_address,
    }


def _show_lines(found: Sequence[ShownMessage]) -> None:
    names = ("received", "message", "outcome", "receipt", "KES", "reference")
    whole = {"received", "message", "outcome", "receipt"}
    show_table(names, list(map(_line, found)), whole=whole, figures={"KES"})


def _line(one: ShownMessage) -> tuple[str, ...]:
    """A message that was let in is about its reference; of one that was not, people ask where it came from."""
    is_refused = one.outcome in {WebhookOutcome.REFUSED_TOKEN, WebhookOutcome.REFUSED_SOURCE}
    return (
        local(one.received_at),
        _WORDS.get(one.source, one.source),
        one.outcome,
        one.receipt or "",
        "" if one.amount_cents is None else bare(Money(one.amount_cents, Currency.KES)),
        f"from {one.remote_address}" if is_refused else one.bill_reference or "",
    )


def show_import(imported: Imported, *, as_json: bool) -> None:
    """What a statement came to."""
    if as_json:
        show_json(
            {
                "payments": imported.payments,
                "total_cents": imported.total.cents,
                "booked": imported.booked,
                "booked_cents": imported.booked_total.cents,
                "deposits": imported.deposits,
                "reversed": list(imported.reversed_),
                "charges_cents": imported.charges.cents,
                "charges_booked": imported.charges_booked,
                "outflows_cents": imported.outflows.cents,
                "outflows_booked": imported.outflows_booked,
                "unexplained": list(imported.unexplained),
                "other": imported.other,
                "contradicting": list(imported.contradicting),
                "unreadable": [{"line": row.line, "why": row.why} for row in imported.unreadable],
            }
        )
        return
    typer.echo(f"Payments in the statement: {imported.payments}, {imported.total}")
    typer.echo(f"Missing until now, and booked: {imported.booked}, {imported.booked_total}")
    typer.echo(f"Of deposits to Deriv: {imported.deposits}")
    typer.echo(f"Charges of M-Pesa: {imported.charges}, booked now: {imported.charges_booked}")
    typer.echo(f"Other outflows: {imported.outflows}, booked now: {imported.outflows_booked}")
    typer.echo(f"Other rows: {imported.other}")
    for receipt in imported.reversed_:
        typer.echo(f"{receipt} was taken back by M-Pesa and is reversed.")
    for receipt in imported.unexplained:
        typer.echo(f"{receipt} left, and nobody knows what for: `penpay collections explain-outflow {receipt}`.")
    for receipt in imported.contradicting:
        typer.echo(f"{receipt} is booked with other facts: see `penpay collections payment {receipt}`.")
    for row in imported.unreadable:
        typer.echo(f"Line {row.line} was left out: {row.why}.")


def show_check(checked: BalanceCheck, *, as_json: bool) -> None:
    """Whether balances go on from each other."""
    seen = checked.continuity
    if as_json:
        show_json(
            {
                "short_code": checked.short_code,
                "day": str(checked.day),
                "receipts": seen.receipts,
                "opening_cents": None if seen.opening is None else seen.opening.cents,
                "closing_cents": None if seen.closing is None else seen.closing.cents,
                "missing_cents": checked.missing.cents,
                "gaps": [
                    {"after": gap.after, "before": gap.before, "missing_cents": gap.missing.cents} for gap in seen.gaps
                ],
            }
        )
        return
    typer.echo(f"{seen.receipts} receipts of {checked.day} tell a balance, from {seen.opening} to {seen.closing}.")
    if not seen.gaps:
        typer.echo("Each goes on from the one before it.")
        return
    show_table(("after", "before", "missing amount"), [(gap.after, gap.before, str(gap.missing)) for gap in seen.gaps])


def show_story(story: PaymentStory, *, as_json: bool) -> None:
    """The whole story of a payment; of who paid only as much as people need."""
    told = story.payment
    facts: dict[str, Any] = {
        "mpesa_receipt_number": told.receipt,
        "status": told.status.value,
        "amount_cents": told.amount.cents,
        "suspense_cents": told.suspense.cents,
        "suspense_reason": told.suspense_reason and told.suspense_reason.value,
        "source": told.source.value,
        "verification": told.verification.value,
        "verified_by": told.verified_by,
        "short_code": told.short_code,
        "bill_reference": told.bill_reference,
        "payer": _payer(story),
        "customer_id": story.customer_number,
        "flags": sorted(flag.value for flag in told.flags),
        "transacted_at": None if told.transacted_at is None else _utc(told.transacted_at),
        "received_at": _utc(told.received_at),
    }
    if as_json:
        facts["messages"] = [_message(one) for one in story.messages]
        for name in ("allocations", "entries", "events", "audit"):
            facts[name] = [_plain(row) for row in getattr(story, name)]
        show_json(facts)
        return
    for line in told_of(facts):
        typer.echo(line)
    if story.messages:
        typer.echo("\nM-Pesa's messages")
        _show_lines(story.messages)
    show_parts(story)


def _payer(story: PaymentStory) -> str:
    shown = story.payer.text
    if story.payer.form is PayerForm.PLAIN:
        shown = f"{shown[:5]}******{shown[-2:]}"
    if story.payer.form is PayerForm.HASHED:
        shown = f"{shown[:8]}…"
    return " ".join(filter(None, (shown, story.payer.name)))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _utc(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
