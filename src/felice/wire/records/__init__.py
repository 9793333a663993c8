"""Record batches v2: building, reading and checking them. The hot loops are `_records` and its plain twin."""

from typing import TYPE_CHECKING

from felice import native
from felice.wire.compression import Codec, compress, decompress
from felice.wire.record import Record
from felice.wire.records.control import ControlType, control_batch, read_control
from felice.wire.records.header import HEADER_BYTES, BatchHeader, read_header, split
from felice.wire.records.reading import check, read_records, unpack, verify

if TYPE_CHECKING:
    from felice.wire._records import BatchBuilder, crc32c, murmur2, stamp
else:
    _native = native.pick("felice.wire._records")
    BatchBuilder, crc32c, murmur2, stamp = _native.BatchBuilder, _native.crc32c, _native.murmur2, _native.stamp

__all__ = [
    "HEADER_BYTES",
    "BatchBuilder",
    "BatchHeader",
    "Codec",
    "ControlType",
    "Record",
    "check",
    "compress",
    "control_batch",
    "crc32c",
    "decompress",
    "murmur2",
    "read_control",
    "read_header",
    "read_records",
    "split",
    "stamp",
    "unpack",
    "verify",
]
