"""What compaction leaves of a batch: fewer records, or none, at the offsets that they had."""

import struct
from collections.abc import Sequence
from typing import Final

from felice.types import TimestampType
from felice.wire._records_plain import crc32c, pack_headers, varint
from felice.wire.compression import Codec, compress
from felice.wire.record import HEADER_BYTES, Record
from felice.wire.records.header import DELETE_HORIZON, LENGTH_AND_OFFSET, MAGIC, BatchHeader

__all__ = ["emptied", "rewritten"]

NO_TIMESTAMP: Final = -1
CODEC_MASK: Final = 0b111

_front = struct.Struct(">qiibI")
_tail = struct.Struct(">hiqqqhii")


def rewritten(header: BatchHeader, records: Sequence[Record], delete_horizon: int | None = None) -> bytes:
    """Return a batch with these of its records, at least one, and the header it had.

    It keeps its base offset and its last offset, whatever records there are, so that its producer's sequences are still
    known. With a delete horizon, a time in milliseconds, that is its base timestamp (KIP-534).
    """
    base = records[0].timestamp_ms if delete_horizon is None else delete_horizon
    stamped = header.timestamp_type is TimestampType.LOG_APPEND
    largest = header.max_timestamp if stamped else max(record.timestamp_ms for record in records)
    body = b"".join(_packed(record, header.base_offset, base) for record in records)
    attributes = header.attributes & ~DELETE_HORIZON
    if delete_horizon is not None:
        attributes |= DELETE_HORIZON
    return _sealed(header, attributes, base, largest, len(records), compress(header.codec, body))


def emptied(header: BatchHeader) -> bytes:
    """Return the batch without records, that only tells of its offsets and its producer's sequences."""
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON) | Codec.NONE
    return _sealed(header, attributes, NO_TIMESTAMP, header.max_timestamp, 0, b"")


def _packed(record: Record, base_offset: int, base_timestamp: int) -> bytes:
    """Return one record's bytes."""
    pieces = [b"\0", varint(record.timestamp_ms - base_timestamp), varint(record.offset - base_offset)]
    for field in (record.key, record.value):
        pieces += (b"\x01",) if field is None else (varint(len(field)), field)
    pieces.append(pack_headers(record.headers))
    body = b"".join(pieces)
    return varint(len(body)) + body


def _sealed(
    header: BatchHeader, attributes: int, base_timestamp: int, max_timestamp: int, count: int, body: bytes
) -> bytes:
    """Return the batch with a new header in front of its records."""
    tail = _tail.pack(
        attributes,
        header.last_offset_delta,
        base_timestamp,
        max_timestamp,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        count,
    )
    length = HEADER_BYTES - LENGTH_AND_OFFSET + len(body)
    front = _front.pack(header.base_offset, length, header.leader_epoch, MAGIC, crc32c(body, crc32c(tail)))
    return front + tail + body
