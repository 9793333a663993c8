"""The records of groups of Kafka Streams, in the topic `__consumer_offsets` (KIP-1071)."""

from felice.wire.schema import (
    Alias,
    RecordKey,
    RecordValue,
    Struct,
    array,
    int8,
    int16,
    int32,
    int64,
    string,
    struct,
    uint16,
)

__all__ = [
    "StreamsGroupCurrentMemberAssignmentKey",
    "StreamsGroupCurrentMemberAssignmentValue",
    "StreamsGroupMemberMetadataKey",
    "StreamsGroupMemberMetadataValue",
    "StreamsGroupMetadataKey",
    "StreamsGroupMetadataValue",
    "StreamsGroupTargetAssignmentMemberKey",
    "StreamsGroupTargetAssignmentMemberValue",
    "StreamsGroupTargetAssignmentMetadataKey",
    "StreamsGroupTargetAssignmentMetadataValue",
    "StreamsGroupTopologyKey",
    "StreamsGroupTopologyValue",
]


class StreamsGroupMetadataKey(RecordKey, type=17):
    group_id: str = string("0")


class StreamsGroupMetadataValue(RecordValue, key=StreamsGroupMetadataKey, versions="0", flexible="0+"):
    class LastAssignmentConfig(Struct):
        key: str = string("0+")
        value: str = string("0+")

    epoch: int = int32("0+")
    metadata_hash: int = int64("0+")
    validated_topology_epoch: int = int32("0+", default=-1, tag=0)
    last_assignment_configs: list[LastAssignmentConfig] | None = array(LastAssignmentConfig, "0+", nullable="0+", tag=1)


class StreamsGroupMemberMetadataKey(RecordKey, type=19):
    group_id: str = string("0")
    member_id: str = string("0")


class StreamsGroupMemberMetadataValue(RecordValue, key=StreamsGroupMemberMetadataKey, versions="0", flexible="0+"):
    class Endpoint(Struct):
        host: str = string("0+")
        port: int = uint16("0+")

    class KeyValue(Struct):
        key: str = string("0+")
        value: str = string("0+")

    instance_id: str | None = string("0+", nullable="0+")
    rack_id: str | None = string("0+", nullable="0+")
    client_id: str = string("0+")
    client_host: str = string("0+")
    rebalance_timeout_ms: int = int32("0+", default=-1)
    topology_epoch: int = int32("0+")
    process_id: str = string("0+")
    user_endpoint: Endpoint | None = struct(Endpoint, "0+", nullable="0+", default=None)
    client_tags: list[KeyValue] = array(KeyValue, "0+")


class StreamsGroupTargetAssignmentMetadataKey(RecordKey, type=20):
    group_id: str = string("0")


class StreamsGroupTargetAssignmentMetadataValue(
    RecordValue, key=StreamsGroupTargetAssignmentMetadataKey, versions="0", flexible="0+"
):
    assignment_epoch: int = int32("0+")
    assignment_timestamp: int = int64("0+", tag=0, ignorable=True)


class StreamsGroupTargetAssignmentMemberKey(RecordKey, type=21):
    group_id: str = string("0")
    member_id: str = string("0")


class StreamsGroupTargetAssignmentMemberValue(
    RecordValue, key=StreamsGroupTargetAssignmentMemberKey, versions="0", flexible="0+"
):
    class TaskIds(Struct):
        subtopology_id: str = string("0+")
        partitions: list[int] = array(int32, "0+")

    active_tasks: list[TaskIds] = array(TaskIds, "0+")
    standby_tasks: list[TaskIds] = array(TaskIds, "0+")
    warmup_tasks: list[TaskIds] = array(TaskIds, "0+")


class StreamsGroupCurrentMemberAssignmentKey(RecordKey, type=22):
    group_id: str = string("0")
    member_id: str = string("0")


class StreamsGroupCurrentMemberAssignmentValue(
    RecordValue, key=StreamsGroupCurrentMemberAssignmentKey, versions="0", flexible="0+"
):
    class TaskIds(Struct):
        subtopology_id: str = string("0+")
        partitions: list[int] = array(int32, "0+")
        assignment_epochs: list[int] | None = array(int32, "0+", nullable="0+", tag=0)

    member_epoch: int = int32("0+")
    previous_member_epoch: int = int32("0+")
    state: int = int8("0+")
    active_tasks: list[TaskIds] = array(TaskIds, "0+")
    standby_tasks: list[TaskIds] = array(TaskIds, "0+")
    warmup_tasks: list[TaskIds] = array(TaskIds, "0+")
    active_tasks_pending_revocation: list[TaskIds] = array(TaskIds, "0+")
    standby_tasks_pending_revocation: list[TaskIds] = array(TaskIds, "0+")
    warmup_tasks_pending_revocation: list[TaskIds] = array(TaskIds, "0+")


class StreamsGroupTopologyKey(RecordKey, type=23):
    group_id: str = string("0")


class StreamsGroupTopologyValue(RecordValue, key=StreamsGroupTopologyKey, versions="0", flexible="0+"):
    class Subtopology(Struct):
        class TopicInfo(Struct):
            class TopicConfig(Struct):
                key: str = string("0+")
                value: str = string("0+")

            name: str = string("0+")
            partitions: int = int32("0+")
            replication_factor: int = int16("0+")
            topic_configs: list[TopicConfig] = array(TopicConfig, "0+")

        class CopartitionGroup(Struct):
            source_topics: list[int] = array(int16, "0+")
            source_topic_regex: list[int] = array(int16, "0+")
            repartition_source_topics: list[int] = array(int16, "0+")

        subtopology_id: str = string("0+")
        source_topics: list[str] = array(string, "0+")
        source_topic_regex: list[str] = array(string, "0+")
        state_changelog_topics: list[TopicInfo] = array(TopicInfo, "0+")
        repartition_sink_topics: list[str] = array(string, "0+")
        repartition_source_topics: list[TopicInfo] = array(TopicInfo, "0+")
        copartition_groups: list[CopartitionGroup] = array(CopartitionGroup, "0+")

    TopicInfo = Alias[Subtopology.TopicInfo]
    TopicConfig = Alias[Subtopology.TopicInfo.TopicConfig]
    CopartitionGroup = Alias[Subtopology.CopartitionGroup]

    epoch: int = int32("0+")
    subtopologies: list[Subtopology] = array(Subtopology, "0+")
