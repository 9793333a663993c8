"""Batches, their records' handles, and the queues they stand in, in plain Python: a part of `_accumulator_plain`."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from felice.config import TopicConfig
from felice.producer import delivery as _delivery
from felice.types import RecordMetadata

if TYPE_CHECKING:
    from felice.producer._accumulator_plain import Accumulator

__all__ = [
    "DELIVERED",
    "FAILED",
    "OPEN",
    "SEALED",
    "SMALLEST_BUFFER",
    "Batch",
    "Delivery",
    "PartitionQueue",
    "Span",
    "Topic",
    "deliver",
]

OPEN: Final = 0
SEALED: Final = 1
DELIVERED: Final = 2
FAILED: Final = 3

SMALLEST_BUFFER = 1024

_hooking = threading.RLock()


class Batch:
    """Records of one partition that are sent, and settled, together.

    The completion state outlives the buffer: handles read it for as long as they live.
    """

    __slots__ = (
        "__weakref__",
        "append_time_ms",
        "attempts",
        "base_offset",
        "base_sequence",
        "begun",
        "builder",
        "charge",
        "count",
        "error",
        "hooks",
        "in_doubt",
        "in_flight",
        "looked",
        "moved",
        "payload",
        "producer_epoch",
        "producer_id",
        "queue",
        "serial",
        "span",
        "state",
        "wanted",
    )

    def __init__(self, queue: "PartitionQueue | None" = None) -> None:
        """Make an empty batch of a queue; without one it only stands for records that move on later."""
        self.queue: Any = queue
        self.builder: Any = None
        self.count = 0
        self.state: int = OPEN
        self.base_offset = -1
        self.append_time_ms = -1
        self.error: Exception | None = None
        self.begun = 0.0
        self.charge = 0
        self.wanted = False
        self.looked = False
        self.moved: list[tuple[Batch, int] | None] | None = None
        self.hooks: dict[int, list[Callable[[], object]]] = {}  # by index
        self.span: Span | None = None
        self.payload: Any = None
        self.serial = 0
        self.producer_id = -1
        self.producer_epoch = -1
        self.base_sequence = -1
        self.attempts = 0
        self.in_flight = False
        self.in_doubt = False

    def __len__(self) -> int:
        return self.count

    @property
    def done(self) -> bool:
        """Whether every record has an outcome."""
        return self.state >= DELIVERED

    def reserve(self) -> int:
        """Add a record that has no bytes here (it moves on later) and return its index."""
        self.count += 1
        return self.count - 1

    def hurry(self) -> None:
        """Somebody waits: have the batch sent as soon as nothing of its partition is under way."""
        if not self.wanted:
            self.wanted = True
            if self.queue is not None and self.queue.open is self:
                accumulator = self.queue.owner.accumulator
                with accumulator._lock:
                    accumulator._mark(self.queue)
                accumulator._ring()

    def place(self, index: int) -> "tuple[Batch, int]":
        """Return the batch that holds the record now, and its index there."""
        batch = self
        # `moved` may be shorter than the batch: records are staged behind those that have moved on.
        while batch.moved is not None and index < len(batch.moved) and (found := batch.moved[index]) is not None:
            batch, index = found
        return batch, index

    def move(self, index: int, target: "Batch", target_index: int) -> None:
        """Let another batch stand for the record from now on. On the engine, once a record."""
        with _hooking:
            moved = self.moved or []
            moved.extend([None] * (self.count - len(moved)))
            moved[index] = (target, target_index)
            self.moved = moved
            mine = self.hooks.pop(index, ())
        target.looked = target.looked or self.looked
        if self.wanted:
            target.hurry()
        for hook in mine:
            target.watch(target_index, hook, False)

    def watch(self, index: int, hook: Callable[[], object], looks: bool = True) -> None:
        """Call `hook()` once the record has its outcome: later on the engine, or now. It must be short.

        `looks` says that somebody will look at the outcome, so that a failure need not be told elsewhere.
        """
        with _hooking:
            batch, index = self.place(index)
            batch.looked = batch.looked or looks
            if batch.state < DELIVERED:
                batch.hooks.setdefault(index, []).append(hook)
                return
        hook()

    def unwatch(self, index: int, hook: Callable[[], object]) -> None:
        """Take a hook back whose caller waits no more."""
        with _hooking:
            batch, index = self.place(index)
            mine = batch.hooks.get(index, [])
            if hook in mine:
                mine.remove(hook)

    def settle(self, base_offset: int, append_time_ms: int = -1, error: Exception | None = None) -> None:
        """Give every record its outcome and run the hooks. On the engine, once; the buffer is let go."""
        if self.state >= DELIVERED:
            return
        self.base_offset = base_offset
        self.append_time_ms = append_time_ms
        self.error = error
        self.builder = None
        self.payload = None
        with _hooking:
            self.state = DELIVERED if error is None else FAILED
            hooks, self.hooks = self.hooks, {}
        for mine in hooks.values():
            for hook in mine:
                hook()

    def settle_one(self, index: int, error: Exception) -> "Batch":
        """Fail one record of a batch that only stands for records; the others move on. On the engine.

        Returns the batch that stands for the failed record.
        """
        failed = Batch(self.queue)
        failed.count = 1
        failed.state = FAILED
        failed.error = error
        failed.looked = self.looked
        self.move(index, failed, 0)
        return failed


class Delivery:
    """One record on its way: ask it, wait for it, await it. Made by a producer's `send`."""

    __slots__ = ("_batch", "_index", "_timestamp_ms")

    def __init__(self, batch: Batch, index: int, timestamp_ms: int) -> None:
        self._batch = batch
        self._index = index
        self._timestamp_ms = timestamp_ms

    def _place(self) -> tuple[Batch, int]:
        """Return the batch that holds the record now, and its index there."""
        return self._batch.place(self._index)

    def done(self) -> bool:
        """Tell whether the record has its outcome."""
        return self._place()[0].state >= DELIVERED

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Wait up to `timeout` seconds for the record's RecordMetadata; raise what became of it instead.

        Raises DeadlineExceeded when the time is up (the record is still on its way), and the record's own error
        otherwise.
        """
        batch, index = self._place()
        if batch.state != DELIVERED:
            batch, index = _delivery.outcome(self, timeout)  # type: ignore[arg-type, assignment]  # the twin's types
        return RecordMetadata(
            batch.queue.topic,
            batch.queue.partition,
            batch.base_offset + index if batch.base_offset >= 0 else -1,
            batch.append_time_ms if batch.append_time_ms >= 0 else self._timestamp_ms,
        )

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait up to `timeout` seconds; return the record's error, or None where it was delivered."""
        return _delivery.exception(self, timeout)  # type: ignore[arg-type]  # the twin's types

    def add_done_callback(self, callback: Callable[["Delivery"], object]) -> None:
        """Call `callback(delivery)` when the record has its outcome.

        On the running event loop where this is called on one, and on felice's callback thread otherwise.
        """
        _delivery.add_callback(self, callback)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        return _delivery.awaiting(self).__await__()  # type: ignore[arg-type]  # the twin's types


def deliver(batch: Batch, index: int, timestamp_ms: int) -> Delivery:
    """Make the handle of a record in a batch."""
    return Delivery(batch, index, timestamp_ms)


class Span:
    """Records that one `send_many` put into one batch, one after another."""

    __slots__ = ("batch", "count", "first", "owner")

    def __init__(self, owner: object, batch: Batch, first: int, count: int) -> None:
        self.owner = owner
        self.batch = batch
        self.first = first
        self.count = count


class PartitionQueue:
    """One partition's batches: the open one, and the sealed ones in order."""

    __slots__ = ("dirty", "expected", "lane", "open", "owner", "partition", "sealed", "topic")

    def __init__(self, owner: "Topic", partition: int) -> None:
        self.owner = owner
        self.topic = owner.name
        self.partition = partition
        self.open: Batch | None = None
        self.sealed: deque[Batch] = deque()
        self.dirty = False
        self.expected = SMALLEST_BUFFER
        self.lane: Any = None


class Topic:
    """A topic whose partitions are known."""

    __slots__ = (
        "accumulator",
        "available",
        "batch_bytes",
        "beyond",
        "linger",
        "name",
        "options",
        "queues",
        "record_bytes",
        "sticky",
        "turns",
    )

    def __init__(self, accumulator: "Accumulator", name: str, options: TopicConfig) -> None:
        self.accumulator = accumulator
        self.name = name
        self.options = options
        self.linger = options.linger
        self.batch_bytes = options.batch_bytes
        self.record_bytes = options.record_bytes
        self.queues: list[PartitionQueue] = []
        self.beyond: list[PartitionQueue] = []
        self.available: list[PartitionQueue] = []
        self.sticky: Any = None
        self.turns = 0

    def turn(self) -> PartitionQueue:
        """Go on to the next partition that has a leader, for records without a key."""
        n = len(self.available)
        if n:
            self.turns = (self.turns + 1) % n
            self.sticky = self.available[self.turns]
        else:
            self.sticky = self.queues[(self.sticky.partition + 1) % len(self.queues)]
        sticky: PartitionQueue = self.sticky
        return sticky
