"""The records of the topic `__share_group_state`: how far share groups have come in partitions (KIP-932).

A snapshot has the whole state of one partition for one group; updates with its epoch follow, and the next snapshot
takes the place of them all.
"""

from collections.abc import Mapping

from felice.wire.schema import RecordKey, RecordValue, Struct, array, int8, int16, int32, int64, string, uuid

__all__ = ["KEYS", "ShareSnapshotKey", "ShareSnapshotValue", "ShareUpdateKey", "ShareUpdateValue"]


class ShareSnapshotKey(RecordKey, type=0):
    group_id: str = string("0")
    topic_id: bytes = uuid("0")
    partition: int = int32("0")


class ShareSnapshotValue(RecordValue, key=ShareSnapshotKey, versions="0", flexible="0+"):
    class StateBatch(Struct):
        first_offset: int = int64("0+")
        last_offset: int = int64("0+")
        delivery_state: int = int8("0+")
        delivery_count: int = int16("0+")

    snapshot_epoch: int = int32("0+")
    state_epoch: int = int32("0+")
    leader_epoch: int = int32("0+")
    start_offset: int = int64("0+")
    delivery_complete_count: int = int32("0+", default=-1, tag=0)
    create_timestamp: int = int64("0+")
    write_timestamp: int = int64("0+")
    state_batches: list[StateBatch] = array(StateBatch, "0+")


class ShareUpdateKey(RecordKey, type=1):
    group_id: str = string("0")
    topic_id: bytes = uuid("0")
    partition: int = int32("0")


class ShareUpdateValue(RecordValue, key=ShareUpdateKey, versions="0", flexible="0+"):
    class StateBatch(Struct):
        first_offset: int = int64("0+")
        last_offset: int = int64("0+")
        delivery_state: int = int8("0+")
        delivery_count: int = int16("0+")

    snapshot_epoch: int = int32("0+")
    leader_epoch: int = int32("0+")
    start_offset: int = int64("0+")
    delivery_complete_count: int = int32("0+", default=-1, tag=0)
    state_batches: list[StateBatch] = array(StateBatch, "0+")


KEYS: Mapping[int, type[RecordKey]] = {key.record_type: key for key in (ShareSnapshotKey, ShareUpdateKey)}
"""The keys of the topic's records, by their type."""
