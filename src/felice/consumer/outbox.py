"""What the engine and the reader share besides shelves: whose turn it is, what is given back, and the reader's bell.

No lock, as in `cluster/handoff`: the ends of a `deque` are atomic, and the two sides write and read in opposite orders.
"""

from collections import deque
from contextlib import suppress

from felice.cluster.handoff import OneShot
from felice.consumer.shelf import Chunk, Partition
from felice.errors import FeliceError
from felice.types import TopicPartition

__all__ = ["Outbox"]


class Outbox:
    """Where the reader finds what was fetched."""

    __slots__ = ("_waiter", "closed", "low_water", "partitions", "ready", "returned", "starved")

    def __init__(self) -> None:
        self.ready: deque[Partition | FeliceError] = deque()
        """Partitions in the order of their turns; one may be there although its shelf is empty by now."""
        self.returned: deque[Chunk] = deque()
        """Chunks that are read, whose memory the engine counts no more."""
        self.partitions: dict[TopicPartition, Partition] = {}
        """All that is assigned. The engine replaces it and never changes it in place."""
        self.low_water = 0
        """A partition whose shelf falls below this many bytes is fetched."""
        self.starved = False
        """Whether the engine waits for memory to be given back."""
        self.closed = False
        self._waiter: OneShot[None] | None = None

    def put(self, partition: Partition, chunk: Chunk) -> None:
        """Put a chunk on its shelf, and let the reader know."""
        chunk.shelf.add(chunk)
        self.announce(partition)

    def announce(self, item: Partition | FeliceError) -> None:
        """Let the reader have something, and wake it if it waits."""
        self.ready.append(item)
        self.ring()

    def withdraw(self, error: FeliceError) -> None:
        """Take back an error that is one no more, if the reader has not had it."""
        with suppress(ValueError):
            self.ready.remove(error)

    def ring(self) -> None:
        """Wake the reader if it waits."""
        # The waiter stays where it is: two who ring at once could otherwise take away the next one.
        waiter = self._waiter
        if waiter is not None:
            waiter.set(None)

    def waiter(self) -> OneShot[None]:
        """Return what the reader waits for next."""
        # Race: something is announced while the reader goes to sleep.
        #   1. reader: finds nothing ready            1. reader: finds nothing ready
        #   2. engine: announces, finds no waiter     2. reader: leaves its waiter
        #   3. reader: leaves its waiter              3. engine: announces, sets the waiter
        #   4. reader: looks again, does not sleep    4. reader: does not sleep
        self._waiter = waiter = OneShot[None]()
        if self.ready or self.closed:
            waiter.set(None)
        return waiter

    def close(self) -> None:
        """Let nobody wait any more. From any thread."""
        self.closed = True
        self.ring()
