"""What is fetched, when, and what comes of it. Runs on the engine, but for the hand-off objects it is given.

A partition wants to be fetched when its offset is known, less than the low-water mark lies on its shelf, it is neither
paused nor stopped by an error, and no request for it is under way. `Source` asks for those that want, one source per
broker; this module says which they are, keeps the memory budget, and takes the answers. Nothing is fetched on a timer:
what makes a partition want again (the reader took something, a seek, an answer, news of the cluster) also pokes its
source.

Non-obvious:

- Every chunk remembers the shelf it was fetched for. An answer for a shelf that is no longer its partition's, or from
  another offset than is due next, is dropped: there was a seek in between.
- Errors and jumps go on the shelf too, behind the records that came before them. That a log was cut off does not: it
  may be cut off before them.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from felice.clock import Clock
from felice.cluster.engine import Engine
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.consumer.arrivals import Arrivals
from felice.consumer.budget import Frame
from felice.consumer.finder import Finder, Findings
from felice.consumer.lookup import Lookup
from felice.consumer.outbox import Outbox
from felice.consumer.placement import Placement
from felice.consumer.room import SMALLEST_ASK, Room
from felice.consumer.session import Want
from felice.consumer.shelf import Chunk, Partition, Shelf
from felice.consumer.source import Flight
from felice.consumer.trail import Mark
from felice.errors import ClosedError, DeadlineExceeded, FeliceError, PartitionError
from felice.events import EventBus, PartitionFailed
from felice.types import TopicPartition
from felice.wire.messages.fetch import FetchResponse

__all__ = ["Fetcher"]

FAREWELL = 0.5
"""Seconds that a close waits, at most, for brokers to forget what they remember of this consumer's fetches."""


class Fetcher:
    """Keeps the shelves of all partitions filled."""

    def __init__(
        self,
        cluster: Cluster,
        engine: Engine,
        config: ConsumerConfig,
        clock: Clock,
        random: Random,
        events: EventBus,
        outbox: Outbox,
    ) -> None:
        """Take what it works with; `outbox` is where the reader finds the outcome."""
        self._cluster = cluster
        self._loop = engine.loop
        self._config = config
        self._clock = clock
        self._random = random
        self._events = events
        self._outbox = outbox
        self._committed = config.isolation == "read_committed"
        self._news: list[asyncio.Future[None]] = []
        self._closed = False
        self._room = Room(config, outbox)
        self.budget = self._room.budget
        self.lookup = Lookup(cluster, config, clock, random)
        findings = Findings(self._begin, self._jump, self._again, self._agreed, self._cut, self._fail)
        self.finder = Finder(self.lookup, config, clock, random, events, findings, self.spawn)
        self.placement = Placement(
            cluster,
            config,
            clock,
            random,
            engine.loop,
            pantry=self,
            spawn=self.spawn,
            ask_leader=self.finder.ask_leader,
        )
        self._arrivals = Arrivals(
            cluster,
            config,
            clock,
            outbox,
            self._room,
            self.placement,
            find_reset=self.finder.find_reset,
            fail=self._fail,
        )

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task of this consumer's; where it dies, the reader must not wait for ever."""
        self._cluster.supervisor.spawn(coroutine, name).add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (cause := task.exception()) is not None:
            error = FeliceError(f"the task {task.get_name()!r} failed: {cause!r}", hint="a fault of felice: report it")
            error.__cause__ = cause
            self._outbox.announce(error)

    # -- what is read, and from where -----------------------------------------------------------------------------

    def add(self, partitions: list[Partition]) -> None:
        """Read these too."""
        self._room.share_out()
        for partition in partitions:
            self._adopt(partition)
        self._tell()

    def drop(self, partitions: list[Partition]) -> None:
        """Read these no more; what is on their shelves may still be taken, and is counted no more."""
        for partition in partitions:
            self.finder.forget(partition)
            self.placement.place(partition)
            for shelf in (partition.adopted, partition.shelf):
                for chunk in list(shelf.chunks) if shelf is not None else ():
                    self._room.release(chunk)
        self._room.share_out()

    def recreated(self, partition: Partition) -> None:
        """Take it that the partition's topic was deleted and created anew (KIP-516): it is another topic now."""
        partition.flight = None  # what is under way is of the old one
        partition.trail.clear()
        partition.shelf.cut = None
        partition.high_watermark = partition.last_stable = partition.log_start = -1
        partition.replica = -1
        if partition.fetch_offset >= 0:
            self._begin_anew(partition)

    def _begin_anew(self, partition: Partition) -> None:
        """Find where to begin in a topic that was created anew, behind what is on the shelf of the old one."""
        shelf = partition.adopted
        assert shelf is not None
        shelf.anew = shelf.jumps + 1
        if not partition.halted:
            partition.looking = True
            self.finder.find_reset(partition, recreated=True)

    # -- what the reader does -------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Look what callers have done: taken something, sought, paused or resumed."""
        self._room.take_back()
        for partition in self._outbox.partitions.values():
            if partition.shelf is not partition.adopted:
                self._adopt(partition)
        for source in self.placement.sources.values():
            source.poke()

    def _adopt(self, partition: Partition) -> None:
        """Fetch for the shelf that a seek has put there, from its offset or from where that turns out to be."""
        old, partition.adopted = partition.adopted, partition.shelf
        while old is not None and old.chunks:
            try:
                self._room.release(old.chunks.popleft())
            except IndexError:
                break  # The reader has just taken the last one.
        if old is not None:
            # A reader that is just taking another one gives that back itself, when it sees that the shelf has gone.
            self._outbox.returned.extend(old.held)
            self._room.take_back()
        shelf = partition.adopted
        partition.flight = None
        partition.halted = partition.looking = False
        # The position may be one in a topic that was deleted; the jump to the new one went with the old shelf then.
        anew = old is not None and shelf.goes_on and old.jumped < old.anew
        if old is not None and shelf.goes_on and shelf.offset <= partition.fetch_offset and not anew:
            partition.trail.cut(shelf.offset)
            partition.looking = self.finder.renew(partition, old)
            if old.cut is not None:
                partition.led = (-1, -1)  # Whether the log has what is left is asked again.
        else:
            partition.trail.clear()
        partition.retry_at = 0.0
        partition.tries = 0
        partition.fetch_offset = shelf.offset
        if shelf.offset < 0:
            self.finder.find_start(partition, shelf)
        elif anew:
            self._begin_anew(partition)
        self.placement.place(partition)

    # -- what to fetch --------------------------------------------------------------------------------------------

    def wanted(self, partitions: Sequence[Partition]) -> list[Partition]:
        """Return those that want to be fetched now."""
        now, low_water = self._clock.monotonic(), self._outbox.low_water
        return [
            partition
            for partition in partitions
            if partition.flight is None
            and partition.shelf is partition.adopted
            and partition.fetch_offset >= 0
            and not (partition.paused or partition.halted or partition.looking)
            and partition.error is None
            and partition.shelf.bytes < low_water
            and partition.retry_at <= now
        ]

    def waiting(self, partition: Partition) -> bool:
        """Tell whether the broker is known, or may well be expected, to have something for a partition."""
        end = partition.last_stable if self._committed else partition.high_watermark
        return end < 0 or partition.fetch_offset < end

    def depart(self, partitions: Sequence[Partition]) -> tuple[Flight, int] | None:
        """Reserve room for an answer; return the request to be, and how much the answer may hold."""
        self._room.take_back()
        most = min(
            self._config.fetch_bytes, max(SMALLEST_ASK, self._config.buffer_bytes // (4 * len(self.placement.sources)))
        )
        least = min(SMALLEST_ASK, most)
        if not self._room.make(least):
            return None
        wants = [self._want(partition) for partition in partitions]
        most = min(most, sum(want.max_bytes for want in wants), max(self.budget.free, least))
        self.budget.reserve(most)
        # One batch may be larger than all limits, or it could never be fetched.
        oversized = max((partition.max_bytes for partition in partitions), default=0)
        return Flight(partitions, wants, most), max(most, oversized)

    def _want(self, partition: Partition) -> Want:
        view = self._cluster.metadata.leader(*partition.tp)
        return Want(
            partition.tp.topic,
            partition.topic_id,
            partition.tp.partition,
            partition.fetch_offset,
            view.leader_epoch if view is not None else -1,
            max(self._room.ask_bytes, partition.max_bytes),
            partition.trail.latest_before(partition.fetch_offset),
        )

    # -- what comes of it -----------------------------------------------------------------------------------------

    def arrive(self, flight: Flight, answer: FetchResponse, node_id: int) -> None:
        """Take an answer."""
        self.budget.cancel(flight.reserved)
        frame = Frame(sum(len(data.records or b"") for topic in answer.responses for data in topic.partitions))
        for topic in answer.responses:
            for data in topic.partitions:
                if topic.topic:
                    index = flight.by_name.get((topic.topic, data.partition_index))
                else:
                    index = flight.by_id.get((topic.topic_id, data.partition_index))
                if index is None:
                    continue  # of a partition that we have not asked for: no reason to trust it, none to complain
                partition = flight.partitions[index]
                shelf = flight.shelves[index]
                if partition.flight is flight and partition.shelf is shelf:
                    self._arrivals.take(partition, shelf, flight.wants[index], data, answer, node_id, frame)
        flight.land()
        if self._outbox.starved:
            self.drain()

    def lost(self, flight: Flight, node_id: int) -> None:
        """Take it that no answer comes."""
        self.budget.cancel(flight.reserved)
        for partition in flight.partitions:
            if node_id >= 0 and partition.flight is flight and partition.replica == node_id:
                self.placement.leave_replica(partition)
        flight.land()
        if self._outbox.starved:
            self.drain()

    # -- what the finder finds ------------------------------------------------------------------------------------

    def _begin(self, partition: Partition, shelf: Shelf, mark: Mark) -> None:
        """Begin to read at an offset."""
        if partition.shelf is shelf:
            shelf.offset = partition.fetch_offset = mark.offset
            partition.trail.begin(mark)
            self.placement.poke(partition)
            self._tell()

    def _jump(self, partition: Partition, shelf: Shelf, mark: Mark) -> None:
        """Go on reading at an offset, after what is on the shelf."""
        if partition.shelf is shelf:
            shelf.jumps += 1
            self._outbox.put(partition, Chunk(shelf, partition.fetch_offset, jump=mark.offset))
            partition.looking = False
            partition.fetch_offset = mark.offset
            partition.trail.begin(mark)
            self.placement.poke(partition)

    def _again(self, partition: Partition, shelf: Shelf) -> None:
        """Fetch from the same offset again, in a while."""
        if partition.shelf is shelf:
            partition.looking = False
            self.placement.poke_later(partition)

    def _agreed(self, partition: Partition, shelf: Shelf) -> None:
        """Go on fetching: the leader's log has what was fetched."""
        if partition.shelf is shelf:
            shelf.cut = None
            partition.looking = False
            self.placement.poke(partition)

    def _cut(self, partition: Partition, shelf: Shelf, mark: Mark) -> None:
        """Have the reader go back: what was fetched from a mark on is not in the log."""
        if partition.shelf is shelf:
            partition.looking = True  # until there is another shelf
            shelf.cut = mark
            self._outbox.announce(partition)

    def _fail(self, partition: Partition, shelf: Shelf, error: FeliceError) -> None:
        """Stop reading a partition; the reader learns why when it has read what is on the shelf."""
        if partition.shelf is not shelf:
            return
        topic, index = partition.tp
        if not isinstance(error, PartitionError):
            cause = error
            error = PartitionError(
                f"reading {partition.tp} has stopped: {cause.message}",
                topic=topic,
                partition=index,
                offset=partition.fetch_offset,
                hint=cause.hint,
            )
            error.__cause__ = cause
        partition.looking = False
        partition.halted = True
        self._events.emit(
            PartitionFailed(
                client_id=self._config.client_id, topic=topic, partition=index, offset=error.offset, error=str(error)
            )
        )
        self._outbox.put(partition, Chunk(shelf, partition.fetch_offset, error=error))
        self._tell()

    # -- waiting for it -------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Wake those who wait for news of partitions."""
        news, self._news = self._news, []
        for future in news:
            if not future.done():
                future.set_result(None)

    async def close(self, deadline: float) -> None:
        """End the waits of others and the sessions with brokers; the tasks end with the cluster's."""
        self._closed = True
        self._tell()
        left = min(FAREWELL, deadline - self._clock.monotonic())
        if self.placement.sources and left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await asyncio.gather(*(source.end() for source in self.placement.sources.values()))

    async def positioned(self, partitions: Sequence[TopicPartition] | None, deadline: float) -> None:
        """Wait until it is known where each of these, or all, are read from; raises DeadlineExceeded."""
        while True:
            if self._closed:
                raise ClosedError("the consumer is closed")
            known = self._outbox.partitions
            lacking = [tp for tp in (known if partitions is None else partitions) if self._unknown(known.get(tp))]
            if known and not lacking:
                return
            left = deadline - self._clock.monotonic()
            if left <= 0:
                tp = lacking[0] if lacking else None
                why = self._cluster.explain(*tp) if tp else "no partition is assigned yet"
                raise DeadlineExceeded(f"the position of {tp or 'the consumer'} is not known yet: {why}")
            future: asyncio.Future[None] = self._loop.create_future()
            self._news.append(future)
            await asyncio.wait([future], timeout=left)

    @staticmethod
    def _unknown(partition: Partition | None) -> bool:
        return partition is None or (partition.position < 0 and not partition.halted)
