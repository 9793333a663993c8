"""When a log is compacted, and how far: Kafka's rules for topics with the policy `compact`.

Whole segments are, never the active one, nor what lies behind the last stable offset, nor what is younger than
`min.compaction.lag.ms`. It is worth it where more than `min.cleanable.dirty.ratio` of the bytes is dirty, or something
has waited for `max.compaction.lag.ms`.
"""

from itertools import pairwise
from typing import NamedTuple

from felice.broker.compaction import compact
from felice.broker.log import PartitionLog
from felice.broker.partition import Partition
from felice.broker.setting import Settings

__all__ = ["Verdict", "clean", "dirty_part"]


class Verdict(NamedTuple):
    """What to do with a log."""

    end: int | None
    """Where to compact it to now, the beginning of a segment; None where it is not worth it."""
    due_ms: int | None
    """When it may be worth it although nothing is appended, in milliseconds since 1970."""


def dirty_part(log: PartitionLog, settings: Settings, stable_offset: int, now: int) -> Verdict:
    """Look at a log whose transactions are decided up to `stable_offset`."""
    start = max(log.clean_end, log.start_offset)
    dirty = [(each, after.base_offset) for each, after in pairwise(log.segments) if after.base_offset > start]
    if not dirty:
        return Verdict(None, None)
    dues = []
    limit = stable_offset
    least_ms = settings.number("min.compaction.lag.ms")
    young = next((each for each, _ in dirty if each.largest_timestamp > now - least_ms), None) if least_ms else None
    if young is not None:
        limit = min(limit, young.base_offset)
        dues.append(young.largest_timestamp + least_ms)
    oldest = min((each.first_timestamp for each, _ in dirty if each.first_timestamp > 0), default=None)
    late = False
    if oldest is not None:
        late_from = oldest + settings.number("max.compaction.lag.ms") + 1
        late = now >= late_from
        dues.append(late_from)
    ready = [(each, end) for each, end in dirty if end <= limit]
    dirty_bytes = sum(each.size for each, _ in ready)
    clean_bytes = sum(each.size for each in log.segments if each.base_offset < start)
    least = settings.ratio("min.cleanable.dirty.ratio")
    if dirty_bytes and (late or dirty_bytes > least * (dirty_bytes + clean_bytes)):
        return Verdict(ready[-1][1], None)
    return Verdict(None, min((due for due in dues if due > now), default=None))


def clean(partition: Partition, settings: Settings, end: int, *, now: int, producers_since: int) -> None:
    """Compact a partition's log up to `end`, where a segment begins.

    Producers that were not heard of since `producers_since` need not be known any more when the log is read anew.
    """
    log, transactions = partition.log, partition.transactions
    partition.part_copies()
    count = sum(segment.base_offset < end for segment in log.segments)
    left = compact(
        log.segments[:count],
        first_dirty=max(log.clean_end, log.start_offset),
        end=end,
        aborted=transactions.aborted,
        last_batches=partition.producers.last_batches(producers_since),
        now=now,
        delete_retention_ms=settings.number("delete.retention.ms"),
        segment_bytes=settings.number("segment.bytes"),
    )
    log.replace(count, left.segments, end)
    transactions.compacted(end, left.aborted)
