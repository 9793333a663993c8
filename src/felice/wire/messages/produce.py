"""Produce (key 0): record batches for partitions.

Version 3 is the first with record batch v2 (KIP-98), 7 the first with zstd (KIP-110). Version 8 tells which records
were refused (KIP-467), 10 who leads now (KIP-951), 12 adds partitions to a transaction by itself (KIP-890), and 13
names topics by ID (KIP-516).
"""

from felice.wire.schema import (
    Alias,
    Buffer,
    Request,
    Response,
    Struct,
    array,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)

__all__ = ["ProduceRequest", "ProduceResponse"]


class ProduceRequest(Request["ProduceResponse"], key=0, versions="3-13", flexible="9+"):
    class TopicProduceData(Struct):
        class PartitionProduceData(Struct):
            index: int = int32("0+")
            records: Buffer | None = records("0+", nullable="0+")

        name: str = string("0-12", ignorable=True)
        topic_id: bytes = uuid("13+", ignorable=True)
        partition_data: list[PartitionProduceData] = array(PartitionProduceData, "0+")

    PartitionProduceData = Alias[TopicProduceData.PartitionProduceData]

    transactional_id: str | None = string("3+", nullable="3+", default=None)
    acks: int = int16("0+")
    timeout_ms: int = int32("0+")
    topic_data: list[TopicProduceData] = array(TopicProduceData, "0+")


class ProduceResponse(Response, answers=ProduceRequest):
    class TopicProduceResponse(Struct):
        class PartitionProduceResponse(Struct):
            class BatchIndexAndErrorMessage(Struct):
                batch_index: int = int32("8+")
                batch_index_error_message: str | None = string("8+", nullable="8+", default=None)

            class LeaderIdAndEpoch(Struct):
                leader_id: int = int32("10+", default=-1)
                leader_epoch: int = int32("10+", default=-1)

            index: int = int32("0+")
            error_code: int = int16("0+")
            base_offset: int = int64("0+")
            log_append_time_ms: int = int64("2+", default=-1, ignorable=True)
            log_start_offset: int = int64("5+", default=-1, ignorable=True)
            record_errors: list[BatchIndexAndErrorMessage] = array(BatchIndexAndErrorMessage, "8+", ignorable=True)
            error_message: str | None = string("8+", nullable="8+", default=None, ignorable=True)
            current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch, "10+", tag=0)

        name: str = string("0-12", ignorable=True)
        topic_id: bytes = uuid("13+", ignorable=True)
        partition_responses: list[PartitionProduceResponse] = array(PartitionProduceResponse, "0+")

    class NodeEndpoint(Struct):
        node_id: int = int32("10+")
        host: str = string("10+")
        port: int = int32("10+")
        rack: str | None = string("10+", nullable="10+", default=None)

    PartitionProduceResponse = Alias[TopicProduceResponse.PartitionProduceResponse]
    BatchIndexAndErrorMessage = Alias[TopicProduceResponse.PartitionProduceResponse.BatchIndexAndErrorMessage]
    LeaderIdAndEpoch = Alias[TopicProduceResponse.PartitionProduceResponse.LeaderIdAndEpoch]

    responses: list[TopicProduceResponse] = array(TopicProduceResponse, "0+")
    throttle_time_ms: int = int32("1+", ignorable=True)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "10+", tag=0)
