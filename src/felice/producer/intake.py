"""The intake: what callers' threads do with a record until the engine has it.

A record is checked, offered to the accumulator, and where that does not take it, staged or made to wait for room.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

from felice import native
from felice.clock import Clock, SystemClock
from felice.cluster.engine import Engine
from felice.cluster.handoff import OneShot
from felice.cluster.health import Health
from felice.config import ProducerConfig, TopicConfig
from felice.errors import (
    BufferFull,
    ClosedError,
    ConfigError,
    DeadlineExceeded,
    ForkedError,
    RecordTooLarge,
    UsageError,
)
from felice.producer.delivery import within
from felice.producer.many import Many
from felice.producer.record import Record, check_record, is_whole
from felice.producer.staging import Staging
from felice.types import K, RecordMetadata, V
from felice.wire.records import HEADER_BYTES, BatchBuilder, Codec

if TYPE_CHECKING:
    from felice.producer._accumulator import (
        BAD_PARTITION,
        NO_ROOM,
        TOO_LARGE,
        UNKNOWN_TOPIC,
        Accumulator,
        Batch,
        Delivery,
        PartitionQueue,
        Topic,
        deliver,
        largest,
    )
else:
    _native = native.pick("felice.producer._accumulator")
    deliver, largest = _native.deliver, _native.largest
    Accumulator, Batch, PartitionQueue, Topic = (
        _native.Accumulator,
        _native.Batch,
        _native.PartitionQueue,
        _native.Topic,
    )
    BAD_PARTITION, NO_ROOM, TOO_LARGE, UNKNOWN_TOPIC = (
        _native.BAD_PARTITION,
        _native.NO_ROOM,
        _native.TOO_LARGE,
        _native.UNKNOWN_TOPIC,
    )

__all__ = ["Intake"]

ROOM_AGAIN = 0.75
"""Who waits for room is woken when the buffer is down to this part, so that a wake is worth many records."""


class Intake(Accumulator[K, V], Generic[K, V]):
    """The callers' half of a producer."""

    def __init__(
        self,
        config: ProducerConfig,
        *,
        key_serializer: Callable[[K], bytes | None] | None,
        value_serializer: Callable[[V], bytes | None] | None,
        engine: Engine,
        clock: Clock | None,
        ring: Callable[[], None],
    ) -> None:
        """Take the options and what callers hand in; `ring` runs on the engine when there is work for it."""
        for name, given in (("key_serializer", key_serializer), ("value_serializer", value_serializer)):
            if given is not None and not callable(given):
                raise ConfigError(f"{name}={given!r}", hint="give a callable that returns bytes or None")
        self.config = config
        self._clock = clock or SystemClock()
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._engine = engine
        self._ring_engine = engine.mailbox(ring).notify
        super().__init__(
            config.buffer_bytes,
            self._ring_engine,
            self._clock,
            None if clock is None else clock.time_ms,
        )
        self._partitioned = config.partitioner is not None or any(
            "partitioner" in over for over in config.topics.values()
        )
        self._plain = not (key_serializer or value_serializer or self._partitioned)
        self.direct = self._plain
        self._closed = False
        self._forked = False
        self._unfork = self._engine.when_forked(self._on_fork)
        self._staging = Staging(self._stand_in)
        self._waiters: list[OneShot[None]] = []
        self._by_topic: dict[str, TopicConfig] = {}

    # -- one record ---------------------------------------------------------------------------------------

    def _on_fork(self) -> None:
        self._forked = True
        self.direct = False

    def _check_usable(self) -> None:
        if self._forked:
            raise ForkedError(
                "this producer was made before a fork() and belongs to the parent process",
                hint="make a producer in the process that uses it",
            )
        if self._closed:
            raise ClosedError("the producer is closed", hint="nothing was accepted; make a new one")
        self._engine.check()

    def _prepare(
        self, topic: str, value: Any, key: Any, headers: Any, partition: int | None, timestamp_ms: int | None
    ) -> Record:
        """Serialize and check a record; raise UsageError for what can never be sent."""
        self._check_usable()
        if self._key_serializer is not None and key is not None:
            key = _serialized("key_serializer", self._key_serializer(key))
        if self._value_serializer is not None and value is not None:
            value = _serialized("value_serializer", self._value_serializer(value))
        record = check_record(topic, value, key, headers, partition, timestamp_ms)
        known = self.topic(topic) if self._partitioned else None
        return record if known is None else self._with_partition(known, record)

    @staticmethod
    def _with_partition(known: "Topic", record: Record) -> Record:
        """Ask the user's partitioner, where the topic has one and the record names no partition."""
        if record.partition is not None or known.options.partitioner is None:
            return record
        count = len(known.queues)
        chosen = known.options.partitioner(record.topic, record.key, record.value, count)
        if not is_whole(chosen) or not 0 <= chosen < count:
            raise UsageError(
                f"the partitioner returned {chosen!r} for {record.topic}", hint=f"it has partitions 0 to {count - 1}"
            )
        return record._replace(partition=chosen)

    def _accept(self, record: Record) -> "Delivery | None":
        """Take a prepared record into a batch or the staging queue; None where there is no room."""
        self._check_usable()
        if self._partitioned:
            known = self.topic(record.topic)
            if known is None:
                return self._stage(record)
            record = self._with_partition(known, record)
        taken = self.offer(*record)
        if not isinstance(taken, int):
            return taken
        if taken == UNKNOWN_TOPIC:
            return self._stage(record)
        if taken == TOO_LARGE:
            return self._accept_large(record)
        if taken == NO_ROOM:
            self.seal_all()
            return None
        if taken == BAD_PARTITION:
            known = self.topic(record.topic)
            count = len(known.queues) if known is not None else 0
            raise UsageError(
                f"partition={record.partition} of {record.topic}", hint=f"it has partitions 0 to {count - 1}"
            )
        raise UsageError(f"{record!r} cannot be sent", hint="give bytes")

    def _check_size(self, record: Record) -> None:
        """Raise RecordTooLarge for a record that cannot be sent even alone and compressed."""
        options = self._options(record.topic)
        size = record.size() + HEADER_BYTES
        if size > self.limit:
            raise RecordTooLarge(
                f"a record of {size} bytes for {record.topic} is above buffer_bytes={self.limit}",
                hint="raise that option",
            )
        if size <= options.record_bytes:
            return
        builder = BatchBuilder(size)
        builder.append(record.value, record.key, record.headers or (), record.timestamp_ms or 0)
        codec = Codec.parse(options.compression)
        packed = len(builder.seal(codec=codec, level=options.compression_level))
        if packed > options.record_bytes:
            after = f" after {options.compression}" if codec else ""
            raise RecordTooLarge(
                f"a record of {packed} bytes{after} for {record.topic} is above record_bytes={options.record_bytes}",
                hint="send less in one record, compress it, or raise that option and the topic's max.message.bytes",
            )

    def _accept_large(self, record: Record) -> "Delivery | None":
        """Take a record that needs a batch of its own."""
        self._check_size(record)
        known = self.topic(record.topic)
        if known is None or self.used + record.size() + HEADER_BYTES > self.limit:
            self.seal_all()
            return None
        return self._place(known, record)

    def _place(self, known: "Topic", record: Record) -> "Delivery":
        placed = self.place_record(known, *record[1:])
        if isinstance(placed, int):
            raise UsageError(
                f"partition={record.partition} of {record.topic}",
                hint=f"it has partitions 0 to {len(known.queues) - 1}",
            )
        return placed

    def _stage(self, record: Record) -> "Delivery | None":
        """Let a record wait for its topic's metadata."""
        self._check_size(record)
        size = record.size()
        if self.used + size > self.limit:
            self.seal_all()
            return None
        if record.timestamp_ms is None:
            record = record._replace(timestamp_ms=self._clock.time_ms())
        placed = self._staging.add(
            record, self._clock.monotonic(), lambda: self._closed or self.topic(record.topic) is not None
        )
        if placed is None:
            return self._accept(record)
        self.charge(size)
        self._ring_engine()
        return deliver(*placed, record.timestamp_ms or 0)

    def _stand_in(self, name: str) -> "Batch":
        """Make a batch that stands for records of a topic whose partitions are not known."""
        return Batch(PartitionQueue(Topic(self, name, self._options(name)), -1))

    def _options(self, topic: str) -> TopicConfig:
        """Return the options as this topic has them."""
        name = topic if topic in self.config.topics else ""
        found = self._by_topic.get(name)
        if found is None:
            found = self._by_topic[name] = self.config.for_topic(name)
        return found

    def _no_room(self, record: Record, waited: float) -> BufferFull:
        last = f"; last: {reason}" if (reason := self.health.last_error) else ""
        return BufferFull(
            f"no room for a record of {record.size()} bytes for {record.topic} within {waited:g} s: "
            f"{self.used} of {self.limit} bytes are taken{last}",
            hint="the brokers do not keep up, or buffer_bytes is small",
        )

    def _send_slowly(
        self, topic: str, value: Any, key: Any, headers: Any, partition: int | None, timestamp_ms: int | None
    ) -> "Delivery":
        """Take a record that the accumulator did not take at once, waiting for room. The sync face's way."""
        return self._accept_waiting(self._prepare(topic, value, key, headers, partition, timestamp_ms))

    def _accept_waiting(self, record: Record) -> "Delivery":
        deadline: float | None = None
        while isinstance(taken := self._accept_or_queue(record), OneShot):
            deadline = deadline or self._clock.monotonic() + self.config.buffer_timeout
            try:
                taken.wait(deadline - self._clock.monotonic())
            except DeadlineExceeded:
                raise self._no_room(record, self.config.buffer_timeout) from None
            finally:
                self._leave(taken)
        return taken

    async def _send_slowly_async(
        self, topic: str, value: Any, key: Any, headers: Any, partition: int | None, timestamp_ms: int | None
    ) -> "Delivery":
        """As `_send_slowly`, awaiting room. The async face's way."""
        return await self._accept_awaiting(self._prepare(topic, value, key, headers, partition, timestamp_ms))

    async def _accept_awaiting(self, record: Record) -> "Delivery":
        deadline: float | None = None
        while isinstance(taken := self._accept_or_queue(record), OneShot):
            deadline = deadline or self._clock.monotonic() + self.config.buffer_timeout
            try:
                async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                    await taken
            except TimeoutError:
                raise self._no_room(record, self.config.buffer_timeout) from None
            finally:
                self._leave(taken)
        return taken

    async def _within(self, delivery: "Delivery", timeout: float | None) -> RecordMetadata:
        return await within(delivery, timeout)

    def _accept_or_queue(self, record: Record) -> "Delivery | OneShot[None]":
        """Take a record, or return what to wait for, and then to leave, before the next try."""
        taken = self._accept(record)
        if taken is not None:
            return taken
        waiter: OneShot[None] = OneShot()
        self._waiters.append(waiter)
        # Once more, now that the waiter stands: room that came before it would wake nobody.
        taken = self._accept(record)
        if taken is None:
            return waiter
        self._leave(waiter)
        return taken

    def _leave(self, waiter: OneShot[None]) -> None:
        with suppress(ValueError):  # Woken, and so taken out already.
            self._waiters.remove(waiter)

    def _try_send(
        self, topic: str, value: Any, key: Any, headers: Any, partition: int | None, timestamp_ms: int | None
    ) -> "Delivery":
        record = self._prepare(topic, value, key, headers, partition, timestamp_ms)
        taken = self._accept(record)
        if taken is None:
            raise self._no_room(record, 0)
        return taken

    # -- many records -------------------------------------------------------------------------------------

    def _prepare_many(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None,
        headers: Iterable[Any] | None,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> Many:
        """Check every record, so that a bad one is refused before any is accepted."""
        self._check_usable()
        many = Many(topic, values, keys, headers, partition, timestamp_ms)
        if self._plain and many.headers is None:
            self._prepare(topic, None, None, None, partition, timestamp_ms)
            value, key = largest(many.values), largest(many.keys or [])
            if value >= 0 and key >= 0 and value + key + 200 <= self._options(topic).record_bytes:
                return many
        records = [self._prepare(*many.row(at)) for at in range(len(many.values))]
        for record in records:
            self._check_size(record)
        many.records = records
        return many

    def _offer_rest(self, many: Many) -> Record | None:
        """Take as many of the rest as there is room for; return the record that waits for room, or None at the end."""
        total = len(many.values)
        while many.taken < total:
            self._check_usable()
            if many.records is None:
                many.taken, reason = self.offer_many(
                    many.topic,
                    many.values,
                    many.keys,
                    many.headers,
                    many.partition,
                    many.timestamp_ms,
                    many.taken,
                    many.spans,
                )
                if not reason:
                    break
                record = self._prepare(*many.row(many.taken))
            else:
                record = many.records[many.taken]
            taken = self._accept(record)
            if taken is None:
                return record
            many.add(taken)
        return None

    # -- room ------------------------------------------------------------------------------------------------------

    def _on_room(self) -> None:
        """Wake those who wait for room, once there is a good deal of it."""
        if self._waiters and self.used <= self.limit * ROOM_AGAIN:
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        # One list for good, and each taken out by itself: whoever has just joined must not be left in a list that is
        # looked at no more.
        for _ in range(len(self._waiters)):
            with suppress(IndexError):
                self._waiters.pop(0).set(None)

    @property
    def health(self) -> Health:
        """What the connection to the cluster is like; from any thread."""
        return Health(state="new", connections=0, brokers=0)


def _serialized(name: str, made: Any) -> Any:
    if made is None or isinstance(made, bytes | bytearray | memoryview):
        return made
    raise UsageError(
        f"{name} returned {type(made).__name__}", hint="it must return bytes or None: encode what it makes"
    )
