"""Fetch (key 1): record batches from partitions.

Version 4 adds isolation (KIP-98), 7 sessions (KIP-227), 9 the leader's epoch (KIP-320), 10 zstd (KIP-110), 11 the
client's rack (KIP-392), 12 where logs diverge (KIP-595), 13 names topics by ID (KIP-516), 16 tells who leads now
(KIP-951). What a follower says of itself came with 15 (KIP-903), 17 (KIP-853) and 18 (KIP-1166).
"""

from felice.wire.schema import (
    INT32_MAX,
    INT64_MAX,
    Alias,
    Buffer,
    Request,
    Response,
    Struct,
    array,
    int8,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)

__all__ = ["FetchRequest", "FetchResponse"]


class FetchRequest(Request["FetchResponse"], key=1, versions="4-18", flexible="12+"):
    class ReplicaState(Struct):
        replica_id: int = int32("15+", default=-1)
        replica_epoch: int = int64("15+", default=-1)

    class FetchTopic(Struct):
        class FetchPartition(Struct):
            partition: int = int32("0+")
            current_leader_epoch: int = int32("9+", default=-1, ignorable=True)
            fetch_offset: int = int64("0+")
            last_fetched_epoch: int = int32("12+", default=-1)
            log_start_offset: int = int64("5+", default=-1, ignorable=True)
            partition_max_bytes: int = int32("0+")
            replica_directory_id: bytes = uuid("17+", tag=0, ignorable=True)
            high_watermark: int = int64("18+", default=INT64_MAX, tag=1, ignorable=True)

        topic: str = string("0-12", ignorable=True)
        topic_id: bytes = uuid("13+", ignorable=True)
        partitions: list[FetchPartition] = array(FetchPartition, "0+")

    class ForgottenTopic(Struct):
        topic: str = string("7-12", ignorable=True)
        topic_id: bytes = uuid("13+", ignorable=True)
        partitions: list[int] = array(int32, "7+")

    FetchPartition = Alias[FetchTopic.FetchPartition]

    cluster_id: str | None = string("12+", nullable="12+", default=None, tag=0, ignorable=True)
    replica_id: int = int32("0-14", default=-1)
    replica_state: ReplicaState = struct(ReplicaState, "15+", tag=1)
    max_wait_ms: int = int32("0+")
    min_bytes: int = int32("0+")
    max_bytes: int = int32("3+", default=INT32_MAX, ignorable=True)
    isolation_level: int = int8("4+", ignorable=True)
    session_id: int = int32("7+", ignorable=True)
    session_epoch: int = int32("7+", default=-1, ignorable=True)
    topics: list[FetchTopic] = array(FetchTopic, "0+")
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, "7+")
    rack_id: str = string("11+", ignorable=True)


class FetchResponse(Response, answers=FetchRequest):
    class FetchableTopicResponse(Struct):
        class PartitionData(Struct):
            class EpochEndOffset(Struct):
                epoch: int = int32("12+", default=-1)
                end_offset: int = int64("12+", default=-1)

            class LeaderIdAndEpoch(Struct):
                leader_id: int = int32("12+", default=-1)
                leader_epoch: int = int32("12+", default=-1)

            class SnapshotId(Struct):
                end_offset: int = int64("0+", default=-1)
                epoch: int = int32("0+", default=-1)

            class AbortedTransaction(Struct):
                producer_id: int = int64("4+")
                first_offset: int = int64("4+")

            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            high_watermark: int = int64("0+")
            last_stable_offset: int = int64("4+", default=-1, ignorable=True)
            log_start_offset: int = int64("5+", default=-1, ignorable=True)
            diverging_epoch: EpochEndOffset = struct(EpochEndOffset, "12+", tag=0)
            current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch, "12+", tag=1)
            snapshot_id: SnapshotId = struct(SnapshotId, "12+", tag=2)
            aborted_transactions: list[AbortedTransaction] | None = array(
                AbortedTransaction, "4+", nullable="4+", ignorable=True
            )
            preferred_read_replica: int = int32("11+", default=-1)
            records: Buffer | None = records("0+", nullable="0+")

        topic: str = string("0-12", ignorable=True)
        topic_id: bytes = uuid("13+", ignorable=True)
        partitions: list[PartitionData] = array(PartitionData, "0+")

    class NodeEndpoint(Struct):
        node_id: int = int32("16+")
        host: str = string("16+")
        port: int = int32("16+")
        rack: str | None = string("16+", nullable="16+", default=None)

    PartitionData = Alias[FetchableTopicResponse.PartitionData]
    EpochEndOffset = Alias[FetchableTopicResponse.PartitionData.EpochEndOffset]
    LeaderIdAndEpoch = Alias[FetchableTopicResponse.PartitionData.LeaderIdAndEpoch]
    SnapshotId = Alias[FetchableTopicResponse.PartitionData.SnapshotId]
    AbortedTransaction = Alias[FetchableTopicResponse.PartitionData.AbortedTransaction]

    throttle_time_ms: int = int32("1+", ignorable=True)
    error_code: int = int16("7+", ignorable=True)
    session_id: int = int32("7+")
    responses: list[FetchableTopicResponse] = array(FetchableTopicResponse, "0+")
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "16+", tag=0)
