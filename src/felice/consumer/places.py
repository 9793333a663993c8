"""Where each partition of a consumer stands, as its callers see and change it: positions, seeks, pauses.

All of it may be called from any thread, from a signal handler too. Nothing here waits: the two faces do.

Non-obvious:

- An iteration holds the rest of its batch. Whoever needs the partition otherwise (a poll, a seek, a pause) takes that
  rest away first, and it goes back on the shelf or is dropped.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic

from felice.cluster.engine import Engine
from felice.config import ConsumerConfig
from felice.consumer.outbox import Outbox
from felice.consumer.shelf import Partition, Shelf
from felice.consumer.start import Start, StartSpec, parse_start
from felice.errors import ClosedError, PartitionError, UsageError
from felice.types import K, TopicPartition, V

if TYPE_CHECKING:
    from felice.consumer._batch import AsyncMessages, Messages

__all__ = ["Places"]


class Places(Generic[K, V]):
    """The partitions of one consumer."""

    def __init__(self, config: ConsumerConfig, *, engine: Engine, ring: Callable[[], object]) -> None:
        """Take what it works with; `ring` runs on the engine when callers have done something."""
        self.config = config
        self.engine = engine
        self.outbox = Outbox()
        self._bell = engine.mailbox(ring)
        self._messages: weakref.ref[Messages[K, V] | AsyncMessages[K, V]] | None = None
        self._current: Partition | None = None  # whose turn it is

    def check(self) -> None:
        """Raise ForkedError or ClosedError where this consumer cannot be used any more."""
        self.engine.check()
        if self.outbox.closed:
            raise ClosedError("the consumer is closed")

    # -- the iteration --------------------------------------------------------------------------------------------

    def iterated_by(self, messages: "Messages[K, V] | AsyncMessages[K, V]") -> None:
        """Take the iteration of the face, which holds the batch it is in.

        Not held here: it keeps the face alive (somebody may iterate over a consumer they have no name for), and the
        engine keeps this.
        """
        self._messages = weakref.ref(messages)

    @property
    def _iteration(self) -> "Messages[K, V] | AsyncMessages[K, V] | None":
        return self._messages() if self._messages is not None else None

    def put_back(self) -> None:
        """Take from the iteration what it has not yielded, for a poll or another iteration to hand out first."""
        messages = self._iteration
        partition = messages.owner if messages is not None else None
        if partition is not None and self._take_rest(partition):
            if self._current is not None and self._current is not partition:
                self.outbox.ready.append(self._current)
            self._current = partition

    def _take_rest(self, partition: Partition) -> bool:
        """Move the rest of the iteration's batch back to its shelf; tell whether there was any of this partition."""
        messages = self._iteration
        if messages is None or messages.owner is not partition:
            return False
        shelf = messages.shelf
        rest = messages.rest()
        if rest is None or not len(rest) or partition.shelf is not shelf:
            return False
        shelf.rest = rest
        shelf.position = rest.offset
        return True

    # -- positions ------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> tuple[TopicPartition, ...]:
        """The partitions that are paused."""
        return tuple(sorted(tp for tp, partition in self.outbox.partitions.items() if partition.paused))

    @property
    def failures(self) -> dict[TopicPartition, PartitionError]:
        """The errors that have stopped partitions."""
        partitions = self.outbox.partitions.items()
        return {tp: partition.error for tp, partition in partitions if partition.error is not None}

    def partition(self, tp: TopicPartition) -> Partition:
        """Return the state of an assigned partition; UsageError names those that are."""
        found = self.outbox.partitions.get(tp)
        if found is None:
            listed = ", ".join(map(str, sorted(self.outbox.partitions))) or "nothing yet"
            raise UsageError(f"partition {tp} is not assigned to this consumer", hint=f"assigned: {listed}")
        return found

    def position(self, partition: Partition) -> int:
        """Return the offset of the next message of a partition; -1 where it is not known yet."""
        messages = self._iteration
        if messages is not None and messages.owner is partition and messages.shelf is partition.shelf:
            at = messages.position
            if at >= 0:
                return at
        return partition.position

    def known_position(self, partition: Partition) -> int:
        """Return the position that was waited for; raise why there is none."""
        at = self.position(partition)
        if at < 0 and (error := partition.failure) is not None:
            raise error.with_traceback(None)
        return at

    def seek(self, partition: Partition, spec: StartSpec) -> None:
        """Read a partition from another place on."""
        start = parse_start(spec, "seek")
        try:
            self._seek(partition, start)
        finally:
            self._bell.notify()  # also where Ctrl-C comes in the middle

    def _seek(self, partition: Partition, start: Start, *, instead_of: Shelf | None = None) -> bool:
        """Put another shelf in place: whatever is there now, for a user, or only `instead_of` this one.

        Tells whether it did, or somebody has sought meanwhile.
        """
        # Race: a seek while another thread's iteration gets its next batch.
        #   1. reader: takes a batch off shelf A       1. reader: takes a batch off shelf A
        #   2. seeker: the shelf is B                  2. reader: the iteration has it, after a look at the shelf
        #   3. seeker: takes the iteration's rest      3. seeker: the shelf is B
        #   4. reader: sees that A is not the shelf,   4. seeker: takes the iteration's rest
        #      and drops the batch
        shelf = Shelf(start, goes_on=instead_of is not None)
        if instead_of is not None and partition.shelf is not instead_of:
            return False  # No call stands before the next line, so nothing comes between.
        partition.shelf = shelf
        messages = self._iteration
        if messages is not None and messages.owner is partition and messages.shelf is not shelf:
            messages.rest()
        if partition is self._current:
            self._current = None
        partition.error = None
        if start.offset != partition.refetched:
            partition.refetched = -1
        self._bell.notify()
        return True

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Hand out nothing of these partitions until they are resumed."""
        for partition in partitions:
            partition.paused = True
            self._take_rest(partition)
            if partition is self._current:
                self._current = None

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Hand out messages of these partitions again, where they were paused."""
        for partition in partitions:
            if partition.paused:
                partition.paused = False
                self.outbox.announce(partition)
                # A turn for each chunk: those it had were passed over.
                self.outbox.ready.extend([partition] * len(partition.shelf.chunks))
        self._bell.notify()
