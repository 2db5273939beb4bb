"""The chain over the audit trail: a seal for every batch, and signed checkpoints that outsiders can keep.

    seal(n) = SHA-256( "penpay-seal/1" · seal(n−1) · n · batch id · number of rows · hash of row 0 · hash of row 1 · … )

Each part has a fixed size, so no two histories are written alike. seal(0) is 32 zero bytes. A chain alone proves
nothing against somebody who can write every table, since he can compute it anew; a checkpoint kept elsewhere does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from penpay.domain.shared.ids import BatchId

GENESIS: Final = bytes(32).hex()
"""The seal before the first."""
CHECKPOINT_BATCHES: Final = 1_000
CHECKPOINT_AFTER: Final = timedelta(minutes=15)
"""A checkpoint is due after so many batches, or after so long if there was any batch."""


def next_seal(previous: str, position: int, batch_id: BatchId, row_hashes: Sequence[str]) -> str:
    """The seal of the batch at this position; hashes and seals are 64 hex digits. Raises ValueError for any other."""
    digest = hashlib.sha256(b"penpay-seal/1")
    digest.update(_digest(previous))
    digest.update(position.to_bytes(8, "big"))
    digest.update(batch_id.bytes)
    digest.update(len(row_hashes).to_bytes(4, "big"))
    for row_hash in row_hashes:
        digest.update(_digest(row_hash))
    return digest.hexdigest()


def _digest(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != hashlib.sha256().digest_size or found.hex() != text:
        raise ValueError("not a SHA-256 in lower-case hex")
    return found


@dataclass(frozen=True, slots=True)
class ChainHead:
    """How far the chain has come: the last seal, and how many audit rows it covers from the beginning."""

    position: int
    seal: str
    rows_count: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the chain at a moment, signed."""

    head: ChainHead
    made_at: datetime
    key_id: str
    signature: str
    """Hex."""


def checkpoint_message(head: ChainHead, made_at: datetime, key_id: str) -> bytes:
    """What a checkpoint's signature signs."""
    parts = ("penpay-checkpoint/1", head.position, head.seal, head.rows_count, made_at.isoformat(), key_id)
    return "\n".join(map(str, parts)).encode()


def is_checkpoint_due(head: int, last: tuple[int, datetime] | None, at: datetime) -> bool:
    """Whether a chain that has come to `head` wants a checkpoint; `last` is where and when the newest one was made."""
    if last is None:
        return head > 0
    position, made_at = last
    return head - position >= CHECKPOINT_BATCHES or (head > position and at - made_at >= CHECKPOINT_AFTER)


class CheckpointSigner(Protocol):
    """Holds the key that signs checkpoints."""

    @property
    def key_id(self) -> str: ...

    def sign(self, message: bytes) -> str:
        """The signature, in hex."""
        ...


class CheckpointVerifier(Protocol):
    """Knows the public half."""

    @property
    def key_id(self) -> str: ...

    def is_valid(self, message: bytes, signature: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an outsider kept of a checkpoint: the chain had this seal at this position."""

    position: int
    seal: str


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first thing that is not as it was sealed."""

    reason: str
    position: int | None = None
    batch_id: str | None = None
    ordinal: str | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a walk along the whole chain found; the counts are of what was sound before the break, if there is one."""

    head: ChainHead
    checkpoints: int
    """Signed checkpoints the chain agrees with."""
    checkpoint_position: int
    """How far the newest of them reaches; 0 without any."""
    waiting_rows: int
    """Audit rows committed and not sealed yet."""
    broken: ChainBreak | None


class AuditTrail(Protocol):
    """Proving that the audit trail is as it was written."""

    async def verify(self, verifier: CheckpointVerifier, anchors: Sequence[Anchor] = ()) -> ChainReport:
        """Compute every hash and seal anew, and compare them with the checkpoints and with what outsiders kept."""
        ...
