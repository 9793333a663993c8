"""The log of one partition: record batches as the bytes that came, one behind the other, in segments.

Offsets only grow, and are never given twice. Where compaction has taken records away there are gaps between them; then
reading goes on with what is next.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from felice.broker.block import Block
from felice.broker.segment import Segment, Stamped
from felice.wire.schema.message import Buffer

__all__ = ["PartitionLog"]

_base_offset = attrgetter("base_offset")
_peak = attrgetter("peak")


class PartitionLog:
    """Batches from `start_offset` up to (not with) `end_offset`."""

    __slots__ = ("clean_end", "end_offset", "segments", "size", "start_offset")

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        """The last one is the active one, to which batches are appended; there is none in a log without batches."""
        self.start_offset = 0
        self.end_offset = 0
        self.clean_end = 0
        """Up to here (not with) the log was compacted."""
        self.size = 0
        """Bytes of all batches that are held."""

    def append(self, batch: Buffer, *, count: int, leader_epoch: int, max_timestamp: int, now: int = 0) -> int:
        """Append one batch of `count` offsets at the time `now`, in milliseconds; return the first one's offset."""
        offset = self.end_offset
        active = self.segments[-1] if self.segments else self.roll(now)
        active.append(batch, offset, leader_epoch, max_timestamp, now)
        self.end_offset = offset + count
        self.size += len(batch)
        return offset

    def roll(self, now: int) -> Segment:
        """Begin another segment, and return it."""
        made = Segment(self.end_offset, now)
        self.segments.append(made)
        return made

    def read(self, offset: int, *, until: int, max_bytes: int, at_least_one: bool) -> memoryview:
        """Return batches from the first that ends behind `offset` on, at most `max_bytes`, and from one block only.

        No batch that begins at or behind `until` is returned. `at_least_one` gives the first batch even where it is
        larger than `max_bytes` (KIP-74). The offset must lie between `start_offset` and `end_offset`; at the end, and
        at or behind `until`, there is nothing to read.
        """
        if offset < until and (max_bytes > 0 or at_least_one):
            found = self._find(offset)
            if found is not None:
                return found[0].read(found[1], until, max_bytes, at_least_one)
        return memoryview(b"")

    def reach(self, offset: int, size: int) -> int:
        """Return the offset behind the last batch of which `size` bytes, read from `offset` on, have a part."""
        found = self._find(offset)
        return offset if found is None else found[0].reach(found[1], size)

    def delete_before(self, offset: int) -> None:
        """Move the start of the log up to `offset`, and let go of blocks that lie wholly before it."""
        self.start_offset = max(self.start_offset, offset)
        segments = self.segments
        while segments:
            first = segments[0]
            end = segments[1].base_offset if len(segments) > 1 else self.end_offset
            before = first.size
            first.drop_before(self.start_offset, end)
            self.size -= before - first.size
            if end > self.start_offset:
                break
            del segments[0]

    def replace(self, count: int, segments: Sequence[Segment], clean_end: int) -> None:
        """Put what compaction has left in place of the first `count` segments; the log is clean up to `clean_end`."""
        self.segments[:count] = segments
        self.size = sum(segment.size for segment in self.segments)
        self.clean_end = clean_end

    def prefix(self, end: int) -> "PartitionLog":
        """Return a log with the batches before `end`, where a batch begins; this one stays as it is."""
        made = PartitionLog()
        made.end_offset = end
        made.start_offset = min(self.start_offset, end)
        made.clean_end = min(self.clean_end, end)
        if made.start_offset < end:
            made.segments = [segment.prefix(end) for segment in self.segments if segment.base_offset < end]
        made.size = sum(segment.size for segment in made.segments)
        return made

    def batches(self) -> Iterator[memoryview]:
        """Give every batch that ends behind the start of the log."""
        for segment in self.segments:
            for block in segment.blocks:
                for number in range(block.number_of(self.start_offset), len(block.offsets)):
                    yield block.batch(number)

    def first_since(self, timestamp: int) -> Stamped | None:
        """Return the first record stamped `timestamp` or later in the first segment with such a timestamp.

        Kafka looks no further either. There may be none: a batch that compaction has emptied keeps its timestamp.
        """
        found = next((segment for segment in self.segments if segment.largest_timestamp >= timestamp), None)
        return None if found is None else found.first_since(timestamp, self.start_offset)

    def latest_stamped(self) -> Stamped | None:
        """Return the first of the records with the largest timestamp, which is -1 where none has any."""
        found = max(self.segments, key=_peak, default=None)
        return None if found is None else found.first_since(found.peak, self.start_offset)

    def _find(self, offset: int) -> tuple[Block, int] | None:
        """Return the block with the first batch that ends behind `offset`, and the batch's number there."""
        segments = self.segments
        place = max(0, bisect_right(segments, offset, key=_base_offset) - 1)
        while place < len(segments):
            found = segments[place].find(offset)
            if found is not None:
                return found
            place += 1
        return None
