"""Taking batches off the shelves: with `places`, the callers' half of a consumer.

One thread polls or iterates at a time, and is told so otherwise. Nothing here waits: the two faces do.

Non-obvious:

- A partition whose decoded records are not all handed out keeps its turn, so that only one partition is ever unpacked.
- A batch that is damaged is fetched once more before anybody is told: the damage may have happened on the way.
- Where a log was cut off, only who takes can tell whether anything from beyond that was handed out. So it is here that
  the position goes back or an error is raised, before anything more is taken; the engine waits for that.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple

from felice import native
from felice.cluster.engine import Engine
from felice.config import ConsumerConfig
from felice.consumer.places import Places
from felice.consumer.resets import decide_cut, moved, refusal
from felice.consumer.shelf import Partition, Shelf
from felice.consumer.start import Deserializer, Start
from felice.errors import DecompressionLimit, FeliceError, PartitionError, UsageError, WireError
from felice.events import EventBus, PartitionFailed
from felice.types import K, V

if TYPE_CHECKING:
    from felice.consumer._batch import Batch, Reader
else:
    Reader = native.pick("felice.consumer._batch").Reader

__all__ = ["Taken", "Taker"]

TAKE_TOGETHER = 256 * 1024
"""Bytes of small chunks that are read into one batch together."""


class Taken(NamedTuple, Generic[K, V]):
    """A batch on its way to the user, and where it was taken from."""

    partition: Partition
    shelf: Shelf
    batch: "Batch[K, V]"


class Taker(Places[K, V], Generic[K, V]):
    """Takes batches off the shelves that the engine fills."""

    def __init__(
        self,
        config: ConsumerConfig,
        *,
        engine: Engine,
        events: EventBus,
        deserializers: tuple[Deserializer | None, Deserializer | None] | None,
        ring: Callable[[], object],
    ) -> None:
        """Take what it works with; `ring` runs on the engine when callers have done something."""
        super().__init__(config, engine=engine, ring=ring)
        self.polling = threading.Lock()
        """Held by the thread that polls, between `enter` and the end of its poll."""
        self._events = events
        self._deserializers = deserializers

    # -- taking batches -------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Raise where this thread must not poll now; otherwise it takes `polling`, and then calls `take`.

        As `with core.polling:`, whose ends are compiled: Ctrl-C strikes before the lock is taken or after it is given
        back, and never in between, as it could in a method of ours. Asked here, and not there, is whether it is free,
        so that a signal handler which polls inside a poll does not wait for itself. (Two threads that ask in the same
        instant take turns.)
        """
        self.check()
        if self.polling.locked():
            raise UsageError(
                "another thread is polling this consumer, or iterating over it", hint="give each thread its own"
            )

    def most(self, max_records: int | None) -> int:
        """Return how many records a poll may return."""
        if max_records is None:
            return self.config.max_poll_records
        if isinstance(max_records, bool) or not isinstance(max_records, int) or max_records < 1:
            raise UsageError(f"max_records={max_records!r}", hint="give a whole number of at least 1")
        return max_records

    def take(self, most: int, taken: "list[Taken[K, V]]") -> "Batch[K, V] | None":
        """Return the next batch, of up to `most` records, and note it in `taken`; None where there is none yet.

        The caller holds `polling`, and hands `taken` to `untake` where an exception keeps the batch from the user.
        Raises what stopped a partition, once it is that partition's turn.
        """
        ready = self.outbox.ready
        while True:
            partition, self._current = self._current, None
            if partition is None:
                try:
                    item = ready.popleft()
                except IndexError:
                    self._make_way()
                    return None
                if isinstance(item, FeliceError):
                    raise item
                partition = item
            if partition.paused:
                continue  # resume() gives it another turn
            shelf = partition.shelf
            batch = self._take_from(partition, shelf, most)
            if partition.shelf is not shelf:
                # Sought meanwhile, by another thread: nothing of this shelf counts any more.
                self.outbox.returned.extend(shelf.held)
                self._bell.notify()
            elif batch is not None:
                taken.append(Taken(partition, shelf, batch))
                shelf.position = batch.next_offset
                return batch

    def next_batch(self, taken: "list[Taken[K, V]]") -> "Batch[K, V] | None":
        """Return the next batch for an iteration, as `take` does; its messages move the position one by one."""
        messages = self._iteration
        assert messages is not None
        messages.rest()
        batch = self.take(self.config.max_poll_records, taken)
        if batch is not None:
            # The iteration drops the batch if it is of another shelf than the partition's by then.
            messages.owner, messages.shelf = taken[-1].partition, taken[-1].shelf
        return batch

    def untake(self, taken: "list[Taken[K, V]]") -> None:
        """Set right what an exception (Ctrl-C, perhaps) has left half done.

        The batch just taken does not reach the user, and somebody may have been taken from the turns and not served.
        """
        for _, shelf, batch in taken:
            if shelf.position == batch.next_offset:
                shelf.position = batch.offset
        self.outbox.ready.extend(self.outbox.partitions.values())
        self._bell.notify()

    def _make_way(self) -> None:
        """Where memory is short, let go of what paused partitions hold half read; it is fetched again.

        What lies on their shelves the engine drops by itself, but what was taken off them is the reader's.
        """
        if self.outbox.starved:
            for partition in self.outbox.partitions.values():
                shelf = partition.shelf
                if partition.paused and shelf.held:
                    self._seek(partition, Start(shelf.position), instead_of=shelf)

    def _take_from(self, partition: Partition, shelf: Shelf, most: int) -> "Batch[K, V] | None":
        """Take from one partition; None where it has nothing."""
        if shelf.cut is not None and self._go_back(partition, shelf):
            return None
        rest, reader = shelf.rest, shelf.reader
        ahead = rest.offset if rest is not None else reader.position if reader is not None else shelf.position
        if ahead != shelf.position or len(shelf.held) != shelf.added:
            # A signal handler's exception came between taking something and handing it out: it is fetched again.
            self._seek(partition, Start(shelf.position), instead_of=shelf)
            return None
        if rest is not None:
            shelf.rest = rest[most:] if len(rest) > most else None
            self._turn_again(partition, shelf)
            return rest[:most]  # type: ignore[no-any-return]  # a shelf does not know the types of its records
        while True:
            reader = shelf.reader
            if reader is not None:
                try:
                    count = reader.decode(most)
                except WireError as error:
                    shelf.position = reader.position
                    self._damaged(partition, shelf, error)
                    return None
                if count:
                    batch: Batch[K, V] = reader.take(most)
                    if reader.dry:
                        self._give_back(partition, shelf)
                    self._turn_again(partition, shelf)
                    return batch
                shelf.position = reader.position  # it may have moved past records that nobody is given
                self._give_back(partition, shelf)
            if not self._open(partition, shelf) or (shelf.cut is not None and self._go_back(partition, shelf)):
                return None

    def _open(self, partition: Partition, shelf: Shelf) -> bool:
        """Begin with the next chunk of a shelf, and with those behind it while they are small; False without one."""
        size, following, chunks = 0, -1, shelf.chunks
        while size < TAKE_TOGETHER:
            try:
                chunk = chunks[0]
                if size and chunk.data is None:
                    break
                if shelf.position < 0:
                    shelf.position = shelf.offset  # It was looked up before anything was fetched.
                # First noted, then taken: whatever comes in between, its memory is given back.
                shelf.held.append(chunk)
                if chunks.popleft() is not chunk:
                    return False  # Another thread seeks, and the engine empties the shelf.
            except IndexError:
                break
            if chunk.error is not None:
                if partition.shelf is not shelf:
                    return False
                partition.error = chunk.error  # Noted first: nobody fetches it again once it is given back.
                self._give_back(partition, shelf)
                raise chunk.error
            if chunk.jump >= 0:
                shelf.reader = None
                shelf.offset = shelf.position = chunk.jump
                shelf.jumped += 1
                self._give_back(partition, shelf)
                return True
            if shelf.reader is None:
                shelf.reader = self._reader(partition, shelf)
            expected = following if size else shelf.position
            if chunk.offset != expected:
                self._seek(partition, Start(shelf.position), instead_of=shelf)  # as above: a chunk was lost
                return False
            shelf.reader.add(chunk.data, chunk.aborted)
            shelf.added += 1
            following = chunk.following
            size += chunk.size
        return size > 0

    def _reader(self, partition: Partition, shelf: Shelf) -> "Reader[K, V]":
        return Reader(
            *partition.tp,
            partition.generation,
            shelf.offset,
            check_crc=self.config.check_crc,
            max_batch_bytes=self.config.max_batch_bytes,
            deserializers=self._deserializers,
        )

    def _turn_again(self, partition: Partition, shelf: Shelf) -> None:
        """Give a partition another turn where it has more."""
        reader = shelf.reader
        if shelf.rest is not None or (reader is not None and reader.pending):
            self._current = partition
        elif shelf.chunks or (reader is not None and not reader.dry):
            self.outbox.ready.append(partition)

    def _give_back(self, partition: Partition, shelf: Shelf) -> None:
        """Give back the memory of the chunks that the reader is through with, and have the engine fill the room."""
        held = shelf.held
        if not held:
            return
        outbox = self.outbox
        shelf.got += sum(chunk.size for chunk in held)
        outbox.returned.extend(held)
        held.clear()
        shelf.added = 0
        # Race: the shelf falls below low water while an answer comes in.
        #   1. reader: the shelf is below low water    1. engine: the request has landed
        #   2. reader: a request is under way, so      2. engine: the shelf is full enough, nothing to do
        #      there is nothing to say                 3. reader: the shelf is below low water
        #   3. engine: the request has landed          4. reader: no request is under way, rings
        #   4. engine: the shelf is low, asks again
        if outbox.starved or (shelf.bytes < outbox.low_water and partition.flight is None):
            self._bell.notify()

    def _damaged(self, partition: Partition, shelf: Shelf, cause: WireError) -> None:
        """Have a damaged batch fetched once more; raise when it is damaged still."""
        reader = shelf.reader
        offset: int = reader.position
        self._give_back(partition, shelf)
        if partition.refetched != offset and not isinstance(cause, DecompressionLimit):
            partition.refetched = offset
            self._seek(partition, Start(offset), instead_of=shelf)
            return
        topic, index = partition.tp
        following: int = reader.failed_next
        error = PartitionError(
            f"reading {partition.tp} has stopped at offset {offset}: {cause.message}",
            topic=topic,
            partition=index,
            offset=offset,
            next_offset=following,
            hint=f"seek to {following} to skip it" if following > offset else "seek to an offset behind it",
        )
        error.__cause__ = cause
        self._stop(partition, shelf, error)

    def _stop(self, partition: Partition, shelf: Shelf, error: PartitionError) -> None:
        """Stop reading a partition and raise why, unless somebody has sought meanwhile."""
        # What lies behind it is of no use: whatever the user does, it begins with a seek.
        empty = Shelf(Start(error.offset))
        if partition.shelf is not shelf:
            return  # No call stands between this look and the next lines, so nothing comes between.
        partition.shelf = empty
        partition.error = error
        self._bell.notify()
        self._events.emit(
            PartitionFailed(
                client_id=self.config.client_id,
                topic=error.topic,
                partition=error.partition,
                offset=error.offset,
                error=str(error),
            )
        )
        raise error

    def _go_back(self, partition: Partition, shelf: Shelf) -> bool:
        """Hand out nothing from beyond where the log was cut off; tell whether it was.

        Where nothing from there was handed out, the rest is fetched again, and that is all. Otherwise the policy says
        whether reading goes on there, or stops with an error.
        """
        cut = shelf.cut
        if cut is None or shelf.jumped != shelf.jumps or partition.shelf is not shelf:
            return False  # What was cut off lies behind a jump, to which we have not come, or somebody has sought.
        at = partition.position
        reset = decide_cut(partition.tp, at, cut, self.config.offset_reset)
        if reset is None:
            self._seek(partition, Start(at), instead_of=shelf)
        elif not reset.moves:
            self._stop(partition, shelf, refusal(partition.tp, at, reset))
        else:
            # Told first: Ctrl-C in between has it told twice, and not never.
            self._events.emit(moved(self.config, partition.tp, at, reset))
            self._seek(partition, Start(reset.target), instead_of=shelf)
        return True

    def stalled(self) -> PartitionError | None:
        """Return the error of a partition where no partition can bring anything any more, to be raised again."""
        partitions = self.outbox.partitions.values()
        stopped = [partition.error for partition in partitions if partition.error is not None]
        if stopped and all(partition.paused or partition.error is not None for partition in partitions):
            return stopped[0]
        return None
