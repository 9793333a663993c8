"""StreamsGroupDescribe (key 89): topology, members and tasks of Kafka Streams applications (KIP-1071).

A group of another kind is answered GROUP_ID_NOT_FOUND. The topology is null where there was an error.
"""

from felice.wire.schema import (
    INT32_MIN,
    Alias,
    Request,
    Response,
    Struct,
    array,
    boolean,
    int16,
    int32,
    int64,
    string,
    struct,
    uint16,
)

__all__ = ["StreamsGroupDescribeRequest", "StreamsGroupDescribeResponse"]


# Of the module, as two structs side by side have it, and the body of a class sees no other's names.
class KeyValue(Struct):
    key: str = string("0+")
    value: str = string("0+")


class StreamsGroupDescribeRequest(Request["StreamsGroupDescribeResponse"], key=89, versions="0", flexible="0+"):
    group_ids: list[str] = array(string, "0+")
    include_authorized_operations: bool = boolean("0+")


class StreamsGroupDescribeResponse(Response, answers=StreamsGroupDescribeRequest):
    class DescribedGroup(Struct):
        class Topology(Struct):
            class Subtopology(Struct):
                class TopicInfo(Struct):
                    name: str = string("0+")
                    partitions: int = int32("0+")
                    replication_factor: int = int16("0+")
                    topic_configs: list[KeyValue] = array(KeyValue, "0+")

                subtopology_id: str = string("0+")
                source_topics: list[str] = array(string, "0+")
                repartition_sink_topics: list[str] = array(string, "0+")
                state_changelog_topics: list[TopicInfo] = array(TopicInfo, "0+")
                repartition_source_topics: list[TopicInfo] = array(TopicInfo, "0+")

            epoch: int = int32("0+")
            subtopologies: list[Subtopology] | None = array(Subtopology, "0+", nullable="0+", default=None)

        class Member(Struct):
            class Endpoint(Struct):
                host: str = string("0+")
                port: int = uint16("0+")

            class TaskOffset(Struct):
                subtopology_id: str = string("0+")
                partition: int = int32("0+")
                offset: int = int64("0+")

            class Assignment(Struct):
                class TaskIds(Struct):
                    subtopology_id: str = string("0+")
                    partitions: list[int] = array(int32, "0+")

                active_tasks: list[TaskIds] = array(TaskIds, "0+")
                standby_tasks: list[TaskIds] = array(TaskIds, "0+")
                warmup_tasks: list[TaskIds] = array(TaskIds, "0+")

            member_id: str = string("0+")
            member_epoch: int = int32("0+")
            instance_id: str | None = string("0+", nullable="0+", default=None)
            rack_id: str | None = string("0+", nullable="0+", default=None)
            client_id: str = string("0+")
            client_host: str = string("0+")
            topology_epoch: int = int32("0+")
            process_id: str = string("0+")
            user_endpoint: Endpoint | None = struct(Endpoint, "0+", nullable="0+", default=None)
            client_tags: list[KeyValue] = array(KeyValue, "0+")
            task_offsets: list[TaskOffset] = array(TaskOffset, "0+")
            task_end_offsets: list[TaskOffset] = array(TaskOffset, "0+")
            assignment: Assignment = struct(Assignment, "0+")
            target_assignment: Assignment = struct(Assignment, "0+")
            is_classic: bool = boolean("0+")

        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+", default=None)
        group_id: str = string("0+")
        group_state: str = string("0+")
        group_epoch: int = int32("0+")
        assignment_epoch: int = int32("0+")
        topology: Topology | None = struct(Topology, "0+", nullable="0+", default=None)
        members: list[Member] = array(Member, "0+")
        authorized_operations: int = int32("0+", default=INT32_MIN)

    Topology = Alias[DescribedGroup.Topology]
    Subtopology = Alias[DescribedGroup.Topology.Subtopology]
    TopicInfo = Alias[DescribedGroup.Topology.Subtopology.TopicInfo]
    KeyValue = Alias[KeyValue]
    Member = Alias[DescribedGroup.Member]
    Endpoint = Alias[DescribedGroup.Member.Endpoint]
    TaskOffset = Alias[DescribedGroup.Member.TaskOffset]
    Assignment = Alias[DescribedGroup.Member.Assignment]
    TaskIds = Alias[DescribedGroup.Member.Assignment.TaskIds]

    throttle_time_ms: int = int32("0+")
    groups: list[DescribedGroup] = array(DescribedGroup, "0+")
