"""OffsetDelete (key 47): deletion of offsets that a group has committed (KIP-496).

While members of the group subscribe to a topic, its partitions are answered GROUP_SUBSCRIBED_TO_TOPIC.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, string

__all__ = ["OffsetDeleteRequest", "OffsetDeleteResponse"]


class OffsetDeleteRequest(Request["OffsetDeleteResponse"], key=47, versions="0"):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")

        name: str = string("0+")
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    group_id: str = string("0+")
    topics: list[Topic] = array(Topic, "0+")


class OffsetDeleteResponse(Response, answers=OffsetDeleteRequest):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")

        name: str = string("0+")
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    error_code: int = int16("0+")
    throttle_time_ms: int = int32("0+", ignorable=True)
    topics: list[Topic] = array(Topic, "0+")
