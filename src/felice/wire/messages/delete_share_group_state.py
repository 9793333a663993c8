"""DeleteShareGroupState (key 86): share coordinators forget partitions of a share group (KIP-932).

Group coordinators ask it when a group, or its offsets of a topic, are deleted.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, string, uuid

__all__ = ["DeleteShareGroupStateRequest", "DeleteShareGroupStateResponse"]


class DeleteShareGroupStateRequest(Request["DeleteShareGroupStateResponse"], key=86, versions="0", flexible="0+"):
    class DeleteStateData(Struct):
        class PartitionData(Struct):
            partition: int = int32("0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    PartitionData = Alias[DeleteStateData.PartitionData]

    group_id: str = string("0+")
    topics: list[DeleteStateData] = array(DeleteStateData, "0+")


class DeleteShareGroupStateResponse(Response, answers=DeleteShareGroupStateRequest):
    class DeleteStateResult(Struct):
        class PartitionResult(Struct):
            partition: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionResult] = array(PartitionResult, "0+")

    PartitionResult = Alias[DeleteStateResult.PartitionResult]

    results: list[DeleteStateResult] = array(DeleteStateResult, "0+")
