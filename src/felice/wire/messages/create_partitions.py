"""CreatePartitions (key 37): more partitions for topics (KIP-195).

`count` is how many there shall be, not how many come on top. Null assignments leave the choice of brokers to Kafka;
otherwise there is one for each new partition. Version 3 may be throttled (KIP-599).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int16, int32, string

__all__ = ["CreatePartitionsRequest", "CreatePartitionsResponse"]


class CreatePartitionsRequest(Request["CreatePartitionsResponse"], key=37, versions="0-3", flexible="2+"):
    class CreatePartitionsTopic(Struct):
        class CreatePartitionsAssignment(Struct):
            broker_ids: list[int] = array(int32, "0+")

        name: str = string("0+")
        count: int = int32("0+")
        assignments: list[CreatePartitionsAssignment] | None = array(CreatePartitionsAssignment, "0+", nullable="0+")

    CreatePartitionsAssignment = Alias[CreatePartitionsTopic.CreatePartitionsAssignment]

    topics: list[CreatePartitionsTopic] = array(CreatePartitionsTopic, "0+")
    timeout_ms: int = int32("0+")
    validate_only: bool = boolean("0+")


class CreatePartitionsResponse(Response, answers=CreatePartitionsRequest):
    class CreatePartitionsTopicResult(Struct):
        name: str = string("0+")
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+", default=None)

    throttle_time_ms: int = int32("0+")
    results: list[CreatePartitionsTopicResult] = array(CreatePartitionsTopicResult, "0+")
