"""DescribeShareGroupOffsets (key 90): where share groups stand in partitions (KIP-932).

A null list asks for all topics. A start of -1 means that the group has not begun there. Version 1 has the lag
(KIP-1226).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string, uuid

__all__ = ["DescribeShareGroupOffsetsRequest", "DescribeShareGroupOffsetsResponse"]


class DescribeShareGroupOffsetsRequest(
    Request["DescribeShareGroupOffsetsResponse"], key=90, versions="0-1", flexible="0+"
):
    class Group(Struct):
        class Topic(Struct):
            topic_name: str = string("0+")
            partitions: list[int] = array(int32, "0+")

        group_id: str = string("0+")
        topics: list[Topic] | None = array(Topic, "0+", nullable="0+")

    Topic = Alias[Group.Topic]

    groups: list[Group] = array(Group, "0+")


class DescribeShareGroupOffsetsResponse(Response, answers=DescribeShareGroupOffsetsRequest):
    class Group(Struct):
        class Topic(Struct):
            class Partition(Struct):
                partition_index: int = int32("0+")
                start_offset: int = int64("0+")
                leader_epoch: int = int32("0+")
                lag: int = int64("1+", default=-1, ignorable=True)
                error_code: int = int16("0+")
                error_message: str | None = string("0+", nullable="0+", default=None)

            topic_name: str = string("0+")
            topic_id: bytes = uuid("0+")
            partitions: list[Partition] = array(Partition, "0+")

        group_id: str = string("0+")
        topics: list[Topic] = array(Topic, "0+")
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+", default=None)

    Topic = Alias[Group.Topic]
    Partition = Alias[Group.Topic.Partition]

    throttle_time_ms: int = int32("0+")
    groups: list[Group] = array(Group, "0+")
