"""Making other batches of one batch's records: where it is too large, or has records that the broker refuses."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from felice.producer.sequence import SEQUENCE_MASK
from felice.wire.record import Record
from felice.wire.records import HEADER_BYTES, BatchBuilder, Codec, read_records

if TYPE_CHECKING:
    from felice.producer._accumulator import Accumulator, Batch

__all__ = ["halves", "part"]


def halves(accumulator: "Accumulator[Any, Any]", batch: "Batch") -> "Iterator[Batch]":
    """Yield two batches that stand for the records of one from now on, inside its own range of sequence numbers."""
    found = read_records(batch.payload, limit=2**31 - 1)
    middle = len(found) // 2
    yield _made(accumulator, batch, found, range(middle))
    yield _made(accumulator, batch, found, range(middle, len(found)))


def part(accumulator: "Accumulator[Any, Any]", batch: "Batch", indices: Sequence[int]) -> "Batch":
    """Return a batch that stands for some records of one from now on. Their sequence numbers have to be made anew."""
    return _made(accumulator, batch, read_records(batch.payload, limit=2**31 - 1), indices)


def _made(
    accumulator: "Accumulator[Any, Any]", batch: "Batch", found: Sequence[Record], indices: Sequence[int]
) -> "Batch":
    """Make a batch of these records, as often tried and as doubtful as the one that they come from."""
    options = batch.queue.owner.options
    builder = BatchBuilder(HEADER_BYTES + sum(_size(found[index]) for index in indices))
    for index in indices:
        record = found[index]
        builder.append(record.value, record.key, record.headers, record.timestamp_ms)
    made = accumulator.adopt(batch.queue, builder, batch.begun)
    made.serial = batch.serial + indices[0]
    made.producer_id = batch.producer_id
    made.producer_epoch = batch.producer_epoch
    if batch.base_sequence >= 0:
        made.base_sequence = (batch.base_sequence + indices[0]) & SEQUENCE_MASK
    made.attempts = batch.attempts
    made.in_doubt = batch.in_doubt
    made.payload = builder.seal(
        codec=Codec.parse(options.compression),
        level=options.compression_level,
        producer_id=made.producer_id,
        producer_epoch=made.producer_epoch,
        base_sequence=made.base_sequence,
    )
    for place, index in enumerate(indices):
        batch.move(index, made, place)
    return made


def _size(record: Record) -> int:
    """Return the most bytes that a record takes in a batch."""
    headers = sum(20 + 4 * len(name) + len(value or b"") for name, value in record.headers)
    return 36 + len(record.key or b"") + len(record.value or b"") + headers
