"""DescribeProducers (key 61): the producers whose sequences a partition knows, and their open transactions (KIP-664).

It is asked of a partition's leader. The epoch has 32 bits here, and 16 everywhere else.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string

__all__ = ["DescribeProducersRequest", "DescribeProducersResponse"]


class DescribeProducersRequest(Request["DescribeProducersResponse"], key=61, versions="0", flexible="0+"):
    class TopicRequest(Struct):
        name: str = string("0+")
        partition_indexes: list[int] = array(int32, "0+")

    topics: list[TopicRequest] = array(TopicRequest, "0+")


class DescribeProducersResponse(Response, answers=DescribeProducersRequest):
    class TopicResponse(Struct):
        class PartitionResponse(Struct):
            class ProducerState(Struct):
                producer_id: int = int64("0+")
                producer_epoch: int = int32("0+")
                last_sequence: int = int32("0+", default=-1)
                last_timestamp: int = int64("0+", default=-1)
                coordinator_epoch: int = int32("0+")
                current_txn_start_offset: int = int64("0+", default=-1)

            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)
            active_producers: list[ProducerState] = array(ProducerState, "0+")

        name: str = string("0+")
        partitions: list[PartitionResponse] = array(PartitionResponse, "0+")

    PartitionResponse = Alias[TopicResponse.PartitionResponse]
    ProducerState = Alias[TopicResponse.PartitionResponse.ProducerState]

    throttle_time_ms: int = int32("0+")
    topics: list[TopicResponse] = array(TopicResponse, "0+")
