"""ShareFetch (key 78): records for a member of a share group, and what became of those before (KIP-932).

`records` are whole batches, and empty bytes where there are none, never null. Only what is listed in `acquired_records`
is the member's, until the lock's time is over. The session's epoch is 0 to open one and -1 to close it, and otherwise
rises by one.

Acknowledged are offsets from the first to the last, that included, with one type for all or one for each: 0 gap, 1
accept, 2 release, 3 reject, 4 renew. Version 2 has the last of them (KIP-1222), and may keep to the number of records
asked for (KIP-1206).
"""

from felice.wire.schema import (
    INT32_MAX,
    Alias,
    Buffer,
    Request,
    Response,
    Struct,
    array,
    boolean,
    int8,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)

__all__ = ["ShareFetchRequest", "ShareFetchResponse"]


class ShareFetchRequest(Request["ShareFetchResponse"], key=78, versions="1-2", flexible="0+"):
    class FetchTopic(Struct):
        class FetchPartition(Struct):
            class AcknowledgementBatch(Struct):
                first_offset: int = int64("0+")
                last_offset: int = int64("0+")
                acknowledge_types: list[int] = array(int8, "0+")

            partition_index: int = int32("0+")
            acknowledgement_batches: list[AcknowledgementBatch] = array(AcknowledgementBatch, "0+")

        topic_id: bytes = uuid("0+")
        partitions: list[FetchPartition] = array(FetchPartition, "0+")

    class ForgottenTopic(Struct):
        topic_id: bytes = uuid("0+")
        partitions: list[int] = array(int32, "0+")

    FetchPartition = Alias[FetchTopic.FetchPartition]
    AcknowledgementBatch = Alias[FetchTopic.FetchPartition.AcknowledgementBatch]

    group_id: str | None = string("0+", nullable="0+", default=None)
    member_id: str | None = string("0+", nullable="0+")
    share_session_epoch: int = int32("0+")
    max_wait_ms: int = int32("0+")
    min_bytes: int = int32("0+")
    max_bytes: int = int32("0+", default=INT32_MAX)
    max_records: int = int32("1+")
    batch_size: int = int32("1+")
    share_acquire_mode: int = int8("2+", ignorable=True)
    is_renew_ack: bool = boolean("2+")
    topics: list[FetchTopic] = array(FetchTopic, "0+")
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, "0+")


class ShareFetchResponse(Response, answers=ShareFetchRequest):
    class ShareFetchableTopicResponse(Struct):
        class PartitionData(Struct):
            class LeaderIdAndEpoch(Struct):
                leader_id: int = int32("0+")
                leader_epoch: int = int32("0+")

            class AcquiredRecords(Struct):
                first_offset: int = int64("0+")
                last_offset: int = int64("0+")
                delivery_count: int = int16("0+")

            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)
            acknowledge_error_code: int = int16("0+")
            acknowledge_error_message: str | None = string("0+", nullable="0+", default=None)
            current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch, "0+")
            records: Buffer = records("0+", default=b"")
            acquired_records: list[AcquiredRecords] = array(AcquiredRecords, "0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    class NodeEndpoint(Struct):
        node_id: int = int32("0+")
        host: str = string("0+")
        port: int = int32("0+")
        rack: str | None = string("0+", nullable="0+", default=None)

    PartitionData = Alias[ShareFetchableTopicResponse.PartitionData]
    LeaderIdAndEpoch = Alias[ShareFetchableTopicResponse.PartitionData.LeaderIdAndEpoch]
    AcquiredRecords = Alias[ShareFetchableTopicResponse.PartitionData.AcquiredRecords]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", default=None)
    acquisition_lock_timeout_ms: int = int32("1+")
    responses: list[ShareFetchableTopicResponse] = array(ShareFetchableTopicResponse, "0+")
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "0+")
