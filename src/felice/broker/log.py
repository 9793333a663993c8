"""The log of one partition: record batches as the bytes that came, one behind the other.

Batches lie in segments, each a block of memory that never moves and never grows, so a fetch is one slice of one
segment and is sent from where it lies. What is written behind a slice does not touch it. Only two fields of a batch
are rewritten when it is appended, its base offset and the leader's epoch; its checksum covers neither.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from felice.wire.records import read_records

__all__ = ["PartitionLog", "Stamped"]

FIRST_SEGMENT = 16 * 1024
LARGEST_SEGMENT = 8 * 1024 * 1024
NO_TIMESTAMP = -1

_EPOCH_AT = 12
_pack_offset = struct.Struct(">q").pack_into
_LAST_DELTA_AT = 23
_pack_epoch = struct.Struct(">i").pack_into
_read_delta = struct.Struct(">i").unpack_from

Stamped = tuple[int, int]
"""An offset and a timestamp in milliseconds."""


class Segment:
    """A block of memory with whole batches in it, and where each begins."""

    __slots__ = ("base_offset", "capacity", "offsets", "peaks", "positions", "size", "view")

    def __init__(self, base_offset: int, capacity: int) -> None:
        self.base_offset = base_offset
        self.capacity = capacity
        self.view = memoryview(bytearray(capacity))
        self.size = 0
        self.offsets: list[int] = []
        self.positions: list[int] = []
        self.peaks: list[int] = []
        """The largest timestamp up to and with each batch; so these ascend, and can be searched."""

    def append(self, batch: bytes | bytearray | memoryview, offset: int, epoch: int, max_timestamp: int) -> None:
        """Copy a batch behind the others."""
        position, size = self.size, len(batch)
        self.view[position : position + size] = batch
        _pack_offset(self.view, position, offset)
        _pack_epoch(self.view, position + _EPOCH_AT, epoch)
        self.offsets.append(offset)
        self.positions.append(position)
        self.peaks.append(max(max_timestamp, self.peaks[-1]) if self.peaks else max_timestamp)
        self.size = position + size

    def batch(self, number: int) -> memoryview:
        """Return one batch."""
        end = self.positions[number + 1] if number + 1 < len(self.positions) else self.size
        return self.view[self.positions[number] : end]

    def number_of(self, offset: int) -> int:
        """Return which batch holds `offset`."""
        return bisect_right(self.offsets, offset) - 1

    def prefix(self, end: int) -> "Segment":
        """Return a copy with the batches that begin before `end`."""
        keep = bisect_left(self.offsets, end)
        made = Segment(self.base_offset, self.capacity)
        made.size = self.positions[keep] if keep < len(self.positions) else self.size
        made.view[: made.size] = self.view[: made.size]
        made.offsets, made.positions, made.peaks = self.offsets[:keep], self.positions[:keep], self.peaks[:keep]
        return made

    def read(self, offset: int, until: int, max_bytes: int, at_least_one: bool) -> memoryview:
        """Return the bytes of the batches from the one with `offset` to the last that begins before `until`.

        Like Kafka, the last one may be cut off at `max_bytes`; but the first one is whole, or left out.
        """
        first = self.number_of(offset)
        start = self.positions[first]
        first_end = start + len(self.batch(first))
        end = self.size
        if until <= self.offsets[-1]:
            end = self.positions[bisect_left(self.offsets, until)]
        if at_least_one and max_bytes < first_end - start:
            return self.view[start:first_end]
        if start + max_bytes < first_end:
            return self.view[:0]
        return self.view[start : min(end, start + max_bytes)]

    def reach(self, offset: int, size: int) -> int:
        """Return the offset behind the last batch of which `size` bytes, from the one with `offset` on, have a part."""
        last = bisect_left(self.positions, self.positions[self.number_of(offset)] + size) - 1
        delta: int = _read_delta(self.view, self.positions[last] + _LAST_DELTA_AT)[0]
        return self.offsets[last] + delta + 1


class PartitionLog:
    """Batches from `start_offset` up to (not with) `end_offset`."""

    __slots__ = ("_segments", "end_offset", "size", "start_offset")

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self.start_offset = 0
        self.end_offset = 0
        self.size = 0
        """Bytes of all batches that are held."""

    def append(
        self, batch: bytes | bytearray | memoryview, *, count: int, leader_epoch: int, max_timestamp: int
    ) -> int:
        """Append one batch of `count` offsets and return the first one's offset."""
        offset = self.end_offset
        size = len(batch)
        last = self._segments[-1] if self._segments else None
        if last is None or last.capacity - last.size < size:
            capacity = FIRST_SEGMENT if last is None else min(2 * last.capacity, LARGEST_SEGMENT)
            last = Segment(offset, max(capacity, size))
            self._segments.append(last)
        last.append(batch, offset, leader_epoch, max_timestamp)
        self.end_offset = offset + count
        self.size += size
        return offset

    def read(self, offset: int, *, until: int, max_bytes: int, at_least_one: bool) -> memoryview:
        """Return batches from the one that holds `offset` on, at most `max_bytes`, and from one segment only.

        No batch that begins at or behind `until` is returned. `at_least_one` gives the first batch even where it is
        larger than `max_bytes` (KIP-74). The offset must lie between `start_offset` and `end_offset`; at the end, and
        at or behind `until`, there is nothing to read.
        """
        if offset >= until or offset >= self.end_offset or (max_bytes <= 0 and not at_least_one):
            return memoryview(b"")
        return self._segment_of(offset).read(offset, until, max_bytes, at_least_one)

    def reach(self, offset: int, size: int) -> int:
        """Return the offset behind the last batch of which `size` bytes, read from `offset` on, have a part."""
        return self._segment_of(offset).reach(offset, size)

    def delete_before(self, offset: int) -> None:
        """Move the start of the log up to `offset`, and let go of segments that lie wholly before it."""
        self.start_offset = max(self.start_offset, offset)
        while self._segments:
            end = self._segments[1].base_offset if len(self._segments) > 1 else self.end_offset
            if end > self.start_offset:
                break
            self.size -= self._segments.pop(0).size

    def prefix(self, end: int) -> "PartitionLog":
        """Return a log with the batches before `end`, where a batch begins; this one stays as it is.

        All segments but its last are shared, as nothing is written to them any more; that one is copied.
        """
        made = PartitionLog()
        made.end_offset = end
        made.start_offset = min(self.start_offset, end)
        for number, segment in enumerate(self._segments):
            if segment.base_offset >= end or made.start_offset == end:
                break
            later = self._segments[number + 1 : number + 2]
            made._segments.append(segment if later and later[0].base_offset < end else segment.prefix(end))
        made.size = sum(segment.size for segment in made._segments)
        return made

    def batches(self) -> Iterator[memoryview]:
        """Give every batch with a record at or behind the start of the log."""
        for segment in self._segments:
            for number in range(max(0, segment.number_of(self.start_offset)), len(segment.offsets)):
                yield segment.batch(number)

    def first_since(self, timestamp: int) -> Stamped | None:
        """Return the first record stamped `timestamp` or later."""
        for segment in self._segments:
            if segment.peaks[-1] < timestamp:
                continue
            # A batch that reaches across the log's start may have its late records before it: then look further.
            for number in range(bisect_left(segment.peaks, timestamp), len(segment.offsets)):
                for record in read_records(segment.batch(number), check_crc=False):
                    if record.timestamp_ms >= timestamp and record.offset >= self.start_offset:
                        return record.offset, record.timestamp_ms
        return None

    def latest_stamped(self) -> Stamped | None:
        """Return the first of the records with the largest timestamp."""
        peak = max((segment.peaks[-1] for segment in self._segments), default=NO_TIMESTAMP)
        return self.first_since(peak) if peak != NO_TIMESTAMP else None

    def _segment_of(self, offset: int) -> Segment:
        """Return the segment that holds `offset`."""
        place = bisect_right(self._segments, offset, key=lambda segment: segment.base_offset)
        return self._segments[place - 1]
