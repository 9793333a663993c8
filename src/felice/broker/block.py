"""A block of memory with whole record batches in it, that never moves and never grows.

So a fetch is one slice of a block and is sent from where it lies. What is written behind a slice does not touch it, and
what compaction leaves of a block goes to another one. Only two fields of a batch are rewritten when it is appended, its
base offset and the leader's epoch; its checksum covers neither.
"""

import struct
from bisect import bisect_left, bisect_right

from felice.wire.schema.message import Buffer

__all__ = ["FIRST_BLOCK", "LARGEST_BLOCK", "Block"]

FIRST_BLOCK = 16 * 1024
LARGEST_BLOCK = 8 * 1024 * 1024

_EPOCH_AT = 12
_pack_offset = struct.Struct(">q").pack_into
_LAST_DELTA_AT = 23
_pack_epoch = struct.Struct(">i").pack_into
_read_delta = struct.Struct(">i").unpack_from


class Block:
    """Batches, where each begins, and room for more; it has one at least once it is in a log."""

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

    def append(self, batch: Buffer, offset: int, epoch: int, max_timestamp: int) -> None:
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

    def end_of(self, number: int) -> int:
        """Return the offset behind one batch."""
        delta: int = _read_delta(self.view, self.positions[number] + _LAST_DELTA_AT)[0]
        return self.offsets[number] + delta + 1

    def number_of(self, offset: int) -> int:
        """Return which batch is the first that ends behind `offset`; the number of all batches if none does.

        It holds the offset, or begins behind it where compaction has left a gap.
        """
        number = bisect_right(self.offsets, offset) - 1
        return number if number >= 0 and offset < self.end_of(number) else number + 1

    def prefix(self, end: int) -> "Block":
        """Return a copy with the batches that begin before `end`."""
        keep = bisect_left(self.offsets, end)
        made = Block(self.base_offset, self.capacity)
        made.size = self.positions[keep] if keep < len(self.positions) else self.size
        made.view[: made.size] = self.view[: made.size]
        made.offsets, made.positions, made.peaks = self.offsets[:keep], self.positions[:keep], self.peaks[:keep]
        return made

    def read(self, first: int, until: int, max_bytes: int, at_least_one: bool) -> memoryview:
        """Return the bytes of the batches from number `first` to the last that begins before the offset `until`.

        Like Kafka, the last one may be cut off at `max_bytes`; but the first one is whole, or left out.
        """
        if self.offsets[first] >= until:
            return self.view[:0]
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

    def reach(self, first: int, size: int) -> int:
        """Return the offset behind the last batch of which `size` bytes, from number `first` on, have a part."""
        return self.end_of(bisect_left(self.positions, self.positions[first] + size) - 1)
