"""The async face of a consumer: the same names and arguments, and what waits is awaited, on any event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Unpack

from felice import native
from felice.config import ConsumerConfig, ConsumerOptions
from felice.config.addresses import Addresses
from felice.consumer.consumer import Partitionish
from felice.consumer.start import (
    END,
    START,
    OffsetAndTimestamp,
    StartSpec,
    TimeSpec,
    parse_partition,
    parse_times,
)
from felice.errors import ClosedError, PartitionError
from felice.types import K, TopicPartition, V

if TYPE_CHECKING:
    from random import Random

    from felice.clock import Clock
    from felice.cluster.health import Health
    from felice.consumer._batch import AsyncMessages, Batch, Message
    from felice.consumer.shelf import Partition
    from felice.consumer.taker import Taken
    from felice.events import Listener
else:
    _batch = native.pick("felice.consumer._batch")
    AsyncMessages, Batch = _batch.AsyncMessages, _batch.Batch

__all__ = ["AsyncConsumer"]


class AsyncConsumer(Generic[K, V]):
    """Reads topics and partitions of Kafka; `Consumer` tells what the arguments mean.

        async with AsyncConsumer("localhost:9092", "letters") as consumer:
            async for message in consumer:
                print(message.offset, message.value)

    It may be made anywhere and used on any event loop; its network runs on felice's own thread, so that neither slow
    handlers nor a blocked loop hold it up. One task polls or iterates at a time.
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
        self._messages: AsyncMessages[K, V] = AsyncMessages(self._refill)
        self._core.iterated_by(self._messages)

    # -- messages -------------------------------------------------------------------------------------------------

    def __aiter__(self) -> "AsyncIterator[Message[K, V]]":
        """Iterate over the messages, waiting for each; ends when the consumer is closed.

        While iterating, the position is the last message plus one. A loop that is left and begun again goes on there.
        """
        return self._messages

    async def _refill(self) -> "Batch[K, V] | None":
        core = self._core
        # Messages that are there cost no turn of the event loop, so each batch gives the other tasks one.
        await asyncio.sleep(0)
        try:
            core.enter()
        except ClosedError:
            return None
        taken: list[Taken[K, V]] = []
        try:
            with core.polling:
                while (batch := core.next_batch(taken)) is None:
                    if not await self._wait(None):
                        return None
                return batch
        except BaseException:
            core.untake(taken)
            raise

    async def _wait(self, deadline: float | None) -> bool:
        """Wait until there may be something; False where the time is up, or the consumer closed."""
        core = self._core
        if (error := core.stalled()) is not None:
            raise error.with_traceback(None)
        waiter = core.outbox.waiter()
        try:
            async with asyncio.timeout(None if deadline is None else deadline - core.clock.monotonic()):
                await waiter
        except TimeoutError:
            return False
        return not core.outbox.closed

    async def poll(self, timeout: float | None = 1.0, max_records: int | None = None) -> "Batch[K, V]":
        """Return the next records of one partition, as soon as there are any.

        At most `max_records` of them, `max_poll_records` if not given. Waits up to `timeout` seconds, without end where
        it is None; then the batch is empty. The partitions take turns. The position moves behind the batch.
        """
        core = self._core
        most = core.most(max_records)
        deadline = None if timeout is None else core.deadline(timeout, none="without end")
        await asyncio.sleep(0)  # as in `_refill`
        core.enter()
        taken: list[Taken[K, V]] = []
        try:
            with core.polling:
                core.put_back()
                while (batch := core.take(most, taken)) is None:
                    if not await self._wait(deadline):
                        return Batch.empty()
                return batch
        except BaseException:
            core.untake(taken)
            raise

    async def batches(self) -> "AsyncIterator[Batch[K, V]]":
        """Iterate over batches, each with at least one record; ends when the consumer is closed."""
        while True:
            try:
                batch = await self.poll(None)
            except ClosedError:
                return
            if len(batch):
                yield batch

    # -- places ---------------------------------------------------------------------------------------------------

    @property
    def assignment(self) -> tuple[TopicPartition, ...]:
        """The partitions that are read, as far as they are known yet: a topic's, once its metadata is there."""
        return tuple(sorted(self._core.outbox.partitions))

    async def _partitions(self, given: Iterable[Partitionish], timeout: float) -> "list[Partition]":
        core = self._core
        core.check()
        deadline = self._deadline(timeout)
        tps = [parse_partition(each, "partition") for each in given]
        if any(tp not in core.outbox.partitions for tp in tps):
            await core.engine.run_async(core.assigned, tps, deadline)
        return [core.partition(tp) for tp in tps]

    def _deadline(self, timeout: float) -> float:
        return self._core.deadline(timeout)

    async def seek(self, partition: Partitionish, start: StartSpec, *, timeout: float = 30.0) -> None:
        """Read a partition from another place on: an offset, `"earliest"`, `"latest"`, a time.

        What was read ahead is dropped. Waits only for the topic's metadata, where it is not there yet.
        """
        (found,) = await self._partitions([partition], timeout)
        self._core.seek(found, start)

    async def position(self, partition: Partitionish, *, timeout: float = 30.0) -> int:
        """Return the offset of the next message of a partition; waits where it has to be looked up yet.

        Raises what has stopped a partition before it had a position.
        """
        (found,) = await self._partitions([partition], timeout)
        core = self._core
        if core.position(found) < 0:
            await core.engine.run_async(core.positioned, [found.tp], self._deadline(timeout))
        return core.known_position(found)

    async def pause(self, *partitions: Partitionish, timeout: float = 30.0) -> None:
        """Return no messages of these partitions until they are resumed; what was read ahead is kept."""
        self._core.pause(await self._partitions(partitions, timeout))

    async def resume(self, *partitions: Partitionish, timeout: float = 30.0) -> None:
        """Return messages of these partitions again."""
        self._core.resume(await self._partitions(partitions, timeout))

    @property
    def paused(self) -> tuple[TopicPartition, ...]:
        """The partitions that are paused."""
        return self._core.paused

    @property
    def failures(self) -> dict[TopicPartition, PartitionError]:
        """The partitions that an error has stopped, which was raised; a seek sets them going again."""
        return self._core.failures

    # -- questions ------------------------------------------------------------------------------------------------

    async def beginning_offsets(
        self, partitions: Iterable[Partitionish] | None = None, *, timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Ask for the first offset of each partition: of those given, or of all that are assigned."""
        core = self._core
        core.check()
        return await core.engine.run_async(core.ends, core.listed(partitions), self._deadline(timeout), START)

    async def end_offsets(
        self, partitions: Iterable[Partitionish] | None = None, *, timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Ask for the offset after the last message that can be read of each partition.

        With `isolation="read_committed"`, that is where the first open transaction begins.
        """
        core = self._core
        core.check()
        return await core.engine.run_async(core.ends, core.listed(partitions), self._deadline(timeout), END)

    async def offsets_for_times(
        self, times: Mapping[Any, TimeSpec], *, timeout: float = 30.0
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Ask for the first message at or after a time, for each partition; None where there is none."""
        core = self._core
        core.check()
        return await core.engine.run_async(core.times, parse_times(times), self._deadline(timeout))

    async def lag(self, *, timeout: float = 30.0) -> dict[TopicPartition, int]:
        """Ask how far each position is from its partition's end, in offsets.

        Left out is a partition that an error has stopped before it had a position.
        """
        core = self._core
        core.check()
        return await core.engine.run_async(core.lag, self._deadline(timeout))

    # -- life -----------------------------------------------------------------------------------------------------

    async def ready(self, timeout: float = 30.0) -> None:
        """Wait until it is known where each partition is read from; DeadlineExceeded tells what stood in the way."""
        core = self._core
        core.check()
        await core.engine.run_async(core.ready, self._deadline(timeout))

    @property
    def health(self) -> "Health":
        """How the way to the cluster stands."""
        return self._core.health

    async def close(self, timeout: float = 10.0) -> None:
        """End reading: a poll that waits returns, and an iteration ends. From any thread.

        May be called again, and then waits for the end, too, up to its own timeout.
        """
        core = self._core
        deadline = self._deadline(timeout)
        if not core.engine.forked and not core.gone:
            core.end()
            await core.engine.run_async(core.shut, deadline)

    async def __aenter__(self) -> "AsyncConsumer[K, V]":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None:
            core.abandon()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.config.client_id}: {len(self.assignment)} partitions>"
