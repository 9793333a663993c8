"""AlterShareGroupOffsets (key 91): a share group goes on somewhere else (KIP-932).

A group that has members is answered NON_EMPTY_GROUP.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string, uuid

__all__ = ["AlterShareGroupOffsetsRequest", "AlterShareGroupOffsetsResponse"]


class AlterShareGroupOffsetsRequest(Request["AlterShareGroupOffsetsResponse"], key=91, versions="0", flexible="0+"):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            start_offset: int = int64("0+")

        topic_name: str = string("0+")
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    group_id: str = string("0+")
    topics: list[Topic] = array(Topic, "0+")


class AlterShareGroupOffsetsResponse(Response, answers=AlterShareGroupOffsetsRequest):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)

        topic_name: str = string("0+")
        topic_id: bytes = uuid("0+")
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", default=None)
    responses: list[Topic] = array(Topic, "0+")
