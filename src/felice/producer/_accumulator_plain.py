"""The accumulator in plain Python: the twin of `_accumulator`, whose theory of operation it shares.

Threads. What the compiled module gets from the GIL for nothing takes a lock here. It is reentrant, and every method
that changes a queue first asks whether this very thread is inside one already (`_inside`): a finalizer or a signal
handler that sends from inside a send. Such a record is not torn into a half-changed queue but kept aside, and put into
its batch by the outer call on its way out.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Final

from felice.clock import Clock
from felice.config import TopicConfig
from felice.errors import UsageError
from felice.producer import delivery as _delivery
from felice.types import RecordMetadata
from felice.wire._records_plain import BatchBuilder, murmur2, stamp
from felice.wire.record import HEADER_BYTES

OPEN: Final = 0
SEALED: Final = 1
DELIVERED: Final = 2
FAILED: Final = 3

UNKNOWN_TOPIC: Final = 1
NO_ROOM: Final = 2
TOO_LARGE: Final = 3
BAD_PARTITION: Final = 4
NOT_PLAIN: Final = 5

RECORD_OVERHEAD = 36
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
        self.hooks: list[tuple[int, Callable[[], object]]] = []
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
            mine = [hook for at, hook in self.hooks if at == index]
            if mine:
                self.hooks = [entry for entry in self.hooks if entry[0] != index]
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
                batch.hooks.append((index, hook))
                return
        hook()

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
            hooks, self.hooks = self.hooks, []
        for _, hook in hooks:
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
