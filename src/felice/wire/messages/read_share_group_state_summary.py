"""ReadShareGroupStateSummary (key 87): where a share group stands in partitions, in short (KIP-932).

Group coordinators ask it of share coordinators, to describe a group's offsets. Version 1 tells how many deliveries
behind the start are complete (KIP-1226).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string, uuid

__all__ = ["ReadShareGroupStateSummaryRequest", "ReadShareGroupStateSummaryResponse"]


class ReadShareGroupStateSummaryRequest(
    Request["ReadShareGroupStateSummaryResponse"], key=87, versions="0-1", flexible="0+"
):
    class ReadStateSummaryData(Struct):
        class PartitionData(Struct):
            partition: int = int32("0+")
            leader_epoch: int = int32("0+")

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    PartitionData = Alias[ReadStateSummaryData.PartitionData]

    group_id: str = string("0+")
    topics: list[ReadStateSummaryData] = array(ReadStateSummaryData, "0+")


class ReadShareGroupStateSummaryResponse(Response, answers=ReadShareGroupStateSummaryRequest):
    class ReadStateSummaryResult(Struct):
        class PartitionResult(Struct):
            partition: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+", default=None)
            state_epoch: int = int32("0+")
            leader_epoch: int = int32("0+")
            start_offset: int = int64("0+")
            delivery_complete_count: int = int32("1+", default=-1, ignorable=True)

        topic_id: bytes = uuid("0+")
        partitions: list[PartitionResult] = array(PartitionResult, "0+")

    PartitionResult = Alias[ReadStateSummaryResult.PartitionResult]

    results: list[ReadStateSummaryResult] = array(ReadStateSummaryResult, "0+")
