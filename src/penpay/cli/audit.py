"""`penpay audit`: proving that the audit trail is as it was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from penpay.application.shared.audit_chain import Anchor, ChainReport, CheckpointVerifier
from penpay.cli.output import AsJson, show_json
from penpay.cli.session import FAILED, books, run
from penpay.config import load_settings
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey, CheckpointPublicKey
from penpay.infrastructure.security.keys import InvalidKeyText, KeyPurpose
from penpay.infrastructure.sql.audit_trail import SqlAuditTrail

KeyOption = Annotated[
    str | None,
    typer.Option(help="What `penpay audit key` prints; without it, the key is derived from PENPAY_MASTER_KEY."),
]
AnchorOption = Annotated[
    list[str] | None,
    typer.Option(help="POSITION:SEAL of a checkpoint you kept elsewhere; may be given several times."),
]


def commands() -> typer.Typer:
    app = typer.Typer(help="The audit trail.", no_args_is_help=True)
    app.command("verify")(verify)
    app.command("key")(key)
    return app


def verify(*, public_key: KeyOption = None, anchor: AnchorOption = None, as_json: AsJson = False) -> None:
    """Compute every hash and seal of the audit trail anew; exit status 1 and the first break when one is wrong."""
    anchors = [_anchor(text) for text in anchor or ()]
    report = run(_verify(public_key, anchors))
    if as_json:
        show_json({"intact": report.broken is None, **asdict(report)})
    else:
        typer.echo(_told(report))
    if report.broken is not None:
        raise typer.Exit(FAILED)


def key(*, as_json: AsJson = False) -> None:
    """Print the public key of checkpoints, with which others can verify them."""
    signer = run(_signer())
    if as_json:
        show_json({"public_key": signer.public_key.hex(), "key_id": signer.key_id})
    else:
        typer.echo(signer.public_key.hex())


async def _verify(public_key: str | None, anchors: Sequence[Anchor]) -> ChainReport:
    verifier = await _verifier(public_key)
    async with books() as engine:
        return await SqlAuditTrail(engine).verify(verifier, anchors)


async def _verifier(public_key: str | None) -> CheckpointVerifier:
    if public_key is None:
        return CheckpointPublicKey((await _signer()).public_key)
    try:
        return CheckpointPublicKey.parse(public_key)
    except InvalidKeyText as refusal:
        raise typer.BadParameter(str(refusal)) from None


async def _signer() -> CheckpointKey:
    return CheckpointKey(load_settings().derived_key(KeyPurpose.AUDIT_CHECKPOINT))


def _anchor(text: str) -> Anchor:
    found = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text)
    if found is None:
        raise typer.BadParameter("An anchor is written as POSITION:SEAL, the seal in 64 hex digits.")
    return Anchor(int(found[1]), found[2])


def _told(report: ChainReport) -> str:
    lines = [
        f"Sealed: {report.head.position} batches with {report.head.rows_count} rows.",
        f"Signed checkpoints: {report.checkpoints}, the last at position {report.checkpoint_position}.",
        f"Waiting for their seal: {report.waiting_rows} rows.",
    ]
    broken = report.broken
    if broken is None:
        last = [f"Head: {report.head.position}:{report.head.seal}"] if report.head.position else []
        return "\n".join(["The audit trail is intact.", *lines, *last])
    where = {"position": broken.position, "batch": broken.batch_id, "row": broken.ordinal}
    named = ", ".join(f"{name} {value}" for name, value in where.items() if value is not None)
    sound = "Sound before it:"
    return "\n".join([f"BROKEN at {named or 'the checkpoints'}: {broken.reason}.", sound, *lines[:2]])
