"""What a partition of `__share_group_state` tells, where its log has lost records and is read again."""

from collections.abc import Iterator

from felice.broker.log import PartitionLog
from felice.broker.shares.progress import Change
from felice.broker.shares.share_partition import SharePartition
from felice.wire.messages.share_state_topic import (
    KEYS,
    ShareSnapshotKey,
    ShareSnapshotValue,
    ShareUpdateKey,
    ShareUpdateValue,
)
from felice.wire.records import read_records
from felice.wire.schema import unpack_key
from felice.wire.schema.message import Buffer

__all__ = ["read_changes"]


def read_changes(log: PartitionLog) -> Iterator[tuple[SharePartition, Change | None, int]]:
    """Give what the records of a log tell, in order, and their offsets; None deletes."""
    for batch in log.batches():
        for record in read_records(batch, check_crc=False):
            key = unpack_key(KEYS, record.key or b"")
            if isinstance(key, ShareSnapshotKey | ShareUpdateKey):
                partition = SharePartition(key.group_id, key.topic_id, key.partition)
                yield partition, None if record.value is None else _change(key, record.value), record.offset


def _change(key: ShareSnapshotKey | ShareUpdateKey, value: Buffer) -> Change:
    """Return what a record tells."""
    kind = ShareSnapshotValue if isinstance(key, ShareSnapshotKey) else ShareUpdateValue
    return kind.unpack(value)
