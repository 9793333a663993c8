"""The records of share groups, in the topic `__consumer_offsets` (KIP-932).

How far a group has come in a partition is not here but with the share coordinator: see `share_state_topic`.
"""

from felice.wire.schema import RecordKey, RecordValue, Struct, array, int8, int32, int64, string, uuid

__all__ = [
    "ShareGroupCurrentMemberAssignmentKey",
    "ShareGroupCurrentMemberAssignmentValue",
    "ShareGroupMemberMetadataKey",
    "ShareGroupMemberMetadataValue",
    "ShareGroupMetadataKey",
    "ShareGroupMetadataValue",
    "ShareGroupStatePartitionMetadataKey",
    "ShareGroupStatePartitionMetadataValue",
    "ShareGroupTargetAssignmentMemberKey",
    "ShareGroupTargetAssignmentMemberValue",
    "ShareGroupTargetAssignmentMetadataKey",
    "ShareGroupTargetAssignmentMetadataValue",
]


class ShareGroupMemberMetadataKey(RecordKey, type=10):
    group_id: str = string("0")
    member_id: str = string("0")


class ShareGroupMemberMetadataValue(RecordValue, key=ShareGroupMemberMetadataKey, versions="0", flexible="0+"):
    rack_id: str | None = string("0+", nullable="0+")
    client_id: str = string("0+")
    client_host: str = string("0+")
    subscribed_topic_names: list[str] = array(string, "0+")


class ShareGroupMetadataKey(RecordKey, type=11):
    group_id: str = string("0")


class ShareGroupMetadataValue(RecordValue, key=ShareGroupMetadataKey, versions="0", flexible="0+"):
    epoch: int = int32("0+")
    metadata_hash: int = int64("0+")


class ShareGroupTargetAssignmentMetadataKey(RecordKey, type=12):
    group_id: str = string("0")


class ShareGroupTargetAssignmentMetadataValue(
    RecordValue, key=ShareGroupTargetAssignmentMetadataKey, versions="0", flexible="0+"
):
    assignment_epoch: int = int32("0+")
    assignment_timestamp: int = int64("0+", tag=0, ignorable=True)


class ShareGroupTargetAssignmentMemberKey(RecordKey, type=13):
    group_id: str = string("0")
    member_id: str = string("0")


class ShareGroupTargetAssignmentMemberValue(
    RecordValue, key=ShareGroupTargetAssignmentMemberKey, versions="0", flexible="0+"
):
    class TopicPartition(Struct):
        topic_id: bytes = uuid("0+")
        partitions: list[int] = array(int32, "0+")

    topic_partitions: list[TopicPartition] = array(TopicPartition, "0+")


class ShareGroupCurrentMemberAssignmentKey(RecordKey, type=14):
    group_id: str = string("0")
    member_id: str = string("0")


class ShareGroupCurrentMemberAssignmentValue(
    RecordValue, key=ShareGroupCurrentMemberAssignmentKey, versions="0", flexible="0+"
):
    class TopicPartitions(Struct):
        topic_id: bytes = uuid("0+")
        partitions: list[int] = array(int32, "0+")

    member_epoch: int = int32("0+")
    previous_member_epoch: int = int32("0+")
    state: int = int8("0+")
    assigned_partitions: list[TopicPartitions] = array(TopicPartitions, "0+")


class ShareGroupStatePartitionMetadataKey(RecordKey, type=15):
    group_id: str = string("0")


class ShareGroupStatePartitionMetadataValue(
    RecordValue, key=ShareGroupStatePartitionMetadataKey, versions="0", flexible="0+"
):
    class TopicPartitionsInfo(Struct):
        topic_id: bytes = uuid("0+")
        topic_name: str = string("0+")
        partitions: list[int] = array(int32, "0+")

    class TopicInfo(Struct):
        topic_id: bytes = uuid("0+")
        topic_name: str = string("0+")

    initializing_topics: list[TopicPartitionsInfo] = array(TopicPartitionsInfo, "0+")
    initialized_topics: list[TopicPartitionsInfo] = array(TopicPartitionsInfo, "0+")
    deleting_topics: list[TopicInfo] = array(TopicInfo, "0+")
