"""DeleteRecords (key 21): deletion of all records before an offset (KIP-107).

The offset -1 means the high watermark.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string

__all__ = ["DeleteRecordsRequest", "DeleteRecordsResponse"]


class DeleteRecordsRequest(Request["DeleteRecordsResponse"], key=21, versions="0-2", flexible="2+"):
    class DeleteRecordsTopic(Struct):
        class DeleteRecordsPartition(Struct):
            partition_index: int = int32("0+")
            offset: int = int64("0+")

        name: str = string("0+")
        partitions: list[DeleteRecordsPartition] = array(DeleteRecordsPartition, "0+")

    DeleteRecordsPartition = Alias[DeleteRecordsTopic.DeleteRecordsPartition]

    topics: list[DeleteRecordsTopic] = array(DeleteRecordsTopic, "0+")
    timeout_ms: int = int32("0+")


class DeleteRecordsResponse(Response, answers=DeleteRecordsRequest):
    class DeleteRecordsTopicResult(Struct):
        class DeleteRecordsPartitionResult(Struct):
            partition_index: int = int32("0+")
            low_watermark: int = int64("0+")
            error_code: int = int16("0+")

        name: str = string("0+")
        partitions: list[DeleteRecordsPartitionResult] = array(DeleteRecordsPartitionResult, "0+")

    DeleteRecordsPartitionResult = Alias[DeleteRecordsTopicResult.DeleteRecordsPartitionResult]

    throttle_time_ms: int = int32("0+")
    topics: list[DeleteRecordsTopicResult] = array(DeleteRecordsTopicResult, "0+")
