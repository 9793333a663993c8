"""What a batch must be to be appended, and appending it: Kafka's checks, in Kafka's order.

A batch is taken as it came wherever that is possible: then its bytes are not even decompressed, only checked. What can
change are the timestamp type and the largest timestamp (where the topic stamps on append) and the codec (where the
topic asks for one); then the checksum is made anew.
"""

import struct

from felice.broker.partition import Partition
from felice.broker.producers import NO_PRODUCER, Appended, last_sequence
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.errors import CorruptBatch, DecompressionLimit, ErrorCode, WireError
from felice.wire.records import BatchHeader, Codec, compress, crc32c, decompress, read_header, read_records
from felice.wire.schema.message import Buffer

__all__ = ["admit"]

HEADER = 61
MAGIC_AT = 16
MAGIC = 2
NO_TIMESTAMP = -1
ZSTD_FROM = 7
LOG_APPEND = 1
CODEC_MASK = 0b111
LOG_APPEND_BIT = 0b1000
UNPACKED_LIMIT = 1 << 30
"""No batch may unpack to more bytes than this."""

_pack_length = struct.Struct(">i").pack_into
_pack_crc = struct.Struct(">I").pack_into
_pack_attributes = struct.Struct(">h").pack_into
_pack_timestamp = struct.Struct(">q").pack_into
LENGTH_AT, CRC_AT, ATTRIBUTES_AT, MAX_TIMESTAMP_AT = 8, 17, 21, 35


def admit(records: Buffer | None, partition: Partition, settings: Settings, version: int, now: int) -> tuple[int, int]:
    """Append the one batch of a Produce request, or refuse it.

    Return the offset of its first record, and the timestamp that the broker gave it, or -1 where it keeps its own. A
    batch that was appended before is not appended again; its offset is returned. `now` is the clock, in milliseconds.
    """
    view, header = _only_batch(records, version)
    _check_batch(view, header, settings)
    stamps = settings["message.timestamp.type"] == "LogAppendTime"
    sequences = header.base_sequence, last_sequence(header.base_sequence, header.count)
    if header.producer_id != NO_PRODUCER:
        if header.is_transactional:
            raise Refused(ErrorCode.INVALID_TXN_STATE, position_known=True)
        earlier = partition.producers.judge(header.producer_id, header.producer_epoch, *sequences)
        if earlier is not None:
            return earlier.offset, earlier.timestamp
    max_timestamp = _check_records(view, header, settings, now)
    batch: Buffer = view
    if stamps or max_timestamp != header.max_timestamp or settings["compression.type"] != "producer":
        max_timestamp = now if stamps else max_timestamp
        batch = _rewritten(view, header, settings, max_timestamp, stamps)
    log = partition.log
    offset = log.append(batch, count=header.count, leader_epoch=partition.leader_epoch, max_timestamp=max_timestamp)
    if header.producer_id != NO_PRODUCER:
        partition.producers.remember(
            header.producer_id, header.producer_epoch, Appended(*sequences, offset, max_timestamp)
        )
    partition.announce_growth(len(batch))
    return offset, now if stamps else NO_TIMESTAMP


def _only_batch(records: Buffer | None, version: int) -> tuple[memoryview, BatchHeader]:
    """Return the request's batch, of which there must be one, in the one format that can be written."""
    view = memoryview(b"" if records is None else records)
    if len(view) < HEADER:
        raise _invalid("there is no record batch")
    if view[MAGIC_AT] != MAGIC:
        raise _invalid(f"the batch has format {view[MAGIC_AT]}; only {MAGIC} can be written")
    try:
        header = read_header(view)
    except WireError as error:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    if header.size > len(view):
        raise _invalid("the batch is cut off")
    if header.size < len(view):
        raise _invalid("there is more than one record batch")
    if version < ZSTD_FROM and header.codec == Codec.ZSTD:
        raise Refused(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 7 of Produce")
    return view, header


def _check_batch(view: memoryview, header: BatchHeader, settings: Settings) -> None:
    """Check the batch as a whole."""
    if header.base_offset != 0:
        raise Refused(ErrorCode.INVALID_RECORD, f"the base offset is {header.base_offset}, not 0", position_known=True)
    limit = settings.number("max.message.bytes")
    if len(view) > limit:
        raise Refused(ErrorCode.MESSAGE_TOO_LARGE, f"the batch has {len(view)} bytes; the limit is {limit}")
    if crc32c(view[ATTRIBUTES_AT:]) != header.crc:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, "the checksum is wrong")
    if len(view) > settings.number("segment.bytes"):
        raise Refused(ErrorCode.RECORD_LIST_TOO_LARGE)
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


def _check_records(view: memoryview, header: BatchHeader, settings: Settings, now: int) -> int:
    """Check record by record, and return the largest timestamp."""
    try:
        records = read_records(view, check_crc=False, limit=UNPACKED_LIMIT)
    except DecompressionLimit as error:
        raise Refused(ErrorCode.MESSAGE_TOO_LARGE, str(error)) from error
    except (CorruptBatch, WireError) as error:
        raise Refused(ErrorCode.INVALID_RECORD, str(error), position_known=True) from error
    compacted = "compact" in settings["cleanup.policy"]  # type: ignore[operator]
    earliest = now - settings.number("message.timestamp.before.max.ms")
    latest = now + settings.number("message.timestamp.after.max.ms")
    stamps = settings["message.timestamp.type"] == "LogAppendTime"
    mistimed = False
    wrong: list[tuple[int, str | None]] = []
    largest = NO_TIMESTAMP
    for number, record in enumerate(records):
        time = record.timestamp_ms
        largest = max(largest, time)
        if compacted and record.key is None:
            wrong.append((number, "a record of a compacted topic needs a key"))
        elif header.timestamp_type == LOG_APPEND:
            mistimed = True
            wrong.append((number, "a producer cannot stamp records in the broker's name"))
        elif not stamps and time != NO_TIMESTAMP and not earliest <= time <= latest:
            mistimed = True
            wrong.append((number, f"timestamp {time} is not between {earliest} and {latest}"))
    if wrong:
        code = ErrorCode.INVALID_TIMESTAMP if mistimed else ErrorCode.INVALID_RECORD
        shown = f"{len(wrong)} of {len(records)} records cannot be taken; the first: {wrong[0][1]}"
        raise Refused(code, shown, records=wrong, position_known=True, shown=True)
    return largest


def _rewritten(
    view: memoryview, header: BatchHeader, settings: Settings, max_timestamp: int, stamps: bool
) -> bytearray:
    """Return the batch with another largest timestamp, and in the codec that the topic asks for."""
    codec = header.codec
    wanted = settings["compression.type"]
    body: Buffer = view[HEADER:]
    if wanted != "producer":
        codec = Codec.NONE if wanted == "uncompressed" else Codec.parse(str(wanted))
    if codec != header.codec:
        if header.codec != Codec.NONE:
            body = decompress(header.codec, body, UNPACKED_LIMIT)
        if codec != Codec.NONE:
            level = f"compression.{wanted}.level"
            body = compress(codec, body, settings.number(level) if level in settings.known else None)
    batch = bytearray(view[:HEADER]) + body
    attributes = header.attributes & ~CODEC_MASK | codec
    if stamps:
        attributes |= LOG_APPEND_BIT
    _pack_length(batch, LENGTH_AT, len(batch) - LENGTH_AT - 4)
    _pack_attributes(batch, ATTRIBUTES_AT, attributes)
    _pack_timestamp(batch, MAX_TIMESTAMP_AT, max_timestamp)
    _pack_crc(batch, CRC_AT, crc32c(memoryview(batch)[ATTRIBUTES_AT:]))
    return batch


def _invalid(message: str) -> Refused:
    """Return the refusal of a request whose records are not in the form that its version wants."""
    return Refused(ErrorCode.INVALID_RECORD, message, shown=True)
