"""Record batches v2 to and from bytes in plain Python: the twin of `_records`."""

import struct
from typing import Any, Final

from crc32c import crc32c as _crc32c

from felice.errors import CorruptBatch, UsageError
from felice.wire.compression import compress
from felice.wire.record import Record

HEADER: Final = 61
RECORD_OVERHEAD: Final = 36
MAX_INT64: Final = 2**63 - 1

_header = struct.Struct(">qiibIhiqqqhii")
_numbers = struct.Struct(">qhi")
_crc = struct.Struct(">I")


def crc32c(data: Any, value: int = 0) -> int:
    """Return the CRC-32C of a buffer, going on from `value`."""
    return int(_crc32c(data, value))


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
        self.capacity = max(capacity, HEADER + RECORD_OVERHEAD)
        self.reset()

    def reset(self) -> None:
        """Empty the batch."""
        self._bytes = bytearray(HEADER)
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
        """How many readers the bytes have; a sealed batch keeps its own here, so none."""
        return 0

    def append(self, value: Any, key: Any = None, headers: Any = None, timestamp_ms: int = -1) -> int:
        """Add a record and return its index: bytes-like or None for key and value, (str, bytes or None) as headers."""
        index = self.count
        base = timestamp_ms if index == 0 else self.base_timestamp
        body = bytearray(b"\0")
        body += varint(timestamp_ms - base)
        body += varint(index)
        for field in (key, value):
            if field is None:
                body += b"\x01"
            else:
                plain = bytes(memoryview(field))
                body += varint(len(plain))
                body += plain
        body += pack_headers(headers)
        if self.size + len(body) + 10 > 0x7FFFFFFF:
            raise UsageError("a record batch cannot hold more than 2 GiB")
        if index == 0:
            self.base_timestamp = self.max_timestamp = timestamp_ms
        elif timestamp_ms > self.max_timestamp:
            self.max_timestamp = timestamp_ms
        self._bytes += varint(len(body)) + body
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
    ) -> Any:
        """Write the header and the checksum, and return the batch as a writable buffer.

        It is the builder's own memory where there is no codec, and new memory otherwise.
        """
        sealed = self._bytes
        if codec:
            sealed = bytearray(HEADER)
            sealed += compress(codec, memoryview(self._bytes)[HEADER:], level)  # type: ignore[arg-type]  # an IntEnum
        attributes = codec | (8 if timestamp_type else 0) | (16 if transactional else 0) | (32 if control else 0)
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
    pieces = [varint(len(headers))]
    for header in headers:
        if type(header) is not tuple or len(header) != 2:
            raise TypeError("headers are a series of (str, bytes or None)")
        name, value = header
        if type(name) is not str or not (value is None or type(value) is bytes):
            raise TypeError("headers are a series of (str, bytes or None)")
        text = name.encode()
        pieces += (varint(len(text)), text)
        if value is None:
            pieces.append(b"\x01")
        else:
            pieces += (varint(len(value)), value)
    return b"".join(pieces)


def stamp(batch: Any, *, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
    """Write a producer's numbers into a sealed batch, a writable buffer, and renew its checksum."""
    if len(batch) < HEADER:
        raise CorruptBatch(f"a record batch of {len(batch)} bytes")
    _numbers.pack_into(batch, 43, producer_id, producer_epoch, base_sequence)
    _crc.pack_into(batch, 17, crc32c(memoryview(batch)[21:]))


class _Bad(Exception):
    """A record that does not hold."""


def _read_varint(data: Any, at: int, end: int) -> tuple[int, int]:
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


def _read_field(data: Any, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = _read_varint(data, at, end)
    if not -1 <= length <= end - at:
        raise _Bad
    return (None, at) if length < 0 else (bytes(data[at : at + length]), at + length)


def _parse(
    payload: Any, count: int
) -> "list[tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]]":
    """Return (offset delta, timestamp delta, key, value, headers) of `count` records that fill the payload."""
    data = memoryview(payload)
    size = len(data)
    if count < 0 or count > size // 7:
        raise CorruptBatch(f"{count} records in {size} bytes")
    found = []
    at = 0
    for index in range(count):
        try:
            length, at = _read_varint(data, at, size)
            if not 1 <= length <= size - at:
                raise _Bad
            end = at + length
            timestamp_delta, at = _read_varint(data, at + 1, end)
            offset_delta, at = _read_varint(data, at, end)
            if not 0 <= offset_delta <= 0x7FFFFFFF:
                raise _Bad
            key, at = _read_field(data, at, end)
            value, at = _read_field(data, at, end)
            number, at = _read_varint(data, at, end)
            if not 0 <= number <= (end - at) // 2:
                raise _Bad
            headers = []
            for _ in range(number):
                name, at = _read_field(data, at, end)
                if name is None:
                    raise _Bad
                held, at = _read_field(data, at, end)
                headers.append((name, held))
            if at != end:
                raise _Bad
        except _Bad:
            raise CorruptBatch(f"record {index} of {count} is damaged") from None
        found.append((offset_delta, timestamp_delta, key, value, headers))
    if at != size:
        raise CorruptBatch(f"{count} records do not fill their {size} bytes")
    return found


def scan(payload: Any, count: int) -> tuple[int, int]:
    """Check that `count` records fill the payload; return their largest timestamp delta and last offset delta.

    Offset deltas must run from 0 without gaps, as in what producers write; -1 stands for a last delta that does not.
    Raises CorruptBatch.
    """
    parsed = _parse(payload, count)
    latest = max((row[1] for row in parsed), default=0)
    contiguous = all(row[0] == index for index, row in enumerate(parsed))
    return latest, count - 1 if contiguous else -1


def decode(payload: Any, count: int, base_offset: int, base_timestamp: int, append_time: int = -1) -> list[Record]:
    """Return the records of a payload, uncompressed and without the batch's header. Raises CorruptBatch."""
    found = []
    for offset_delta, timestamp_delta, key, value, headers in _parse(payload, count):
        offset = base_offset + offset_delta
        if offset > MAX_INT64:
            raise CorruptBatch("an offset beyond 2**63")
        timestamp = append_time if append_time >= 0 else base_timestamp + timestamp_delta
        if not -MAX_INT64 - 1 <= timestamp <= MAX_INT64:
            raise CorruptBatch("a timestamp beyond 2**63")
        try:
            named = tuple((name.decode(), held) for name, held in headers)
        except UnicodeDecodeError:
            raise CorruptBatch("a header's name is not UTF-8") from None
        found.append(Record(offset, timestamp, key, value, named))
    return found
