"""Cutting a batch that is too large for its broker in two, inside its own range of sequence numbers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from felice.producer.sequence import SEQUENCE_MASK
from felice.wire.record import Record
from felice.wire.records import HEADER_BYTES, BatchBuilder, Codec, read_records

if TYPE_CHECKING:
    from felice.producer._accumulator import Accumulator, Batch

__all__ = ["halves"]


def halves(accumulator: "Accumulator[Any, Any]", batch: "Batch") -> "Iterator[Batch]":
    """Yield two batches that stand for the records of one from now on, as often tried and as doubtful as it was."""
    options = batch.queue.owner.options
    found = read_records(batch.payload, limit=2**31 - 1)
    middle = len(found) // 2
    for first, part in ((0, found[:middle]), (middle, found[middle:])):
        builder = BatchBuilder(HEADER_BYTES + sum(map(_size, part)))
        for record in part:
            builder.append(record.value, record.key, record.headers, record.timestamp_ms)
        half = accumulator.adopt(batch.queue, builder, batch.begun)
        half.serial = batch.serial + first
        half.producer_id = batch.producer_id
        half.producer_epoch = batch.producer_epoch
        if batch.base_sequence >= 0:
            half.base_sequence = (batch.base_sequence + first) & SEQUENCE_MASK
        half.attempts = batch.attempts
        half.in_doubt = batch.in_doubt
        half.payload = builder.seal(
            codec=Codec.parse(options.compression),
            level=options.compression_level,
            producer_id=half.producer_id,
            producer_epoch=half.producer_epoch,
            base_sequence=half.base_sequence,
        )
        for index in range(len(part)):
            batch.move(first + index, half, index)
        yield half


def _size(record: Record) -> int:
    """Return the most bytes that a record takes in a batch."""
    headers = sum(20 + 4 * len(name) + len(value or b"") for name, value in record.headers)
    return 36 + len(record.key or b"") + len(record.value or b"") + headers
