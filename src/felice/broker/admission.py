"""What a batch must be to be appended, and appending it: Kafka's checks, in Kafka's order.

A batch is taken as it came wherever that is possible: then its bytes are not even decompressed, only checked. What can
change are the timestamp type and the largest timestamp (where the topic stamps on append) and the codec (where the
topic asks for one); then the checksum is made anew.
"""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from felice import native
from felice.broker.partition import Partition
from felice.broker.producers import NO_PRODUCER, Appended, last_sequence
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.errors import DecompressionLimit, ErrorCode, WireError
from felice.types import TimestampType
from felice.wire.records import (
    HEADER_BYTES,
    BatchHeader,
    Codec,
    compress,
    crc32c,
    decompress,
    read_header,
    read_records,
    unpack,
)
from felice.wire.schema.message import Buffer

if TYPE_CHECKING:
    from felice.wire._records import scan
else:
    scan = native.pick("felice.wire._records").scan

__all__ = ["admit", "transactional_producer"]

MAGIC = 2
OLD_MAGIC = (0, 1)
NO_TIMESTAMP = -1
ZSTD_FROM = 7
BUMPED_FROM = 12
"""The version of Produce that speaks of transactions whose every end raises the epoch (KIP-890)."""
TRANSACTIONAL_BIT = 0b10000
CODEC_MASK = 0b111
LOG_APPEND_BIT = 0b1000
UNPACKED_LIMIT = 1 << 28
"""No batch may unpack to more bytes than this."""
NO_LIMIT = (1 << 63) - 1

_int = struct.Struct(">i")
_uint = struct.Struct(">I")
_short = struct.Struct(">h")
_long = struct.Struct(">q")
_producer = struct.Struct(">qh")
LENGTH_AT, MAGIC_AT, CRC_AT, ATTRIBUTES_AT, MAX_TIMESTAMP_AT, PRODUCER_AT = 8, 16, 17, 21, 35, 43
SEQUENCE_AT = 53
FROM_LENGTH_ON = LENGTH_AT + 4
"""Bytes of a batch that its length does not count."""


def admit(
    records: Buffer | None,
    partition: Partition,
    settings: Settings,
    *,
    version: int,
    now: int,
    producers_since: int,
    enlist: Callable[[int, int], None],
) -> tuple[int, int]:
    """Append the one batch of a Produce request, or refuse it.

    Return the offset of its first record, and the timestamp that the broker gave it, or -1 where it keeps its own. A
    batch that was appended before is not appended again; its offset is returned. `now` is the clock, in milliseconds;
    producers that were not heard of since `producers_since` are forgotten. `enlist` is given the ID and the epoch of a
    producer whose transaction is not open here: it lets the partition join, or refuses.
    """
    view = _only_batch(records)
    writer = transactional_producer(view)
    joins = writer is not None and not partition.producers.in_transaction(*writer)
    if writer is not None and joins:
        partition.producers.joins(*writer, _int.unpack_from(view, SEQUENCE_AT)[0])
        enlist(*writer)
    header = _checked_header(view, settings, version)
    sequences = header.base_sequence, last_sequence(header.base_sequence, header.count)
    if header.producer_id != NO_PRODUCER:
        earlier = partition.producers.judge(
            header.producer_id,
            header.producer_epoch,
            *sequences,
            transactional=header.is_transactional,
            bumped=joins and version >= BUMPED_FROM,
            heard_since=producers_since,
        )
        if earlier is not None:
            return earlier.offset, earlier.timestamp
    stamps = settings["message.timestamp.type"] == "LogAppendTime"
    max_timestamp = _check_records(view, header, settings, None if stamps else now)
    if stamps:
        max_timestamp = now
    batch: Buffer = view
    if (
        max_timestamp != header.max_timestamp
        or stamps != (header.timestamp_type is TimestampType.LOG_APPEND)
        or settings["compression.type"] != "producer"
    ):
        batch = _rewritten(view, header, settings, max_timestamp, stamps)
    offset = partition.append(batch, count=header.count, max_timestamp=max_timestamp, now=now)
    if header.producer_id != NO_PRODUCER:
        partition.producers.remember(
            header.producer_id,
            header.producer_epoch,
            Appended(*sequences, offset, max_timestamp),
            transactional=header.is_transactional,
            heard_ms=now,
        )
    partition.announce_growth(len(batch))
    return offset, now if stamps else NO_TIMESTAMP


def transactional_producer(records: Buffer | None) -> tuple[int, int] | None:
    """Return the ID and the epoch of the producer whose transaction a batch belongs to, or None for any other batch."""
    if (
        records is None
        or len(records) < HEADER_BYTES
        or records[MAGIC_AT] != MAGIC
        or not records[ATTRIBUTES_AT + 1] & TRANSACTIONAL_BIT
    ):
        return None
    producer_id, epoch = _producer.unpack_from(records, PRODUCER_AT)
    return None if producer_id == NO_PRODUCER else (producer_id, epoch)


def _only_batch(records: Buffer | None) -> memoryview:
    """Return the request's batch, of which there must be one, in the one format that can be written."""
    view = memoryview(b"" if records is None else records)
    if len(view) <= MAGIC_AT:
        raise Refused(ErrorCode.INVALID_RECORD, "there is no record batch")
    magic = view[MAGIC_AT]
    if magic in OLD_MAGIC:
        raise Refused(ErrorCode.INVALID_RECORD, f"the batch has format {magic}; only {MAGIC} can be written")
    size = _int.unpack_from(view, LENGTH_AT)[0] + FROM_LENGTH_ON
    if magic != MAGIC or size < HEADER_BYTES:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, f"a batch of format {magic} and {size} bytes", shown=True)
    if size != len(view):
        wrong = "the batch is cut off" if size > len(view) else "there is more than one record batch"
        raise Refused(ErrorCode.INVALID_RECORD, wrong)
    return view


def _checked_header(view: memoryview, settings: Settings, version: int) -> BatchHeader:
    """Check the batch as a whole, and return its header."""
    base_offset = _long.unpack_from(view)[0]
    if base_offset != 0:
        raise Refused(ErrorCode.INVALID_RECORD, f"the base offset is {base_offset}, not 0", position_known=True)
    limit = settings.number("max.message.bytes")
    if len(view) > limit:
        raise Refused(ErrorCode.MESSAGE_TOO_LARGE, f"the batch has {len(view)} bytes; the limit is {limit}")
    if crc32c(view[ATTRIBUTES_AT:]) != _uint.unpack_from(view, CRC_AT)[0]:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, "the checksum is wrong")
    if len(view) > settings.number("segment.bytes"):
        raise Refused(ErrorCode.RECORD_LIST_TOO_LARGE)
    try:
        header = read_header(view)
        codec = header.codec
    except WireError as error:
        raise Refused(ErrorCode.INVALID_RECORD, str(error), position_known=True) from error
    if version < ZSTD_FROM and codec is Codec.ZSTD:
        raise Refused(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 7 of Produce")
    wrong = ""
    if header.count <= 0:
        wrong = f"the batch says that it has {header.count} records"
    elif header.last_offset_delta != header.count - 1:
        wrong = f"{header.count} records do not end at offset delta {header.last_offset_delta}"
    elif header.is_control:
        wrong = "clients write no control records"
    elif header.producer_id != NO_PRODUCER and header.base_sequence < 0:
        wrong = f"sequence {header.base_sequence} of a producer with an ID"
    if wrong:
        raise Refused(ErrorCode.INVALID_RECORD, wrong, position_known=True)
    return header


def _check_records(view: memoryview, header: BatchHeader, settings: Settings, now: int | None) -> int:
    """Check the records, and return the largest timestamp; without `now` their timestamps do not matter.

    Records are made only where something can be wrong with a single one of them.
    """
    try:
        latest_delta, last_delta = scan(unpack(header, view, UNPACKED_LIMIT), header.count)
    except DecompressionLimit as error:
        raise Refused(ErrorCode.MESSAGE_TOO_LARGE, str(error)) from error
    except WireError as error:
        raise Refused(ErrorCode.INVALID_RECORD, str(error), position_known=True) from error
    largest = header.base_timestamp + latest_delta
    before = settings.number("message.timestamp.before.max.ms")
    after = settings.number("message.timestamp.after.max.ms")
    if (
        last_delta != header.last_offset_delta
        or "compact" in settings.parts("cleanup.policy")
        or (now is not None and (largest > now + after or before != NO_LIMIT))
        or header.timestamp_type is TimestampType.LOG_APPEND
    ):
        _check_each(view, header, settings, None if now is None else range(now - before, now + after + 1))
    return largest


def _check_each(view: memoryview, header: BatchHeader, settings: Settings, times: range | None) -> None:
    """Refuse the batch if any record is wrong, and name those that are (KIP-467)."""
    compacted = "compact" in settings.parts("cleanup.policy")
    stamped = header.timestamp_type is TimestampType.LOG_APPEND
    # As the producer set them: in a batch that claims to be stamped on append the reader would not see them.
    plain = _with_attributes(view, header.attributes & ~LOG_APPEND_BIT) if stamped else view
    mistimed = False
    wrong: list[tuple[int, str | None]] = []
    try:
        records = read_records(plain, check_crc=False, limit=UNPACKED_LIMIT)
    except WireError as error:
        raise Refused(ErrorCode.INVALID_RECORD, str(error), position_known=True) from error
    for number, record in enumerate(records):
        time = record.timestamp_ms
        if record.offset != number:
            wrong.append((number, f"its offset is {record.offset} in the batch, not {number}"))
        elif compacted and record.key is None:
            wrong.append((number, "a record of a compacted topic needs a key"))
        elif times is not None and time != NO_TIMESTAMP:
            if time not in times:
                mistimed = True
                wrong.append((number, f"timestamp {time} is not between {times.start} and {times.stop - 1}"))
        elif stamped:
            mistimed = True
            wrong.append((number, "a producer cannot stamp records in the broker's name"))
    if wrong:
        code = ErrorCode.INVALID_TIMESTAMP if mistimed else ErrorCode.INVALID_RECORD
        shown = f"{len(wrong)} of {len(records)} records cannot be taken; the first: {wrong[0][1]}"
        raise Refused(code, shown, records=wrong, position_known=True, shown=True)


def _with_attributes(view: memoryview, attributes: int) -> bytearray:
    """Return the batch with other attributes, its checksum as it was."""
    batch = bytearray(view)
    _short.pack_into(batch, ATTRIBUTES_AT, attributes)
    return batch


def _rewritten(
    view: memoryview, header: BatchHeader, settings: Settings, max_timestamp: int, stamps: bool
) -> bytearray:
    """Return the batch with another largest timestamp, and in the codec that the topic asks for."""
    codec = header.codec
    wanted = settings["compression.type"]
    body: Buffer = view[HEADER_BYTES:]
    if wanted != "producer":
        codec = Codec.NONE if wanted == "uncompressed" else Codec.parse(str(wanted))
    if codec is not header.codec:
        body = compress(codec, decompress(header.codec, body, UNPACKED_LIMIT), _level(codec, settings))
    batch = bytearray(view[:HEADER_BYTES]) + body
    attributes = header.attributes & ~(CODEC_MASK | LOG_APPEND_BIT) | codec
    _int.pack_into(batch, LENGTH_AT, len(batch) - FROM_LENGTH_ON)
    _short.pack_into(batch, ATTRIBUTES_AT, attributes | LOG_APPEND_BIT if stamps else attributes)
    _long.pack_into(batch, MAX_TIMESTAMP_AT, max_timestamp)
    _uint.pack_into(batch, CRC_AT, crc32c(memoryview(batch)[ATTRIBUTES_AT:]))
    return batch


def _level(codec: Codec, settings: Settings) -> int | None:
    """Return the level that a topic asks for, or None for the codec's own; the nearest that our codec has."""
    name = f"compression.{codec.name.lower()}.level"
    if name not in settings.texts:
        return None
    level = settings.number(name)
    levels = codec.levels
    return min(max(level, levels[0]), levels[-1]) if level > 0 else None
