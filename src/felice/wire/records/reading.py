"""Reading batches: checksums, unpacking, records, and the checks of a broker that takes them in."""

from typing import TYPE_CHECKING, Any, Final

from felice import native
from felice.errors import CorruptBatch
from felice.wire.compression import Codec, decompress
from felice.wire.record import Record
from felice.wire.records.header import HEADER_BYTES, BatchHeader, read_header

if TYPE_CHECKING:
    from felice.wire._records import crc32c, decode, scan
else:
    _native = native.pick("felice.wire._records")
    crc32c, decode, scan = _native.crc32c, _native.decode, _native.scan

__all__ = ["check", "read_records", "unpack", "verify"]

CRC_FROM: Final = 21
"""Where the part of a batch begins that its checksum covers."""

DEFAULT_LIMIT: Final = 64 * 1024 * 1024


def verify(header: BatchHeader, batch: Any) -> None:
    """Raise CorruptBatch where a batch's checksum does not hold."""
    found = crc32c(memoryview(batch)[CRC_FROM : header.size])
    if found != header.crc:
        raise CorruptBatch(
            f"the checksum of the batch at offset {header.base_offset} is {found:#x}, not {header.crc:#x}"
        )


def unpack(header: BatchHeader, batch: Any, limit: int = DEFAULT_LIMIT) -> Any:
    """Return the bytes of a batch's records, unpacked to `limit` bytes at most where they are compressed."""
    payload = memoryview(batch)[HEADER_BYTES : header.size]
    if header.codec is Codec.NONE:
        return payload
    return decompress(header.codec, payload, limit)


def read_records(batch: Any, *, check_crc: bool = True, limit: int = DEFAULT_LIMIT) -> list[Record]:
    """Return all records of one whole batch, control records too.

    Raises CorruptBatch, and DecompressionLimit where they would unpack to more than `limit` bytes.
    """
    header = read_header(batch)
    if len(batch) < header.size:
        raise CorruptBatch(f"{len(batch)} bytes of a batch of {header.size}")
    if check_crc:
        verify(header, batch)
    return decode(unpack(header, batch, limit), header) if header.count else []


def check(batch: Any, *, limit: int = DEFAULT_LIMIT) -> BatchHeader:
    """Check a batch as a broker does before it writes it, without making its records; return its header.

    The checksum holds, the records fill their bytes, their offsets run from 0 to the last one without gaps, and there
    are as many as the header says. Raises CorruptBatch, DecompressionLimit, and WireError for another format.
    """
    header = read_header(batch)
    if len(batch) != header.size:
        raise CorruptBatch(f"{len(batch)} bytes for a batch of {header.size}")
    verify(header, batch)
    if header.count != header.last_offset_delta + 1 or header.count < 1:
        raise CorruptBatch(f"{header.count} records, but a last offset delta of {header.last_offset_delta}")
    _, last = scan(unpack(header, batch, limit), header.count, header.base_timestamp)
    if last != header.last_offset_delta:
        raise CorruptBatch("the records' offsets have gaps")
    return header
