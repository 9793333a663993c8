"""OffsetFetch (key 9): the offsets that groups have committed.

An offset of -1 means that none is committed; it comes without an error. A null list of topics asks for all of them.

Version 2 brings the error of the whole request, 5 leader epochs (KIP-320), 7 the wish to hear UNSTABLE_OFFSET_COMMIT
while a transaction holds a commit back (KIP-447). Since version 8 many groups are asked at once (KIP-709); earlier ones
use the single fields. Version 9 has the member's epoch, and 10 names topics by ID (KIP-848).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int16, int32, int64, string, uuid

__all__ = ["OffsetFetchRequest", "OffsetFetchResponse"]


class OffsetFetchRequest(Request["OffsetFetchResponse"], key=9, versions="1-10", flexible="6+"):
    class Topic(Struct):
        name: str = string("0-7")
        partition_indexes: list[int] = array(int32, "0-7")

    class Group(Struct):
        class Topics(Struct):
            name: str = string("8-9", ignorable=True)
            topic_id: bytes = uuid("10+", ignorable=True)
            partition_indexes: list[int] = array(int32, "8+")

        group_id: str = string("8+")
        member_id: str | None = string("9+", nullable="9+", default=None, ignorable=True)
        member_epoch: int = int32("9+", default=-1, ignorable=True)
        topics: list[Topics] | None = array(Topics, "8+", nullable="8+")

    Topics = Alias[Group.Topics]

    group_id: str = string("0-7")
    topics: list[Topic] | None = array(Topic, "0-7", nullable="2-7")
    groups: list[Group] = array(Group, "8+")
    require_stable: bool = boolean("7+")


class OffsetFetchResponse(Response, answers=OffsetFetchRequest):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0-7")
            committed_offset: int = int64("0-7")
            committed_leader_epoch: int = int32("5-7", default=-1, ignorable=True)
            metadata: str | None = string("0-7", nullable="0-7")
            error_code: int = int16("0-7")

        name: str = string("0-7")
        partitions: list[Partition] = array(Partition, "0-7")

    class Group(Struct):
        class Topics(Struct):
            class Partitions(Struct):
                partition_index: int = int32("8+")
                committed_offset: int = int64("8+")
                committed_leader_epoch: int = int32("8+", default=-1, ignorable=True)
                metadata: str | None = string("8+", nullable="8+")
                error_code: int = int16("8+")

            name: str = string("8-9", ignorable=True)
            topic_id: bytes = uuid("10+", ignorable=True)
            partitions: list[Partitions] = array(Partitions, "8+")

        group_id: str = string("8+")
        topics: list[Topics] = array(Topics, "8+")
        error_code: int = int16("8+")

    Partition = Alias[Topic.Partition]
    Topics = Alias[Group.Topics]
    Partitions = Alias[Group.Topics.Partitions]

    throttle_time_ms: int = int32("3+", ignorable=True)
    topics: list[Topic] = array(Topic, "0-7")
    error_code: int = int16("2-7", ignorable=True)
    groups: list[Group] = array(Group, "8+")
