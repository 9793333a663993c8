"""ReadShareGroupState (key 84): what share coordinators know of partitions that a share group reads (KIP-932).

A partition's leader asks when it begins to serve the group; its epoch fences the leader before. Delivery states are 0
available, 2 acknowledged, 4 archived.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, int64, string, uuid

__all__ = ["ReadShareGroupStateRequest", "ReadShareGroupStateResponse"]


class ReadShareGroupStateRequest(Request["ReadShareGroupStateResponse"], key=84, versions="0", flexible="0+"):
    class ReadStateData(Struct):
        class PartitionData(Struct):
            partition: int = int32("0+")
            leader_epoch: int = int32("0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    PartitionData = Alias[ReadStateData.PartitionData]

    group_id: str = string("0+")
    topics: list[ReadStateData] = array(ReadStateData, "0+")


class ReadShareGroupStateResponse(Response, answers=ReadShareGroupStateRequest):
    class ReadStateResult(Struct):
        class PartitionResult(Struct):
            class StateBatch(Struct):
                first_offset: int = int64("0+")
                last_offset: int = int64("0+")
                delivery_state: int = int8("0+")
                delivery_count: int = int16("0+")

            partition: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)
            state_epoch: int = int32("0+")
            start_offset: int = int64("0+")
            state_batches: list[StateBatch] = array(StateBatch, "0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionResult] = array(PartitionResult, "0+")

    PartitionResult = Alias[ReadStateResult.PartitionResult]
    StateBatch = Alias[ReadStateResult.PartitionResult.StateBatch]

    results: list[ReadStateResult] = array(ReadStateResult, "0+")
