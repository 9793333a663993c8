"""How committed offsets and classic groups stand in `__consumer_offsets`, at the versions that Kafka 4.3 writes."""

from felice.broker.groups.group import Record
from felice.broker.groups.offsets import Committed
from felice.wire.messages.offsets_topic import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue

__all__ = ["group_record", "group_tombstone", "offset_record", "offset_tombstone"]

WITH_EXPIRY = 1
OFFSETS = 4
GROUPS = 3


def offset_record(group_id: str, topic: str, partition: int, committed: Committed) -> Record:
    """Return the record of a commit."""
    value = OffsetCommitValue(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.time,
        expire_timestamp=-1 if committed.expires is None else committed.expires,
        topic_id=committed.topic_id,
    )
    return _offset_key(group_id, topic, partition), value.pack(OFFSETS if committed.expires is None else WITH_EXPIRY)


def offset_tombstone(group_id: str, topic: str, partition: int) -> Record:
    """Return the record that deletes a commit."""
    return _offset_key(group_id, topic, partition), None


def group_record(group_id: str, value: GroupMetadataValue) -> Record:
    """Return the record of a classic group."""
    return GroupMetadataKey(group=group_id).pack(), value.pack(GROUPS)


def group_tombstone(group_id: str) -> Record:
    """Return the record that deletes a classic group."""
    return GroupMetadataKey(group=group_id).pack(), None


def _offset_key(group_id: str, topic: str, partition: int) -> bytes:
    """Return the key of a commit."""
    return OffsetCommitKey(group=group_id, topic=topic, partition=partition).pack()
