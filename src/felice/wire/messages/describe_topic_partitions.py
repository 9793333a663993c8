"""DescribeTopicPartitions (key 75): topics and their partitions, page by page (KIP-966).

Topics come in the order of their names. A page has as many partitions as asked for, or fewer where the broker allows no
more; the next begins at `next_cursor`, which is null behind the last. No topics in the request mean all of them.
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
    string,
    struct,
    uuid,
)

__all__ = ["DescribeTopicPartitionsRequest", "DescribeTopicPartitionsResponse"]


class DescribeTopicPartitionsRequest(Request["DescribeTopicPartitionsResponse"], key=75, versions="0", flexible="0+"):
    class TopicRequest(Struct):
        name: str = string("0+")

    class Cursor(Struct):
        topic_name: str = string("0+")
        partition_index: int = int32("0+")

    topics: list[TopicRequest] = array(TopicRequest, "0+")
    response_partition_limit: int = int32("0+", default=2000)
    cursor: Cursor | None = struct(Cursor, "0+", nullable="0+", default=None)


class DescribeTopicPartitionsResponse(Response, answers=DescribeTopicPartitionsRequest):
    class Topic(Struct):
        class Partition(Struct):
            error_code: int = int16("0+")
            partition_index: int = int32("0+")
            leader_id: int = int32("0+")
            leader_epoch: int = int32("0+", default=-1, ignorable=True)
            replica_nodes: list[int] = array(int32, "0+")
            isr_nodes: list[int] = array(int32, "0+")
            eligible_leader_replicas: list[int] | None = array(int32, "0+", nullable="0+", default=None)
            last_known_elr: list[int] | None = array(int32, "0+", nullable="0+", default=None)
            offline_replicas: list[int] = array(int32, "0+", ignorable=True)

        error_code: int = int16("0+")
        name: str | None = string("0+", nullable="0+")
        topic_id: bytes = uuid("0+", ignorable=True)
        is_internal: bool = boolean("0+", ignorable=True)
        partitions: list[Partition] = array(Partition, "0+")
        topic_authorized_operations: int = int32("0+", default=INT32_MIN)

    class Cursor(Struct):
        topic_name: str = string("0+")
        partition_index: int = int32("0+")

    Partition = Alias[Topic.Partition]

    throttle_time_ms: int = int32("0+", ignorable=True)
    topics: list[Topic] = array(Topic, "0+")
    next_cursor: Cursor | None = struct(Cursor, "0+", nullable="0+", default=None)
