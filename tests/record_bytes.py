"""Record batches put together by hand, field by field, to hold the library's own against.

Nothing here comes from the package under test: the checksum is the `crc32c` package's, the rest is `struct`. So a test
can also make what no builder would: gaps, lies, other formats, broken lengths.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence

import crc32c

BASE_TIME = 1_700_000_000_000
HEADER_BYTES = 61

LOG_APPEND, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20

HeaderPair = tuple[str | bytes, bytes | None]


def varint(number: int) -> bytes:
    """A zigzag varint of up to 64 bits."""
    left = (number << 1 ^ number >> 63) & (1 << 64) - 1
    out = bytearray()
    while left >= 0x80:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def field(content: bytes | None) -> bytes:
    """A length and its bytes; -1 for null."""
    return varint(-1) if content is None else varint(len(content)) + content


def record(
    offset_delta: int = 0,
    value: bytes | None = None,
    key: bytes | None = None,
    headers: Sequence[HeaderPair] = (),
    *,
    timestamp_delta: int = 0,
    attributes: int = 0,
) -> bytes:
    """One record, its length in front."""
    body = bytes((attributes,)) + varint(timestamp_delta) + varint(offset_delta) + field(key) + field(value)
    body += varint(len(headers))
    for name, content in headers:
        body += field(name.encode() if isinstance(name, str) else name) + field(content)
    return varint(len(body)) + body


def batch(
    records: Iterable[bytes] | bytes,
    *,
    count: int | None = None,
    base_offset: int = 0,
    leader_epoch: int = -1,
    magic: int = 2,
    attributes: int = 0,
    last_offset_delta: int | None = None,
    base_timestamp: int = BASE_TIME,
    max_timestamp: int = BASE_TIME,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    length: int | None = None,
    crc: int | None = None,
) -> bytes:
    """A whole batch; what is not given is made to fit. `records` as bytes need a `count`."""
    if not isinstance(records, bytes):
        records = list(records)
        count = len(records) if count is None else count
        records = b"".join(records)
    assert count is not None
    covered = struct.pack(
        ">hiqqqhii",
        attributes,
        count - 1 if last_offset_delta is None else last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )
    covered += records
    return (
        struct.pack(
            ">qiibI",
            base_offset,
            len(covered) + 9 if length is None else length,
            leader_epoch,
            magic,
            crc32c.crc32c(covered) if crc is None else crc,
        )
        + covered
    )


def reseal(spoiled: bytes | bytearray) -> bytes:
    """The same bytes with a length and a checksum that fit them, so that readers come to what lies behind."""
    out = bytearray(spoiled)
    struct.pack_into(">i", out, 8, len(out) - 12)
    struct.pack_into(">I", out, 17, crc32c.crc32c(out[21:]))
    return bytes(out)


def message_set(magic: int, value: bytes = b"old") -> bytes:
    """One message of the formats before record batches, 0 or 1."""
    rest = struct.pack(">bb", magic, 0) + (struct.pack(">q", BASE_TIME) if magic else b"")
    rest += struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    return struct.pack(">qiI", 5, len(rest) + 4, zlib.crc32(rest)) + rest
