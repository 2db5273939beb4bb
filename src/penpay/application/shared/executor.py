"""Group commit: every command waiting goes into one database transaction, and each caller gets its own answer.

There is one executor per process and database. Handlers run one after another on rows read beforehand, so commands on
one row chain instead of waiting for each other, and a hot account costs one update a batch. One caller's fault never
reaches another: a refusal takes back its own overlay, a fault the database finds is isolated by halving the batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, TypeVar

from penpay.application.shared.idempotency import IDEMPOTENCY_KEYS, Answer, IdempotencyKey, render
from penpay.application.shared.ports import Clock, Ids, Random
from penpay.application.shared.unit_of_work import (
    DELIVERIES,
    CommitUnknown,
    ConstraintViolated,
    Counters,
    Database,
    Find,
    Footprint,
    Index,
    K,
    NotLocked,
    Stale,
    Transient,
    UnitOfWork,
    V,
    Work,
)
from penpay.domain.shared.errors import CommitUnresolved, DomainError, InProgress, LostLicence, Overloaded
from penpay.domain.shared.ids import BatchId, EventId

C_contra = TypeVar("C_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

MAX_ATTEMPTS = 5
MAX_DEFERRALS = 8
"""A command that still lacks rows after this many batches has a wrong footprint, which is a bug."""
IN_PROGRESS_AFTER_SECONDS = 5
"""How long a twin waits for the first request under its key before it is told `in_progress`."""


class Lane(Enum):
    RESOLUTION = "resolution"
    """Callbacks, verdicts, timers: goes first and is never refused for load, since nobody repeats it."""
    REQUEST = "request"
    """New work: refused with `overloaded` when the queue is full."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A handler's result when the caller is refused but what the handler did must be kept (an audited refusal)."""

    error: DomainError


class Handler(Protocol[C_contra, R_co]):
    """One use case. `footprint` may look rows up, set-based; `handle` awaits nothing and touches only those rows."""

    async def footprint(self, commands: Sequence[C_contra], find: Find) -> Footprint: ...

    def handle(self, command: C_contra, work: Work) -> R_co | Refused: ...


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """The licence to consume one event; the command's commit settles it, or is dropped where the fence is another."""

    consumer: str
    event_id: EventId
    fence: int


@dataclass(slots=True, eq=False)
class _Waiting:
    command: Any
    future: asyncio.Future[Any]
    idempotency: IdempotencyKey | None
    status: int
    delivery: ClaimedDelivery | None
    extra: Footprint | None = None
    """Rows it has been found to lack."""
    deferrals: int = 0
    retried_alone: bool = False


@dataclass(slots=True)
class _Outcome:
    waiting: _Waiting
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Attempt:
    """What one try at a batch came to; it counts only once the try is known to be committed."""

    batch_id: BatchId
    outcomes: list[_Outcome] = field(default_factory=list)
    deferred: list[tuple[_Waiting, NotLocked]] = field(default_factory=list)
    consumers: frozenset[str] = frozenset()


class Executor:
    """Takes commands from any number of callers and answers each after the commit that holds its effect."""

    def __init__(  # every argument is a port or a bound
        self,
        *,
        database: Database,
        clock: Clock,
        ids: Ids,
        random: Random,
        handlers: Mapping[type, tuple[Handler[Any, Any], Lane]],
        subscriptions: Mapping[str, tuple[str, ...]],
        on_events: Callable[[frozenset[str]], None],
        after_each: Callable[[Work], None] | None = None,
        batch_limit: int = 1000,
        queue_limit: int = 10_000,
    ) -> None:
        """`after_each` looks at what a command has done and may add to it, in the same commit."""
        self._database = database
        self._clock = clock
        self._ids = ids
        self._random = random
        self._handlers = handlers
        self._subscriptions = subscriptions
        self._on_events = on_events
        self._after_each = after_each
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._lanes: dict[Lane, deque[_Waiting]] = {Lane.RESOLUTION: deque(), Lane.REQUEST: deque()}
        self._in_flight_keys: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._busy: list[_Waiting] = []
        self._busy_since_ms = 0
        self._log = logging.getLogger(__name__)
        self.counters = Counters()

    async def execute(
        self,
        command: object,
        *,
        idempotency: IdempotencyKey | None = None,
        status: int = 200,
        delivery: ClaimedDelivery | None = None,
    ) -> Any:
        """Run one command and return its result once it is committed.

        With an idempotency key the result is the answer's JSON text: of the first request, or replayed. Raises the
        DomainError the command is refused with; Overloaded when the queue is full; InProgress when the first request
        under the key has not been answered for five seconds; CommitUnresolved when the process stops before it is
        known whether the command was committed. A caller cancelled while waiting is skipped.
        """
        waiting = self.enqueue(command, idempotency=idempotency, status=status, delivery=delivery)
        if idempotency is None:
            return await waiting
        key = idempotency.key_hash
        twin = key in self._in_flight_keys
        self._in_flight_keys[key] = self._in_flight_keys.get(key, 0) + 1
        try:
            if twin and not (await asyncio.wait({waiting}, timeout=IN_PROGRESS_AFTER_SECONDS))[0]:
                raise InProgress
            return await waiting
        finally:
            waiting.cancel()  # of effect only for a caller who stopped waiting: the command is skipped then
            left = self._in_flight_keys.pop(key) - 1
            if left:
                self._in_flight_keys[key] = left

    def enqueue(
        self,
        command: object,
        *,
        idempotency: IdempotencyKey | None = None,
        status: int = 200,
        delivery: ClaimedDelivery | None = None,
    ) -> asyncio.Future[Any]:
        """Queue one command without waiting; commands queued one after another run in that order."""
        lane = self._handlers[type(command)][1]
        queue = self._lanes[lane]
        if lane is Lane.REQUEST and len(queue) >= self._queue_limit:
            raise Overloaded
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.append(_Waiting(command, future, idempotency, status, delivery))
        self._wake.set()
        return future

    @property
    def queued(self) -> int:
        """Commands waiting or running."""
        return sum(len(queue) for queue in self._lanes.values()) + len(self._busy)

    @property
    def busy_ms(self) -> int:
        """How long the batch at work has been under way; 0 when there is none."""
        return self._clock.monotonic_ms() - self._busy_since_ms if self._busy else 0

    async def run(self) -> None:
        """Serve until cancelled. Then what never ran is told Overloaded, and what is in mid-commit CommitUnresolved."""
        try:
            while True:
                await self._wake.wait()
                self._busy = self._take()
                self._busy_since_ms = self._clock.monotonic_ms()
                if self._busy:
                    await self._run(self._busy)
                else:
                    self._wake.clear()
        finally:
            for waiting in self._busy:
                _fail(waiting, CommitUnresolved())
            for queue in self._lanes.values():
                for waiting in queue:
                    _fail(waiting, Overloaded("The system is stopping; nothing was done."))

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        for lane in (Lane.RESOLUTION, Lane.REQUEST):
            queue = self._lanes[lane]
            while queue and len(batch) < self._batch_limit:
                waiting = queue.popleft()
                if not waiting.future.done():
                    batch.append(waiting)
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        """Commit a batch, whatever it takes: retry what passes, halve to isolate a fault, resolve a lost answer."""
        failure: Exception | None = None
        for round_ in range(MAX_ATTEMPTS):
            if round_:
                self.counters.transient_retries += 1
                await self._clock.sleep(self._random.below(20 << round_) + 1)
            attempt = _Attempt(BatchId(self._ids.new()))
            try:
                await self._attempt(batch, attempt)
            except Transient as passing:
                failure = passing
            except CommitUnknown as silence:
                self.counters.unknown_commits += 1
                if not await self._can_never_commit(attempt.batch_id):
                    self._conclude(attempt)
                    return
                self.counters.abandoned += 1
                failure = silence
            except Exception as fault:  # noqa: BLE001  (whose fault it is, halving tells)
                await self._isolate(batch, fault)
                return
            else:
                self._conclude(attempt)
                return
        self._log.warning("gave up on %d commands: %s", len(batch), failure)
        for waiting in batch:
            _fail(waiting, Overloaded("The database is not available now; nothing was done."))

    async def _isolate(self, batch: list[_Waiting], fault: Exception) -> None:
        """Run the halves on their own until the command at fault stands alone."""
        if len(batch) > 1:
            self.counters.halvings += 1
            middle = len(batch) // 2
            await self._run(batch[:middle])
            await self._run(batch[middle:])
            return
        (waiting,) = batch
        if isinstance(fault, ConstraintViolated) and not waiting.retried_alone:
            # Another process may just have written the row that is in the way; a fresh reading will see it.
            waiting.retried_alone = True
            await self._run(batch)
            return
        self._log.error("%s failed", type(waiting.command).__name__, exc_info=fault)
        _fail(waiting, fault)

    async def _can_never_commit(self, batch_id: BatchId) -> bool:
        """Ask until the database says whether the batch committed; nobody is answered before."""
        pause_ms = 50
        while True:
            try:
                return await self._database.abandon(batch_id, self._clock.now())
            except Exception as silence:  # noqa: BLE001  (whatever it is, there is nothing to do but to ask again)
                self._log.warning("the database does not say whether a batch was committed: %s", type(silence).__name__)
            await self._clock.sleep(pause_ms)
            pause_ms = min(pause_ms * 2, 5_000)

    async def _attempt(self, batch: list[_Waiting], attempt: _Attempt) -> None:
        work = Work(batch_id=attempt.batch_id, now=self._clock.now(), ids=self._ids, subscriptions=self._subscriptions)
        async with self._database.unit_of_work() as unit:
            await unit.lock(work, await self._footprint(batch, unit, work))
            for waiting in batch:
                if not waiting.future.done():
                    self._handle(waiting, work, attempt)
            attempt.consumers = work.owed_to
            await unit.flush(work)
            await unit.commit()

    async def _footprint(self, batch: list[_Waiting], unit: UnitOfWork, work: Work) -> Footprint:
        by_type: defaultdict[type, list[Any]] = defaultdict(list)
        footprint = Footprint()
        for waiting in batch:
            by_type[type(waiting.command)].append(waiting.command)
            if waiting.idempotency is not None:
                footprint.add(IDEMPOTENCY_KEYS, waiting.idempotency.key_hash)
            if waiting.delivery is not None:
                footprint.add(DELIVERIES, (waiting.delivery.consumer, waiting.delivery.event_id))
            if waiting.extra is not None:
                footprint.merge(waiting.extra)

        async def find(index: Index[K, V], keys: Collection[K]) -> Mapping[K, V]:
            found = await unit.find(index, keys)
            work.looked_up(index, found)
            return found

        for command_type, commands in by_type.items():
            footprint.merge(await self._handlers[command_type][0].footprint(commands, find))
        return footprint

    def _handle(self, waiting: _Waiting, work: Work, attempt: _Attempt) -> None:
        work.begin()
        try:
            result = self._settle_and_handle(waiting, work)
            if self._after_each is not None:
                self._after_each(work)
        except NotLocked as missing:
            work.forget()
            attempt.deferred.append((waiting, missing))
            return
        except DomainError as refusal:
            work.forget()
            attempt.outcomes.append(_Outcome(waiting, error=refusal))
            return
        except Exception as bug:  # noqa: BLE001  (one caller's bug is that caller's alone)
            work.forget()
            self._log.error("%s failed", type(waiting.command).__name__, exc_info=bug)
            attempt.outcomes.append(_Outcome(waiting, error=bug))
            return
        error = result.error if isinstance(result, Refused) else None
        attempt.outcomes.append(_Outcome(waiting, result, error))

    def _settle_and_handle(self, waiting: _Waiting, work: Work) -> Any:
        delivery = waiting.delivery
        if delivery is not None:
            key = (delivery.consumer, delivery.event_id)
            owed = work.get(DELIVERIES, key)
            if owed is None or owed.dead or owed.fence != delivery.fence:
                raise LostLicence
            work.put(DELIVERIES, key, None)
        idempotency = waiting.idempotency
        handler = self._handlers[type(waiting.command)][0]
        if idempotency is None:
            return handler.handle(waiting.command, work)
        stored = work.get(IDEMPOTENCY_KEYS, idempotency.key_hash)
        if stored is not None and stored.expires_at > work.now:
            return idempotency.replay(stored)
        answer: Answer | Refused = handler.handle(waiting.command, work)
        if isinstance(answer, Refused):
            return answer
        text = render(answer)
        work.put(IDEMPOTENCY_KEYS, idempotency.key_hash, idempotency.answered(text, waiting.status, work.now))
        return text

    def _conclude(self, attempt: _Attempt) -> None:
        """The attempt is committed: answer, queue again what lacked rows, and wake those the events are owed to."""
        self.counters.batches += 1
        self.counters.commands += len(attempt.outcomes)
        for outcome in attempt.outcomes:
            future = outcome.waiting.future
            if future.done():
                continue
            if outcome.error is not None:
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome.result)
        for waiting, missing in reversed(attempt.deferred):
            self.counters.not_locked += 1
            waiting.deferrals += not isinstance(missing, Stale)
            if waiting.deferrals > MAX_DEFERRALS:
                _fail(waiting, missing)
                continue
            waiting.extra = (waiting.extra or Footprint()).add(missing.kind, *missing.keys)
            self._lanes[self._handlers[type(waiting.command)][1]].appendleft(waiting)
            self._wake.set()
        if attempt.consumers:
            self._on_events(attempt.consumers)


def _fail(waiting: _Waiting, error: BaseException) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)
