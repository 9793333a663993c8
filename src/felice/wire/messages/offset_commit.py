"""OffsetCommit (key 8): the offsets that a group has come to, kept by its coordinator.

A lone consumer without a group's members commits with generation -1 and an empty member ID. Up to version 4 the request
says how long offsets are kept; then the broker alone does. Version 6 has the leader's epoch (KIP-320), 7 static members
(KIP-345); since 9 `generation_id_or_member_epoch` may be the epoch of a member of the consumer protocol, and 10 names
topics by ID (KIP-848).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string, uuid

__all__ = ["OffsetCommitRequest", "OffsetCommitResponse"]


class OffsetCommitRequest(Request["OffsetCommitResponse"], key=8, versions="2-10", flexible="8+"):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            committed_offset: int = int64("0+")
            committed_leader_epoch: int = int32("6+", default=-1, ignorable=True)
            committed_metadata: str | None = string("0+", nullable="0+")

        name: str = string("0-9", ignorable=True)
        topic_id: bytes = uuid("10+", ignorable=True)
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    group_id: str = string("0+")
    generation_id_or_member_epoch: int = int32("1+", default=-1, ignorable=True)
    member_id: str = string("1+", ignorable=True)
    group_instance_id: str | None = string("7+", nullable="7+", default=None)
    retention_time_ms: int = int64("2-4", default=-1, ignorable=True)
    topics: list[Topic] = array(Topic, "0+")


class OffsetCommitResponse(Response, answers=OffsetCommitRequest):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")

        name: str = string("0-9", ignorable=True)
        topic_id: bytes = uuid("10+", ignorable=True)
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    throttle_time_ms: int = int32("3+", ignorable=True)
    topics: list[Topic] = array(Topic, "0+")
