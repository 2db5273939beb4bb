"""The publisher's looks: nobody is asked whether there is work while the work is being done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from penpay.application.shared.audit_chain import CheckpointSigner
from penpay.application.shared.publishing import Lease
from penpay.workers.publisher import PUBLISHER, Publisher


class Stopped:
    """A clock whose pauses end when the test says so."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_ms(self) -> int:
        return 0

    async def sleep(self, milliseconds: int) -> None:
        del milliseconds
        await self.goes_on.wait()


class Waiting:
    """A publication with something that waits; counts how often it is asked."""

    def __init__(self, *, fails: bool) -> None:
        self.asked = 0
        self._fails = fails

    async def is_due(self, at: datetime) -> bool:
        del at
        self.asked += 1
        return True

    async def claim(self, holder: UUID, at: datetime, until: datetime) -> Lease:
        del at
        return Lease(holder, 1, until)

    async def stamp(self, lease: Lease, at: datetime) -> int:
        del lease, at
        if self._fails:
            raise ConnectionError
        return 1

    async def checkpoint(self, lease: Lease, at: datetime, signer: CheckpointSigner) -> bool:
        del lease, at, signer
        return False


class Signer:
    """Signs nothing here."""

    key_id = "none"

    def sign(self, message: bytes) -> str:
        raise AssertionError(message)


@pytest.mark.parametrize("fails", [False, True])
async def test_while_it_publishes_it_asks_of_nothing_and_afterwards_it_does(*, fails: bool) -> None:
    """Whatever became of the publishing, the next look asks again."""
    clock, publication = Stopped(), Waiting(fails=fails)
    publisher = Publisher(publication=publication, signer=Signer(), clock=clock, holder=UUID(int=1))
    assert [PUBLISHER] == list(await publisher.look(1))
    publishing = asyncio.create_task(publisher.handle(PUBLISHER))
    await asyncio.sleep(0)
    assert not await publisher.look(1)
    assert publication.asked == 1
    clock.goes_on.set()
    await asyncio.wait([publishing])
    assert isinstance(publishing.exception(), ConnectionError) == fails
    assert [PUBLISHER] == list(await publisher.look(1))
