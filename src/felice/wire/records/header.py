"""A record batch's header: 61 bytes in front of its records (KIP-98)."""

import struct
from dataclasses import dataclass
from typing import Any, Final

from felice.errors import CorruptBatch, WireError
from felice.types import TimestampType
from felice.wire.compression import Codec
from felice.wire.record import HEADER_BYTES

__all__ = ["DELETE_HORIZON", "HEADER_BYTES", "LENGTH_AND_OFFSET", "MAGIC", "BatchHeader", "read_header", "split"]

LENGTH_AND_OFFSET: Final = 12
"""The bytes in front of those that a batch's length counts."""
MAGIC: Final = 2
OLD_MAGIC: Final = (0, 1)
MAGIC_AT: Final = 16

_header = struct.Struct(">qiibIhiqqqhii")
_offset_and_length = struct.Struct(">qi")
_CODEC, _LOG_APPEND, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
DELETE_HORIZON: Final = 0x40
"""The attribute of a batch whose base timestamp is the time from which compaction may take its tombstones away."""


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
    def delete_horizon(self) -> int | None:
        """From when on compaction may take tombstones, or a transaction's marker, away (KIP-534); None if not set."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON else None

    @property
    def last_offset(self) -> int:
        """The last offset that the batch stands for, whether or not a record is left there."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """Where reading goes on behind the batch."""
        return self.base_offset + self.last_offset_delta + 1


def read_header(buffer: Any, start: int = 0) -> BatchHeader:
    """Read the header of the batch that begins at `start`.

    Raises CorruptBatch for one that cannot be, and WireError for another format than v2.
    """
    if not 0 <= start <= len(buffer) - HEADER_BYTES:
        raise CorruptBatch(f"{len(buffer) - start} bytes are no record batch", position=start)
    header = BatchHeader(*_header.unpack_from(buffer, start))
    if header.magic != MAGIC:
        raise _other_format(header.magic, start)
    if header.batch_length < HEADER_BYTES - LENGTH_AND_OFFSET:
        raise CorruptBatch(f"a record batch of {header.size} bytes", position=start)
    # A cleaned batch may have fewer records than offsets, down to none, but it never has more.
    if not 0 <= header.count <= header.last_offset_delta + 1 or header.last_offset_delta < 0 or header.base_offset < 0:
        raise CorruptBatch(
            f"a record batch at offset {header.base_offset} of {header.count} records"
            f" with a last offset delta of {header.last_offset_delta}",
            position=start,
        )
    if header.base_offset > 2**63 - 2 - header.last_offset_delta:
        raise CorruptBatch(f"a record batch that ends beyond offset 2**63 ({header.base_offset})", position=start)
    return header


def split(buffer: Any) -> list[tuple[BatchHeader, memoryview]]:
    """Cut a record set into its batches. A last one that is not all there is left out, as brokers may send it.

    Raises CorruptBatch and WireError as `read_header` does.
    """
    view = memoryview(buffer)
    found: list[tuple[BatchHeader, memoryview]] = []
    start = 0
    while len(view) - start >= LENGTH_AND_OFFSET:
        _, length = _offset_and_length.unpack_from(view, start)
        # Before the length is judged: formats 0 and 1 have shorter ones, and their magic byte in the same place.
        if len(view) - start > MAGIC_AT and view[start + MAGIC_AT] in OLD_MAGIC:
            raise _other_format(view[start + MAGIC_AT], start)
        if length < HEADER_BYTES - LENGTH_AND_OFFSET:
            raise CorruptBatch(f"a record batch of {length + LENGTH_AND_OFFSET} bytes", position=start)
        if length + LENGTH_AND_OFFSET > len(view) - start:
            break
        header = read_header(view, start)
        found.append((header, view[start : start + header.size]))
        start += header.size
    return found


def _other_format(magic: int, position: int) -> WireError:
    return WireError(
        f"a record batch of format {magic}",
        position=position,
        hint="formats 0 and 1 ended with Kafka 4; convert the topic with an older broker",
    )
