"""How much may be asked for, and what gives way where memory is short. Runs on the engine.

Where memory runs out while paused partitions hold some, their newest chunks are dropped, to be fetched again, and the
reader lets go of what it has half read of them: a partition that nobody reads must not keep the others from being read.
"""

from felice.config import ConsumerConfig
from felice.consumer.budget import Budget
from felice.consumer.outbox import Outbox
from felice.consumer.shelf import Chunk, Partition

__all__ = ["SMALLEST_ASK", "Room"]

SMALLEST_ASK = 16 * 1024
"""Bytes of room below which nothing is asked for until some is given back."""


class Room:
    """The memory of one consumer, shared out among its partitions."""

    def __init__(self, config: ConsumerConfig, outbox: Outbox) -> None:
        """Take how much there is, and where the reader gives it back."""
        self._config = config
        self._outbox = outbox
        self.budget = Budget(config.buffer_bytes)
        self.ask_bytes = config.partition_bytes
        """How much of one partition an answer may hold."""

    def share_out(self) -> None:
        """Divide the budget: each partition may have on its shelf what was there at low water, and one answer more."""
        share = self._config.buffer_bytes // (2 * max(1, len(self._outbox.partitions)))
        self._outbox.low_water = max(1, min(2 * self._config.partition_bytes, share))
        self.ask_bytes = max(min(self._config.partition_bytes, share), min(SMALLEST_ASK, self._config.partition_bytes))

    def take_back(self) -> None:
        """Count what the reader has given back no more."""
        returned = self._outbox.returned
        while returned:
            self.release(returned.popleft())

    def release(self, chunk: Chunk) -> None:
        """Count a chunk no more; again does nothing."""
        if chunk.frame is not None:
            self.budget.release(chunk.frame)
            chunk.frame = None  # it may come back twice: from the reader, and from the thread that seeks

    def make(self, size: int) -> bool:
        """Tell whether so much may be asked for, at the cost of what paused partitions have on their shelves."""
        budget, outbox = self.budget, self._outbox
        if budget.free >= size or not (budget.buffered or budget.requested):
            outbox.starved = False
            return True
        # Race: the reader gives memory back while the engine runs out of it.
        #   1. engine: finds no room             1. engine: finds no room
        #   2. reader: returns a chunk           2. engine: starved = True
        #   3. reader: starved is not set        3. reader: returns a chunk
        #   4. engine: starved = True            4. reader: starved is set, rings
        #   5. engine: looks once more
        outbox.starved = True
        self.take_back()
        for partition in outbox.partitions.values():
            if budget.free >= size:
                break
            if partition.paused and partition.flight is None and not partition.looking:
                self._strip(partition, size)
        if budget.free < size:
            if any(partition.paused and partition.shelf.held for partition in outbox.partitions.values()):
                outbox.ring()  # What a reader holds half read only the reader can let go.
            return False
        outbox.starved = False
        return True

    def _strip(self, partition: Partition, size: int) -> None:
        """Drop a paused partition's newest chunks until there is room, to fetch them again when it is resumed."""
        shelf = partition.shelf
        while self.budget.free < size:
            try:
                chunk = shelf.chunks.pop()
            except IndexError:
                return
            if chunk.data is None:
                shelf.chunks.append(chunk)  # an error or a jump, which cannot be fetched again
                return
            shelf.put -= chunk.size
            partition.fetch_offset = chunk.offset
            partition.trail.cut(chunk.offset)
            partition.halted = False  # by what made no sense in it, if by anything
            self.release(chunk)
