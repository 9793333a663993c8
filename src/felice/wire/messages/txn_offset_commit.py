"""TxnOffsetCommit (key 28): a group's offsets that count when a transaction commits (KIP-98).

It is asked of the group's coordinator, not of the transaction's. Version 2 has leader epochs (KIP-320), 3 the member
and its generation, so that a member left behind is fenced (KIP-447); 4 knows TRANSACTION_ABORTABLE, and 5 adds the
group to the transaction by itself, so that AddOffsetsToTxn goes away (KIP-890).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string

__all__ = ["TxnOffsetCommitRequest", "TxnOffsetCommitResponse"]


class TxnOffsetCommitRequest(Request["TxnOffsetCommitResponse"], key=28, versions="0-5", flexible="3+"):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            committed_offset: int = int64("0+")
            committed_leader_epoch: int = int32("2+", default=-1, ignorable=True)
            committed_metadata: str | None = string("0+", nullable="0+")

        name: str = string("0+")
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    transactional_id: str = string("0+")
    group_id: str = string("0+")
    producer_id: int = int64("0+")
    producer_epoch: int = int16("0+")
    generation_id: int = int32("3+", default=-1)
    member_id: str = string("3+")
    group_instance_id: str | None = string("3+", nullable="3+", default=None)
    topics: list[Topic] = array(Topic, "0+")


class TxnOffsetCommitResponse(Response, answers=TxnOffsetCommitRequest):
    class Topic(Struct):
        class Partition(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")

        name: str = string("0+")
        partitions: list[Partition] = array(Partition, "0+")

    Partition = Alias[Topic.Partition]

    throttle_time_ms: int = int32("0+")
    topics: list[Topic] = array(Topic, "0+")
