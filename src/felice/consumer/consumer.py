"""The sync face of a consumer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, Unpack

from felice import native
from felice.config import ConsumerConfig, ConsumerOptions
from felice.config.addresses import Addresses
from felice.consumer.start import (
    END,
    START,
    OffsetAndTimestamp,
    StartSpec,
    TimeSpec,
    parse_partition,
    parse_times,
)
from felice.errors import ClosedError, DeadlineExceeded, PartitionError
from felice.types import K, TopicPartition, V

if TYPE_CHECKING:
    from random import Random

    from felice.clock import Clock
    from felice.cluster.health import Health
    from felice.consumer._batch import Batch, Message, Messages
    from felice.consumer.shelf import Partition
    from felice.consumer.taker import Taken
    from felice.events import Listener
else:
    _batch = native.pick("felice.consumer._batch")
    Batch, Messages = _batch.Batch, _batch.Messages

__all__ = ["Consumer", "Partitionish"]

Partitionish: TypeAlias = TopicPartition | tuple[str, int]
"""A partition as people write it."""


class Consumer(Generic[K, V]):
    """Reads topics and partitions of Kafka.

        with Consumer("localhost:9092", "letters") as consumer:
            for message in consumer:
                print(message.offset, message.value)

    Read are all partitions of the topics, those added later too, and the `partitions` that are named one by one.
    `start` says where a partition begins: `"earliest"` (so that nothing is missed unless you say so), `"latest"`, an
    offset, a `Timestamp` in milliseconds or a datetime, or a mapping of topics and partitions to these. What becomes of
    a position that is not in the log any more is the option `offset_reset`: `"earliest"`, unless told otherwise, which
    misses nothing that is there; `"error"` raises `OffsetReset` with the numbers. Where the log was cut off
    below a position, as an unclean election does, reading goes on where that was, with an event; `"error"` raises
    `LogTruncated`.

    Keys and values are bytes or None; `key_deserializer` and `value_deserializer` make others of the bytes. Options are
    those of `ConsumerConfig`, by name or as `config=`. `listeners` are called with every event, on felice's callback
    thread.

    One thread polls or iterates at a time; all else may be called from any thread. A partition that cannot be read on
    raises its error once, and the others go on; when no other is left, the error is raised again each time.
    """

    def __init__(
        self,
        bootstrap_servers: Addresses | None = None,
        *topics: str,
        partitions: Iterable[Partitionish] | None = None,
        start: StartSpec | Mapping[Any, StartSpec] = "earliest",
        key_deserializer: Callable[[bytes], K] | None = None,
        value_deserializer: Callable[[bytes], V] | None = None,
        config: ConsumerConfig | None = None,
        listeners: "Iterable[Listener]" = (),
        clock: "Clock | None" = None,
        random: "Random | None" = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        # Imported with the first consumer: the network's rooms, asyncio among them, are most of what importing costs.
        from felice.consumer.core import Core, build

        self._core: Core[K, V] = build(
            bootstrap_servers,
            topics,
            partitions,
            start,
            key_deserializer,
            value_deserializer,
            config,
            dict(options),
            listeners,
            clock,
            random,
        )
        self._messages: Messages[K, V] = Messages(self._refill)
        self._core.iterated_by(self._messages)

    # -- messages -------------------------------------------------------------------------------------------------

    def __iter__(self) -> "Iterator[Message[K, V]]":
        """Iterate over the messages, waiting for each; ends when the consumer is closed.

        While iterating, the position is the last message plus one. A loop that is left and begun again goes on there.
        """
        return self._messages

    def _refill(self) -> "Batch[K, V] | None":
        core = self._core
        try:
            core.enter()
        except ClosedError:
            return None
        taken: list[Taken[K, V]] = []
        try:
            with core.polling:
                while (batch := core.next_batch(taken)) is None:
                    if not self._wait(None):
                        return None
                return batch
        except BaseException:
            core.untake(taken)
            raise

    def _wait(self, deadline: float | None) -> bool:
        """Wait until there may be something; False where the time is up, or the consumer closed."""
        core = self._core
        if (error := core.stalled()) is not None:
            raise error.with_traceback(None)
        waiter = core.outbox.waiter()
        try:
            waiter.wait(None if deadline is None else deadline - core.clock.monotonic())
        except DeadlineExceeded:
            return False
        return not core.outbox.closed

    def poll(self, timeout: float | None = 1.0, max_records: int | None = None) -> "Batch[K, V]":
        """Return the next records of one partition, as soon as there are any.

        At most `max_records` of them, `max_poll_records` if not given. Waits up to `timeout` seconds, without end where
        it is None; then the batch is empty. The partitions take turns. The position moves behind the batch.
        """
        core = self._core
        most = core.most(max_records)
        deadline = None if timeout is None else core.deadline(timeout, none="without end")
        core.enter()
        taken: list[Taken[K, V]] = []
        try:
            with core.polling:
                core.put_back()
                while (batch := core.take(most, taken)) is None:
                    if not self._wait(deadline):
                        return Batch.empty()
                return batch
        except BaseException:
            core.untake(taken)
            raise

    def batches(self) -> "Iterator[Batch[K, V]]":
        """Iterate over batches, each with at least one record; ends when the consumer is closed."""
        while True:
            try:
                batch = self.poll(None)
            except ClosedError:
                return
            if len(batch):
                yield batch

    # -- places ---------------------------------------------------------------------------------------------------

    @property
    def assignment(self) -> tuple[TopicPartition, ...]:
        """The partitions that are read, as far as they are known yet: a topic's, once its metadata is there."""
        return tuple(sorted(self._core.outbox.partitions))

    def _partitions(self, given: Iterable[Partitionish], timeout: float) -> "list[Partition]":
        core = self._core
        core.check()
        deadline = self._deadline(timeout)
        tps = [parse_partition(each, "partition") for each in given]
        if any(tp not in core.outbox.partitions for tp in tps):
            core.engine.run(core.assigned, tps, deadline)
        return [core.partition(tp) for tp in tps]

    def _deadline(self, timeout: float) -> float:
        return self._core.deadline(timeout)

    def seek(self, partition: Partitionish, start: StartSpec, *, timeout: float = 30.0) -> None:
        """Read a partition from another place on: an offset, `"earliest"`, `"latest"`, a time.

        What was read ahead is dropped. Waits only for the topic's metadata, where it is not there yet.
        """
        (found,) = self._partitions([partition], timeout)
        self._core.seek(found, start)

    def position(self, partition: Partitionish, *, timeout: float = 30.0) -> int:
        """Return the offset of the next message of a partition; waits where it has to be looked up yet.

        Raises what has stopped a partition before it had a position.

        In the thread that polls or iterates this is exact. In another one it may be ahead by a batch for the moment in
        which an iteration gets its next batch, or hands back what is left of one: who keeps track of what is done takes
        `message.offset + 1`.
        """
        (found,) = self._partitions([partition], timeout)
        core = self._core
        if core.position(found) < 0:
            core.engine.run(core.positioned, [found.tp], self._deadline(timeout))
        return core.known_position(found)

    def pause(self, *partitions: Partitionish, timeout: float = 30.0) -> None:
        """Return no messages of these partitions until they are resumed; what was read ahead is kept."""
        self._core.pause(self._partitions(partitions, timeout))

    def resume(self, *partitions: Partitionish, timeout: float = 30.0) -> None:
        """Return messages of these partitions again."""
        self._core.resume(self._partitions(partitions, timeout))

    @property
    def paused(self) -> tuple[TopicPartition, ...]:
        """The partitions that are paused."""
        return self._core.paused

    @property
    def failures(self) -> dict[TopicPartition, PartitionError]:
        """The partitions that an error has stopped, which was raised; a seek sets them going again."""
        return self._core.failures

    # -- questions ------------------------------------------------------------------------------------------------

    def beginning_offsets(
        self, partitions: Iterable[Partitionish] | None = None, *, timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Ask for the first offset of each partition: of those given, or of all that are assigned."""
        core = self._core
        core.check()
        return core.engine.run(core.ends, core.listed(partitions), self._deadline(timeout), START)

    def end_offsets(
        self, partitions: Iterable[Partitionish] | None = None, *, timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Ask for the offset after the last message that can be read of each partition.

        With `isolation="read_committed"`, that is where the first open transaction begins.
        """
        core = self._core
        core.check()
        return core.engine.run(core.ends, core.listed(partitions), self._deadline(timeout), END)

    def offsets_for_times(
        self, times: Mapping[Any, TimeSpec], *, timeout: float = 30.0
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Ask for the first message at or after a time, for each partition; None where there is none."""
        core = self._core
        core.check()
        return core.engine.run(core.times, parse_times(times), self._deadline(timeout))

    def lag(self, *, timeout: float = 30.0) -> dict[TopicPartition, int]:
        """Ask how far each position is from its partition's end, in offsets.

        Left out is a partition that an error has stopped before it had a position.
        """
        core = self._core
        core.check()
        return core.engine.run(core.lag, self._deadline(timeout))

    # -- life -----------------------------------------------------------------------------------------------------

    def ready(self, timeout: float = 30.0) -> None:
        """Wait until it is known where each partition is read from; DeadlineExceeded tells what stood in the way."""
        core = self._core
        core.check()
        core.engine.run(core.ready, self._deadline(timeout))

    @property
    def health(self) -> "Health":
        """How the way to the cluster stands."""
        return self._core.health

    def close(self, timeout: float = 10.0) -> None:
        """End reading: a poll that waits returns, and an iteration ends. From any thread.

        May be called again, and then waits for the end, too, up to its own timeout.
        """
        core = self._core
        deadline = self._deadline(timeout)
        if not core.engine.forked and not core.gone:
            core.end()
            core.engine.run(core.shut, deadline)

    def __enter__(self) -> "Consumer[K, V]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None:
            core.abandon()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.config.client_id}: {len(self.assignment)} partitions>"
