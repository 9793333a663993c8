"""A record batch's header: 61 bytes in front of its records (KIP-98)."""

import struct
from dataclasses import dataclass
from typing import Any, Final

from felice.errors import CorruptBatch, WireError
from felice.types import TimestampType
from felice.wire.compression import Codec

__all__ = ["HEADER_BYTES", "BatchHeader", "read_header", "split"]

HEADER_BYTES: Final = 61
LENGTH_AND_OFFSET: Final = 12
"""The bytes in front of those that a batch's length counts."""

_header = struct.Struct(">qiibIhiqqqhii")
_offset_and_length = struct.Struct(">qi")
_CODEC, _LOG_APPEND, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20


@dataclass(slots=True)
class BatchHeader:
    """What a batch says of itself."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int

    @property
    def size(self) -> int:
        """How many bytes the batch takes, this header included."""
        return self.batch_length + LENGTH_AND_OFFSET

    @property
    def codec(self) -> Codec:
        """How the records are compressed; CorruptBatch where the number means nothing."""
        try:
            return Codec(self.attributes & _CODEC)
        except ValueError:
            raise CorruptBatch(f"there is no codec {self.attributes & _CODEC}") from None

    @property
    def timestamp_type(self) -> TimestampType:
        """Whether the producer stamped the records, or the broker (then all of them with `max_timestamp`)."""
        return TimestampType.LOG_APPEND if self.attributes & _LOG_APPEND else TimestampType.CREATE

    @property
    def is_transactional(self) -> bool:
        """Whether the batch belongs to a transaction."""
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        """Whether the batch holds a control record, which is not for users."""
        return bool(self.attributes & _CONTROL)

    @property
    def last_offset(self) -> int:
        """The last offset that the batch stands for, whether or not a record is left there."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """Where reading goes on behind the batch."""
        return self.base_offset + self.last_offset_delta + 1


def read_header(buffer: Any, start: int = 0) -> BatchHeader:
    """Read the header of the batch that begins at `start`. Raises WireError for another format than v2."""
    if len(buffer) - start < HEADER_BYTES:
        raise CorruptBatch(f"{len(buffer) - start} bytes are no record batch", position=start)
    header = BatchHeader(*_header.unpack_from(buffer, start))
    if header.magic != 2:
        raise WireError(
            f"a record batch of format {header.magic}",
            position=start,
            hint="formats 0 and 1 ended with Kafka 4; convert the topic with an older broker",
        )
    if header.batch_length < HEADER_BYTES - LENGTH_AND_OFFSET:
        raise CorruptBatch(f"a record batch of {header.size} bytes", position=start)
    if header.count < 0 or header.last_offset_delta < -1 or header.base_offset < 0:
        raise CorruptBatch(
            f"a record batch at offset {header.base_offset} of {header.count} records"
            f" with a last offset delta of {header.last_offset_delta}",
            position=start,
        )
    if header.base_offset > 2**63 - 2 - header.last_offset_delta:
        raise CorruptBatch(f"a record batch that ends beyond offset 2**63 ({header.base_offset})", position=start)
    return header


def split(buffer: Any) -> list[tuple[BatchHeader, memoryview]]:
    """Cut a record set into its batches. A last one that is not all there is left out, as brokers may send it."""
    view = memoryview(buffer)
    found: list[tuple[BatchHeader, memoryview]] = []
    start = 0
    while len(view) - start >= LENGTH_AND_OFFSET:
        _, length = _offset_and_length.unpack_from(view, start)
        if length < HEADER_BYTES - LENGTH_AND_OFFSET:
            # Before anything else: formats 0 and 1 have their own lengths, and their magic byte in the same place.
            if len(view) - start > 16 and view[start + 16] in (0, 1):
                read_header(bytes(view[start:]).ljust(HEADER_BYTES, b"\0"))
            raise CorruptBatch(f"a record batch of {length + LENGTH_AND_OFFSET} bytes", position=start)
        if length + LENGTH_AND_OFFSET > len(view) - start:
            break
        header = read_header(view, start)
        found.append((header, view[start : start + header.size]))
        start += header.size
    return found
