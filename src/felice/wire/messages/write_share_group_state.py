"""WriteShareGroupState (key 85): how far a share group has come in partitions, for share coordinators (KIP-932).

A partition's leader writes what has changed, fenced by its epoch and that of the state. Version 1 tells how many
deliveries behind the start are complete, from which the group's lag is known (KIP-1226).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, int64, string, uuid

__all__ = ["WriteShareGroupStateRequest", "WriteShareGroupStateResponse"]


class WriteShareGroupStateRequest(Request["WriteShareGroupStateResponse"], key=85, versions="0-1", flexible="0+"):
    class WriteStateData(Struct):
        class PartitionData(Struct):
            class StateBatch(Struct):
                first_offset: int = int64("0+")
                last_offset: int = int64("0+")
                delivery_state: int = int8("0+")
                delivery_count: int = int16("0+")

            partition: int = int32("0+")
            state_epoch: int = int32("0+")
            leader_epoch: int = int32("0+")
            start_offset: int = int64("0+")
            delivery_complete_count: int = int32("1+", default=-1, ignorable=True)
            state_batches: list[StateBatch] = array(StateBatch, "0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    PartitionData = Alias[WriteStateData.PartitionData]
    StateBatch = Alias[WriteStateData.PartitionData.StateBatch]

    group_id: str = string("0+")
    topics: list[WriteStateData] = array(WriteStateData, "0+")


class WriteShareGroupStateResponse(Response, answers=WriteShareGroupStateRequest):
    class WriteStateResult(Struct):
        class PartitionResult(Struct):
            partition: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionResult] = array(PartitionResult, "0+")

    PartitionResult = Alias[WriteStateResult.PartitionResult]

    results: list[WriteStateResult] = array(WriteStateResult, "0+")
