"""A segment of a partition's log: what Kafka keeps in one file, and cleans and deletes as a whole.

Here its batches lie in blocks of memory, one after the other.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter

from felice.broker.block import FIRST_BLOCK, LARGEST_BLOCK, Block
from felice.broker.setting import Settings
from felice.wire.records import read_header, read_records
from felice.wire.schema.message import Buffer

__all__ = ["NO_TIMESTAMP", "Segment", "Stamped", "longest_ms"]

NO_TIMESTAMP = -1

Stamped = tuple[int, int]
"""An offset and a timestamp in milliseconds."""

_base_offset = attrgetter("base_offset")


def longest_ms(settings: Settings) -> int:
    """Return how long batches go to the same segment; one that may not wait for compaction ends by then."""
    most = settings.number("segment.ms")
    if "compact" in settings.parts("cleanup.policy"):
        most = min(most, settings.number("max.compaction.lag.ms"))
    return most


class Segment:
    """Batches from `base_offset` on."""

    __slots__ = ("_most_bytes", "_most_ms", "_settings", "base_offset", "blocks", "created_ms", "modified_ms", "size")

    def __init__(self, base_offset: int, created_ms: int) -> None:
        """Take the broker's time in milliseconds at which it begins."""
        self.base_offset = base_offset
        self.created_ms = created_ms
        self.modified_ms = created_ms
        """When a batch was appended last."""
        self.blocks: list[Block] = []
        self.size = 0
        """Bytes of the batches that are held."""
        self._settings: Settings | None = None
        self._most_bytes = self._most_ms = 0

    @classmethod
    def holding(cls, base_offset: int, batches: Iterable[Buffer], modified_ms: int) -> "Segment":
        """Return a segment with batches that have their offsets and epochs already."""
        made = cls(base_offset, modified_ms)
        for batch in batches:
            header = read_header(batch)
            made.append(batch, header.base_offset, header.leader_epoch, header.max_timestamp, modified_ms)
        return made

    @property
    def first_timestamp(self) -> int:
        """The largest timestamp of its first batch, or -1."""
        return self.blocks[0].peaks[0] if self.blocks else NO_TIMESTAMP

    @property
    def peak(self) -> int:
        """The largest timestamp of all its batches, or -1."""
        return max((block.peaks[-1] for block in self.blocks), default=NO_TIMESTAMP)

    @property
    def largest_timestamp(self) -> int:
        """The same; but where there is none, the time when it was written last."""
        peak = self.peak
        return peak if peak >= 0 else self.modified_ms

    def is_done(self, size: int, timestamp: int, now: int, settings: Settings) -> bool:
        """Tell whether a batch of so many bytes, with this largest timestamp, begins another segment."""
        if settings is not self._settings:
            self._settings = settings
            self._most_bytes, self._most_ms = settings.number("segment.bytes"), longest_ms(settings)
        if not self.size:
            return False
        if self.size + size > self._most_bytes:
            return True
        first = self.blocks[0].peaks[0]
        return (timestamp - first if first >= 0 else now - self.created_ms) > self._most_ms

    def append(self, batch: Buffer, offset: int, epoch: int, max_timestamp: int, now: int) -> None:
        """Copy a batch behind the others."""
        size = len(batch)
        last = self.blocks[-1] if self.blocks else None
        if last is None or last.capacity - last.size < size:
            capacity = FIRST_BLOCK if last is None else min(2 * last.capacity, LARGEST_BLOCK)
            last = Block(offset, max(capacity, size))
            self.blocks.append(last)
        last.append(batch, offset, epoch, max_timestamp)
        self.size += size
        self.modified_ms = now

    def find(self, offset: int) -> tuple[Block, int] | None:
        """Return the block with the first batch that ends behind `offset`, and the batch's number there."""
        blocks = self.blocks
        place = max(0, bisect_right(blocks, offset, key=_base_offset) - 1)
        while place < len(blocks):
            block = blocks[place]
            number = block.number_of(offset)
            if number < len(block.offsets):
                return block, number
            place += 1
        return None

    def first_since(self, timestamp: int, start: int) -> Stamped | None:
        """Return the first record stamped `timestamp` or later that does not lie before the offset `start`."""
        for block in self.blocks:
            for number in range(bisect_left(block.peaks, timestamp), len(block.offsets)):
                for record in read_records(block.batch(number), check_crc=False):
                    if record.timestamp_ms >= timestamp and record.offset >= start:
                        return record.offset, record.timestamp_ms
        return None

    def batches(self) -> Iterator[memoryview]:
        """Give all batches."""
        for block in self.blocks:
            for number in range(len(block.offsets)):
                yield block.batch(number)

    def drop_before(self, offset: int, end: int) -> None:
        """Let go of blocks that lie wholly before `offset`; the segment ends at `end`."""
        blocks = self.blocks
        while blocks and (blocks[1].base_offset if len(blocks) > 1 else end) <= offset:
            self.size -= blocks.pop(0).size

    def prefix(self, end: int) -> "Segment":
        """Return another with the batches before `end`, where one begins.

        All blocks but its last are shared, as nothing is written to them any more; that one is copied.
        """
        made = Segment(self.base_offset, self.created_ms)
        made.modified_ms = self.modified_ms
        made.blocks = [block for block in self.blocks if block.base_offset < end]
        if made.blocks:
            made.blocks[-1] = made.blocks[-1].prefix(end)
        made.size = sum(block.size for block in made.blocks)
        return made
