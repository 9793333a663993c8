"""Record batches as brokers hand them out, for tests of those who read them."""

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import crc32c

from felice.wire.records import BatchBuilder, Codec, ControlType, control_batch

BASE_TIME = 1_700_000_000_000


def batch(
    offset: int,
    values: Iterable[bytes | None],
    *,
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[Any] | None = None,
    codec: Codec = Codec.NONE,
    producer_id: int = -1,
    transactional: bool = False,
    timestamp_type: int = 0,
    leader_epoch: int = 3,
) -> bytes:
    """Make one batch; record n has the timestamp `BASE_TIME + n`."""
    builder = BatchBuilder()
    for n, value in enumerate(values):
        builder.append(
            value, keys[n] if keys is not None else None, headers[n] if headers is not None else None, BASE_TIME + n
        )
    sealed = builder.seal(
        codec=codec,
        base_offset=offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=0 if producer_id >= 0 else -1,
        base_sequence=0 if producer_id >= 0 else -1,
        transactional=transactional,
        timestamp_type=timestamp_type,
    )
    return bytes(sealed)


def marker(offset: int, producer_id: int, *, abort: bool) -> bytes:
    """Make the control batch that ends a transaction."""
    return bytes(
        control_batch(
            ControlType.ABORT if abort else ControlType.COMMIT,
            producer_id=producer_id,
            producer_epoch=0,
            coordinator_epoch=0,
            timestamp_ms=BASE_TIME,
            base_offset=offset,
            leader_epoch=3,
        )
    )


def compacted(offset: int, last_offset: int, kept: Iterable[tuple[int, bytes]]) -> bytes:
    """Make a batch from which the cleaner has taken all but some (offset, value) pairs, perhaps all."""
    body = b""
    count = 0
    for at, value in kept:
        record = b"\0\0" + varint(at - offset) + varint(-1) + varint(len(value)) + value + b"\0"
        body += varint(len(record)) + record
        count += 1
    rest = struct.pack(">hiqqqhii", 0, last_offset - offset, BASE_TIME, BASE_TIME, -1, -1, -1, count) + body
    return struct.pack(">qiibI", offset, len(rest) + 9, 3, 2, crc32c.crc32c(rest)) + rest


def varint(number: int) -> bytes:
    """Encode a zigzag varint."""
    left = (number << 1 ^ number >> 63) & (1 << 64) - 1
    out = bytearray()
    while left >= 0x80:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def sealed_again(changed: bytearray) -> bytes:
    """Give a batch that was tampered with a checksum that holds."""
    struct.pack_into(">I", changed, 17, crc32c.crc32c(bytes(changed[21:])))
    return bytes(changed)
