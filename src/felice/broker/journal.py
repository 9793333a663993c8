"""What the broker itself writes: the records of its coordinators, in topics that clients can read."""

from collections.abc import Iterable

from felice.broker.partition import Partition
from felice.wire.records import BatchBuilder

__all__ = ["write"]


def write(partition: Partition, records: Iterable[tuple[bytes, bytes | None]], now: int) -> int:
    """Append keys and values (None is a tombstone) as one batch stamped `now`; return the first one's offset."""
    builder = BatchBuilder()
    for key, value in records:
        builder.append(value, key, None, now)
    batch = builder.seal()
    offset = partition.log.append(batch, count=builder.count, leader_epoch=partition.leader_epoch, max_timestamp=now)
    partition.announce_growth(len(batch))
    return offset
