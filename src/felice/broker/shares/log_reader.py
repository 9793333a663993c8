"""Reads the log for a share group: whole batches, and which of them belong to transactions that were aborted."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from felice.broker.open_transactions import Aborted
from felice.broker.partition import Partition
from felice.broker.shares.acquisition import Span
from felice.broker.shares.deliveries import Acquired
from felice.wire.records import ControlType, read_control, read_records
from felice.wire.records.header import BatchHeader, split

__all__ = ["Stretch", "bytes_from", "read_from"]


class Stretch(NamedTuple):
    """Batches as they lie in the log."""

    batches: Sequence[tuple[BatchHeader, memoryview]]
    unwanted: Sequence[Span]
    """Batches that a reader of committed records does not get."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(len(batch) for _, batch in self.batches)

    @property
    def spans(self) -> list[Span]:
        """The first and the last offset of each batch."""
        return [_span(header) for header, _ in self.batches]

    def around(self, acquired: Sequence[Acquired]) -> bytes:
        """Return the batches from the one with the first record that was acquired to that with the last."""
        first, last = acquired[0].first, acquired[-1].last
        return b"".join(
            batch for header, batch in self.batches if header.base_offset <= last and header.next_offset > first
        )


def read_from(
    partition: Partition, offset: int, upto: int, max_bytes: int, *, at_least_one: bool, committed: bool
) -> Stretch:
    """Read the batches from `offset` on, which is not before the log's start, as far as they begin before `upto`."""
    until = min(_end(partition, committed), upto)
    batches: list[tuple[BatchHeader, memoryview]] = []
    start = offset
    while True:  # One read ends where a segment does.
        whole = at_least_one and not batches
        more = split(partition.log.read(offset, until=until, max_bytes=max_bytes, at_least_one=whole))
        if not more:
            break
        batches += more
        max_bytes -= sum(len(batch) for _, batch in more)
        offset = more[-1][0].next_offset
    unwanted: list[Span] = []
    if committed and batches:
        unwanted = _aborted(batches, partition.producers.transactions.aborted_between(start, offset))
    return Stretch(batches, unwanted)


def bytes_from(partition: Partition, offset: int, most: int, *, committed: bool) -> int:
    """Return how many bytes there are to read from `offset` on, at most `most`."""
    log, until, size = partition.log, _end(partition, committed), 0
    while size < most and offset < until:
        found = log.read(offset, until=until, max_bytes=most - size, at_least_one=True)
        if not found:
            break
        size += len(found)
        offset = log.reach(offset, len(found))
    return min(size, most)


def _end(partition: Partition, committed: bool) -> int:
    """Return the offset up to which a group may read."""
    return partition.last_stable_offset if committed else partition.high_watermark


def _span(header: BatchHeader) -> Span:
    """Return the first and the last offset of a batch."""
    return header.base_offset, header.base_offset + header.last_offset_delta


def _aborted(batches: Iterable[tuple[BatchHeader, memoryview]], transactions: Iterable[Aborted]) -> list[Span]:
    """Return the batches that belong to aborted transactions."""
    waiting = sorted(transactions, key=lambda aborted: aborted.first_offset, reverse=True)
    open_ones: set[int] = set()
    found: list[Span] = []
    for header, batch in batches:
        span = _span(header)
        while waiting and waiting[-1].first_offset <= span[1]:
            open_ones.add(waiting.pop().producer_id)
        if header.is_control and _is_abort(batch):
            open_ones.discard(header.producer_id)
        elif header.is_transactional and header.producer_id in open_ones:
            found.append(span)
    return found


def _is_abort(batch: memoryview) -> bool:
    """Tell whether a control batch is the marker of an aborted transaction."""
    record = next(iter(read_records(batch, check_crc=False)), None)
    return record is not None and read_control(record) is ControlType.ABORT
