"""OffsetForLeaderEpoch (key 23): where a leader's epoch ended, to find out about truncation (KIP-101, KIP-320).

A consumer sets `replica_id` (since version 3) to -1; the default of the protocol, -2, is for debugging.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string

__all__ = ["OffsetForLeaderEpochRequest", "OffsetForLeaderEpochResponse"]


class OffsetForLeaderEpochRequest(Request["OffsetForLeaderEpochResponse"], key=23, versions="2-4", flexible="4+"):
    class OffsetForLeaderTopic(Struct):
        class OffsetForLeaderPartition(Struct):
            partition: int = int32("0+")
            current_leader_epoch: int = int32("2+", default=-1, ignorable=True)
            leader_epoch: int = int32("0+")

        topic: str = string("0+")
        partitions: list[OffsetForLeaderPartition] = array(OffsetForLeaderPartition, "0+")

    OffsetForLeaderPartition = Alias[OffsetForLeaderTopic.OffsetForLeaderPartition]

    replica_id: int = int32("3+", default=-2, ignorable=True)
    topics: list[OffsetForLeaderTopic] = array(OffsetForLeaderTopic, "0+")


class OffsetForLeaderEpochResponse(Response, answers=OffsetForLeaderEpochRequest):
    class OffsetForLeaderTopicResult(Struct):
        class EpochEndOffset(Struct):
            error_code: int = int16("0+")
            partition: int = int32("0+")
            leader_epoch: int = int32("1+", default=-1, ignorable=True)
            end_offset: int = int64("0+", default=-1)

        topic: str = string("0+")
        partitions: list[EpochEndOffset] = array(EpochEndOffset, "0+")

    EpochEndOffset = Alias[OffsetForLeaderTopicResult.EpochEndOffset]

    throttle_time_ms: int = int32("2+", ignorable=True)
    topics: list[OffsetForLeaderTopicResult] = array(OffsetForLeaderTopicResult, "0+")
