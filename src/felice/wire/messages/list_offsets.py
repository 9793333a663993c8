"""ListOffsets (key 2): the offset at a time, or at one of a partition's ends.

Times below zero are questions of their own: -1 the end, -2 the beginning, -3 (since version 7, KIP-734) the record
with the latest timestamp, -4 (8, KIP-405) the beginning of what is local, -5 (9, KIP-1005) the end of what is tiered,
-6 (11, KIP-1023) the beginning of what waits to be tiered. Version 10 has a time limit for tiered logs (KIP-1075).

A client sets `replica_id` to -1; 0, the default of the protocol, is a broker.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, int64, string

__all__ = ["ListOffsetsRequest", "ListOffsetsResponse"]


class ListOffsetsRequest(Request["ListOffsetsResponse"], key=2, versions="1-11", flexible="6+"):
    class ListOffsetsTopic(Struct):
        class ListOffsetsPartition(Struct):
            partition_index: int = int32("0+")
            current_leader_epoch: int = int32("4+", default=-1, ignorable=True)
            timestamp: int = int64("0+")

        name: str = string("0+")
        partitions: list[ListOffsetsPartition] = array(ListOffsetsPartition, "0+")

    ListOffsetsPartition = Alias[ListOffsetsTopic.ListOffsetsPartition]

    replica_id: int = int32("0+")
    isolation_level: int = int8("2+")
    topics: list[ListOffsetsTopic] = array(ListOffsetsTopic, "0+")
    timeout_ms: int = int32("10+", ignorable=True)


class ListOffsetsResponse(Response, answers=ListOffsetsRequest):
    class ListOffsetsTopicResponse(Struct):
        class ListOffsetsPartitionResponse(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            timestamp: int = int64("1+", default=-1)
            offset: int = int64("1+", default=-1)
            leader_epoch: int = int32("4+", default=-1)

        name: str = string("0+")
        partitions: list[ListOffsetsPartitionResponse] = array(ListOffsetsPartitionResponse, "0+")

    ListOffsetsPartitionResponse = Alias[ListOffsetsTopicResponse.ListOffsetsPartitionResponse]

    throttle_time_ms: int = int32("2+", ignorable=True)
    topics: list[ListOffsetsTopicResponse] = array(ListOffsetsTopicResponse, "0+")
