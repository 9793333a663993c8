"""Record batches v2 to and from bytes in plain Python: the twin of `_records`."""

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from crc32c import crc32c as _crc32c

from felice.errors import CorruptBatch, RecordTooLarge, UsageError
from felice.wire.compression import Codec, compress
from felice.wire.record import HEADER_BYTES, Record

if TYPE_CHECKING:
    from felice.wire.records.header import BatchHeader

RECORD_OVERHEAD: Final = 36
SMALLEST_RECORD: Final = 7
MOST_BYTES: Final = 0x7FFFFFFF
MOST_16: Final = 0x7FFF
MOST_32: Final = 0x7FFFFFFF
MOST_64: Final = 0x7FFFFFFFFFFFFFFF

_header = struct.Struct(">qiibIhiqqqhii")
_numbers = struct.Struct(">qhi")
_crc = _length = struct.Struct(">I")


def within(number: int, least: int, most: int, name: str) -> int:
    """Return a whole number between two bounds, which are part of the range."""
    if not isinstance(number, int):
        raise TypeError(f"{name} is a number, not {type(number).__name__}")
    if not least <= number <= most:
        raise UsageError(f"{name}={number} is not between {least} and {most}")
    return number


def crc32c(data: Any, value: int = 0) -> int:
    """Return the CRC-32C of a buffer, going on from `value`."""
    return int(_crc32c(data, within(value, 0, 0xFFFFFFFF, "value")))


def murmur2(key: bytes) -> int:
    """Return the hash by which the Java client chooses a key's partition, as an unsigned number of 32 bits."""
    if type(key) is not bytes:
        raise TypeError(f"a key of type {type(key).__name__}")
    m = 0x5BD1E995
    size = len(key)
    h = 0x9747B28C ^ size
    for (k,) in struct.iter_unpack("<I", key[: size & ~3]):
        k = k * m & 0xFFFFFFFF
        k ^= k >> 24
        h = h * m & 0xFFFFFFFF ^ k * m & 0xFFFFFFFF
    if rest := key[size & ~3 :]:
        h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15


class BatchBuilder:
    """A record batch under construction: each record is encoded straight into the bytes that will be sent."""

    __slots__ = ("_bytes", "base_timestamp", "capacity", "count", "max_timestamp")

    def __init__(self, capacity: int = 16384) -> None:
        if capacity > MOST_BYTES:
            raise UsageError(f"a record batch has less than 2 GiB, not {capacity} bytes")
        self.capacity = max(capacity, HEADER_BYTES + RECORD_OVERHEAD)
        self._bytes = bytearray(HEADER_BYTES)
        self.reset()

    def reset(self) -> None:
        """Empty the batch. Raises BufferError while somebody reads it."""
        if self.exports:
            raise BufferError("the batch's bytes are in use")
        del self._bytes[HEADER_BYTES:]
        self.count = 0
        self.base_timestamp = -1
        self.max_timestamp = -1

    def __len__(self) -> int:
        return self.count

    @property
    def size(self) -> int:
        """How many bytes the batch takes by now, its header included."""
        return len(self._bytes)

    @property
    def exports(self) -> int:
        """How many readers the bytes have; here 1 stands for any number, as Python does not tell."""
        try:
            self._bytes.append(0)
        except BufferError:
            return 1
        del self._bytes[-1]
        return 0

    def append(self, value: Any, key: Any = None, headers: Any = None, timestamp_ms: int = -1) -> int:
        """Add a record and return its index in the batch.

        Value and key are bytes-like or None, headers a series of (str, bytes or None), and the timestamp milliseconds
        since 1970, or -1 for none. Raises TypeError and UsageError for values that cannot be, BufferError while
        somebody reads the batch, and RecordTooLarge where it would grow beyond 2 GiB; the batch is then as it was.
        """
        packed = pack_headers(headers)
        # Below the largest number, so that the difference of two timestamps is never beyond 64 bits.
        within(timestamp_ms, -1, MOST_64 - 1, "timestamp_ms")
        value = value if value is None else _in_one_piece(value)
        key = key if key is None else _in_one_piece(key)
        index = self.count
        if len(self._bytes) + RECORD_OVERHEAD + len(value or b"") + len(key or b"") + len(packed) > MOST_BYTES:
            raise RecordTooLarge("a record batch has less than 2 GiB")
        base = timestamp_ms if index == 0 else self.base_timestamp
        body = bytearray(b"\0")
        body += varint(timestamp_ms - base)
        body += varint(index)
        for field in (key, value):
            if field is None:
                body += b"\x01"
            else:
                body += varint(len(field))
                body += field
        body += packed
        self._bytes += varint(len(body)) + body
        if index == 0:
            self.base_timestamp = self.max_timestamp = timestamp_ms
        elif timestamp_ms > self.max_timestamp:
            self.max_timestamp = timestamp_ms
        self.count = index + 1
        self.capacity = max(self.capacity, self.size)
        return index

    def seal(
        self,
        *,
        codec: int = 0,
        level: int | None = None,
        base_offset: int = 0,
        leader_epoch: int = -1,
        producer_id: int = -1,
        producer_epoch: int = -1,
        base_sequence: int = -1,
        transactional: bool = False,
        control: bool = False,
        timestamp_type: int = 0,
    ) -> memoryview:
        """Write the header and the checksum, and return the batch as a writable buffer.

        It is the builder's own memory where there is no codec, and new memory otherwise. Sealing again writes the
        header anew. Raises UsageError for numbers that do not fit their fields and where there is no record, and
        ConfigError for a codec or a level that there is not.
        """
        within(base_offset, 0, MOST_64, "base_offset")
        within(leader_epoch, -1, MOST_32, "leader_epoch")
        _check_numbers(producer_id, producer_epoch, base_sequence)
        kind = Codec.parse(codec)
        if not self.count:
            raise UsageError("a batch without records cannot be sealed")
        sealed = self._bytes
        if kind or level is not None:
            with memoryview(self._bytes) as whole, whole[HEADER_BYTES:] as plain:
                sealed = bytearray(HEADER_BYTES)
                sealed += compress(kind, plain, level)
        attributes = kind | (8 if timestamp_type else 0) | (16 if transactional else 0) | (32 if control else 0)
        _header.pack_into(
            sealed,
            0,
            base_offset,
            len(sealed) - 12,
            leader_epoch,
            2,
            0,
            attributes,
            self.count - 1,
            self.base_timestamp,
            self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            self.count,
        )
        _crc.pack_into(sealed, 17, crc32c(memoryview(sealed)[21:]))
        return memoryview(sealed)


def _in_one_piece(field: Any) -> bytes | memoryview:
    """Return the bytes of a key or a value, as the buffer protocol's simplest request gives them."""
    if type(field) is bytes:
        return field
    view = memoryview(field)
    if not view.c_contiguous:
        raise BufferError("a value or key that is not in one piece")
    return view.cast("B")


@lru_cache(4096)  # lengths and small deltas come again and again
def varint(number: int) -> bytes:
    """Return a zigzag varint of a number of 64 bits."""
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def pack_headers(headers: Any) -> bytes:
    """Return the bytes of headers, their count in front."""
    if not headers:
        return b"\0"
    headers = tuple(headers)
    pieces = [varint(len(headers))]
    for header in headers:
        if type(header) is not tuple or len(header) != 2:
            raise TypeError("headers are a series of (str, bytes or None)")
        name, value = header
        if type(name) is not str or not (value is None or type(value) is bytes):
            raise TypeError("headers are a series of (str, bytes or None)")
        try:
            text = name.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"the name of a header, {name!r}, is not Unicode") from None
        pieces += (varint(len(text)), text)
        if value is None:
            pieces.append(b"\x01")
        else:
            pieces += (varint(len(value)), value)
    return b"".join(pieces)


def _check_numbers(producer_id: int, producer_epoch: int, base_sequence: int) -> None:
    within(producer_id, -1, MOST_64, "producer_id")
    within(producer_epoch, -1, MOST_16, "producer_epoch")
    within(base_sequence, -1, MOST_32, "base_sequence")


def stamp(batch: Any, *, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
    """Write a producer's numbers into one sealed batch, a writable buffer, and renew its checksum.

    Raises UsageError for what is not one whole batch and for numbers that do not fit, and BufferError for a buffer that
    cannot be written to.
    """
    _check_numbers(producer_id, producer_epoch, base_sequence)
    view = memoryview(batch)
    if view.readonly:
        raise BufferError("a record batch that cannot be written to")
    if len(view) < HEADER_BYTES or _length.unpack_from(view, 8)[0] != len(view) - 12:
        raise UsageError(f"{len(view)} bytes that are not one whole record batch")
    _numbers.pack_into(view, 43, producer_id, producer_epoch, base_sequence)
    _crc.pack_into(view, 17, crc32c(view[21:]))


class _Bad(Exception):
    """A record that does not hold."""


def _long(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint of 64 bits: of ten bytes at most, as in Kafka."""
    if at < end and (byte := data[at]) < 0x80:
        return byte >> 1 ^ -(byte & 1), at + 1
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        if shift == 63 and byte > 1:
            break
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), at
        shift += 7
    raise _Bad


def _int(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint of 32 bits, of five bytes at most."""
    if at < end and (byte := data[at]) < 0x80:
        return byte >> 1 ^ -(byte & 1), at + 1
    if at + 1 < end and (more := data[at + 1]) < 0x80:
        value = byte & 0x7F | more << 7
        return value >> 1 ^ -(value & 1), at + 2
    value, at = _long(data, at, min(end, at + 5))
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise _Bad
    return value, at


def _field(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    """Read a key or value: null where its length is any negative number, as in Kafka."""
    length, at = _int(data, at, end)
    if length > end - at:
        raise _Bad
    return (None, at) if length < 0 else (data[at : at + length], at + length)


Row: TypeAlias = tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]
"""Offset delta, timestamp delta, key, value and headers of a record."""


def parse_records(payload: Any, count: int) -> list[Row]:
    """Return the rows of `count` records that fill the payload exactly. Raises CorruptBatch."""
    data = payload if type(payload) is bytes else bytes(memoryview(payload))  # of which single bytes are read fastest
    size = len(data)
    if count < 0 or count > size // SMALLEST_RECORD or size > MOST_BYTES:
        raise CorruptBatch(f"{count} records in {size} bytes")
    found: list[Row] = []
    at = 0
    for index in range(count):
        try:
            length, at = _int(data, at, size)
            if not 1 <= length <= size - at:
                raise _Bad
            end = at + length
            timestamp_delta, at = _long(data, at + 1, end)
            offset_delta, at = _int(data, at, end)
            if offset_delta < 0:
                raise _Bad
            key, at = _field(data, at, end)
            value, at = _field(data, at, end)
            number, at = _int(data, at, end)
            if not 0 <= number <= (end - at) // 2:
                raise _Bad
            headers: list[tuple[bytes, bytes | None]] = []
            for _ in range(number):
                name, at = _field(data, at, end)
                if name is None:
                    raise _Bad
                held, at = _field(data, at, end)
                headers.append((name, held))
            if at != end:
                raise _Bad
        except _Bad:
            raise CorruptBatch(f"record {index} of {count} is damaged") from None
        found.append((offset_delta, timestamp_delta, key, value, headers))
    if at != size:
        raise CorruptBatch(f"{count} records do not fill their {size} bytes")
    return found


def scan(payload: Any, count: int, base_timestamp: int = 0) -> tuple[int, int]:
    """Check that `count` records fill the payload; return their largest timestamp delta and last offset delta.

    Offset deltas must run from 0 without gaps, as in what producers write; -1 stands for a last delta that does not.
    Raises CorruptBatch.
    """
    rows = parse_records(payload, count)
    latest = max((row[1] for row in rows), default=0)
    earliest = min((row[1] for row in rows), default=0)
    if not (_in_64_bits(base_timestamp + latest) and _in_64_bits(base_timestamp + earliest)):
        raise CorruptBatch(f"a timestamp of {count} records is beyond 64 bits")
    contiguous = all(row[0] == index for index, row in enumerate(rows))
    return latest, count - 1 if contiguous else -1


def decode(payload: Any, header: "BatchHeader") -> list[Record]:
    """Return the records of a payload, unpacked and without the batch's header, which is the other argument.

    Raises CorruptBatch.
    """
    found: list[Record] = []
    previous, last = -1, header.last_offset_delta
    for index, (delta, later, key, value, headers) in enumerate(parse_records(payload, header.count)):
        if not previous < delta <= last:
            raise CorruptBatch(
                f"record {index} of {header.count} is out of order: offset delta {delta}"
                f" behind {previous} and up to {last}"
            )
        previous = delta
        timestamp = header.max_timestamp if header.timestamp_type else header.base_timestamp + later
        if not _in_64_bits(timestamp):
            raise CorruptBatch(f"a timestamp of {header.count} records is beyond 64 bits")
        named = tuple((name.decode("utf-8", "surrogateescape"), held) for name, held in headers)
        found.append(Record(header.base_offset + delta, timestamp, key, value, named))
    return found


def _in_64_bits(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 63
