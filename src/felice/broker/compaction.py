"""Compaction of a log's segments: of every key the last record stays, at its offset.

What goes besides, as in Kafka: the records of aborted transactions, tombstones once their batch's delete horizon has
passed (KIP-534), and a transaction's marker likewise, when none of its batches is left. A batch without records stays
where it tells its producer's last sequence, or is the last one of all that was looked at.

Nothing is changed here: segments are read, and others made of what is left.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from felice.broker.open_transactions import Aborted
from felice.broker.producers import LastBatch
from felice.broker.segment import Segment
from felice.wire.records import BatchHeader, ControlType, read_control, read_header, read_records
from felice.wire.records.rewriting import emptied, rewritten
from felice.wire.schema.message import Buffer

__all__ = ["Compacted", "compact"]

UNPACKED_LIMIT = 1 << 28
LARGEST_DELTA = (1 << 31) - 1
"""How far offsets of one segment may lie apart."""


class Compacted(NamedTuple):
    """What is left."""

    segments: list[Segment]
    aborted: list[Aborted]
    """The aborted transactions of which there were batches, in the order of their markers, which are there too."""


def compact(
    segments: Sequence[Segment],
    *,
    first_dirty: int,
    end: int,
    aborted: Sequence[Aborted],
    last_batches: Mapping[int, LastBatch],
    now: int,
    delete_retention_ms: int,
    segment_bytes: int,
) -> Compacted:
    """Return what compaction leaves of the first segments of a log, which end at `end`.

    Records from `first_dirty` on are compared with each other and with all before them, which have been compacted among
    themselves. All transactions are decided. `aborted` are those of the log that were, `last_batches` tell by ID of the
    producers that may come back. A batch with tombstones has them for `delete_retention_ms` from `now` on. Segments are
    put together as long as they had no more than `segment_bytes`.
    """
    aborted = _still_there(segments, aborted)
    latest = _latest_offsets(segments, first_dirty, _Walk(aborted))
    walk = _Walk(aborted)
    made = []
    for group in _groups(segments, segment_bytes):
        left: list[Buffer] = []
        for segment in group:
            for batch in segment.batches():
                header = read_header(batch)
                keep = header.next_offset == end or _is_last(header, last_batches.get(header.producer_id))
                rest = _rest(batch, header, walk, latest, now, now + delete_retention_ms)
                if rest is not None:
                    left.append(rest)
                elif keep:
                    left.append(emptied(header))
        made.append(Segment.holding(group[0].base_offset, left, group[-1].modified_ms))
    return Compacted(made, walk.left)


class _Walk:
    """Goes through batches in their order, and knows which transactions were aborted, and of which nothing is left."""

    def __init__(self, aborted: Iterable[Aborted]) -> None:
        self._coming = deque(sorted(aborted, key=lambda each: each.first_offset))
        self._under_way: dict[int, Aborted] = {}
        self._seen: set[int] = set()
        """The producers of which there was a batch since their last marker."""
        self.left: list[Aborted] = []
        """The aborted transactions of which there was a batch, and their marker."""

    def is_aborted(self, header: BatchHeader) -> bool:
        """Take in a batch of records, and tell whether it belongs to an aborted transaction."""
        if not header.is_transactional:
            return False
        self._go_to(header.last_offset)
        self._seen.add(header.producer_id)
        return header.producer_id in self._under_way

    def is_over(self, header: BatchHeader, batch: Buffer) -> bool:
        """Take in a marker, and tell whether nothing is left of its transaction."""
        self._go_to(header.last_offset)
        kind = read_control(read_records(batch, check_crc=False)[0]) if header.count else None
        if kind is None:  # its transaction was over before, or it is of a kind that nobody knows
            return header.count == 0
        seen = header.producer_id in self._seen
        self._seen.discard(header.producer_id)
        if kind is ControlType.ABORT:
            transaction = self._under_way.pop(header.producer_id, None)
            if transaction is not None and seen:
                self.left.append(transaction)
        return not seen

    def _go_to(self, offset: int) -> None:
        """Let aborted transactions begin."""
        while self._coming and self._coming[0].first_offset <= offset:
            begun = self._coming.popleft()
            self._under_way.setdefault(begun.producer_id, begun)


def _still_there(segments: Sequence[Segment], aborted: Sequence[Aborted]) -> list[Aborted]:
    """Return the transactions whose markers are there; those of others were deleted with all before them."""
    first = next((read_header(batch).base_offset for segment in segments for batch in segment.batches()), 0)
    return [each for each in aborted if each.last_offset >= first]


def _latest_offsets(segments: Iterable[Segment], first_dirty: int, walk: _Walk) -> dict[bytes, int]:
    """Return the offset of each key's last record, aborted ones left out, for the keys that came since then."""
    latest: dict[bytes, int] = {}
    for segment in segments:
        for batch in segment.batches():
            header = read_header(batch)
            if header.is_control:
                walk.is_over(header, batch)
            elif not walk.is_aborted(header) and header.last_offset >= first_dirty:
                for offset, _, key, *_ in read_records(batch, check_crc=False, limit=UNPACKED_LIMIT):
                    if key is not None and offset >= first_dirty:
                        latest[key] = offset
    return latest


def _groups(segments: Iterable[Segment], most: int) -> Iterator[list[Segment]]:
    """Put segments together that had no more bytes than one may have."""
    group: list[Segment] = []
    size = 0
    for segment in segments:
        if group and (size + segment.size > most or segment.base_offset - group[0].base_offset > LARGEST_DELTA):
            yield group
            group, size = [], 0
        group.append(segment)
        size += segment.size
    if group:
        yield group


def _is_last(header: BatchHeader, last: LastBatch | None) -> bool:
    """Tell whether a batch has the last sequence of a producer, or is the marker that alone tells its epoch."""
    if last is None:
        return False
    if last.last_offset is None:
        return header.is_control and header.producer_epoch == last.epoch
    return header.last_offset == last.last_offset


def _rest(
    batch: Buffer, header: BatchHeader, walk: _Walk, latest: Mapping[bytes, int], now: int, horizon: int
) -> Buffer | None:
    """Return the batch with the records that stay, or None where none does.

    Where it has tombstones, or is a marker of which no transaction is left, it gets a delete horizon, but only once.
    """
    before = header.delete_horizon
    over = False
    if header.is_control:
        over = walk.is_over(header, batch)
        if over and before is not None and before <= now:
            return None
    elif walk.is_aborted(header):
        return None
    records = read_records(batch, check_crc=False, limit=UNPACKED_LIMIT)
    kept = records
    if not header.is_control:
        tombstones = before is None or now < before
        kept = [
            record
            for record in records
            if record.key is not None
            and record.offset >= latest.get(record.key, -1)
            and (tombstones or record.value is not None)
        ]
    if not kept:
        return None
    if before is None and (over or any(record.value is None for record in kept)):
        return rewritten(header, kept, horizon)
    return batch if len(kept) == len(records) else rewritten(header, kept, before)
