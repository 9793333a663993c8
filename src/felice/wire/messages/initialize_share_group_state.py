"""InitializeShareGroupState (key 83): a share group begins to read partitions (KIP-932).

Group coordinators ask it of share coordinators. A start offset of -1 leaves the beginning to the group's options.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string, uuid

__all__ = ["InitializeShareGroupStateRequest", "InitializeShareGroupStateResponse"]


class InitializeShareGroupStateRequest(
    Request["InitializeShareGroupStateResponse"], key=83, versions="0", flexible="0+"
):
    class InitializeStateData(Struct):
        class PartitionData(Struct):
            partition: int = int32("0+")
            state_epoch: int = int32("0+")
            start_offset: int = int64("0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    PartitionData = Alias[InitializeStateData.PartitionData]

    group_id: str = string("0+")
    topics: list[InitializeStateData] = array(InitializeStateData, "0+")


class InitializeShareGroupStateResponse(Response, answers=InitializeShareGroupStateRequest):
    class InitializeStateResult(Struct):
        class PartitionResult(Struct):
            partition: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionResult] = array(PartitionResult, "0+")

    PartitionResult = Alias[InitializeStateResult.PartitionResult]

    results: list[InitializeStateResult] = array(InitializeStateResult, "0+")
