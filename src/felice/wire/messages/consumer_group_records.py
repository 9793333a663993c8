"""The records of groups of the consumer protocol, in the topic `__consumer_offsets` (KIP-848).

A group is spread over many: its epoch, and for each member what it subscribes to, what it shall have and what it has.
ConsumerGroupPartitionMetadata is of old, as a hash of it now stands in the group's metadata (KIP-1101).

The metadata of a member that speaks the consumer protocol has a null in `classic_member_metadata`, which is not the
field's default.
"""

from felice.wire.schema import (
    Alias,
    RecordKey,
    RecordValue,
    Struct,
    array,
    binary,
    int8,
    int32,
    int64,
    string,
    struct,
    uuid,
)

__all__ = [
    "ConsumerGroupCurrentMemberAssignmentKey",
    "ConsumerGroupCurrentMemberAssignmentValue",
    "ConsumerGroupMemberMetadataKey",
    "ConsumerGroupMemberMetadataValue",
    "ConsumerGroupMetadataKey",
    "ConsumerGroupMetadataValue",
    "ConsumerGroupPartitionMetadataKey",
    "ConsumerGroupPartitionMetadataValue",
    "ConsumerGroupRegularExpressionKey",
    "ConsumerGroupRegularExpressionValue",
    "ConsumerGroupTargetAssignmentMemberKey",
    "ConsumerGroupTargetAssignmentMemberValue",
    "ConsumerGroupTargetAssignmentMetadataKey",
    "ConsumerGroupTargetAssignmentMetadataValue",
]


class ConsumerGroupMetadataKey(RecordKey, type=3):
    group_id: str = string("0")


class ConsumerGroupMetadataValue(RecordValue, key=ConsumerGroupMetadataKey, versions="0", flexible="0+"):
    epoch: int = int32("0+")
    metadata_hash: int = int64("0+", tag=0)


class ConsumerGroupPartitionMetadataKey(RecordKey, type=4):
    group_id: str = string("0")


class ConsumerGroupPartitionMetadataValue(
    RecordValue, key=ConsumerGroupPartitionMetadataKey, versions="0", flexible="0+"
):
    class TopicMetadata(Struct):
        class PartitionMetadata(Struct):
            partition: int = int32("0+")
            racks: list[str] = array(string, "0+")

        topic_id: bytes = uuid("0+")
        topic_name: str = string("0+")
        num_partitions: int = int32("0+")
        partition_metadata: list[PartitionMetadata] = array(PartitionMetadata, "0+")

    PartitionMetadata = Alias[TopicMetadata.PartitionMetadata]

    topics: list[TopicMetadata] = array(TopicMetadata, "0+")


class ConsumerGroupMemberMetadataKey(RecordKey, type=5):
    group_id: str = string("0")
    member_id: str = string("0")


class ConsumerGroupMemberMetadataValue(RecordValue, key=ConsumerGroupMemberMetadataKey, versions="0", flexible="0+"):
    class ClassicMemberMetadata(Struct):
        class ClassicProtocol(Struct):
            name: str = string("0+")
            metadata: bytes = binary("0+")

        session_timeout_ms: int = int32("0+")
        supported_protocols: list[ClassicProtocol] = array(ClassicProtocol, "0+")

    ClassicProtocol = Alias[ClassicMemberMetadata.ClassicProtocol]

    instance_id: str | None = string("0+", nullable="0+")
    rack_id: str | None = string("0+", nullable="0+")
    client_id: str = string("0+")
    client_host: str = string("0+")
    subscribed_topic_names: list[str] = array(string, "0+")
    subscribed_topic_regex: str | None = string("0+", nullable="0+")
    rebalance_timeout_ms: int = int32("0+", default=-1)
    server_assignor: str | None = string("0+", nullable="0+")
    classic_member_metadata: ClassicMemberMetadata | None = struct(ClassicMemberMetadata, "0+", nullable="0+", tag=0)


class ConsumerGroupTargetAssignmentMetadataKey(RecordKey, type=6):
    group_id: str = string("0")


class ConsumerGroupTargetAssignmentMetadataValue(
    RecordValue, key=ConsumerGroupTargetAssignmentMetadataKey, versions="0", flexible="0+"
):
    assignment_epoch: int = int32("0+")
    assignment_timestamp: int = int64("0+", tag=0, ignorable=True)


class ConsumerGroupTargetAssignmentMemberKey(RecordKey, type=7):
    group_id: str = string("0")
    member_id: str = string("0")


class ConsumerGroupTargetAssignmentMemberValue(
    RecordValue, key=ConsumerGroupTargetAssignmentMemberKey, versions="0", flexible="0+"
):
    class TopicPartition(Struct):
        topic_id: bytes = uuid("0+")
        partitions: list[int] = array(int32, "0+")

    topic_partitions: list[TopicPartition] = array(TopicPartition, "0+")


class ConsumerGroupCurrentMemberAssignmentKey(RecordKey, type=8):
    group_id: str = string("0")
    member_id: str = string("0")


class ConsumerGroupCurrentMemberAssignmentValue(
    RecordValue, key=ConsumerGroupCurrentMemberAssignmentKey, versions="0", flexible="0+"
):
    class TopicPartitions(Struct):
        topic_id: bytes = uuid("0+")
        partitions: list[int] = array(int32, "0+")
        assignment_epochs: list[int] | None = array(int32, "0+", nullable="0+", tag=0)

    member_epoch: int = int32("0+")
    previous_member_epoch: int = int32("0+")
    state: int = int8("0+")
    assigned_partitions: list[TopicPartitions] = array(TopicPartitions, "0+")
    partitions_pending_revocation: list[TopicPartitions] = array(TopicPartitions, "0+")


class ConsumerGroupRegularExpressionKey(RecordKey, type=16):
    group_id: str = string("0")
    regular_expression: str = string("0")


class ConsumerGroupRegularExpressionValue(
    RecordValue, key=ConsumerGroupRegularExpressionKey, versions="0", flexible="0+"
):
    topics: list[str] = array(string, "0+")
    version: int = int64("0+")
    timestamp: int = int64("0+")
