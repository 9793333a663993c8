"""What the broker itself writes: the records of its coordinators, in topics that clients can read."""

from collections.abc import Iterable

from felice.broker.partition import NO_LEADER, Partition
from felice.broker.producers import Appended
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.records import BatchBuilder

__all__ = ["write"]


NO_WRITER = (-1, -1)
NO_SEQUENCE = -1


def write(
    partition: Partition,
    records: Iterable[tuple[bytes, bytes | None]],
    now: int,
    *,
    writer: tuple[int, int] | None = None,
) -> int:
    """Append keys and values (None is a tombstone) as one batch stamped `now`; return the first one's offset.

    With a `writer`, a producer's ID and epoch, the batch belongs to that producer's transaction. As in Kafka all of its
    batches have the sequence 0 then.

    While nobody leads it is refused with COORDINATOR_NOT_AVAILABLE; then whoever asks has to leave everything as it is.
    As in Kafka a leader appends whoever is in sync: what waits for the replicas are answers.
    """
    if partition.leader == NO_LEADER:
        raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, "nobody leads the coordinator's log")
    builder = BatchBuilder()
    for key, value in records:
        builder.append(value, key, None, now)
    producer_id, epoch = writer or NO_WRITER
    batch = builder.seal(
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=NO_SEQUENCE if writer is None else 0,
        transactional=writer is not None,
    )
    offset = partition.append(batch, count=builder.count, max_timestamp=now, now=now)
    if writer is not None:
        appended = Appended(0, builder.count - 1, offset, now)
        partition.producers.remember(producer_id, epoch, appended, transactional=True, heard_ms=now)
    partition.announce_growth(len(batch))
    return offset
