"""The accumulator in plain Python: the twin of `_accumulator`, whose theory of operation it shares.

Threads. What the compiled module gets from the GIL for nothing takes a lock here. It is reentrant, and every method
that changes a queue first asks whether this very thread is inside one already (`_inside`): a finalizer or a signal
handler that sends from inside a send. Such a record is not torn into a half-changed queue but kept aside, and put into
its batch by the outer call on its way out.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from felice.clock import Clock
from felice.config import TopicConfig
from felice.errors import UsageError
from felice.producer._batches_plain import (
    DELIVERED,
    FAILED,
    OPEN,
    SEALED,
    SMALLEST_BUFFER,
    Batch,
    Delivery,
    PartitionQueue,
    Span,
    Topic,
    deliver,
)
from felice.wire._records_plain import BatchBuilder, murmur2, stamp
from felice.wire.record import HEADER_BYTES

__all__ = [
    "BAD_PARTITION",
    "DELIVERED",
    "FAILED",
    "NOT_PLAIN",
    "NO_ROOM",
    "OPEN",
    "SEALED",
    "TOO_LARGE",
    "UNKNOWN_TOPIC",
    "Accumulator",
    "AsyncFace",
    "Batch",
    "Delivery",
    "PartitionQueue",
    "Span",
    "SyncFace",
    "Topic",
    "deliver",
    "largest",
]

UNKNOWN_TOPIC: Final = 1
NO_ROOM: Final = 2
TOO_LARGE: Final = 3
BAD_PARTITION: Final = 4
NOT_PLAIN: Final = 5

RECORD_OVERHEAD = 36


class Accumulator:
    """Every open and sealed batch of a producer, in one budget of bytes."""

    def __init__(
        self,
        limit: int,
        ring: Callable[[], None],
        clock: Clock,
        stamper: Callable[[], int] | None = None,
    ) -> None:
        """Make an empty accumulator.

        `limit` is the budget in bytes, `ring()` tells the engine that there is work, `clock` says when a batch was
        begun, and `stamper()` gives the wall clock in milliseconds where it is not the machine's.
        """
        self.limit = limit
        self.used = 0
        self.pooled = 0
        self.direct = True
        self._ring = ring
        self._monotonic = clock.monotonic
        self._stamper = stamper or _now_ms
        self._topics: dict[str, Topic] = {}  # those that callers find
        self._learned: dict[str, Topic] = {}
        self._dirty: list[PartitionQueue] = []
        self._lock = threading.RLock()
        self._inside = False
        self._aside: deque[tuple[Batch, int, Topic, tuple[Any, ...]]] = deque()

    def __class_getitem__(cls, item: object) -> type["Accumulator"]:
        return cls

    # -- callers ---------------------------------------------------------------------------------------------------

    def offer(
        self, topic: str, value: Any, key: Any, headers: Any, partition: int | None, timestamp_ms: int | None
    ) -> Delivery | int:
        """Take a record if nothing stands in the way, and return its Delivery; otherwise the reason, a number."""
        if type(topic) is not str:
            return NOT_PLAIN
        known = self._topics.get(topic)
        if known is None:
            return UNKNOWN_TOPIC
        return self._offer_to(known, value, key, headers, partition, timestamp_ms, False)

    def _offer_to(
        self,
        known: Topic,
        value: Any,
        key: Any,
        headers: Any,
        partition: int | None,
        timestamp_ms: int | None,
        lenient: bool,
    ) -> Delivery | int:
        if not ((value is None or type(value) is bytes) and (key is None or type(key) is bytes)):
            return NOT_PLAIN
        need = RECORD_OVERHEAD + len(value or b"") + len(key or b"")
        if headers is not None:
            size = _headers_size(headers)
            if size < 0:
                return NOT_PLAIN
            need += size
        if need + HEADER_BYTES > known.record_bytes and not lenient:
            return TOO_LARGE
        if timestamp_ms is None:
            timestamp_ms = self._stamper()
        elif type(timestamp_ms) is not int or not 0 <= timestamp_ms < 2**63:
            return NOT_PLAIN
        if partition is not None and (type(partition) is not int or not 0 <= partition < len(known.queues)):
            return BAD_PARTITION
        with self._lock:
            if self._inside:
                stand_in = Batch()
                stand_in.reserve()
                self._aside.append((stand_in, 0, known, (value, key, headers, partition, timestamp_ms)))
                return Delivery(stand_in, 0, timestamp_ms)
            self._inside = True
            try:
                taken = self._append(known, value, key, headers, partition, timestamp_ms, need, lenient)
                while self._aside:
                    self._append_aside()
            finally:
                self._inside = False
        if type(taken) is Delivery and taken._index == 0:
            self._ring()
        return taken

    def _append_aside(self) -> None:
        """Give a record that was sent from inside a send its place."""
        stand_in, index, known, (value, key, headers, partition, timestamp_ms) = self._aside.popleft()
        need = RECORD_OVERHEAD + len(value or b"") + len(key or b"") + max(_headers_size(headers or ()), 0)
        taken = self._append(known, value, key, headers, partition, timestamp_ms, need, True)
        if isinstance(taken, Delivery):
            stand_in.move(index, *taken._place())
            self._ring()

    def _append(
        self,
        known: Topic,
        value: bytes | None,
        key: bytes | None,
        headers: Any,
        partition: int | None,
        timestamp_ms: int,
        need: int,
        lenient: bool,
    ) -> Delivery | int:
        sticky = False
        if partition is not None:
            if partition >= len(known.queues):
                return BAD_PARTITION  # A topic that was made anew may have fewer.
            queue = known.queues[partition]
        elif key is not None:
            queue = known.queues[(murmur2(key) & 0x7FFFFFFF) % len(known.queues)]
        else:
            sticky = True
            queue = known.sticky
        batch = queue.open
        if batch is not None and batch.builder.size + need > known.batch_bytes and batch.count:
            self._seal(queue)
            batch = None
            if sticky:
                queue = known.turn()
                batch = queue.open
                if batch is not None and batch.builder.size + need > known.batch_bytes:
                    self._seal(queue)
                    batch = None
        # There is no buffer to allocate ahead here, so a record is charged for the bytes that it takes.
        cost = need + (HEADER_BYTES if batch is None else 0)
        if self.used + cost > self.limit and not lenient:
            return NO_ROOM
        if batch is None:
            batch = Batch(queue)
            batch.builder = BatchBuilder(SMALLEST_BUFFER)
            batch.begun = self._monotonic()
            queue.open = batch
            self._mark(queue)
        index = batch.builder.append(value, key, headers or (), timestamp_ms)
        batch.count = index + 1
        batch.charge += cost
        self.used += cost
        return Delivery(batch, index, timestamp_ms)

    def offer_many(
        self,
        topic: str,
        values: list[Any],
        keys: list[Any] | None,
        headers: list[Any] | None,
        partition: int | None,
        timestamp_ms: int | None,
        start: int,
        spans: list[Span],
    ) -> tuple[int, int]:
        """Take records from `start` on while nothing stands in the way; add their spans.

        Returns how many records are taken by now, and the reason why the next one was not, or 0.
        """
        for i in range(start, len(values)):
            taken = self.offer(
                topic,
                values[i],
                None if keys is None else keys[i],
                None if headers is None else headers[i],
                partition,
                timestamp_ms,
            )
            if isinstance(taken, int):
                return i, taken
            batch = taken._batch
            span = batch.span
            # A span ends where another caller's record comes between.
            if span is None or span.owner is not spans or span.first + span.count != taken._index:
                batch.span = span = Span(spans, batch, taken._index, 0)
                spans.append(span)
            span.count += 1
        return len(values), 0

    # -- batches ---------------------------------------------------------------------------------------------------

    def _seal(self, queue: PartitionQueue) -> None:
        batch = queue.open
        if batch is not None:
            batch.state = SEALED
            queue.open = None
            queue.sealed.append(batch)
            self._mark(queue)

    def _mark(self, queue: PartitionQueue) -> None:
        if not queue.dirty:
            queue.dirty = True
            self._dirty.append(queue)

    def seal(self, queue: PartitionQueue) -> None:
        """Close the queue's open batch, if there is one, so that it can be sent."""
        with self._lock:
            if queue.open is not None and queue.open.count and not self._inside:
                self._seal(queue)
                if queue.owner.sticky is queue:
                    queue.owner.turn()

    def seal_all(self) -> int:
        """Close every open batch; return how many there were."""
        sealed = 0
        for known in self.topics():
            for queue in known.queues + known.beyond:
                if queue.open is not None:
                    self.seal(queue)
                    sealed += 1
        if sealed:
            self._ring()
        return sealed

    def take_dirty(self) -> list[PartitionQueue]:
        """Return the queues that have a new open or sealed batch since the last call. On the engine."""
        with self._lock:
            dirty, self._dirty = self._dirty, []
            for queue in dirty:
                queue.dirty = False
        return dirty

    def release(self, batch: Batch, builder: BatchBuilder | None = None) -> None:
        """Give a batch's bytes back to the budget; keep its buffer for reuse if nobody refers to it. On the engine."""
        with self._lock:
            self.used -= batch.charge
            batch.charge = 0
        batch.builder = None
        batch.payload = None

    def finish(self, batches: list[Batch]) -> None:
        """Write the headers and checksums of batches that go for the first time, in one go. On the engine.

        A batch whose bytes were made before (by compression) is only stamped.
        """
        for batch in batches:
            if batch.payload is None:
                batch.payload = batch.builder.seal(
                    producer_id=batch.producer_id,
                    producer_epoch=batch.producer_epoch,
                    base_sequence=batch.base_sequence,
                )
            elif batch.attempts == 1 and batch.producer_id >= 0:
                stamp(
                    batch.payload,
                    producer_id=batch.producer_id,
                    producer_epoch=batch.producer_epoch,
                    base_sequence=batch.base_sequence,
                )

    def compressed(self, batch: Batch, payload: Any) -> None:
        """Take a batch's compressed bytes and let its plain ones go. On the engine."""
        with self._lock:
            self.used += len(payload) - batch.charge
            batch.charge = len(payload)
        batch.payload = payload
        batch.builder = None

    def adopt(self, queue: PartitionQueue, builder: BatchBuilder, begun: float) -> Batch:
        """Make a sealed batch of a builder's records, in the budget but in no queue. On the engine."""
        made = Batch(queue)
        made.builder = builder
        made.count = builder.count
        made.begun = begun
        made.state = SEALED
        made.charge = builder.size
        self.charge(made.charge)
        return made

    def charge(self, amount: int) -> None:
        """Take bytes from the budget for a record that waits elsewhere (negative: give them back)."""
        with self._lock:
            self.used += amount

    # -- topics ----------------------------------------------------------------------------------------------------

    def set_topic(
        self, name: str, options: TopicConfig, partitions: int, available: Iterable[int], first: int
    ) -> Topic:
        """Learn a topic or its newer shape: how many partitions there are, and which have a leader.

        `first` is where records without a key begin, modulo the available partitions. Returns the topic.
        """
        known = self._learned.get(name) or Topic(self, name, options)
        with self._lock:
            self._learned[name] = known
            # Fewer than before: the topic was made anew. The queues beyond are kept, as their partitions may come back,
            # and there must never be two for one partition.
            while len(known.queues) > partitions:
                known.beyond.append(known.queues.pop())
            while len(known.queues) < partitions:
                known.queues.append(known.beyond.pop() if known.beyond else PartitionQueue(known, len(known.queues)))
            known.available = [known.queues[p] for p in available if p < partitions]
            if known.sticky is None and partitions:
                known.turns = first
                known.sticky = known.queues[0]
                known.turn()
            elif known.sticky.partition >= partitions or (known.available and known.sticky not in known.available):
                known.turn()
        return known

    def admit(self, known: Topic) -> None:
        """Let callers find the topic."""
        self._topics[known.name] = known

    def topic(self, name: str) -> Topic | None:
        """Return the topic as far as it is known, or None."""
        return self._topics.get(name)

    def topics(self) -> list[Topic]:
        """Return every topic that is known."""
        return list(self._learned.values())

    def place_record(
        self,
        known: Topic,
        value: bytes | None,
        key: bytes | None,
        headers: Any,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> Delivery | int:
        """Put a checked record into its queue, whatever the budget and the usual limit of a record say.

        Returns its Delivery, or the reason, a number, why it has no place at all.
        """
        return self._offer_to(known, value, key, headers, partition, timestamp_ms, True)


class SyncFace:
    """A producer as threads see it: the core behind `send`."""

    def __init__(self, core: Accumulator) -> None:
        self._core: Any = core

    def __class_getitem__(cls, item: object) -> type:
        return cls

    def send(
        self,
        topic: str,
        value: Any = None,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Delivery:
        """Accept one record; wait for room in the buffer where there is none. Returns its Delivery.

        `headers` is a series of (str, bytes or None), `timestamp_ms` milliseconds since 1970 (now, if not given).
        Without `partition` it is chosen by the key, or the record joins the batch that is being filled. Raises
        BufferFull when there is no room within `buffer_timeout`, RecordTooLarge, UsageError for values of a wrong
        type or range, ClosedError and ForkedError; nothing was accepted then.
        """
        if self._core.direct:
            taken = self._core.offer(topic, value, key, headers, partition, timestamp_ms)
            if type(taken) is Delivery:
                return taken
        slowly: Delivery = self._core._send_slowly(topic, value, key, headers, partition, timestamp_ms)
        return slowly


class AsyncFace:
    """A producer as coroutines see it: the core behind `send`."""

    def __init__(self, core: Accumulator) -> None:
        self._core: Any = core

    def __class_getitem__(cls, item: object) -> type:
        return cls

    async def send(
        self,
        topic: str,
        value: Any = None,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Delivery:
        """Accept one record; wait for room in the buffer where there is none. Returns its Delivery, to be awaited.

        `headers` is a series of (str, bytes or None), `timestamp_ms` milliseconds since 1970 (now, if not given).
        Without `partition` it is chosen by the key, or the record joins the batch that is being filled. Raises
        BufferFull when there is no room within `buffer_timeout`, RecordTooLarge, UsageError for values of a wrong
        type or range, ClosedError and ForkedError; nothing was accepted then. Cancelling the delivery's await does
        not cancel the record.
        """
        if self._core.direct:
            taken = self._core.offer(topic, value, key, headers, partition, timestamp_ms)
            if type(taken) is Delivery:
                return taken
        slowly: Delivery = await self._core._send_slowly_async(topic, value, key, headers, partition, timestamp_ms)
        return slowly


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def largest(column: list[Any]) -> int:
    """Return the size of the longest item, or -1 where they are not all bytes or None."""
    if {type(item) for item in column} - {bytes, type(None)}:
        return -1
    return max((len(item) for item in column if item is not None), default=0)


def _headers_size(headers: Any) -> int:
    """Return the most that these headers take, or -1 where they are not all (str, bytes or None)."""
    if type(headers) is not list and type(headers) is not tuple:
        return -1
    total = 5 if headers else 0
    for header in headers:
        if type(header) is not tuple or len(header) != 2:
            return -1
        name, value = header
        if type(name) is not str or not (value is None or type(value) is bytes):
            return -1
        try:
            total += 10 + len(name.encode("utf-8", "surrogateescape")) + len(value or b"")
        except UnicodeEncodeError:
            raise UsageError(f"the name of a header, {name!r}, is not Unicode") from None
    return total
