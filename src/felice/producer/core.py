"""The core of a producer: what its two faces share.

Callers' threads run the upper half: a record is checked, offered to the accumulator, and where that does not take it,
staged or made to wait for room. The lower half runs on the engine: metadata comes, staged records move on, the sender
goes, and the end is kept in order.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from felice import native
from felice.clock import Clock, SystemClock
from felice.cluster.engine import Engine
from felice.cluster.handoff import OneShot
from felice.cluster.health import Health
from felice.cluster.router import Cluster
from felice.config import ProducerConfig, TopicConfig
from felice.config.option import check_names
from felice.errors import (
    BrokerError,
    BufferFull,
    ClosedError,
    ConfigError,
    DeadlineExceeded,
    DeliveryError,
    FeliceError,
    ForkedError,
    RecordTooLarge,
    UsageError,
)
from felice.events import DeliveriesFailed, EventBus, Listener
from felice.producer.delivery import BulkDelivery
from felice.producer.sender import Sender
from felice.producer.staging import Record, Staged, Staging
from felice.types import Header
from felice.wire.records import BatchBuilder, Codec

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
        Span,
        Topic,
        deliver,
        largest,
    )
else:
    _native = native.pick("felice.producer._accumulator")
    deliver, largest = _native.deliver, _native.largest
    Accumulator, Batch, Delivery, PartitionQueue, Span, Topic = (
        _native.Accumulator,
        _native.Batch,
        _native.Delivery,
        _native.PartitionQueue,
        _native.Span,
        _native.Topic,
    )
    BAD_PARTITION, NO_ROOM, TOO_LARGE, UNKNOWN_TOPIC = (
        _native.BAD_PARTITION,
        _native.NO_ROOM,
        _native.TOO_LARGE,
        _native.UNKNOWN_TOPIC,
    )

K = TypeVar("K")
V = TypeVar("V")

ROOM_AGAIN = 0.75
"""Who waits for room is woken when the buffer is down to this part, so that a wake is worth many records."""

FAILURES_KEPT = 10_000
"""How many failed batches are remembered for `flush`, beyond which only the records are counted."""


def build_config(config: ProducerConfig | None, bootstrap_servers: Any, options: dict[str, Any]) -> ProducerConfig:
    """Make the config from what a face's constructor was given; `ConfigError` for what does not fit together."""
    if bootstrap_servers is not None:
        options["bootstrap_servers"] = bootstrap_servers
    if config is not None:
        if options:
            raise ConfigError(f"config= and also {', '.join(sorted(options))}", hint="give one or the other")
        return config
    check_names(ProducerConfig, options)
    return ProducerConfig(**options)


class ProducerCore(Accumulator[K, V], Generic[K, V]):
    """Everything of a producer but the way in which a caller waits; the faces add that."""

    def __init__(
        self,
        config: ProducerConfig,
        *,
        key_serializer: Callable[[K], bytes | None] | None,
        value_serializer: Callable[[V], bytes | None] | None,
        listeners: Iterable[Listener],
        clock: Clock | None,
        random: Random | None,
    ) -> None:
        """Make the core; nothing connects before the first record or call that needs it."""
        for name, given in (("key_serializer", key_serializer), ("value_serializer", value_serializer)):
            if given is not None and not callable(given):
                raise ConfigError(f"{name}={given!r}", hint="give a callable that returns bytes or None")
        self.config = config
        self._clock = clock or SystemClock()
        self._random = random or Random()
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._engine = Engine.current()
        self._events = EventBus(self._engine.callbacks.offer, listeners)
        super().__init__(
            config.buffer_bytes,
            self._engine.mailbox(self._on_ring).notify,
            self._clock,
            None if clock is None else clock.time_ms,
        )
        self._partitioned = config.partitioner is not None or any(
            "partitioner" in over for over in config.topics.values()
        )
        self._plain = not (key_serializer or value_serializer or self._partitioned)
        self.direct = self._plain
        self._closed = False
        self._ended = False
        self._forked = False
        self._unfork = self._engine.when_forked(self._on_fork)
        self._staging = Staging(self._stand_in)
        self._waiters: list[OneShot[None]] = []
        self._by_topic: dict[str, TopicConfig] = {}
        self._failures: deque[Batch] = deque(maxlen=FAILURES_KEPT)
        self._failures_forgotten = 0
        # On the engine, from the first ring on:
        self._cluster: Cluster | None = None
        self._sender: Sender | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stage_timer: asyncio.TimerHandle | None = None
        self._wanted: set[str] = set()
        self._engine.register(self)

    # -- callers: one record ---------------------------------------------------------------------------------------

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
        if not isinstance(topic, str) or not topic:
            raise UsageError(f"topic={topic!r}", hint="give the topic's name, a string")
        if self._key_serializer is not None and key is not None:
            key = self._key_serializer(key)
        if self._value_serializer is not None and value is not None:
            value = self._value_serializer(value)
        if timestamp_ms is not None and not (_is_whole(timestamp_ms) and 0 <= timestamp_ms < 2**63):
            raise UsageError(f"timestamp_ms={timestamp_ms!r}", hint="give whole milliseconds since 1970")
        if partition is not None and not (_is_whole(partition) and 0 <= partition < 2**31):
            raise UsageError(f"partition={partition!r}", hint="give a partition's number, from 0 on")
        record = Record(
            topic, _plain(value, "value"), _plain(key, "key"), _plain_headers(headers), partition, timestamp_ms
        )
        known = self.topic(topic) if self._partitioned else None
        return record if known is None else self._with_partition(known, record)

    @staticmethod
    def _with_partition(known: "Topic", record: Record) -> Record:
        """Ask the user's partitioner, where the topic has one and the record names no partition."""
        if record.partition is not None or known.options.partitioner is None:
            return record
        count = len(known.queues)
        chosen = known.options.partitioner(record.topic, record.key, record.value, count)
        if not _is_whole(chosen) or not 0 <= chosen < count:
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
        size = record.size() + 61
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
        if known is None or self.used + record.size() + 61 > self.limit:
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

    def _ring_engine(self) -> None:
        self._engine.post(self._on_ring)

    def _no_room(self, record: Record, waited: float) -> BufferFull:
        last = f"; last: {self._cluster.health.last_error}" if self._cluster and self._cluster.health.last_error else ""
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
        taken = self._accept(record)
        if taken is not None:
            return taken
        patience = self.config.buffer_timeout
        deadline = self._clock.monotonic() + patience
        while True:
            waiter = self._wait_for_room()
            # Once more, now that the waiter stands: room that came before it would wake nobody.
            taken = self._accept(record)
            if taken is not None:
                self._leave(waiter)
                return taken
            try:
                waiter.wait(deadline - self._clock.monotonic())
            except DeadlineExceeded:
                raise self._no_room(record, patience) from None
            finally:
                self._leave(waiter)

    async def _send_slowly_async(
        self, topic: str, value: Any, key: Any, headers: Any, partition: int | None, timestamp_ms: int | None
    ) -> "Delivery":
        """As `_send_slowly`, awaiting room. The async face's way."""
        return await self._accept_awaiting(self._prepare(topic, value, key, headers, partition, timestamp_ms))

    async def _accept_awaiting(self, record: Record) -> "Delivery":
        taken = self._accept(record)
        if taken is not None:
            return taken
        patience = self.config.buffer_timeout
        deadline = self._clock.monotonic() + patience
        while True:
            waiter = self._wait_for_room()
            taken = self._accept(record)
            if taken is not None:
                self._leave(waiter)
                return taken
            try:
                async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                    await waiter
            except TimeoutError:
                raise self._no_room(record, patience) from None
            finally:
                self._leave(waiter)

    def _wait_for_room(self) -> OneShot[None]:
        waiter: OneShot[None] = OneShot()
        self._waiters.append(waiter)
        return waiter

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

    # -- callers: many records -------------------------------------------------------------------------------------

    def _prepare_many(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None,
        headers: Iterable[Any] | None,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> "Many":
        """Check every record, so that a bad one is refused before any is accepted."""
        self._check_usable()
        # Copies: nobody can shorten them while they are being taken.
        many = Many(topic, list(values), _aligned(keys), _aligned(headers), partition, timestamp_ms)
        for name, column in (("keys", many.keys), ("headers", many.headers)):
            if column is not None and len(column) != len(many.values):
                raise UsageError(f"{len(column)} {name} for {len(many.values)} values", hint="give as many of each")
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

    def _offer_rest(self, many: "Many") -> Record | None:
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

    # -- on the engine ---------------------------------------------------------------------------------------------

    def _on_ring(self) -> None:
        """There is a new batch, or a staged record."""
        if self._forked:
            return
        if self._ended:
            self._refuse_rest()
            return
        if self._sender is None:
            self._start()
        assert self._sender is not None
        self._sender.wake()
        if self._staging.names():
            self._look_at_staging()

    def _start(self) -> Cluster:
        """Make what lives on the engine."""
        if self._cluster is None:
            self._cluster = Cluster(
                self.config, engine=self._engine, clock=self._clock, random=self._random, events=self._events
            )
            self._sender = Sender(
                self,
                self._cluster,
                self.config,
                clock=self._clock,
                random=self._random,
                events=self._events,
                on_room=self._on_room,
                on_failure=self._on_failure,
            )
            self._cluster.metadata.watch(self._on_metadata)
            self._starting = self._engine.loop.create_task(self._cluster.start())
        return self._cluster

    def _on_metadata(self) -> None:
        """Take over what is new about the topics in use."""
        if self._cluster is None or self._sender is None:
            return
        for known in self.topics():
            self._learn(known.name)
        self._look_at_staging()
        self._sender.wake()

    def _learn(self, name: str) -> "Topic | None":
        """Bring the accumulator's picture of a topic up to date; None where there is none yet."""
        assert self._cluster is not None
        view = self._cluster.metadata.topic(name)
        if view is None or not view.partitions:
            return None
        led = [number for number, partition in enumerate(view.partitions) if partition.leader >= 0]
        return self.set_topic(
            name, self._options(name), len(view.partitions), led, self._random.randrange(len(view.partitions))
        )

    def _look_at_staging(self) -> None:
        """Move on what can, fail what must, and ask for the metadata of the rest."""
        cluster = self._start()
        now = self._clock.monotonic()
        for name in self._staging.names():
            topic = self._learn(name)
            if topic is not None:
                if topic.options.partitioner is not None:
                    # The user's code, so not here.
                    self._engine.callbacks.post(self._unstage, topic)
                else:
                    self._unstage(topic)
                continue
            view = cluster.metadata.topic(name)
            if view is not None and view.error and not BrokerError(view.error, name).retriable:
                refused = BrokerError(view.error, f"producing to {name}")
                self._fail_staged(name, now, lambda _, error=refused: error)  # type: ignore[misc]
                continue
            if name not in self._wanted:
                self._wanted.add(name)
                cluster.want_topics([name])
            self._fail_staged(name, now - self.config.delivery_timeout, self._unknown_topic)
        waiting = self._staging.names()
        for name in [name for name in self._wanted if name not in waiting and self.topic(name) is None]:
            self._wanted.remove(name)
            cluster.unwant([name])
        if waiting and self._stage_timer is None:
            period = min(max(self.config.delivery_timeout / 20, 0.01), 1.0)
            self._stage_timer = self._engine.loop.call_later(period, self._on_stage_timer)

    def _on_stage_timer(self) -> None:
        self._stage_timer = None
        if self._staging.names():
            self._look_at_staging()

    def _unknown_topic(self, staged: Staged) -> FeliceError:
        assert self._cluster is not None
        name = staged.record.topic
        return DeadlineExceeded(
            f"{name}: its partitions were not known within {self.config.delivery_timeout:g} s; "
            f"{self._cluster.explain(name)}",
            hint="create the topic first, or check its name and the brokers' addresses",
        )

    def _unstage(self, topic: "Topic") -> None:
        """Move a topic's staged records into its batches, in order."""
        refused: list[tuple[Batch, Staged, Exception]] = []

        def place(stand_in: "Batch", staged: Staged) -> None:
            try:
                delivery = self._place(topic, self._with_partition(topic, staged.record))
                stand_in.move(staged.index, *delivery._place())
            except FeliceError as error:
                refused.append((stand_in, staged, error))
            except Exception as error:
                fault = UsageError(f"{topic.name}: the partitioner failed: {error!r}")
                fault.__cause__ = error
                refused.append((stand_in, staged, fault))
            finally:
                self.charge(-staged.record.size())

        self._staging.move(topic.name, place, lambda: self.admit(topic))
        if refused:
            self._engine.post(self._refuse, topic.name, refused)

    def _refuse(self, topic: str, refused: "list[tuple[Batch, Staged, Exception]]") -> None:
        """Fail staged records of a topic."""
        unseen = [
            failed
            for stand_in, staged, error in refused
            if not (failed := stand_in.settle_one(staged.index, error)).looked
        ]
        for failed in unseen:
            self._remember(failed)
        if unseen:
            self._report(topic, -1, len(unseen), unseen[0].error)

    def _fail_staged(self, name: str, before: float, reason: Callable[[Staged], FeliceError]) -> None:
        taken = self._staging.take(name, before)
        self._refuse(name, [(stand_in, staged, reason(staged)) for stand_in, staged in taken])
        if taken:
            self.charge(-sum(staged.record.size() for _, staged in taken))
            self._on_room()

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

    def _on_failure(self, batch: "Batch") -> None:
        """A batch failed and nobody has asked for its outcome yet."""
        self._remember(batch)
        self._report(batch.queue.topic, batch.queue.partition, len(batch), batch.error)

    def _remember(self, failed: "Batch") -> None:
        """Keep a failure that nobody has looked at, for `flush` and `close` to raise."""
        if len(self._failures) == FAILURES_KEPT:
            self._failures_forgotten += len(self._failures[0])
        self._failures.append(failed)

    def _report(self, topic: str, partition: int, records: int, error: Any) -> None:
        self._events.emit(
            DeliveriesFailed(
                client_id=self.config.client_id,
                topic=topic,
                partition=partition,
                records=records,
                error=str(error),
                may_have_happened=bool(getattr(error, "may_have_happened", False)),
            )
        )

    # -- the end, and other waits; coroutines of the engine --------------------------------------------------------

    async def _ready(self, timeout: float) -> None:
        await self._start().ready(self._clock.monotonic() + timeout)

    async def _partitions_for(self, topic: str, timeout: float) -> int:
        cluster = self._start()
        view = await cluster.wait_for_topic(topic, self._clock.monotonic() + timeout)
        return len(view.partitions)

    async def _drain(self, timeout: float) -> None:
        """Wait until all that was accepted before has its outcome."""
        if self._sender is None:
            return
        async with asyncio.timeout(timeout):
            self._sender.live()  # Has what is open sent now, whoever waits for metadata.
            moves: list[asyncio.Future[None]] = []
            for name in self._staging.names():
                last = self._staging.last(name)
                if last is not None:
                    moves.append(self._engine.loop.create_future())
                    last[0].watch(last[1], _settler(moves[-1]), False)
                    last[0].hurry()
            for moved in moves:
                await moved
            # By way of a bulk handle, since a batch may be split meanwhile.
            live = self._sender.live()
            everything = BulkDelivery([Span(live, batch, 0, len(batch)) for batch in live], sum(map(len, live)))
            settled: asyncio.Future[None] = self._engine.loop.create_future()
            everything._watch(_settler(settled), looks=False)
            await settled

    async def _flush(self, timeout: float) -> None:
        try:
            await self._drain(timeout)
        except TimeoutError:
            left = self._undelivered()
            raise DeadlineExceeded(
                f"{left} records are still on their way after {timeout:g} s",
                hint="they stay on their way; flush again, or look at the producer's health",
            ) from None
        self._raise_failures()

    def _undelivered(self) -> int:
        """Return how many accepted records have no outcome yet."""
        in_batches = sum(len(batch) for batch in self._sender.live()) if self._sender else 0
        return self._staging.count() + in_batches

    def _raise_failures(self) -> None:
        """Raise a DeliveryError that counts what failed since the last time and was looked at by nobody."""
        failures = [batch for batch in self._failures if not batch.looked]
        forgotten, self._failures_forgotten = self._failures_forgotten, 0
        self._failures.clear()
        failed = sum(len(batch) for batch in failures) + forgotten
        if failed:
            first = failures[0].error if failures else None
            raise DeliveryError(
                f"{failed} records were not delivered; the first: {first}",
                failed=failed,
                first=first,
                may_have_happened=any(getattr(batch.error, "may_have_happened", False) for batch in failures),
                hint="each delivery tells its own error",
            ) from first

    def _stop_accepting(self) -> bool:
        """Refuse what comes from now on; False where the producer was closed before."""
        was_closed, self._closed = self._closed, True
        self.direct = False
        return not was_closed

    async def _close(self, timeout: float) -> None:
        """Deliver what is left up to the time, fail the rest, and leave nothing behind."""
        deadline = self._clock.monotonic() + timeout
        try:
            if self._sender is not None:
                self._sender.closing = True
                self._wake_waiters()
                with suppress(TimeoutError):
                    await self._drain(timeout)
        finally:  # Also when whoever waits for it was interrupted.
            self._ended = True
            self._refuse_rest()
            if self._stage_timer is not None:
                self._stage_timer.cancel()
            if self._sender is not None:
                await self._sender.close()
            if self._cluster is not None:
                await self._cluster.close(max(deadline, self._clock.monotonic() + 0.5))
            self._wake_waiters()
            self._unfork()
            self._engine.unregister(self)
        self._raise_failures()

    def _refuse_rest(self) -> None:
        """Fail what is left when the producer has ended.

        Also what comes later: from a thread that had passed the check of `send` before `close` was called.
        """
        for name in self._staging.names():
            self._fail_staged(name, math.inf, self._closed_before)
        if self._sender is not None:
            self._sender.refuse()

    def _closed_before(self, staged: Staged) -> FeliceError:
        return ClosedError(f"{staged.record.topic}: the producer was closed before its partitions were known")

    @property
    def health(self) -> Health:
        """What the connection to the cluster is like; from any thread."""
        return self._cluster.health if self._cluster is not None else Health(state="new", connections=0, brokers=0)

    def drain_at_exit(self, deadline: float) -> int:
        """Deliver what is left before the interpreter ends; return how many records are not delivered."""
        if self._sender is None:
            return 0
        self._stop_accepting()
        with suppress(FeliceError, TimeoutError):
            self._engine.run(self._drain, max(0.0, deadline - SystemClock().monotonic()))
        return self._engine.run(self._count_undelivered, timeout=1.0)

    async def _count_undelivered(self) -> int:
        return self._undelivered()


class Many:
    """One `send_many`: its columns, and how far it has come."""

    __slots__ = ("headers", "keys", "partition", "records", "spans", "taken", "timestamp_ms", "topic", "values")

    def __init__(
        self,
        topic: str,
        values: list[Any],
        keys: list[Any] | None,
        headers: list[Any] | None,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> None:
        self.topic = topic
        self.values = values
        self.keys = keys
        self.headers = headers
        self.partition = partition
        self.timestamp_ms = timestamp_ms
        self.taken = 0
        self.spans: list[Span] = []
        self.records: list[Record] | None = None

    def row(self, at: int) -> tuple[str, Any, Any, Any, int | None, int | None]:
        """Return the arguments of `send` for one record."""
        return (
            self.topic,
            self.values[at],
            None if self.keys is None else self.keys[at],
            None if self.headers is None else self.headers[at],
            self.partition,
            self.timestamp_ms,
        )

    def add(self, delivery: "Delivery") -> None:
        """Count a record that was taken by itself."""
        self.spans.append(Span(self.spans, *delivery._place(), 1))
        self.taken += 1

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let a BufferFull say what was accepted before it."""
        try:
            yield
        except BufferFull as full:
            full.accepted = self.taken
            full.delivery = BulkDelivery(self.spans, self.taken)
            raise


def _settler(future: "asyncio.Future[None]") -> Callable[[], None]:
    def settle() -> None:
        if not future.done():
            future.set_result(None)

    return settle


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _aligned(column: Iterable[Any] | None) -> list[Any] | None:
    return None if column is None else list(column)


def _plain(given: Any, what: str) -> bytes | None:
    """Return a key or value as bytes; UsageError where it is not bytes-like."""
    if given is None or type(given) is bytes:
        return given
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    raise UsageError(
        f"a {what} of type {type(given).__name__}",
        hint=f"give bytes or None: encode it, or set {what}_serializer",
    )


def _plain_headers(given: Any) -> list[Header] | None:
    """Return headers as a list of (str, bytes or None)."""
    if not given:
        return None
    hint = 'give a series of (str, bytes or None), as [("trace", b"1")]'
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise UsageError(f"headers={given!r}", hint=hint)
    found: list[Header] = []
    for header in given.items() if isinstance(given, Mapping) else given:
        if not (isinstance(header, tuple | list) and len(header) == 2 and isinstance(header[0], str)):
            raise UsageError(f"a header {header!r}", hint=hint)
        try:
            header[0].encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"the name of a header {header!r} is not Unicode") from None
        found.append((header[0], _plain(header[1], "header")))
    return found
